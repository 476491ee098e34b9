// Bounds, rounding and functions of integers, made of other ops.
#include <cmath>

#include "gradus/ops/composed.h"
#include "gradus/ops/create.h"
#include "gradus/ops/reduce.h"
#include "src/ops/op.h"

namespace gradus {

AnyTensor fmax(const AnyTensor& a, const AnyTensor& b) {
  check_same("fmax", a, b);
  return where(logical_or(a >= b, b != b), a, b);
}
AnyTensor fmin(const AnyTensor& a, const AnyTensor& b) {
  check_same("fmin", a, b);
  return where(logical_or(a <= b, b != b), a, b);
}

AnyTensor clamp_min(const AnyTensor& x, const AnyTensor& low) {
  check_same("clamp_min", x, low);
  return where(logical_or(x < low, low != low), low, x);
}
AnyTensor clamp_max(const AnyTensor& x, const AnyTensor& high) {
  check_same("clamp_max", x, high);
  return where(logical_or(x > high, high != high), high, x);
}
AnyTensor clamp(const AnyTensor& x, const AnyTensor& low, const AnyTensor& high) {
  check_defined("clamp", x);
  if (!low && !high) fail<ValueError>("clamp: there is no bound; give one, or both");
  AnyTensor y = low ? clamp_min(x, low) : x;
  return high ? clamp_max(y, high) : y;
}

AnyTensor round(const AnyTensor& x, int64_t decimals) {
  check_float("round", x);
  if (decimals == 0) return round(x);
  double ten = std::pow(10.0, double(std::abs(decimals)));
  return decimals > 0 ? round(x * ten) / ten : round(x / ten) * ten;
}

AnyTensor angle(const AnyTensor& x) {
  check_float("angle", x);
  return where(x < 0, 3.141592653589793, where(x != x, x.detach(), zero(x)));
}
AnyTensor xlog1py(const AnyTensor& a, const AnyTensor& b) {
  check_float("xlog1py", a);
  return a * log1p(where(logical_and(a == 0, logical_or(b <= -1, b == HUGE_VAL)), 0, b));
}
AnyTensor entr(const AnyTensor& x) {
  check_float("entr", x);
  AnyTensor inside = logical_not(x <= 0), safe = where(inside, x, 1);
  return where(inside, neg(safe * log(safe)), where(x < 0, -HUGE_VAL, zero(x)));
}
AnyTensor ndtr(const AnyTensor& x) {
  check_float("ndtr", x);
  return erfc(x * -0.7071067811865476) * 0.5;
}

AnyTensor gcd(const AnyTensor& a, const AnyTensor& b) {
  check_same("gcd", a, b);
  if (is_float(a.dtype()) || a.dtype() == DType::boolean) fail<DTypeError>("gcd: got ", a.dtype(), "; integers are needed");
  AnyTensor x = abs(a), y = abs(b), some = y != 0;
  if (!(x.shape() == y.shape())) x = x + zeros_like(y), y = y + zeros_like(x), some = y != 0;
  for (; any(some).item() != 0; some = y != 0) {  // Euclid, all pairs at once
    AnyTensor rest = where(some, remainder(x, where(some, y, 1)), 0);
    x = where(some, y, x), y = rest;
  }
  return x;
}
AnyTensor lcm(const AnyTensor& a, const AnyTensor& b) {
  AnyTensor divisor = gcd(a, b);
  return abs(floor_divide(a, where(divisor == 0, 1, divisor)) * b);
}

AnyTensor renorm(const AnyTensor& x, double p, int64_t axis, double most) {
  check_float("renorm", x);
  if (!(most >= 0)) fail<ValueError>("renorm: the bound ", most, " is negative");
  if (x.dim() < 2) fail<ShapeError>("renorm: x has shape ", x.shape(), "; slices of at least one axis are needed");
  Axes others = Axes(std::vector<int64_t>{});
  const int along = axis_of("renorm", axis, x.dim());
  for (int d = 0; d < x.dim(); ++d)
    if (d != along) others.list.push_back(d);
  AnyTensor size = norm(x, p, others, true);
  return x * where(size > most, most / (size + 1e-7), 1 + zero(size));
}

}  // namespace gradus
