// Products against plain loops in double, in every layout and dtype; gradients of both orders; what the errors say.
#include "gradus/ops/matmul.h"

#include <cstring>
#include <random>

#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

/// The product of two matrices or batches of equal rank, by the definition.
AnyTensor naive(const AnyTensor& a, const AnyTensor& b) {
  Shape shape = a.shape();
  for (int d = 0; d < shape.rank - 2; ++d) shape[d] = std::max(a.shape()[d], b.shape()[d]);
  shape[-1] = b.size(-1);
  if (shape.numel() == 0) return placed(empty(shape, DType::float64));
  Shape wide_a = shape, wide_b = shape;
  wide_a[-1] = a.size(-1), wide_b[-2] = b.size(-2);
  std::vector<double> p = values(a.expand(wide_a)), q = values(b.expand(wide_b));
  int64_t m = shape[-2], n = shape[-1], k = a.size(-1), batch = shape.numel() / (m * n);
  AnyTensor y = empty(shape, DType::float64, kCPU);
  double* out = static_cast<double*>(y.raw_data());
  std::fill_n(out, shape.numel(), 0.0);
  for (int64_t row = 0; row < batch * m; ++row)
    for (int64_t t = 0; t < k; ++t) {
      const double from_p = p[size_t(row * k + t)], *from_q = q.data() + (row / m * k + t) * n;
      for (double *to = out + row * n, *end = to + n; to != end;) *to++ += from_p * *from_q++;
    }
  return placed(y);
}

/// The same values in a layout: row-major, transposed, or every second element of a larger tensor that is NaN elsewhere.
AnyTensor in_layout(int layout, const Shape& shape, uint64_t seed, DType type) {
  AnyTensor base;
  {
    OnDevice host(kCPU);  // an emulated GPU takes its time for copies
    base = draw(shape, -1, 1, seed, type);
    if (layout == 1) base = base.transpose(-2, -1).contiguous();
    if (layout == 2) {
      Shape wide = shape;
      wide[-1] = 2 * shape[-1];
      AnyTensor holes = full(wide, NAN, type);
      holes.slice(-1, 0, wide[-1], 2).copy_(base);
      base = holes;
    }
  }
  base = placed(base);
  return layout == 0 ? base : layout == 1 ? base.transpose(-2, -1) : base.slice(-1, 0, base.size(-1), 2);
}

// Partial sums of k products below 1 grow as sqrt(k), and each of the k roundings adds a share of that: k units of the last place of the
// type that the sum is held in cover it. The result is then rounded once to its own type.
double tolerance(DType t, int64_t k) {
  double held = t == DType::float64 ? 1e-16 : 6e-8, own = t == DType::float16 ? 1e-3 : t == DType::bfloat16 ? 8e-3 : 0;
  return held * double(k + 8) + own;
}

}  // namespace

DEVICE_TEST(Matmul, EveryLayoutAndFloatType) {
  std::mt19937 random(1);
  const int64_t sizes[] = {1, 2, 3, 5, 8, 13, 16, 17, 33, 64, 65, 130, 300};
  for (int round = 0; round < 150; ++round) {
    auto pick = [&] { return sizes[random() % 13]; };
    int64_t m = pick(), n = pick(), k = round % 10 ? pick() : 0;
    int la = random() % 3, lb = random() % 3;
    for (DType type : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
      AnyTensor a = in_layout(la, {m, k}, round, type), b = in_layout(lb, {k, n}, round + 1000, type);
      EXPECT_LT(distance(mm(a, b), naive(a, b)), tolerance(type, k))
          << name(type) << " m " << m << " n " << n << " k " << k << " layouts " << la << lb;
    }
  }
}

DEVICE_TEST(Matmul, LargeEnoughForSeveralBlocksAndThreads) {
  for (DType type : {DType::float32, DType::float64, DType::bfloat16}) {
    const AnyTensor product = naive(in_layout(0, {90, 600}, 1, type), in_layout(0, {600, 550}, 2, type));
    for (int layouts = 0; layouts < 9; ++layouts) {
      AnyTensor a = in_layout(layouts / 3, {90, 600}, 1, type), b = in_layout(layouts % 3, {600, 550}, 2, type);
      EXPECT_LT(distance(mm(a, b), product), tolerance(type, 600)) << name(type) << " " << layouts;
    }
  }
}

