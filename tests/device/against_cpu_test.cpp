// What a GPU computes against what the CPU does, for kernels that rows_test does not reach: layouts, integers, comparisons, casts, fills, draws,
// reductions. Each is skipped where there is no GPU.
#include "tests/device/on_gpu.h"
#include "tests/device/train_xor.h"

using namespace gradus;
using namespace gradus::testing;

GPU_TEST(Gpu, CopiesAndCastsOfEveryLayout) {
  for (DType from : kAll)
    for (const AnyTensor& x : layouts(from)) {
      AnyTensor there = on_gpu(x);
      EXPECT_EQ(there.stride(), x.stride());
      EXPECT_EQ(distance(there.contiguous(), x), 0) << name(from) << to_string(x.shape());
      EXPECT_EQ(distance(clone(there), x), 0) << name(from) << to_string(x.shape());
      for (DType to : kAll) EXPECT_EQ(distance(there.to(to), x.to(to)), 0) << name(from) << " to " << name(to);
    }
}

// Squares that are full and that are not, of every size of an element; with axes before, between and behind those that change places.
GPU_TEST(Gpu, TurnedCopies) {
  for (DType t : {DType::uint8, DType::bfloat16, DType::float32, DType::float64}) {
    AnyTensor x = sample({3, 70, 20, 133}, t), wide = sample({300, 129}, t, 2);
    for (const AnyTensor& v : {wide.t(), wide.narrow(1, 1, 127).t(), wide.slice(0, 0, 300, 3).t(), x.permute({0, 3, 1, 2}),
                               x.permute({3, 1, 0, 2}), x.permute({0, 2, 3, 1}), x.narrow(3, 5, 16).permute({3, 0, 2, 1})}) {
      AnyTensor there = on_gpu(v), part = full({v.size(0), 2 * v.size(1)}, 1, t, kGpu);
      EXPECT_EQ(distance(there.contiguous(), v), 0) << name(t) << to_string(v.shape());
      if (v.dim() > 2) continue;
      part.narrow(1, 3, v.size(1)).copy_(there);  // into the middle of something
      EXPECT_EQ(distance(part.narrow(1, 3, v.size(1)), v), 0) << name(t) << to_string(v.shape());
      EXPECT_EQ(distance(part.narrow(1, 0, 3), full({v.size(0), 3}, 1, t)), 0);
      EXPECT_EQ(distance(part.narrow(1, v.size(1) + 3, v.size(1) - 3), full({v.size(0), v.size(1) - 3}, 1, t)), 0);
    }
  }
}

GPU_TEST(Gpu, HalfTypesRoundAsOnTheCpu) {
  AnyTensor x = draw({4096}, -70000, 70000, 3, DType::float32), small = x * 1e-9, tiny = x * 1e-12;
  for (DType half_type : {DType::float16, DType::bfloat16})
    for (const AnyTensor& v : {x, small, tiny}) EXPECT_EQ(distance(v.to(kGpu).to(half_type), v.to(half_type)), 0);
  AnyTensor special = Tensor<float>({HUGE_VALF, -HUGE_VALF, NAN, 0.f, -0.f, 65504.f, 65520.f, 1e-8f});
  for (DType half_type : {DType::float16, DType::bfloat16})
    EXPECT_EQ(distance(special.to(kGpu).to(half_type), special.to(half_type)), 0);
}

GPU_TEST(Gpu, FillsAndRamps) {
  for (DType t : kAll) {
    for (const Shape& shape : {Shape{}, Shape{5}, Shape{37, 64}, Shape{0}})
      EXPECT_EQ(distance(full(shape, 3, t, kGpu), full(shape, 3, t)), 0) << name(t);
    AnyTensor x = full({8, 16}, 1, t), y = full({8, 16}, 1, t, kGpu);
    x.slice(1, 3, 16, 2).fill_(0), y.slice(1, 3, 16, 2).fill_(0);
    x.narrow(0, 2, 3).fill_(2), y.narrow(0, 2, 3).fill_(2);
    EXPECT_EQ(distance(y, x), 0) << name(t);
    if (t == DType::boolean) continue;
    EXPECT_EQ(distance(arange(2, 90, 3, t, kGpu), arange(2, 90, 3, t)), 0) << name(t);
    EXPECT_EQ(distance(linspace(0, 100, 33, t, kGpu), linspace(0, 100, 33, t)), 0) << name(t);
  }
}

