// Which devices there are, and what a program sees that asks for one that is not there: the same binary runs on every machine.
#include <algorithm>
#include <thread>

#include "tests/check.h"
#include "tests/device/train_xor.h"

using namespace gradus;
using namespace gradus::testing;

namespace {
bool has_cuda() { return device_count(DeviceType::cuda) > 0; }
}  // namespace

TEST(Device, TheCpuIsAlwaysThere) {
  EXPECT_EQ(device_count(DeviceType::cpu), 1);
  EXPECT_TRUE(is_available(kCPU));
  EXPECT_FALSE(is_available(Device(DeviceType::cpu, 1)));
  DeviceProperties p = device_properties(kCPU);
  EXPECT_GE(p.multiprocessors, 1);
  EXPECT_GT(p.memory, size_t(1) << 20);
  message_of<DeviceError>([] { device_properties(Device(DeviceType::cpu, 1)); });
  EXPECT_EQ(device_or_cpu(kCPU), kCPU);
}

TEST(Device, NobodyRegisteredTheThirdKind) {
  EXPECT_EQ(device_count(DeviceType::other), 0);
  EXPECT_EQ(message_of<DeviceError>([] { zeros({2}, DType::float32, Device("other")); }),
            "other: no backend is registered for this kind of device; use Device(\"cpu\")");
}

TEST(WithoutCuda, AskingForItRaisesAndSaysWhy) {
  if (has_cuda()) GTEST_SKIP() << "there is a CUDA device";
  EXPECT_EQ(best_device(), kCPU);
  EXPECT_FALSE(is_available(Device("cuda")));
  AnyTensor x = draw({2});
  for (auto& ask :
       std::vector<std::function<void()>>{[&] { x.to(Device("cuda")); }, [] { zeros({2}, DType::float32, Device("cuda:1")); },
                                          [] { device_properties(Device("cuda")); }, [] { memory_stats(Device("cuda")); },
                                          [] { synchronize(Device("cuda")); }, [] { Stream s(Device("cuda")); }}) {
    std::string message = message_of<DeviceError>(ask);
#if GRADUS_WITH_CUDA
    EXPECT_NE(message.find("cuda: "), std::string::npos) << message;
    EXPECT_TRUE(message.find("driver") != std::string::npos) << message;
#else
    EXPECT_NE(message.find("cuda: this build of Gradus has no kernels for NVIDIA GPUs"), std::string::npos) << message;
#endif
    EXPECT_NE(message.find("use Device(\"cpu\")"), std::string::npos) << message;
  }
  EXPECT_FALSE(is_pinned(pin_memory(x)));  // there is nothing to pin it for
  synchronize();
}

TEST(WithoutCuda, APreferenceFallsBackAndSaysSoOnce) {
  if (has_cuda()) GTEST_SKIP() << "there is a CUDA device";
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(device_or_cpu("cuda"), kCPU);
  EXPECT_EQ(device_or_cpu("cuda"), kCPU);
  EXPECT_EQ(device_or_cpu("cuda:3"), kCPU);
  std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(said.find("gradus: cuda:0 is not available, the CPU is used: "), 0u) << said;
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
}

TEST(WithoutCuda, TheSameProgramTrainsOnTheCpu) {
  if (has_cuda()) GTEST_SKIP() << "there is a CUDA device";
  EXPECT_LT(train_xor(device_or_cpu("cuda")), 0.01);
}

TEST(WithCuda, MemoryCopiesAndStreamsWork) {
  if (!has_cuda()) GTEST_SKIP() << "no CUDA device";
  const Device gpu("cuda");
  EXPECT_EQ(best_device(), gpu);
  EXPECT_GE(device_properties(gpu).major, 8);
  AnyTensor x = draw({1000, 37});
  EXPECT_EQ(distance(x.to(gpu), x), 0);
  EXPECT_EQ(distance(x.transpose(0, 1).to(gpu), x.transpose(0, 1)), 0);
  AnyTensor pinned = pin_memory(x);
  EXPECT_TRUE(is_pinned(pinned));
  Stream side(gpu);
  AnyTensor there;
  {
    StreamGuard guard(side);
    there = to_async(pinned, gpu);
  }
  Event copied;
  copied.record(side);
  copied.hold(Stream::current(gpu));
  EXPECT_EQ(distance(there + there, x + x), 0);
  record_use(there, Stream::current(gpu));
  copied.synchronize();
  EXPECT_TRUE(copied.is_done());
  std::string message = message_of<DeviceError>([&] { zeros({2}, DType::float32, Device(DeviceType::cuda, 63)); });
  EXPECT_NE(message.find("cuda:63"), std::string::npos) << message;
}

TEST(WithCuda, RunningOutRaisesAndTheProcessGoesOn) {
  if (!has_cuda()) GTEST_SKIP() << "no CUDA device";
  const Device gpu("cuda");
  size_t before = memory_stats(gpu).in_use;
  std::string message = message_of<OutOfMemory>([&] { empty({int64_t(1) << 40}, DType::float32, gpu); });
  EXPECT_NE(message.find("out of memory on cuda:0: asked for 4398046511104 bytes"), std::string::npos) << message;
  EXPECT_EQ(memory_stats(gpu).in_use, before);
  AnyTensor x = ones({1 << 20}, DType::float32, gpu);
  EXPECT_EQ((x + x).to(kCPU).sum().item(), 2 << 20);
}

DEVICE_TEST(DefaultDevice, WhatNamesNoDeviceIsMadeThere) {
  const Device device = device_of_tests();
  EXPECT_EQ(default_device(), device);
  nn::Linear layer(3, 2);
  nn::BatchNorm2d norm(4);
  const std::vector<AnyTensor> made = {empty({2}, DType::float32),
                                       zeros({2}, DType::int64),
                                       full<float>({}, 3),
                                       arange(5),
                                       eye(3),
                                       rand({2, 2}),
                                       randperm(5),
                                       tril_indices(3, 3),
                                       Tensor<float>{{1, 2}, {3, 4}},
                                       layer.weight,
                                       norm.running_var};
  for (size_t i = 0; i < made.size(); ++i) EXPECT_EQ(made[i].device(), device) << i;
  EXPECT_EQ(values(made[8]), (std::vector<double>{1, 2, 3, 4}));
  float numbers[] = {1, 2};
  EXPECT_EQ(from_blob(numbers, {2}, DType::float32).device(), kCPU);  // the host's memory stays where it is
  std::thread([] { EXPECT_EQ(default_device(), kCPU); }).join();      // each thread has its own
  {
    DefaultDevice on(kCPU);
    EXPECT_EQ(ones({1}, DType::float32).device(), kCPU);
  }
  EXPECT_EQ(ones({1}, DType::float32).device(), device);
}

TEST(DefaultDevice, OneThatIsNotThereIsRefusedAtOnce) {
  message_of<DeviceError>([] { set_default_device(Device("other")); });
  message_of<DeviceError>([] { DefaultDevice on(Device(DeviceType::cuda, 77)); });
  message_of<DeviceError>([] { set_default_device(Device(DeviceType::cpu, 1)); });
  EXPECT_EQ(default_device(), kCPU);
}