DEVICE_TEST(Matmul, FewRowsAndDepthsOfOne) {
  const int64_t sizes[][3] = {{1, 600, 550}, {4, 300, 1024}, {3, 9001, 100}, {2, 1100, 1030}, {300, 1, 401}, {7, 1, 16}};
  for (DType type : {DType::float32, DType::float64, DType::float16, DType::bfloat16})
    for (auto [m, k, n] : sizes) {
      const AnyTensor product = naive(in_layout(0, {m, k}, 1, type), in_layout(0, {k, n}, 2, type));
      const AnyTensor c = draw({m, n}, -1, 1, 3).to(type), with_c = product * 3 + c.to(DType::float64) * 2;
      for (int layouts = 0; layouts < 9; ++layouts) {
        AnyTensor a = in_layout(layouts / 3, {m, k}, 1, type), b = in_layout(layouts % 3, {k, n}, 2, type);
        EXPECT_LT(distance(mm(a, b), product), tolerance(type, k))
            << name(type) << " " << m << " " << k << " " << n << " " << layouts;
        EXPECT_LT(distance(addmm(c, a, b, {.beta = 2, .alpha = 3}), with_c), 5 * tolerance(type, k))
            << name(type) << " " << m << " " << k;
      }
    }
}

DEVICE_TEST(Matmul, BitsDoNotDependOnTheRunOrTheNumberOfThreads) {
  const int64_t sizes[][3] = {{200, 300, 170}, {10, 4000, 33}, {64, 2100, 33}, {128, 4000, 33}, {1, 700, 900},
                              {900, 700, 1},   {300, 64, 400}, {3, 9001, 100}, {300, 1, 401}};
  for (DType type : {DType::float32, DType::float64, DType::float16, DType::bfloat16})
    for (auto [m, k, n] : sizes)
      for (int layouts = 0; layouts < 9; ++layouts) {
        AnyTensor a = in_layout(layouts / 3, {m, k}, 1, type), b = in_layout(layouts % 3, {k, n}, 2, type);
        auto run = [&, a, b](int threads) {
          ThreadLimit limit(threads);
          return values(mm(a, b));
        };
        std::vector<double> once = run(1);
        for (int threads : {1, 2, 3, 7})
          EXPECT_TRUE(run(threads) == once) << name(type) << " " << m << " " << k << " " << n << " " << layouts;
      }
}

DEVICE_TEST(Matmul, Batches) {
  struct Case {
    Shape a, b;
  };
  const Case cases[] = {{{3, 4, 5}, {3, 5, 6}},
                        {{1, 4, 5}, {3, 5, 6}},
                        {{3, 4, 5}, {1, 5, 6}},
                        {{2, 3, 4, 5}, {2, 3, 5, 6}},
                        {{2, 1, 4, 5}, {1, 3, 5, 6}},
                        {{2, 1, 70, 40}, {2, 3, 40, 33}},
                        {{5, 64, 70}, {5, 70, 66}},
                        {{0, 4, 5}, {0, 5, 6}},
                        {{3, 0, 5}, {3, 5, 6}},
                        {{3, 4, 0}, {3, 0, 6}},
                        {{7, 1, 5}, {1, 5, 6}},
                        {{2, 3, 4, 5}, {1, 1, 5, 6}},
                        {{2, 2, 2, 3, 4}, {2, 1, 2, 4, 3}}};
  for (const Case& c : cases)
    for (int layouts = 0; layouts < 9; ++layouts)
      for (DType type : {DType::float32, DType::float64, DType::bfloat16, DType::float16}) {
        AnyTensor a = in_layout(layouts / 3, c.a, 1, type), b = in_layout(layouts % 3, c.b, 2, type);
        EXPECT_LT(distance(matmul(a, b), naive(a, b)), tolerance(type, c.a[-1]))
            << name(type) << " " << to_string(c.a) << " x " << to_string(c.b) << " layouts " << layouts;
      }
}

