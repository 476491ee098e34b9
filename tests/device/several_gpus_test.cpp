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
