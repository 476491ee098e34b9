// The gamma function's family.
#include <cmath>

#include "gradus/ops/create.h"
#include "gradus/ops/reduce.h"
#include "gradus/ops/special.h"
#include "gradus/ops/view.h"
#include "src/ops/special.h"

namespace gradus::special {
namespace {

constexpr double kPi = 3.141592653589793, kInfinity = HUGE_VAL;
constexpr int64_t kLeast = -1000;  // below, sums over what lies up to zero would take too long

/// tan(pi x) and sin(pi x) from the part of x that matters.
AnyTensor fraction(const AnyTensor& x) { return (x - floor(x)) * kPi; }

// Stirling's series holds from 8 on; below, eight steps of the recurrence lead there.
constexpr double kEnough = 8;
constexpr int kSteps = 8;

AnyTensor lgamma_of(const AnyTensor& x) {
  AnyTensor reflects = x < 0.5, z = where(reflects, 1 - x, x), small = z < kEnough;
  AnyTensor near = where(small, z, 1), product = near, w = where(small, z + kSteps, z);
  for (int k = 1; k < kSteps; ++k) product = product * (near + k);
  constexpr double kStirling[] = {1. / 12, -1. / 360, 1. / 1260, -1. / 1680, 1. / 1188, -691. / 360360, 1. / 156};
  AnyTensor y = (w - 0.5) * log(w) - w + 0.5 * std::log(2 * kPi) + series(square(1 / w), kStirling) / w;
  y = where(small, y - log(product), y);
  y = where(reflects, std::log(kPi) - log(abs(sin(fraction(x)))) - y, y);
  return where(abs(x) == kInfinity, kInfinity, y);
}

AnyTensor digamma_of(const AnyTensor& x) {
  AnyTensor reflects = x < 0.5, z = where(reflects, 1 - x, x), small = z < kEnough;
  AnyTensor near = where(small, z, 1), steps = 1 / near, w = where(small, z + kSteps, z);
  for (int k = 1; k < kSteps; ++k) steps = steps + 1 / (near + k);
  constexpr double kSeries[] = {1. / 12, -1. / 120, 1. / 252, -1. / 240, 1. / 132, -691. / 32760, 1. / 12};
  AnyTensor inverse = square(1 / w), y = log(w) - 0.5 / w - inverse * series(inverse, kSeries);
  y = where(small, y - steps, y);
  y = where(reflects, y - kPi / tan(fraction(x)), y);
  return where(x == 0, -kInfinity, where(logical_and(x < 0, x == floor(x)), NAN, y));
}

/// The sum of (q + k)^-s over k = 0, 1, ...: some terms, and Euler and Maclaurin's formula for the rest.
AnyTensor zeta_of(const char* op, const AnyTensor& s, const AnyTensor& q) {
  double least = q.numel() ? amin(where(q == q, q, 0)).item() : 0;
  if (least < double(kLeast)) fail<ValueError>(op, ": ", least, " is below ", kLeast);
  const int64_t terms = 10 + int64_t(std::max(0.0, std::ceil(-least)));
  AnyTensor sum = pow(q, -s);
  for (int64_t k = 1; k < terms; ++k) sum = sum + pow(q + k, -s);
  AnyTensor w = q + terms, power = pow(w, -s);
  sum = sum + power * w / (s - 1) + power * 0.5;
  // B[2j] / (2j)!, times s (s + 1) ... (s + 2j - 2) w^(-s - 2j + 1).
  constexpr double kBernoulli[] = {1. / 12,          -1. / 720,
                                   1. / 30240,       -1. / 1209600,
                                   1. / 47900160,    -691. / 1307674368000,
                                   1. / 74724249600, -3617. / 10670622842880000};
  AnyTensor factor = s * power / w, inverse = square(1 / w);
  for (int j = 0; j < 8; ++j) {
    sum = sum + factor * kBernoulli[j];
    factor = factor * (s + (2 * j + 1)) * (s + (2 * j + 2)) * inverse;
  }
  AnyTensor whole = q == floor(q);
  sum = where(q > 0, sum, where(whole, kInfinity, where(s == floor(s), sum, NAN)));
  return where(s > 1, sum, where(s == 1, full_like(sum, kInfinity), NAN));
}

}  // namespace

AnyTensor lgamma(const AnyTensor& x) {
  return in_double("lgamma", x, lgamma_of, [](const AnyTensor& x, const AnyTensor&) { return digamma(x); });
}
AnyTensor digamma(const AnyTensor& x) {
  return in_double("digamma", x, digamma_of, [](const AnyTensor& x, const AnyTensor&) { return polygamma(1, x); });
}
AnyTensor polygamma(int64_t n, const AnyTensor& x) {
  if (n < 0) fail<ValueError>("polygamma: n is ", n, "; it is how often digamma is differentiated");
  if (n == 0) return digamma(x);
  auto value = [n](const AnyTensor& x) {
    return zeta_of("polygamma", full({}, double(n + 1), DType::float64, x.device()), x) *
           ((n % 2 ? 1 : -1) * std::tgamma(double(n + 1)));
  };
  return in_double("polygamma", x, value, [n](const AnyTensor& x, const AnyTensor&) { return polygamma(n + 1, x); });
}
AnyTensor multigammaln(const AnyTensor& x, int64_t p) {
  if (p < 1) fail<ValueError>("multigammaln: p is ", p, "; it must be at least 1");
  AnyTensor y = lgamma(x) + double(p * (p - 1)) / 4 * std::log(kPi);
  for (int64_t j = 1; j < p; ++j) y = y + lgamma(x - 0.5 * double(j));
  return y;
}
AnyTensor zeta(const AnyTensor& s, const AnyTensor& q) {
  check_float("zeta", s), check_same("zeta", s, q);
  AnyTensor y;
  {
    NoGrad no_grad;
    y = to(zeta_of("zeta", to(s.detach(), DType::float64), to(q.detach(), DType::float64)), s.dtype());
  }
  record_without_gradient("zeta", y, {&s, &q});
  return y;
}

}  // namespace gradus::special
