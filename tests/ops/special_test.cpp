// Special functions against the standard library's, known values and identities; gradients of both orders; edges and errors.
#include <cmath>

#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN(), kInf = HUGE_VAL;

/// The largest distance of f from the values that `one` gives element by element, relative to 1 + size.
double off(const AnyTensor& x, const AnyTensor& y, double (*one)(double)) {
  std::vector<double> v = values(x);
  for (double& a : v) a = one(a);
  return distance(y, reshape(Tensor<double>(std::span<const double>(v)), x.shape()));
}
std::string check(AnyTensor (*f)(const AnyTensor&), double lo, double hi, double tolerance = 1e-6) {
  AnyTensor x = draw({7}, lo, hi).requires_grad_();
  return gradcheck([f](const auto& in) { return f(in[0]); }, {x}, {.tolerance = tolerance, .second_tolerance = 20 * tolerance});
}

}  // namespace

DEVICE_TEST(Special, Gammas) {
  for (auto [lo, hi] : {std::pair{0.01, 3.0}, std::pair{3.0, 12.0}, std::pair{10.0, 1e6}, std::pair{-9.9, -0.1}}) {
    AnyTensor x = draw({200}, lo, hi);
    EXPECT_LT(off(x, special::lgamma(x), [](double v) { return std::lgamma(v); }), 1e-12) << lo;
    // psi(x + 1) = psi(x) + 1 / x, and of the derivatives the same.
    EXPECT_LT(distance(special::digamma(x + 1), special::digamma(x) + 1 / x), 1e-10) << lo;
    EXPECT_LT(distance(special::polygamma(1, x + 1), special::polygamma(1, x) - 1 / square(x)), 1e-10) << lo;
  }
  constexpr double kEuler = 0.5772156649015329, kZeta3 = 1.2020569031595942, kPi = 3.141592653589793;
  EXPECT_LT(distance(special::digamma(Tensor<double>{1, 0.5, -0.5}),
                     Tensor<double>{-kEuler, -kEuler - 2 * std::log(2), 2 - kEuler - 2 * std::log(2)}),
            1e-13);
  EXPECT_LT(distance(special::polygamma(1, Tensor<double>{1, 0.5}), Tensor<double>{kPi * kPi / 6, kPi * kPi / 2}), 1e-13);
  EXPECT_NEAR(special::polygamma(2, Tensor<double>{1}).item(), -2 * kZeta3, 1e-13);
  EXPECT_LT(distance(special::lgamma(Tensor<double>{0, -1, -7, kInf, -kInf, kNaN, 1, 2}),
                     Tensor<double>{kInf, kInf, kInf, kInf, kInf, kNaN, 0, 0}, 1),
            1e-13);
  EXPECT_EQ(distance(special::digamma(Tensor<double>{0, -1, kNaN}), Tensor<double>{-kInf, kNaN, kNaN}), 0);
  EXPECT_LT(distance(special::multigammaln(Tensor<double>{4}, 3),
                     Tensor<double>{1.5 * std::log(kPi) + std::lgamma(4) + std::lgamma(3.5) + std::lgamma(3)}),
            1e-13);
  EXPECT_EQ(check(special::lgamma, 0.3, 9), "");
  EXPECT_EQ(check(special::lgamma, -2.9, -2.1), "");
  EXPECT_EQ(check(special::digamma, 0.3, 9), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return special::polygamma(2, in[0]); }, {draw({5}, 0.5, 9).requires_grad_()}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return special::multigammaln(in[0], 2); }, {draw({5}, 1, 9).requires_grad_()}), "");
  for (DType type : {DType::float32, DType::float16, DType::bfloat16}) {  // rounded once
    double unit = type == DType::float32 ? 1e-7 : type == DType::float16 ? 5e-4 : 4e-3;
    AnyTensor x = draw({50}, 0.5, 9, 7, type);
    EXPECT_LT(distance(special::lgamma(x), special::lgamma(x.to(DType::float64))), unit) << name(type);
    EXPECT_EQ(special::lgamma(x).dtype(), type);
  }
  message_of<ValueError>([] { special::polygamma(-1, draw({2})); });
  message_of<ValueError>([] { special::polygamma(1, draw({2}) - 2000); });
  message_of<ValueError>([] { special::multigammaln(draw({2}), 0); });
  message_of<DTypeError>([] { special::lgamma(arange(3)); });
}