GPU_TEST(Gpu, ArithmeticOfEveryLayout) {
  for (DType t : kAll) {
    if (t == DType::boolean) continue;
    for (const AnyTensor& x : layouts(t)) {
      AnyTensor there = on_gpu(x);
      EXPECT_EQ(distance(there * there + there, x * x + x), 0) << name(t) << to_string(x.shape());
      EXPECT_EQ(distance(maximum(there, 2) - 1, maximum(x, 2) - 1), 0) << name(t);
    }
    // Broadcasting, both ways, along the last axis and others; and divisions, which round towards minus infinity.
    AnyTensor x = sample({4, 6, 16}, t), row = sample({16}, t, 2), column = sample({6, 1}, t, 3), one = sample({}, t, 4);
    for (const AnyTensor& b : {row, column, one}) {
      AnyTensor there = x.to(kGpu), other = b.to(kGpu);
      EXPECT_EQ(distance(there - other, x - b), 0) << name(t);
      EXPECT_EQ(distance(other - there, b - x), 0) << name(t);
      AnyTensor divisor = where(b == 0, 1, b);
      EXPECT_LE(distance(floor_divide(there, divisor.to(kGpu)), floor_divide(x, divisor)), is_float(t) ? 1 : 0) << name(t);
    }
    EXPECT_EQ(distance(abs(x.to(kGpu)), abs(x)), 0);
    EXPECT_EQ(distance(relu(x.to(kGpu)), relu(x)), 0);
  }
}

GPU_TEST(Gpu, ComparisonsBitsAndSelection) {
  for (DType t : kAll)
    for (const AnyTensor& x : layouts(t)) {
      AnyTensor there = on_gpu(x), pivot = sample({}, t, 9), half_of = x.to(DType::float32) > 0;
      AnyTensor p = pivot.to(kGpu), condition = half_of.to(kGpu);
      EXPECT_EQ(distance(there == p, x == pivot), 0) << name(t);
      EXPECT_EQ(distance(there < p, x < pivot), 0) << name(t);
      EXPECT_EQ(distance(logical_not(there), logical_not(x)), 0) << name(t);
      EXPECT_EQ(distance(where(condition, there, p), where(half_of, x, pivot)), 0) << name(t) << to_string(x.shape());
      if (is_float(t)) {
        EXPECT_EQ(distance(isnan(there / there), isnan(x / x)), 0) << name(t);
        continue;
      }
      EXPECT_EQ(distance(bitwise_xor(there, p), bitwise_xor(x, pivot)), 0) << name(t);
      if (t != DType::boolean) {
        EXPECT_EQ(distance(bitwise_left_shift(there, 3), bitwise_left_shift(x, 3)), 0) << name(t);
      }
    }
}

GPU_TEST(Gpu, DrawsAreTheCpus) {
  for (int64_t n : {1, 2, 3, 4, 5, 1023, 10007}) {
    for (DType t : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
      Generator a(11), b(11);
      EXPECT_EQ(distance(rand({n}, t, a, kGpu), rand({n}, t, b)), 0) << name(t);
      EXPECT_LT(distance(randn({n}, t, a, kGpu), randn({n}, t, b)), tolerance(t)) << name(t);
      EXPECT_EQ(distance(bernoulli({n}, 0.3, t, a, kGpu), bernoulli({n}, 0.3, t, b)), 0) << name(t);
      EXPECT_EQ(distance(uniform({n}, -2, 5, t, a, kGpu), uniform({n}, -2, 5, t, b)), 0) << name(t);
      EXPECT_EQ(distance(uniform({n}, 0.1, 0.7, t, a, kGpu), uniform({n}, 0.1, 0.7, t, b)), 0) << name(t);
    }
    for (DType t : {DType::int64, DType::int32, DType::uint8}) {
      Generator a(12), b(12);
      EXPECT_EQ(distance(randint(3, 200, {n}, t, a, kGpu), randint(3, 200, {n}, t, b)), 0) << name(t);
    }
  }
}

GPU_TEST(Gpu, SumsOfEveryLayout) {
  for (DType t : kAll)
    for (const AnyTensor& x : layouts(t)) {
      AnyTensor there = on_gpu(x);
      EXPECT_LE(distance(there.sum(), x.sum()), tolerance(t)) << name(t) << to_string(x.shape());
      for (int d = 0; d < x.dim(); ++d) {
        EXPECT_LE(distance(there.sum(d), x.sum(d)), tolerance(t)) << name(t) << to_string(x.shape()) << " over " << d;
        if (x.dim() > 2) {
          EXPECT_LE(distance(there.sum({d, (d + 1) % 3}, true), x.sum({d, (d + 1) % 3}, true)), tolerance(t)) << name(t);
        }
      }
      EXPECT_EQ(distance(count_nonzero(there), count_nonzero(x)), 0) << name(t);
    }
}

