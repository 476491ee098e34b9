// The error function's family.
#include <cmath>

#include "gradus/ops/special.h"
#include "gradus/ops/view.h"
#include "src/ops/special.h"

namespace gradus::special {
namespace {

constexpr double kPi = 3.141592653589793, kInfinity = HUGE_VAL, kRootOfHalf = 0.7071067811865476, kRootOfPi = 1.772453850905516;

AnyTensor erfinv_of(const AnyTensor& y) {
  // Winitzki's formula gives two digits; each step of Halley's method trebles them.
  constexpr double a = 0.147;
  AnyTensor size = abs(y), inside = size < 1, safe = where(inside, size, 0), rest = 1 - safe;
  AnyTensor l = log1p(-safe) + log1p(safe), t = l * 0.5 + 2 / (kPi * a);
  AnyTensor x = sqrt(sqrt(square(t) - l / a) - t);
  for (int step = 0; step < 4; ++step) {
    AnyTensor off = where(safe < 0.5, erf(x) - safe, rest - erfc(x));  // where 1 - y is small, it is exact
    AnyTensor u = off * (0.5 * kRootOfPi) * exp(square(x));
    x = x - u / (1 + x * u);
  }
  return where(inside, where(y < 0, -x, x), where(size == 1, y * kInfinity, NAN));
}

AnyTensor erfcx_of(const AnyTensor& x) {
  AnyTensor far = x > 25, near = where(far, 0, x), inverse = where(far, 1 / x, 0), s = square(inverse) * 0.5;
  constexpr double kTail[] = {1, -1, 3, -15, 105};  // 1 - 1 / (2 x^2) + 3 / (2 x^2)^2 - ...
  return where(far, series(s, kTail) * inverse / kRootOfPi, exp(square(near)) * erfc(near));
}

}  // namespace

AnyTensor erfinv(const AnyTensor& y) {
  return in_double("erfinv", y, erfinv_of, [](const AnyTensor&, const AnyTensor& x) { return exp(square(x)) * (0.5 * kRootOfPi); });
}
AnyTensor erfcx(const AnyTensor& x) {
  return in_double("erfcx", x, erfcx_of, [](const AnyTensor& x, const AnyTensor& y) { return 2 * x * y - 2 / kRootOfPi; });
}
AnyTensor ndtri(const AnyTensor& p) {
  auto value = [](const AnyTensor& p) {
    // From the nearer end, so that small p keep their digits.
    AnyTensor x = erfinv_of(where(p < 0.5, p * 2 - 1, 1 - (1 - p) * 2)) * (1 / kRootOfHalf);
    return where(logical_and(p >= 0, p <= 1), x, NAN);
  };
  return in_double("ndtri", p, value,
                   [](const AnyTensor&, const AnyTensor& x) { return exp(square(x) * 0.5) * std::sqrt(2 * kPi); });
}
AnyTensor log_ndtr(const AnyTensor& x) {
  auto value = [](const AnyTensor& x) {
    AnyTensor far = x < -1, low = where(far, x, -1), high = where(far, 0, x);
    return where(far, log(erfcx_of(low * -kRootOfHalf) * 0.5) - square(low) * 0.5, log1p(erfc(high * kRootOfHalf) * -0.5));
  };
  return in_double("log_ndtr", x, value,
                   [](const AnyTensor& x, const AnyTensor& y) { return exp(square(x) * -0.5 - y) * (1 / std::sqrt(2 * kPi)); });
}

}  // namespace gradus::special
