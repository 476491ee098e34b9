// Bounds, rounding, functions of integers, norms of matrices.
#include <numeric>

#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN(), kInf = HUGE_VAL;
}

DEVICE_TEST(ComposedMore, Bounds) {
  AnyTensor a = Tensor<double>{1, kNaN, 3, kNaN, 2}, b = Tensor<double>{2, 1, kNaN, kNaN, 2};
  EXPECT_EQ(distance(fmax(a, b), Tensor<double>{2, 1, 3, kNaN, 2}), 0);
  EXPECT_EQ(distance(fmin(a, b), Tensor<double>{1, 1, 3, kNaN, 2}), 0);
  AnyTensor x = draw({3, 4}, -2, 2).requires_grad_(), low = draw({4}, -1, 0, 5).requires_grad_(),
            high = draw({3, 1}, 0, 1, 6).requires_grad_();
  EXPECT_EQ(distance(clamp(x, low, high), minimum(maximum(x, low), high)), 0);
  EXPECT_EQ(distance(clamp(x, AnyTensor(), high), clamp_max(x, high)), 0);
  EXPECT_EQ(distance(clamp(x, low, AnyTensor()), clamp_min(x, low)), 0);
  EXPECT_EQ(distance(clamp(Tensor<double>{kNaN, 5, 5}, Tensor<double>{0, kNaN, 0}, Tensor<double>{1, 9, kNaN}),
                     full({3}, kNaN, DType::float64)),
            0);
  EXPECT_EQ(distance(clamp(Tensor<double>{0.5}, Tensor<double>{2}, Tensor<double>{1}), Tensor<double>{1}), 0)
      << "the upper bound wins";
  EXPECT_EQ(clamp(Tensor<int64_t>{5}, Tensor<int64_t>{1}, Tensor<int64_t>{3}).vector(), (std::vector<int64_t>{3}));
  EXPECT_EQ(gradcheck([](const auto& in) { return square(clamp(in[0], in[1], in[2])); }, {x, low, high}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return square(fmax(in[0], in[1])) + square(fmin(in[0], in[1])); }, {x, low}), "");
  AnyTensor at = Tensor<double>{1}.requires_grad_(), bound = Tensor<double>{1}.requires_grad_();
  auto slopes = grad({clamp(at, bound, AnyTensor())}, {at, bound}, {ones({1}, DType::float64)});
  EXPECT_EQ(slopes[0].item(), 1) << "at the bound the gradient is the element's";
  EXPECT_EQ(slopes[1].item(), 0);
  message_of<ValueError>([&] { clamp(x, AnyTensor(), AnyTensor()); });
  message_of<DTypeError>([&] { clamp_min(x, low.to(DType::float32)); });
}

DEVICE_TEST(ComposedMore, RoundingAndOthers) {
  EXPECT_LT(distance(round(Tensor<double>{1.23456, -0.0005, 1999.6}, 3), Tensor<double>{1.235, -0.0, 1999.6}), 1e-15);
  EXPECT_EQ(distance(round(Tensor<double>{1500, 2500, 1234}, -3), Tensor<double>{2000, 2000, 1000}), 0) << "halves to even";
  EXPECT_EQ(distance(angle(Tensor<double>{-2, 0, 3, kNaN}), Tensor<double>{std::acos(-1.0), 0, 0, kNaN}), 0);
  EXPECT_LT(distance(xlog1py(Tensor<double>{2, 0, 0}, Tensor<double>{1, -1, kNaN}), Tensor<double>{2 * std::log(2), 0, kNaN}),
            1e-15);
  EXPECT_LT(distance(entr(Tensor<double>{0.5, 0, -1, kNaN}), Tensor<double>{0.5 * std::log(2), 0, -kInf, kNaN}), 1e-15);
  EXPECT_LT(distance(ndtr(Tensor<double>{0, 1.959963984540054, -40}), Tensor<double>{0.5, 0.975, 0}), 1e-12);
  AnyTensor p = draw({5}, 0.1, 2).requires_grad_(), q = draw({5}, -0.5, 2, 5).requires_grad_();
  EXPECT_EQ(gradcheck([](const auto& in) { return xlog1py(in[0], in[1]); }, {p, q}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return entr(in[0]) + ndtr(in[0]); }, {p}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return tanhshrink(in[0]); }, {q}), "");
  EXPECT_LT(distance(tanhshrink(q), q - tanh(q)), 1e-15);
}