// A warp, a block, parts; rows and columns; packs or not. Terms up to 9 cancel, so the error is that of sums a few times as large.
GPU_TEST(Gpu, SumsOfEverySize) {
  for (DType t : {DType::float32, DType::float16, DType::float64, DType::int32})
    for (const Shape& shape : {Shape{3, 1000}, Shape{3, 1024}, Shape{2, 40000}, Shape{2, 40003}, Shape{600, 1025}, Shape{40000, 8},
                               Shape{5000, 33}, Shape{3, 700, 40}, Shape{1, 300000}, Shape{64, 2, 512}}) {
      AnyTensor x = sample(shape, t), there = x.to(kGpu);
      for (int d = 0; d < x.dim(); ++d)
        EXPECT_LE(distance(there.sum(d), x.sum(d)), 8 * tolerance(t)) << name(t) << to_string(shape) << " over " << d;
      EXPECT_LE(distance(there.sum(), x.sum()), 8 * tolerance(t)) << name(t) << to_string(shape);
      EXPECT_EQ(distance(there.sum(0), there.sum(0)), 0);
    }
}

GPU_TEST(Gpu, EveryKindOfReduction) {
  for (DType t : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
    AnyTensor wide = draw({9, 40, 24}, -2, 2, 3, t), holes = where(wide > 1.9, NAN, wide), tall = draw({30000, 2}, -2, 2, 4, t);
    for (const AnyTensor& x : {wide, holes, tall})
      for (int d = 0; d < x.dim(); ++d) {
        AnyTensor y = x.to(kGpu);
        double near = 4 * tolerance(t);
        EXPECT_LE(distance(mean(y, d), mean(x, d)), near) << name(t) << " over " << d;
        EXPECT_LE(distance(nansum(y, d), nansum(x, d)), near) << name(t);
        EXPECT_EQ(distance(amax(y, d), amax(x, d)), 0) << name(t);
        EXPECT_EQ(distance(amin(y, d), amin(x, d)), 0) << name(t);
        EXPECT_LE(distance(var(y, d), var(x, d)), near) << name(t);
        EXPECT_LE(distance(logsumexp(y, d), logsumexp(x, d)), near) << name(t);
        for (double p : {1., 2., 3., HUGE_VAL}) EXPECT_LE(distance(norm(y, p, d), norm(x, p, d)), near) << name(t) << " norm " << p;
      }
    AnyTensor few = draw({6, 5}, 0.5, 1.5, 5, t);
    EXPECT_LE(distance(prod(few.to(kGpu), 1), prod(few, 1)), 4 * tolerance(t));
  }
  for (DType t : {DType::int8, DType::int64, DType::uint8}) {
    AnyTensor x = sample({9, 40}, t), y = x.to(kGpu);
    EXPECT_EQ(distance(amax(y, 0), amax(x, 0)), 0) << name(t);
    EXPECT_EQ(distance(prod(y.narrow(1, 0, 3), 1), prod(x.narrow(1, 0, 3), 1)), 0) << name(t);
  }
  AnyTensor x = sample({9, 40}, DType::boolean), y = x.to(kGpu);
  EXPECT_EQ(distance(all(y, 1), all(x, 1)), 0);
  EXPECT_EQ(distance(any(y, 0), any(x, 0)), 0);
}

GPU_TEST(Gpu, BroadcastGradientsAreSummedBack) {
  AnyTensor x = draw({6, 5, 16}).to(kGpu).requires_grad_(), b = draw({16}, -1, 1, 2).to(kGpu).requires_grad_();
  AnyTensor xc = x.detach().to(kCPU).requires_grad_(), bc = b.detach().to(kCPU).requires_grad_();
  (tanh(x) * b).sum().backward();
  (tanh(xc) * bc).sum().backward();
  EXPECT_LT(distance(x.grad(), xc.grad()), 1e-14);
  EXPECT_LT(distance(b.grad(), bc.grad()), 1e-13);
}

