// Calls at the ends of what a GPU's grids, 32 bits and libraries take. Each is skipped where there is no GPU.
#include "tests/device/on_gpu.h"

using namespace gradus;
using namespace gradus::testing;

// Along all of its axes but one a grid has at most 65535 blocks.
GPU_TEST(Gpu, NormsOfMoreChannelsThanAGridIsHigh) {
  AnyTensor x = draw({1, 65536 * 32 + 1}, -1, 3, 1, DType::float32);
  EXPECT_LE(distance(group_norm(x.to(kGpu), 1, {}, {}, 0.1), group_norm(x, 1, {}, {}, 0.1)), 1e-4);
}

GPU_TEST(Gpu, StridesThatAreNeverTakenMayBeAnyNumber) {
  constexpr int64_t kFar = int64_t(1) << 32;  // 0 in 32 bits
  AnyTensor x = draw({2, 4, 3, 3}, -1, 1, 1, DType::float32), w = draw({5, 4, 3, 3}, -1, 1, 2, DType::float32);
  AnyTensor one = draw({5, 4, 1, 1}, -1, 1, 3, DType::float32), none;
  auto apart = [](const AnyTensor& x, auto far, auto near) {
    AnyTensor here = x.detach().requires_grad_(), there = x.to(kGpu).detach().requires_grad_(), y = near(here), z = far(there);
    if (!(y.shape() == z.shape())) return HUGE_VAL;
    AnyTensor g = draw(y.shape(), -1, 1, 4, DType::float32);
    y.backward(g), z.backward(g.to(kGpu));
    return std::max(distance(z, y), distance(there.grad(), here.grad()));
  };
  EXPECT_LE(apart(
                x, [](const AnyTensor& v) { return max_pool2d(v, {.kernel = 3, .stride = kFar}); },
                [](const AnyTensor& v) { return max_pool2d(v, {.kernel = 3}); }),
            0);
  EXPECT_LE(apart(
                x, [](const AnyTensor& v) { return max_pool2d(v, {.kernel = 1, .stride = 1, .dilation = kFar}); },
                [](const AnyTensor& v) { return max_pool2d(v, {.kernel = 1, .stride = 1}); }),
            0);
  EXPECT_LE(apart(
                x, [&](const AnyTensor& v) { return conv2d(v, w.to(kGpu), none, {.stride = kFar}); },
                [&](const AnyTensor& v) { return conv2d(v, w, none, {}); }),
            1e-4);
  EXPECT_LE(apart(
                x, [&](const AnyTensor& v) { return conv2d(v, one.to(kGpu), none, {.dilation = kFar}); },
                [&](const AnyTensor& v) { return conv2d(v, one, none, {}); }),
            1e-4);
}

// Matrices whose first numbers lie on 16 bytes, and whose rows do, but not from one matrix to the next.
GPU_TEST(Gpu, ProductsOfBatchesThatLieAnyNumberApart) {
  for (DType t : kFloats)
    for (int64_t gap : {0, 1, 4, 8}) {
      const int64_t apart = 11 * 24 + gap;
      AnyTensor a = draw({3 * apart}, -1, 1, 1, t), b = draw({3 * apart}, -1, 1, 2, t);
      auto product = [&](const AnyTensor& u, const AnyTensor& v) {
        return matmul(as_view(u, {3, 11, 24}, {apart, 24, 1}, 0), as_view(v, {3, 24, 11}, {apart, 1, 24}, 0));
      };
      EXPECT_LE(distance(product(a.to(kGpu), b.to(kGpu)), product(a, b)), 8 * tolerance(t)) << name(t) << gap;
    }
}
