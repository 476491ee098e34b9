// Modified Bessel functions.
#include <cmath>

#include "gradus/ops/special.h"
#include "gradus/ops/view.h"
#include "src/ops/special.h"

namespace gradus::special {
namespace {

constexpr double kFar = 20;  // from here on the asymptotic series holds

/// exp(-|x|) I_order(|x|).
AnyTensor scaled(const AnyTensor& x, int order) {
  AnyTensor size = abs(x), far = size > kFar, near = where(far, 0, size), distant = where(far, size, kFar);
  // (x/2)^order times the sum of (x/2)^2k / (k! (k + order)!): no term is negative.
  AnyTensor quarter = square(near * 0.5), term = order ? near * 0.5 : 1 + zero(near), sum = term;
  for (int k = 1; k < 50; ++k) term = term * quarter * (1.0 / (k * (k + order))), sum = sum + term;
  // 1 - (m - 1) / (8x) + (m - 1)(m - 9) / (2! (8x)^2) - ... with m = 4 order^2, over sqrt(2 pi x).
  const double m = 4.0 * order * order;
  AnyTensor eighth = 1 / (distant * 8), part = 1 + zero(distant), tail = part;
  for (int k = 1; k < 20; ++k) part = part * eighth * ((double((2 * k - 1) * (2 * k - 1)) - m) / k), tail = tail + part;
  return where(far, tail / sqrt(distant * (2 * 3.141592653589793)), sum * exp(-near));
}
AnyTensor signed_like(const AnyTensor& size, const AnyTensor& x) { return where(x < 0, -size, size); }

/// y / x; at 0, where the quotient is 0 / 0, one half.
AnyTensor over(const AnyTensor& y, const AnyTensor& x, double at_zero) {
  AnyTensor none = x == 0;
  return where(none, at_zero, y / where(none, 1, x));
}

}  // namespace

AnyTensor i0(const AnyTensor& x) {
  return in_double(
      "i0", x, [](const AnyTensor& x) { return scaled(x, 0) * exp(abs(x)); },
      [](const AnyTensor& x, const AnyTensor&) { return i1(x); });
}
AnyTensor i1(const AnyTensor& x) {
  return in_double(
      "i1", x, [](const AnyTensor& x) { return signed_like(scaled(x, 1) * exp(abs(x)), x); },
      [](const AnyTensor& x, const AnyTensor& y) { return i0(x) - over(y, x, 0.5); });
}
AnyTensor i0e(const AnyTensor& x) {
  return in_double(
      "i0e", x, [](const AnyTensor& x) { return scaled(x, 0); },
      [](const AnyTensor& x, const AnyTensor& y) { return i1e(x) - sign(x) * y; });
}
AnyTensor i1e(const AnyTensor& x) {
  return in_double(
      "i1e", x, [](const AnyTensor& x) { return signed_like(scaled(x, 1), x); },
      [](const AnyTensor& x, const AnyTensor& y) { return i0e(x) - sign(x) * y - over(y, x, 0.5); });
}

}  // namespace gradus::special