GPU_TEST(Gpu, SoftmaxAlongAnyAxis) {
  for (DType t : {DType::float32, DType::float64, DType::float16, DType::bfloat16})
    for (const Shape& shape : {Shape{5, 7}, Shape{3, 1025}, Shape{2, 4000}, Shape{33, 3, 5}, Shape{}, Shape{0, 4}, Shape{300, 1}}) {
      AnyTensor x = draw(shape, -5, 5, 1, t), y = x.to(kGpu), g = draw(shape, -1, 1, 2, t);
      for (int d = 0; d < std::max(x.dim(), 1); ++d) {
        EXPECT_LE(distance(softmax(y, d), softmax(x, d)), tolerance(t)) << name(t) << to_string(shape) << " along " << d;
        EXPECT_LE(distance(log_softmax(y, d), log_softmax(x, d)), tolerance(t)) << name(t) << to_string(shape) << " along " << d;
        for (auto* f : {+[](const AnyTensor&v, int axis) { return softmax(v, axis); },
                        +[](const AnyTensor&v, int axis) { return log_softmax(v, axis); }}) {
          AnyTensor a = x.clone().requires_grad_(), b = y.clone().requires_grad_();
          f(a, d).backward(g), f(b, d).backward(g.to(kGpu));
          EXPECT_LE(distance(b.grad(), a.grad()), 2 * tolerance(t)) << name(t) << to_string(shape) << " along " << d;
        }
      }
    }
  AnyTensor holes = Tensor<float>({{1, NAN, 2}, {HUGE_VALF, 1, 2}, {-HUGE_VALF, 1, 2}, {-HUGE_VALF, -HUGE_VALF, -HUGE_VALF}});
  EXPECT_LT(distance(softmax(holes.to(kGpu), 1), softmax(holes, 1)), 1e-6);
}

GPU_TEST(Gpu, ProductsOfEveryLayout) {
  for (DType t : {DType::float32, DType::float64, DType::float16, DType::bfloat16, DType::int32, DType::int8}) {
    auto pair = [&](const AnyTensor& a, const AnyTensor& b) {
      EXPECT_LE(distance(matmul(on_gpu(a), on_gpu(b)), matmul(a, b)), 8 * tolerance(t))
          << name(t) << to_string(a.shape()) << " x " << to_string(b.shape());
    };
    auto x = [&](const Shape& shape, uint64_t seed) { return is_float(t) ? draw(shape, -1, 1, seed, t) : sample(shape, t, seed); };
    pair(x({5, 7}, 1), x({7, 3}, 2));
    pair(x({65, 33}, 1), x({33, 130}, 2));
    pair(x({33, 65}, 1).t(), x({130, 33}, 2).t());
    pair(x({20, 40}, 1).slice(1, 0, 40, 2), x({20, 8}, 2));
    pair(x({3, 1, 6, 9}, 1), x({4, 9, 5}, 2));
    pair(x({6, 9}, 1).unsqueeze(0).expand({4, 6, 9}), x({4, 9, 5}, 2));
    pair(x({9}, 1), x({9, 5}, 2));
    pair(x({6, 9}, 1), x({9}, 2));
    pair(x({4, 0}, 1), x({0, 3}, 2));
    pair(x({0, 4}, 1), x({4, 3}, 2));
  }
  AnyTensor x = draw({40, 20}), w = draw({30, 20}, -1, 1, 2), b = draw({30}, -1, 1, 3);
  std::vector<AnyTensor> here = {x.requires_grad_(), w.requires_grad_(), b.requires_grad_()}, there;
  for (const AnyTensor& v : here) there.push_back(v.detach().to(kGpu).requires_grad_());
  AnyTensor y = linear(here[0], here[1], here[2]), z = linear(there[0], there[1], there[2]), g = draw(y.shape(), -1, 1, 4);
  EXPECT_LT(distance(z, y), 1e-13);
  y.backward(g), z.backward(g.to(kGpu));
  for (size_t i = 0; i < 3; ++i) EXPECT_LT(distance(there[i].grad(), here[i].grad()), 1e-13) << i;
}

// Views of biases and factors that begin anywhere in memory, which libraries take in some alignments only.
GPU_TEST(Gpu, ProductsOfOperandsAtAnyAddress) {
  for (DType t : kFloats)
    for (int64_t at : {0, 1, 2, 3, 8}) {
      AnyTensor x = draw({11, 40}, -1, 1, 1, t), w = draw({50, 40}, -1, 1, 2, t), b = draw({60}, -1, 1, 3, t);
      AnyTensor here = linear(x.narrow(1, at, 24), w.narrow(1, at, 24), b.narrow(0, at, 50));
      AnyTensor u = x.to(kGpu), v = w.to(kGpu), c = b.to(kGpu);
      AnyTensor there = linear(u.narrow(1, at, 24), v.narrow(1, at, 24), c.narrow(0, at, 50));
      EXPECT_LE(distance(there, here), 8 * tolerance(t)) << name(t) << " from " << at;
    }
}

