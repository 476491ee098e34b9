// Libraries that find no memory for a handle of theirs, since what was used before is kept for later. Those that stand in on the emulated GPU are
// asked to find none the first time.
#include <cstdlib>

#include "gradus/core/memory.h"
#include "tests/device/on_gpu.h"

#if GRADUS_WITH_CUDA
#include "kernels/cuda/dnn/handles.h"
#endif

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

#if GRADUS_WITH_CUDA
namespace {
int asked_for_handles = 0, one;
void* late() { return asked_for_handles++ == 0 ? nullptr : &one; }
void* never() { return ++asked_for_handles, nullptr; }
}  // namespace

GPU_TEST(Gpu, CudnnsHandlesGetMemoryThatIsKeptForLater) {
  cuda::dnn::Handles handles(late), none(never);
  keep_some();
  EXPECT_EQ(handles.take(0), &one);
  EXPECT_EQ(asked_for_handles, 2);
  EXPECT_EQ(memory_stats(kGpu).cached, 0u);
  handles.give_back(0, &one);
  EXPECT_EQ(handles.take(0), &one);  // the same, without asking
  EXPECT_EQ(asked_for_handles, 2);
  EXPECT_EQ(none.take(0), nullptr);
  EXPECT_EQ(asked_for_handles, 4);
}
#endif