DEVICE_TEST(Matmul, AllRanks) {
  AnyTensor a = draw({2, 3, 4, 5}, -1, 1, 1), b = draw({5, 6}, -1, 1, 2), v = draw({5}, -1, 1, 3), w = draw({4}, -1, 1, 4);
  EXPECT_LT(distance(matmul(a, b), naive(a, b.reshape({1, 1, 5, 6}))), 1e-14);
  EXPECT_LT(distance(matmul(a, v), naive(a, v.reshape({1, 1, 5, 1})).squeeze(-1)), 1e-14);
  EXPECT_LT(distance(matmul(w, a), naive(w.reshape({1, 1, 1, 4}), a).squeeze(-2)), 1e-14);
  EXPECT_LT(distance(matmul(b.t(), v), naive(b.t(), v.unsqueeze(1)).squeeze(-1)), 1e-14);
  EXPECT_LT(distance(matmul(v, b), naive(v.unsqueeze(0), b).squeeze(0)), 1e-14);
  EXPECT_LT(distance(matmul(b.t(), draw({3, 5, 2})), naive(b.t().unsqueeze(0), draw({3, 5, 2}))), 1e-14);
  EXPECT_LT(distance(matmul(v, v), naive(v.unsqueeze(0), v.unsqueeze(1)).reshape({})), 1e-14);
  EXPECT_EQ(matmul(empty({2, 3, 0}, DType::float32), empty({0, 4}, DType::float32)).shape(), (Shape{2, 3, 4}));
  EXPECT_EQ(dot(v, v).dim(), 0);
  EXPECT_LT(distance(outer(v, w), naive(v.unsqueeze(1), w.unsqueeze(0))), 1e-14);
  EXPECT_LT(distance(mv(b.t(), v), matmul(b.t(), v)), 1e-14);
  EXPECT_LT(distance(inner(b.t(), draw({3, 5}, -1, 1, 9)), naive(b.t(), draw({3, 5}, -1, 1, 9).t())), 1e-14);
  AnyTensor one = draw({2, 1}, -1, 1, 3), many = draw({3, 2}, -1, 1, 4);
  EXPECT_LT(distance(tensordot(one, many, {1}, {0}), outer(one.squeeze(-1), sum(many, 0))), 1e-12) << "size 1 broadcasts";
  EXPECT_LT(distance(tensordot(one, many, {0, 1}, {1, 0}), sum(one.squeeze(-1) * sum(many, 0))), 1e-12);
  EXPECT_LT(distance(tensordot(draw({2, 3, 4}, -1, 1, 5), draw({4, 3, 6}, -1, 1, 6), {1, 2}, {1, 0}),
                     naive(draw({2, 3, 4}, -1, 1, 5).reshape({2, 12}), draw({4, 3, 6}, -1, 1, 6).transpose(0, 1).reshape({12, 6}))),
            1e-14);
}

DEVICE_TEST(Matmul, Integers) {
  for (DType type : {DType::int8, DType::int16, DType::int32, DType::int64, DType::uint8}) {
    AnyTensor a = draw({3, 7, 5}, 0, 5, 1).to(type), b = draw({1, 5, 9}, 0, 5, 2).to(type);
    EXPECT_EQ(distance(matmul(a, b), naive(a.to(DType::float64), b.to(DType::float64))), 0) << name(type);
  }
  // Sums wrap around as the type does.
  Tensor<int8_t> big = {{100, 100}};
  EXPECT_EQ(mm(big, big.t()).item(), int8_t(20000));
  AnyTensor x = full({2, 3}, 7, DType::int32), a = full({2, 4}, 2, DType::int32), b = full({4, 3}, 3, DType::int32);
  EXPECT_EQ(values(addmm(x, a, b, {.beta = 2, .alpha = -1})), std::vector<double>(6, -10));
}

DEVICE_TEST(Matmul, SpecialValuesPass) {
  AnyTensor a = draw({40, 40}, -1, 1, 1, DType::float32), b = draw({40, 40}, -1, 1, 2, DType::float32);
  put(a, 3 * 40 + 5, NAN);
  put(b, 7 * 40 + 9, INFINITY);
  std::vector<double> y = values(mm(a, b));
  for (int i = 0; i < 40; ++i)
    for (int j = 0; j < 40; ++j) EXPECT_EQ(std::isfinite(y[i * 40 + j]), i != 3 && j != 9) << i << " " << j;
}