GPU_TEST(Gpu, OnlyFloatProductsAreRoundedAndOnlyWhenAsked) {
  for (DType t : kFloats) {
    AnyTensor a = draw({70, 90}, -1, 1, 1, t), b = draw({90, 50}, -1, 1, 2, t), x = a.to(kGpu), y = b.to(kGpu);
    AnyTensor once = matmul(x, y);
    EXPECT_LE(distance(once, matmul(a, b)), 8 * tolerance(t)) << name(t);
    set_float32_matmul_precision(Float32Precision::high);
    AnyTensor high = matmul(x, y);
    set_float32_matmul_precision(Float32Precision::highest);
    // Each factor is off by up to 2^-11 of itself, and 90 products below 1 do not all err the same way.
    EXPECT_LE(distance(high, once), t == DType::float32 ? 90 * 0x1p-11 : 0) << name(t);
    EXPECT_EQ(distance(matmul(x, y), once), 0) << name(t);
  }
}

GPU_TEST(Gpu, TunedProductsAreProducts) {
  set_kernel_tuning(true);
  for (DType t : kFloats)
    for (const Shape& shape : {Shape{70, 90}, Shape{3, 70, 90}}) {
      AnyTensor a = draw(shape, -1, 1, 1, t), b = draw({90, 50}, -1, 1, 2, t), c = draw({50}, -1, 1, 3, t);
      AnyTensor x = a.to(kGpu), y = b.to(kGpu), z = c.to(kGpu), w = b.t().contiguous().to(kGpu);
      AnyTensor once = linear(x, w, z);
      EXPECT_LE(distance(once, linear(a, b.t(), c)), 8 * tolerance(t)) << name(t);
      EXPECT_EQ(distance(linear(x, w, z), once), 0) << "what won once is kept";
      AnyTensor sum = matmul(a, b), added = x.dim() == 2 ? addmm(sum.to(kGpu), x, y, {.beta = 2}) : matmul(x, y) * 3;
      EXPECT_LE(distance(added, sum * 3), 16 * tolerance(t)) << name(t);
      std::vector<AnyTensor> here, there;
      for (AnyTensor p :
           {a, draw({64, 90}, -0.3, 0.3, 4, t), draw({64}, -1, 1, 5, t), draw({90, 64}, -0.3, 0.3, 6, t), draw({90}, -1, 1, 7, t)})
        here.push_back(p.requires_grad_()), there.push_back(p.detach().to(kGpu).requires_grad_());
      for (int round = 0; round < 2; ++round) {
        AnyTensor left = feed_forward(here[0], here[1], here[2], here[3], here[4]), g = draw(left.shape(), -1, 1, 8, t);
        AnyTensor right = feed_forward(there[0], there[1], there[2], there[3], there[4]);
        EXPECT_LE(distance(right, left), 16 * tolerance(t)) << name(t);
        const std::vector<AnyTensor> wanted = grad({left}, here, {g}), got = grad({right}, there, {g.to(kGpu)});
        for (size_t i = 0; i < got.size(); ++i) EXPECT_LE(distance(got[i], wanted[i]), 32 * tolerance(t)) << name(t) << " " << i;
      }
    }
  set_kernel_tuning(false);
}

GPU_TEST(Gpu, OptimizersStepAlike) {
  auto train = [](Device device, auto make, DType t) {
    std::vector<AnyTensor> parameters;
    for (int i = 0; i < 30; ++i)
      parameters.push_back(draw({int64_t(i % 5) * 1001, 3}, -1, 1, 50 + uint64_t(i), t).to(device).requires_grad_());
    auto optimizer = make(parameters);
    for (int step = 0; step < 3; ++step) {
      for (size_t i = 0; i < parameters.size(); ++i)
        parameters[i].set_grad(draw(parameters[i].shape(), -1, 1, 99 + uint64_t(step), t).to(device));
      optimizer.step();
    }
    return parameters;
  };
  auto alike = [&](auto make) {
    for (DType t : {DType::float32, DType::float64, DType::bfloat16}) {
      auto here = train(kCPU, make, t), there = train(kGpu, make, t);
      for (size_t i = 0; i < here.size(); ++i) EXPECT_LE(distance(there[i], here[i]), tolerance(t)) << name(t) << " " << i;
    }
  };
  alike([](const auto& p) { return optim::SGD(p, {.lr = 0.1, .momentum = 0.9}); });
  alike([](const auto& p) { return optim::AdamW(p, {.lr = 0.01}); });
  alike([](const auto& p) { return optim::RMSprop(p, {.lr = 0.01}); });
}

GPU_TEST(Gpu, ANetworkTrains) { EXPECT_LT(train_xor(kGpu), 0.01); }