DEVICE_TEST(Special, Zeta) {
  AnyTensor s = draw({100}, 1.05, 12);
  EXPECT_LT(off(s, special::zeta(s, ones({100}, DType::float64)), [](double v) { return std::riemann_zeta(v); }), 1e-12);
  AnyTensor q = draw({100}, 0.1, 30, 5);
  EXPECT_LT(distance(special::zeta(s, q), pow(q, -s) + special::zeta(s, q + 1)), 1e-11);
  EXPECT_EQ(distance(special::zeta(Tensor<double>{1, 0.5, 2, 2.5, 2}, Tensor<double>{3, 3, -1, -1.5, kNaN}),
                     Tensor<double>{kInf, kNaN, kInf, kNaN, kNaN}),
            0);
  AnyTensor x = draw({2}, 2, 3).requires_grad_();
  EXPECT_NE(message_of<GraphError>([&] { sum(special::zeta(x, x)).backward(); }).find("zeta"), std::string::npos);
}

DEVICE_TEST(Special, ErrorFunctions) {
  AnyTensor y = draw({300}, -0.9999, 0.9999);
  EXPECT_LT(distance(erf(special::erfinv(y)), y), 1e-14);
  AnyTensor tail = Tensor<double>{1 - 1e-6, 1 - 1e-12, -1 + 1e-15};
  EXPECT_LT(distance(erfc(abs(special::erfinv(tail))) / (1 - abs(tail)), ones({3}, DType::float64)), 1e-12);
  EXPECT_EQ(distance(special::erfinv(Tensor<double>{0, 1, -1, 1.5, kNaN}), Tensor<double>{0, kInf, -kInf, kNaN, kNaN}), 0);
  AnyTensor p = draw({300}, 0.0001, 0.9999);
  EXPECT_LT(distance(ndtr(special::ndtri(p)), p), 1e-13);
  EXPECT_EQ(distance(special::ndtri(Tensor<double>{0, 0.5, 1, 2}), Tensor<double>{-kInf, 0, kInf, kNaN}), 0);
  AnyTensor x = draw({300}, -5, 20);
  EXPECT_LT(distance(special::erfcx(x), exp(square(x)) * erfc(x)), 1e-12);
  EXPECT_NEAR(special::erfcx(Tensor<double>{100}).item(), 0.005641613782989433, 1e-16);
  // Both sides of the place where the series takes over: the logarithm's slope is -1 / x + 1 / x^3.
  EXPECT_NEAR(special::erfcx(Tensor<double>{25.0001}).item() / special::erfcx(Tensor<double>{24.9999}).item(),
              1 - 0.0002 * (1 / 25. - 1 / 15625.), 1e-9);
  AnyTensor z = draw({300}, -8, 8);
  EXPECT_LT(distance(special::log_ndtr(z), log(ndtr(z))), 1e-10);
  double far = -5000 - std::log(100 * std::sqrt(2 * std::acos(-1.0))) + std::log1p(-1e-4 + 3e-8 - 15e-12);
  EXPECT_NEAR(special::log_ndtr(Tensor<double>{-100}).item(), far, 1e-11);
  EXPECT_EQ(check(special::erfinv, -0.9, 0.9), "");
  EXPECT_EQ(check(special::ndtri, 0.1, 0.9), "");
  EXPECT_EQ(check(special::erfcx, -1, 3), "");
  EXPECT_EQ(check(special::log_ndtr, -4, 3), "");
}

