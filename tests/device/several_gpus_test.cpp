// Several GPUs. The emulator is asked for three, of which the last is too old.
#include <cstdlib>

#include "tests/check.h"
#include "tests/device/on_gpu.h"

using namespace gradus;
using namespace gradus::testing;

namespace {
constexpr bool kEmulated = GRADUS_WITH_CUDA_EMULATOR;
const bool asked = setenv("GRADUS_EMULATOR_DEVICES", "3", 1) == 0 && setenv("GRADUS_EMULATOR_MAJORS", "996", 1) == 0;
}  // namespace

GPU_TEST(Gpu, OfSeveralThoseInFrontOfOneThatIsTooOldAreUsed) {
  ASSERT_TRUE(asked);
  if (!kEmulated) GTEST_SKIP() << "a GPU that is there";
  EXPECT_EQ(device_count(DeviceType::cuda), 2);
  EXPECT_NE(message_of<DeviceError>([] { ones({1}, DType::float32, Device("cuda:2")); }).find("there are 2 devices"),
            std::string::npos);
}

GPU_TEST(Gpu, PinnedMemoryThatTwoDevicesUseIsNotWaitedFor) {
  if (device_count(DeviceType::cuda) < 2) GTEST_SKIP() << "one CUDA device";
  const Device devices[] = {kGpu, Device("cuda:1")};
  for (int round = 0; round < 3; ++round)
    for (Device device : devices)
      for (const Stream& stream : {Stream::current(device), Stream(device)}) {
        StreamGuard guard(stream);
        Tensor<float> x = zeros<float>({1000}, device);
        synchronize(device);
        AnyTensor pinned = pin_memory(full<float>({1000}, round + 1), device), there = to_async(pinned, device);
        for (int i = 0; i < 100; ++i) x += 1.0f;
        Event now;
        now.record(stream);
        pinned = {};  // its memory is given back behind an event of the device's
        if (kEmulated) {
          EXPECT_FALSE(now.is_done());
        }
        pin_memory(full<float>({1000}, NAN), device);  // gets other memory
        EXPECT_EQ(Tensor<float>(there)[999].item(), round + 1);
        EXPECT_EQ(x[0].item(), 100);
      }
}

GPU_TEST(Gpu, SynchronizeWaitsForEveryStreamOfTheDevice) {
  Stream side(kGpu);
  Tensor<float> x = zeros<float>({1000}, kGpu);
  synchronize(kGpu);
  {
    StreamGuard guard(side);
    for (int i = 0; i < 10; ++i) x += 1.0f;
  }
  synchronize(kGpu);
  EXPECT_TRUE(side.is_idle() && Stream::current(kGpu).is_idle());
  EXPECT_EQ(x[999].item(), 10);
}

// A stream of another device's makes every launch fail.
GPU_TEST(Gpu, LaunchesThatAreRefusedTellWhatTheyWorkedOn) {
  if (device_count(DeviceType::cuda) < 2) GTEST_SKIP() << "one CUDA device";
  const Stream foreign = Stream::from_handle(kGpu, Stream(Device("cuda:1")).handle());
  Tensor<float> x = zeros<float>({70, 80}, kGpu), y = zeros<float>({70, 80}, kGpu), z = zeros<float>({2, 3}, kGpu);
  Tensor<half> h = zeros<half>({2, 3}, kGpu);
  synchronize(kGpu);
  auto refused = [&](auto f) {
    StreamGuard guard(foreign);
    return message_of<Error>(f);
  };
  EXPECT_EQ(refused([&] { z.fill_(1.0f); }).find("fill of float32[2, 3]: CUDA says: "), 0u);
  const Tensor<float> from = z.t();
  EXPECT_EQ(refused([&] { y.copy_(x); }).find("to of float32[70, 80] float32[70, 80]: CUDA says: "), 0u);
  EXPECT_EQ(refused([&] { static_cast<AnyTensor&>(h).copy_(from.t()); }).find("to of float32[2, 3] float16[2, 3]: CUDA says: "),
            0u);
  const Tensor<float> wide = zeros<float>({80, 70}, kGpu);
  synchronize(kGpu);
  EXPECT_EQ(refused([&] { y.copy_(wide.t()); }).find("to of float32[70, 80] float32[70, 80]: CUDA says: "), 0u);  // through squares
  EXPECT_NE(refused([&] { z += 1.0f; }).find(" of float32, 6 elements: CUDA says: "), std::string::npos);
  z.fill_(2.0f);  // and the next one is not blamed
  EXPECT_EQ(z[1][2].item(), 2.0f);
}
