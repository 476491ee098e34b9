// Calls at the ends of what a GPU's grids, 32 bits and libraries take. Each is skipped where there is no GPU.
#include "tests/device/on_gpu.h"

using namespace gradus;
using namespace gradus::testing;

// Along all of its axes but one a grid has at most 65535 blocks.
GPU_TEST(Gpu, NormsOfMoreChannelsThanAGridIsHigh) {
  AnyTensor x = draw({1, 65536 * 32 + 1}, -1, 3, 1, DType::float32);
  EXPECT_LE(distance(group_norm(x.to(kGpu), 1, {}, {}, 0.1), group_norm(x, 1, {}, {}, 0.1)), 1e-4);
}

// Each of a kernel's taps is a column of its gradient, and a tile is 64 of them. That takes an emulated GPU half a minute.
GPU_TEST(LargeGpu, KernelsOfMoreTapsThanAGridIsHigh) {
  AnyTensor x = draw({1, 1, 2048, 2049}, -1, 1, 1, DType::float32), w = zeros({1, 1, 2048, 2049}, DType::float32), none;
  ASSERT_GT(w.numel(), 65535 * 64);
  AnyTensor far = w.to(kGpu).requires_grad_();
  conv2d(x.to(kGpu), far, none, {}).backward(ones({1, 1, 1, 1}, DType::float32, kGpu) * 2.0);
  EXPECT_EQ(distance(far.grad(), x * 2.0), 0);
}

GPU_TEST(Gpu, APaddingThatThirtyTwoBitsCannotAddUpIsRefused) {
  constexpr int64_t kFar = int64_t(1) << 29;
  AnyTensor x = draw({1, 1, 2, 2}, -1, 1, 1, DType::float32), w = draw({1, 1, 2, 2}, -1, 1, 2, DType::float32), none;
  const Conv2dOptions least{.stride = 2 * kFar, .padding = kFar - 1}, more{.stride = 2 * kFar, .padding = kFar};
  EXPECT_LE(distance(conv2d(x.to(kGpu), w.to(kGpu), none, least), conv2d(x, w, none, least)), 1e-5);
  const std::string why = message_of<Error>([&] { conv2d(x.to(kGpu), w.to(kGpu), none, more); });
  EXPECT_NE(why.find("a padding of 536870912 is too much"), std::string::npos) << why;
}

// What rows a library exchanges where a column has no number is its own affair.
GPU_TEST(Gpu, MatricesWithoutNumbersHavePivots) {
  for (auto [rows, columns] : {std::pair<int64_t, int64_t>{5, 5}, {7, 4}, {4, 6}}) {
    AnyTensor a = draw({3, rows, columns}, -1, 1, 1);
    put(a, rows * columns + 2, NAN);  // in the second matrix
    auto [p, l, u] = linalg::lu(a.to(kGpu));
    for (int axis : {1, 2}) EXPECT_EQ(distance(p.sum(axis), ones({3, rows})), 0);  // each row once
    const auto pivots = values(linalg::lu_factor(a.to(kGpu)).pivots), near = values(linalg::lu_factor(a).pivots);
    const auto count = int64_t(pivots.size()) / 3;
    for (int64_t i = 0; i < 3 * count; ++i) {
      EXPECT_TRUE(pivots[size_t(i)] > double(i % count) && pivots[size_t(i)] <= double(rows)) << i;
      EXPECT_TRUE(i / count == 1 || pivots[size_t(i)] == near[size_t(i)]) << i;
    }
    if (rows != columns) continue;
    AnyTensor x = linalg::solve(a.to(kGpu), ones<double>({3, rows, 2}, kGpu));
    EXPECT_LE(distance(x.select(0, 0), linalg::solve(a.select(0, 0), ones<double>({rows, 2}))), 1e-12);
    EXPECT_TRUE(std::isnan(x.select(0, 1).sum().item()));
    EXPECT_TRUE(std::isnan(linalg::det(a.to(kGpu))[1].item()));
  }
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