DEVICE_TEST(Matmul, Addmm) {
  AnyTensor a = draw({7, 5}, -1, 1, 1), b = draw({5, 9}, -1, 1, 2), p = naive(a, b);
  for (const Shape& shape : {Shape{7, 9}, Shape{9}, Shape{7, 1}, Shape{1, 9}, Shape{}})
    for (AddmmOptions o : {AddmmOptions{}, AddmmOptions{.beta = 0.5, .alpha = -2}, AddmmOptions{.beta = 1, .alpha = 3}}) {
      AnyTensor x = draw(shape, -1, 1, 3);
      EXPECT_LT(distance(addmm(x, a, b, o), x * o.beta + p * o.alpha), 1e-14) << to_string(shape);
      EXPECT_LT(distance(addmm(x.to(DType::float32), a.to(DType::float32), b.to(DType::float32), o), x * o.beta + p * o.alpha),
                1e-5);
    }
  AnyTensor nan = placed(full({9}, NAN, DType::float64));
  EXPECT_LT(distance(addmm(nan, a, b, {.beta = 0}), p), 1e-14);
  AnyTensor v = draw({5}, -1, 1, 4), x = draw({7}, -1, 1, 5);
  EXPECT_LT(distance(addmv(x, a, v, {.beta = 2, .alpha = 3}), x * 2 + matmul(a, v) * 3), 1e-14);
}

DEVICE_TEST(Matmul, Gradients) {
  auto check = [](const Shape& sa, const Shape& sb, auto f) {
    AnyTensor a = draw(sa, -1, 1, 1).requires_grad_(), b = draw(sb, -1, 1, 2).requires_grad_();
    return gradcheck([&](const std::vector<AnyTensor>& in) { return f(in[0], in[1]); }, {a, b});
  };
  auto product = [](auto& a, auto& b) { return matmul(a, b); };
  const Shape pairs[][2] = {{{2, 3}, {3, 4}},       {{3}, {3}},          {{2, 3}, {3}},    {{3}, {3, 2}},
                            {{2, 2, 3}, {3, 2}},    {{2, 2, 3}, {3}},    {{3}, {2, 3, 2}}, {{2, 1, 2, 3}, {3, 3, 2}},
                            {{1, 2, 3}, {2, 3, 2}}, {{2, 3}, {2, 3, 2}}, {{0, 3}, {3, 2}}, {{2, 0}, {0, 2}}};
  for (auto& pair : pairs) EXPECT_EQ(check(pair[0], pair[1], product), "") << to_string(pair[0]) << to_string(pair[1]);
  EXPECT_EQ(check({3, 2}, {3, 2}, [](auto& a, auto& b) { return mm(a.t(), b); }), "");
  EXPECT_EQ(check({2}, {3}, [](auto& a, auto& b) { return outer(a, b); }), "");
  EXPECT_EQ(check({2, 3}, {4, 3}, [](auto& a, auto& b) { return inner(a, b); }), "");
  EXPECT_EQ(check({2, 3}, {3, 2}, [](auto& a, auto& b) { return tensordot(a, b, {0, 1}, {1, 0}); }), "");
  EXPECT_EQ(check({2, 2, 3}, {2, 3, 2}, [](auto& a, auto& b) { return bmm(a, b); }), "");
  AnyTensor x = draw({3}, -1, 1, 3).requires_grad_(), a = draw({2, 4}, -1, 1, 4).requires_grad_(),
            b = draw({4, 3}, -1, 1, 5).requires_grad_();
  for (AddmmOptions o : {AddmmOptions{}, AddmmOptions{.beta = 0.5, .alpha = -2}})
    EXPECT_EQ(gradcheck([&](auto& in) { return addmm(in[0], in[1], in[2], o); }, {x, a, b}), "");
  EXPECT_EQ(gradcheck([&](auto& in) { return baddbmm(in[0], in[1].unsqueeze(0), in[2].unsqueeze(0)); }, {x, a, b}), "");
}