DEVICE_TEST(ComposedMore, Integers) {
  AnyTensor a = randint<int64_t>(-60, 60, {8, 1}), b = randint<int64_t>(-60, 60, {9});
  std::vector<double> divisors = values(gcd(a, b)), multiples = values(lcm(a, b)), x = values(a), y = values(b);
  for (size_t i = 0; i < 8; ++i)
    for (size_t j = 0; j < 9; ++j) {
      EXPECT_EQ(divisors[i * 9 + j], double(std::gcd(int64_t(x[i]), int64_t(y[j]))));
      EXPECT_EQ(multiples[i * 9 + j], double(std::lcm(int64_t(x[i]), int64_t(y[j]))));
    }
  EXPECT_EQ(gcd(Tensor<int32_t>{0, 0, -4}, Tensor<int32_t>{0, 5, 6}).vector(), (std::vector<int32_t>{0, 5, 2}));
  EXPECT_EQ(lcm(Tensor<int64_t>{0, 4}, Tensor<int64_t>{0, -6}).vector(), (std::vector<int64_t>{0, 12}));
  message_of<DTypeError>([] { gcd(draw({2}), draw({2})); });

  EXPECT_EQ(isin(Tensor<float>{1, 2, 3, float(kNaN)}, Tensor<float>{{3, 7}, {1, float(kNaN)}}).vector(),
            (std::vector<bool>{true, false, true, false}));
  EXPECT_EQ(count_nonzero(isin(arange(6), arange(0))).item(), 0);
  EXPECT_EQ(to_string(broadcast_shapes({{3, 1}, {4}, {2, 1, 1}, {}})), "[2, 3, 4]");
  message_of<ShapeError>([] { broadcast_shapes({{3}, {4}}); });
  std::vector<AnyTensor> places = unravel_index(Tensor<int64_t>{0, 7, 23}, {2, 3, 4});
  EXPECT_EQ(distance(stack(places, 1), Tensor<int64_t>{{0, 0, 0}, {0, 1, 3}, {1, 2, 3}}), 0);
  message_of<IndexError>([] { unravel_index(Tensor<int64_t>{24}, {2, 3, 4}); });
}

DEVICE_TEST(ComposedMore, ScaledSlicesAndProducts) {
  AnyTensor x = draw({3, 4, 2}).requires_grad_(), y = renorm(x, 2, 1, 0.9);
  for (int64_t i = 0; i < 4; ++i) {
    double size = norm(x.select(1, i)).item();
    EXPECT_NEAR(norm(y.select(1, i)).item(), std::min(size, 0.9), 1e-6);
    EXPECT_LT(distance(y.select(1, i), x.select(1, i) * std::min(1.0, 0.9 / size)), 1e-6);
  }
  EXPECT_EQ(gradcheck([](const auto& in) { return renorm(in[0], 2, 1, 0.9); }, {x}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return renorm(in[0], 3, -1, 0.9); }, {x}), "");
  message_of<ValueError>([&] { renorm(x, 2, 1, -1); });
  AnyTensor m = draw({3, 4}).requires_grad_(), u = draw({3}, -1, 1, 5).requires_grad_(), v = draw({4}, -1, 1, 6).requires_grad_();
  EXPECT_LT(distance(addr(m, u, v, {.beta = 0.6, .alpha = 0.2}), m * 0.6 + outer(u, v) * 0.2), 1e-15);
  AnyTensor a = draw({2, 3, 5}, -1, 1, 5).requires_grad_(), b = draw({2, 5, 4}, -1, 1, 6).requires_grad_();
  EXPECT_LT(distance(addbmm(m, a, b, {.beta = 0.6, .alpha = 0.2}), m * 0.6 + sum(bmm(a, b), 0) * 0.2), 1e-14);
  AnyTensor holes = full_like(m.detach(), NAN);
  EXPECT_EQ(distance(addr(holes, u, v, {.beta = 0}), outer(u, v)), 0) << "what counts for nothing is not read";
  EXPECT_EQ(distance(addbmm(holes, a, b, {.beta = 0}), sum(bmm(a, b), 0)), 0);
  EXPECT_EQ(gradcheck([](const auto& in) { return addbmm(in[0], in[1], in[2]); }, {m, a, b}), "");
  message_of<ShapeError>([&] { addbmm(m, u, b); });
}

