// Libraries that find no memory for a handle of theirs, since what was used before is kept for later. Those that stand in on the emulated GPU are
// asked to find none the first time.
#include <cstdlib>

#include "tests/check.h"
#include "tests/device/on_gpu.h"

using namespace gradus;
using namespace gradus::testing;

namespace {
const bool asked = setenv("GRADUS_EMULATOR_HANDLES", "late", 1) == 0;

/// Memory that nothing uses, and that nobody else can have.
void keep_some() { empty({int64_t(4) << 20}, DType::float32, kGpu); }
}  // namespace

GPU_TEST(Gpu, AProductsLibraryGetsMemoryThatIsKeptForLater) {
  ASSERT_TRUE(asked);
  keep_some();
  ::testing::internal::CaptureStderr();
  Tensor<float> x = ones<float>({8, 16}, kGpu), y = matmul(x, x.t());
  EXPECT_EQ(y[7][7].item(), 16.0f);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");  // nothing about slower products
}

GPU_TEST(Gpu, DecompositionsLibraryGetsMemoryThatIsKeptForLater) {
  keep_some();
  Tensor<float> a = eye<float>(3, 3, kGpu) * 4.0f;
  EXPECT_EQ(linalg::cholesky(a)[2][2].item(), 2.0f);
}
