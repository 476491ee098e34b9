#include "gradus/ops/composed.h"

#include <cmath>

#include "gradus/ops/create.h"
#include "src/ops/in_place.h"

namespace gradus {
namespace {

constexpr double kPi = 3.141592653589793, kLogOf2 = 0.6931471805599453;

/// max + f(min - max), where the difference of two equal infinities counts as 0.
template <class F> AnyTensor from_difference(const AnyTensor& a, const AnyTensor& b, F f) {
  AnyTensor high = maximum(a, b), low = minimum(a, b);
  return high + f(where(high == low, 0, low - high));
}
double largest_finite(DType t) {
  constexpr double values[] = {3.4028234663852886e38, 1.7976931348623157e308, 65504, 3.3895313892515355e38};
  return values[int(t)];
}

}  // namespace

AnyTensor lerp(const AnyTensor& a, const AnyTensor& b, Scalar weight) {
  check_float("lerp", a), check_same("lerp", a, b);
  // From the nearer end: all the way is b itself, however much larger a is.
  const double w = weight;
  const bool near_a = std::abs(w) < 0.5;
  return in_float([&](const AnyTensor& a, const AnyTensor& b) { return (near_a ? a : b) + (b - a) * (near_a ? w : w - 1); }, a, b);
}
AnyTensor lerp(const AnyTensor& a, const AnyTensor& b, const AnyTensor& weight) {
  check_float("lerp", a), check_same("lerp", a, b), check_same("lerp", a, weight);
  return in_float(
      [](const AnyTensor& a, const AnyTensor& b, const AnyTensor& w) {
        AnyTensor near_a = abs(w) < 0.5;
        return where(near_a, a, b) + (b - a) * where(near_a, w, w - 1);
      },
      a, b, weight);
}
AnyTensor& lerp_(AnyTensor& a, const AnyTensor& b, Scalar weight) {
  check_defined("lerp", a);
  check_in_place("lerp", a);
  return take_over("lerp", a, lerp(a, b, weight));
}

AnyTensor addcmul(const AnyTensor& x, const AnyTensor& a, const AnyTensor& b, Scalar value) {
  check_same("addcmul", x, a), check_same("addcmul", x, b);
  return in_float([&](const AnyTensor& x, const AnyTensor& a, const AnyTensor& b) { return x + a * b * value; }, x, a, b);
}
AnyTensor& addcmul_(AnyTensor& x, const AnyTensor& a, const AnyTensor& b, Scalar value) {
  check_defined("addcmul", x);
  check_in_place("addcmul", x);
  return take_over("addcmul", x, addcmul(x, a, b, value));
}
AnyTensor addcdiv(const AnyTensor& x, const AnyTensor& a, const AnyTensor& b, Scalar value) {
  check_float("addcdiv", x), check_same("addcdiv", x, a), check_same("addcdiv", x, b);
  return in_float([&](const AnyTensor& x, const AnyTensor& a, const AnyTensor& b) { return x + a / b * value; }, x, a, b);
}
AnyTensor& addcdiv_(AnyTensor& x, const AnyTensor& a, const AnyTensor& b, Scalar value) {
  check_defined("addcdiv", x);
  check_in_place("addcdiv", x);
  return take_over("addcdiv", x, addcdiv(x, a, b, value));
}

AnyTensor nan_to_num(const AnyTensor& x, double nan, std::optional<double> infinity, std::optional<double> minus_infinity) {
  check_defined("nan_to_num", x);
  if (!is_float(x.dtype())) return x;
  double most = largest_finite(x.dtype());
  AnyTensor y = where(isnan(x), nan, x);
  y = where(isposinf(x), infinity.value_or(most), y);
  return where(isneginf(x), minus_infinity.value_or(-most), y);
}

AnyTensor logaddexp(const AnyTensor& a, const AnyTensor& b) {
  check_float("logaddexp", a);
  return from_difference(a, b, [](const AnyTensor& d) { return log1p(exp(d)); });
}
AnyTensor logaddexp2(const AnyTensor& a, const AnyTensor& b) {
  check_float("logaddexp2", a);
  return from_difference(a, b, [](const AnyTensor& d) { return log1p(exp2(d)) * (1 / kLogOf2); });
}
AnyTensor xlogy(const AnyTensor& a, const AnyTensor& b) {
  check_float("xlogy", a);
  // 0 only where the product alone would not be: log(b) is the slope in a.
  return a * log(where(logical_and(a == 0, logical_or(b <= 0, b == HUGE_VAL)), 1, b));
}
AnyTensor hypot(const AnyTensor& a, const AnyTensor& b) {
  check_float("hypot", a);
  // Divided by the larger one, which as a constant does not change the gradient. At (0, 0) there is no slope; the gradient is 0.
  AnyTensor scale = maximum(abs(a.detach()), abs(b.detach()));
  AnyTensor plain = logical_or(scale == 0, logical_not(isfinite(scale))), by = where(plain, 1, scale);
  AnyTensor total = square(a / by) + square(b / by), zero_total = total == 0;
  AnyTensor y = where(zero_total, 0, sqrt(where(zero_total, 1, total))) * by;
  return where(isinf(scale), scale, y);
}
AnyTensor heaviside(const AnyTensor& x, const AnyTensor& at_zero) {
  check_same("heaviside", x, at_zero);
  return where(x == 0, at_zero, where(x != x, x.detach(), to(x > 0, x.dtype())));
}

AnyTensor signbit(const AnyTensor& x) {
  check_defined("signbit", x);
  if (!is_float(x.dtype())) return x < 0;
  NoGrad no_grad;
  return logical_or(x < 0, logical_and(x == 0, reciprocal(x) < 0));
}
AnyTensor copysign(const AnyTensor& a, const AnyTensor& b) {
  check_float("copysign", a);
  check_same("copysign", a, b);
  AnyTensor size = abs(a);
  return where(signbit(b), -size, size);
}
AnyTensor copysign(const AnyTensor& a, Scalar b) {
  check_float("copysign", a);
  return copysign(a, full({}, b, a.dtype(), a.device()));
}

AnyTensor logit(const AnyTensor& x, std::optional<double> eps) {
  check_float("logit", x);
  AnyTensor p = eps ? clamp(x, *eps, 1 - *eps) : x;
  return log(p / (1 - p));
}
AnyTensor sinc(const AnyTensor& x) {
  check_float("sinc", x);
  AnyTensor at_zero = x == 0, angle = where(at_zero, 1, x) * kPi;
  return where(at_zero, 1, sin(angle) / angle);
}
AnyTensor deg2rad(const AnyTensor& x) {
  check_float("deg2rad", x);
  return x * (kPi / 180);
}
AnyTensor rad2deg(const AnyTensor& x) {
  check_float("rad2deg", x);
  return x * (180 / kPi);
}
AnyTensor float_power(const AnyTensor& a, const AnyTensor& b) { return pow(to(a, DType::float64), to(b, DType::float64)); }
AnyTensor float_power(const AnyTensor& a, Scalar b) { return pow(to(a, DType::float64), double(b)); }
AnyTensor true_divide(const AnyTensor& a, const AnyTensor& b) {
  check_same("true_divide", a, b);
  return is_float(a.dtype()) ? div(a, b) : div(to(a, DType::float32), to(b, DType::float32));
}
AnyTensor ldexp(const AnyTensor& x, const AnyTensor& exponent) {
  check_float("ldexp", x);
  return x * exp2(to(exponent, x.dtype()));
}
AnyTensor isposinf(const AnyTensor& x) {
  check_float("isposinf", x);
  return x == HUGE_VAL;
}
AnyTensor isneginf(const AnyTensor& x) {
  check_float("isneginf", x);
  return x == -HUGE_VAL;
}

}  // namespace gradus