DEVICE_TEST(Linear, ValuesAndGradients) {
  for (const Shape& shape : {Shape{4}, Shape{3, 4}, Shape{2, 3, 4}, Shape{2, 1, 3, 4}, Shape{0, 4}}) {
    AnyTensor x = draw(shape, -1, 1, 1), w = draw({5, 4}, -1, 1, 2), b = draw({5}, -1, 1, 3);
    EXPECT_LT(distance(linear(x, w), matmul(x, w.t())), 1e-14) << to_string(shape);
    EXPECT_LT(distance(linear(x, w, b), matmul(x, w.t()) + b), 1e-14) << to_string(shape);
    x.requires_grad_(), w.requires_grad_(), b.requires_grad_();
    EXPECT_EQ(gradcheck([](auto& in) { return linear(in[0], in[1], in[2]); }, {x, w, b}), "") << to_string(shape);
  }
  AnyTensor x = draw({4, 3, 2}, -1, 1, 1).requires_grad_(), w = draw({4, 5}, -1, 1, 2).requires_grad_();
  EXPECT_EQ(gradcheck([](auto& in) { return linear(in[0].permute({2, 1, 0}), in[1].t()); }, {x, w}), "") << "not row-major";
}

DEVICE_TEST(Linear, Float32GradientsOfTheSizesThatLibrariesServe) {
  AnyTensor x = draw({6, 40, 96}, -1, 1, 1), w = draw({72, 96}, -1, 1, 2), b = draw({72}, -1, 1, 3),
            v = draw({6, 40, 72}, -1, 1, 4);
  auto gradients = [&](DType t) {
    std::vector<AnyTensor> in = {x.to(t).requires_grad_(), w.to(t).requires_grad_(), b.to(t).requires_grad_()};
    return grad({linear(in[0], in[1], in[2])}, in, {v.to(t)});
  };
  std::vector<AnyTensor> exact = gradients(DType::float64), single = gradients(DType::float32), brain = gradients(DType::bfloat16);
  for (int i = 0; i < 3; ++i) {
    EXPECT_LT(distance(single[i], exact[i]), 1e-5) << i;
    EXPECT_LT(distance(brain[i], exact[i]), 0.05) << i;  // 8 bits of mantissa in operands and result
  }
}

DEVICE_TEST(Matmul, TypesAndMessages) {
  Tensor<float> a = ones<float>({32, 784}), w = ones<float>({128, 784});
  static_assert(std::is_same_v<decltype(matmul(a, w)), Tensor<float>>);
  EXPECT_EQ(message_of([&] { matmul(a, w); }),
            "matmul: [32, 784] x [128, 784]: inner sizes 784 and 128 differ; did you mean matmul(x, w.t())?");
  EXPECT_EQ(message_of([&] { mm(a.t(), w); }), "mm: [784, 32] x [128, 784]: inner sizes 32 and 128 differ; they must be equal");
  EXPECT_NE(message_of([&] { matmul(a, AnyTensor(w.t().to<double>())); }).find("float32 and float64 differ"), std::string::npos);
  EXPECT_NE(message_of([&] { matmul(ones<bool>({2, 2}), ones<bool>({2, 2})); }).find("bool"), std::string::npos);
  EXPECT_NE(message_of([&] {
              matmul(ones<float>({2, 3, 4}), ones<float>({3, 4, 5}));
            }).find("batch sizes 2 and 3"),
            std::string::npos);
  EXPECT_NE(message_of([&] { matmul(ones<float>({}), a); }).find("did you mean a * b?"), std::string::npos);
  EXPECT_NE(message_of([&] { bmm(a, w); }).find("3 dimensions are needed"), std::string::npos);
  EXPECT_NE(message_of([&] { linear(a, w.t()); }).find("the input's last size must be 128"), std::string::npos);
  EXPECT_NE(message_of([&] { linear(a, w, ones<float>({3})); }).find("bias [3] for 128 outputs"), std::string::npos);
  EXPECT_NE(message_of([&] { addmm(ones<float>({5}), a, w.t()); }).find("does not broadcast"), std::string::npos);
  EXPECT_NE(message_of([&] { dot(ones<float>({5}), ones<float>({4})); }).find("inner sizes 5 and 4"), std::string::npos);
  EXPECT_NE(message_of([&] { matmul(AnyTensor(), a); }).find("undefined"), std::string::npos);
}