DEVICE_TEST(MatrixNorms, AreTheirDefinitions) {
  using linalg::NormKind;
  AnyTensor a = draw({2, 3, 4}).requires_grad_();
  AnyTensor s = linalg::svdvals(a);
  EXPECT_LT(distance(linalg::matrix_norm(a), norm(a, 2, {1, 2})), 1e-15);
  EXPECT_LT(distance(linalg::matrix_norm(a, NormKind::nuclear), sum(s, 1)), 1e-14);
  EXPECT_LT(distance(linalg::matrix_norm(a, 2), amax(s, 1)), 1e-14);
  EXPECT_LT(distance(linalg::matrix_norm(a, -2), amin(s, 1)), 1e-14);
  EXPECT_LT(distance(linalg::matrix_norm(a, 1), amax(sum(abs(a), 1), 1)), 1e-15);
  EXPECT_LT(distance(linalg::matrix_norm(a, -1), amin(sum(abs(a), 1), 1)), 1e-15);
  EXPECT_LT(distance(linalg::matrix_norm(a, kInf), amax(sum(abs(a), 2), 1)), 1e-15);
  EXPECT_LT(distance(linalg::matrix_norm(a, -kInf), amin(sum(abs(a), 2), 1)), 1e-15);
  EXPECT_LT(distance(linalg::matrix_norm(a, 1, {-1, 0}), amax(sum(abs(a), 2), 0)), 1e-15);
  EXPECT_EQ(to_string(linalg::matrix_norm(a, 1, {2, 0}, true).shape()), "[1, 3, 1]");
  for (double p : {1.0, 2.0, -2.0, kInf})
    EXPECT_EQ(gradcheck([&](const auto& in) { return linalg::matrix_norm(in[0], p); }, {a}), "") << p;
  EXPECT_EQ(gradcheck([](const auto& in) { return linalg::matrix_norm(in[0], NormKind::nuclear); }, {a}), "");
  AnyTensor square = draw({2, 3, 3}, -1, 1, 5).requires_grad_();
  EXPECT_LT(distance(linalg::cond(square), linalg::matrix_norm(square, 2) * linalg::matrix_norm(linalg::inv(square), 2)), 1e-12);
  EXPECT_LT(distance(linalg::cond(square, 1), linalg::matrix_norm(square, 1) * linalg::matrix_norm(linalg::inv(square), 1)), 1e-12);
  EXPECT_EQ(gradcheck([](const auto& in) { return log(linalg::cond(in[0])); }, {square}), "");
  EXPECT_EQ(message_of<ValueError>([&] { linalg::matrix_norm(a, 3); }),
            "matrix_norm: p is 3; 1, 2, infinity and their negatives are norms of matrices");
  message_of<ShapeError>([&] { linalg::matrix_norm(draw({3})); });
  message_of<ShapeError>([&] { linalg::matrix_norm(a, 1, {1, 1}); });
}