DEVICE_TEST(Special, Bessel) {
  AnyTensor x = draw({300}, 0.01, 60);
  EXPECT_LT(off(x, special::i0e(x), [](double v) { return std::cyl_bessel_i(0, v) * std::exp(-v); }), 1e-13);
  EXPECT_LT(off(x, special::i1e(x), [](double v) { return std::cyl_bessel_i(1, v) * std::exp(-v); }), 1e-13);
  AnyTensor small = draw({100}, -5, 5);
  EXPECT_LT(off(small, special::i0(small), [](double v) { return std::cyl_bessel_i(0, std::abs(v)); }), 1e-13);
  EXPECT_LT(off(small, special::i1(small), [](double v) { return std::copysign(std::cyl_bessel_i(1, std::abs(v)), v); }), 1e-13);
  EXPECT_EQ(distance(special::i0(Tensor<double>{0}), Tensor<double>{1}), 0);
  EXPECT_EQ(distance(special::i1(Tensor<double>{0}), Tensor<double>{0}), 0);
  EXPECT_EQ(check(special::i0, -4, 4), "");
  EXPECT_EQ(check(special::i1, -4, 4), "");
  EXPECT_EQ(check(special::i0e, 0.5, 30), "");
  EXPECT_EQ(check(special::i1e, -30, -0.5), "");
  AnyTensor zero = zeros({1}, DType::float64).requires_grad_();
  EXPECT_EQ(grad({special::i1(zero)}, {zero}, {ones({1}, DType::float64)})[0].item(), 0.5);
}

DEVICE_TEST(Special, Polynomials) {
  using special::Polynomial;
  AnyTensor x = draw({40}, -1.5, 1.5), inside = draw({40}, -1, 1);
  auto of = [&](auto one, int n, const AnyTensor& x) {
    std::vector<double> v = values(x);
    for (double& a : v) a = one(unsigned(n), a);
    return Tensor<double>(std::span<const double>(v));
  };
  for (int n : {0, 1, 2, 5, 9}) {
    EXPECT_LT(distance(special::polynomial(Polynomial::hermite_h, x, n),
                       of([](unsigned n, double v) { return std::hermite(n, v); }, n, x)),
              1e-12);
    EXPECT_LT(distance(special::polynomial(Polynomial::laguerre_l, abs(x), n),
                       of([](unsigned n, double v) { return std::laguerre(n, v); }, n, abs(x))),
              1e-12);
    EXPECT_LT(distance(special::polynomial(Polynomial::legendre_p, inside, n),
                       of([](unsigned n, double v) { return std::legendre(n, v); }, n, inside)),
              1e-13);
    AnyTensor angle = acos(inside), half = angle * 0.5;
    EXPECT_LT(distance(special::polynomial(Polynomial::chebyshev_t, inside, n), cos(angle * n)), 1e-13);
    EXPECT_LT(distance(special::polynomial(Polynomial::chebyshev_u, inside, n), sin(angle * (n + 1)) / sin(angle)), 1e-11);
    EXPECT_LT(distance(special::polynomial(Polynomial::chebyshev_v, inside, n), cos(half * (2 * n + 1)) / cos(half)), 1e-11);
    EXPECT_LT(distance(special::polynomial(Polynomial::chebyshev_w, inside, n), sin(half * (2 * n + 1)) / sin(half)), 1e-11);
    // H(x) = 2^(n/2) He(sqrt(2) x).
    EXPECT_LT(distance(special::polynomial(Polynomial::hermite_he, x * std::sqrt(2.0), n) * std::pow(2, n / 2.0),
                       special::polynomial(Polynomial::hermite_h, x, n)),
              1e-12);
  }
  AnyTensor degrees = Tensor<double>{-1, 0, 1.7, 3}, point = full({2, 1}, 0.5, DType::float64);
  EXPECT_LT(distance(special::polynomial(Polynomial::legendre_p, point, degrees),
                     Tensor<double>{{0, 1, 0.5, -0.4375}, {0, 1, 0.5, -0.4375}}),
            1e-15);
  for (Polynomial family : {Polynomial::chebyshev_w, Polynomial::hermite_h, Polynomial::laguerre_l, Polynomial::legendre_p})
    EXPECT_EQ(gradcheck([family](const auto& in) { return special::polynomial(family, in[0], 4); }, {draw({5}).requires_grad_()}),
              "");
}
