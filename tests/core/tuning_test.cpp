#include "gradus/core/tuning.h"

#include <thread>

#include "tests/check.h"

namespace gradus {
namespace {

TEST(KernelTuning, IsOffUntilAskedForInAllThreads) {
  EXPECT_FALSE(kernel_tuning());
  set_kernel_tuning(true);
  bool seen = false;
  std::thread([&] { seen = kernel_tuning(); }).join();
  EXPECT_TRUE(seen);
  set_kernel_tuning(false);
  EXPECT_FALSE(kernel_tuning());
}

TEST(Deterministic, IsOnUntilGivenUpInAllThreads) {
  EXPECT_TRUE(deterministic());
  set_deterministic(false);
  bool seen = true;
  std::thread([&] { seen = deterministic(); }).join();
  EXPECT_FALSE(seen);
  set_deterministic(true);
  EXPECT_TRUE(deterministic());
}

}  // namespace
}  // namespace gradus
