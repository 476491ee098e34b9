// Elementwise functions made of those of ops.def. Operands broadcast and have one dtype; gradients of any order come with the parts.
#pragma once
#include <optional>

#include "gradus/ops/elementwise.h"

namespace gradus {

/// a + weight * (b - a).
AnyTensor lerp(const AnyTensor& a, const AnyTensor& b, Scalar weight);
AnyTensor lerp(const AnyTensor& a, const AnyTensor& b, const AnyTensor& weight);
AnyTensor& lerp_(AnyTensor& a, const AnyTensor& b, Scalar weight);
/// x + value * a * b.
AnyTensor addcmul(const AnyTensor& x, const AnyTensor& a, const AnyTensor& b, Scalar value = 1);
AnyTensor& addcmul_(AnyTensor& x, const AnyTensor& a, const AnyTensor& b, Scalar value = 1);
/// x + value * a / b. Floating point only.
AnyTensor addcdiv(const AnyTensor& x, const AnyTensor& a, const AnyTensor& b, Scalar value = 1);
AnyTensor& addcdiv_(AnyTensor& x, const AnyTensor& a, const AnyTensor& b, Scalar value = 1);
/// NaN, infinity and -infinity replaced; without numbers for them, infinities become the largest and the least finite value.
AnyTensor nan_to_num(const AnyTensor& x, double nan = 0, std::optional<double> infinity = std::nullopt,
                     std::optional<double> minus_infinity = std::nullopt);
/// log(exp(a) + exp(b)) and log2(2^a + 2^b), without overflow.
AnyTensor logaddexp(const AnyTensor& a, const AnyTensor& b);
AnyTensor logaddexp2(const AnyTensor& a, const AnyTensor& b);
/// a * log(b); 0 where a is 0.
AnyTensor xlogy(const AnyTensor& a, const AnyTensor& b);
/// sqrt(a^2 + b^2), without overflow.
AnyTensor hypot(const AnyTensor& a, const AnyTensor& b);
/// 0 where x < 0, 1 where x > 0, and `at_zero` where x is 0.
AnyTensor heaviside(const AnyTensor& x, const AnyTensor& at_zero);
/// The size of a with the sign of b; -0 has one.
AnyTensor copysign(const AnyTensor& a, const AnyTensor& b);
AnyTensor copysign(const AnyTensor& a, Scalar b);
/// The greater and the smaller, where NaN gives way to a number.
AnyTensor fmax(const AnyTensor& a, const AnyTensor& b);
AnyTensor fmin(const AnyTensor& a, const AnyTensor& b);
/// clamp with bounds that broadcast, either of which may be undefined. Where they cross, the upper one holds; at a bound the gradient is
/// the element's.
AnyTensor clamp(const AnyTensor& x, const AnyTensor& low, const AnyTensor& high);
AnyTensor clamp_min(const AnyTensor& x, const AnyTensor& low);
AnyTensor clamp_max(const AnyTensor& x, const AnyTensor& high);
/// To so many decimal places, or with fewer than 0 to tens, hundreds, ...; halves to even.
AnyTensor round(const AnyTensor& x, int64_t decimals);
/// 0, or pi where x is negative.
AnyTensor angle(const AnyTensor& x);
/// a * log(1 + b); 0 where a is 0.
AnyTensor xlog1py(const AnyTensor& a, const AnyTensor& b);
/// -x log(x); 0 at 0, -infinity below.
AnyTensor entr(const AnyTensor& x);
/// The share of a normal distribution below x.
AnyTensor ndtr(const AnyTensor& x);
/// The greatest common divisor and the least common multiple of integers, not negative.
AnyTensor gcd(const AnyTensor& a, const AnyTensor& b);
AnyTensor lcm(const AnyTensor& a, const AnyTensor& b);
/// The slices of x along an axis, scaled down to a p-norm of at most `most`. Throws ValueError for a bound below 0.
AnyTensor renorm(const AnyTensor& x, double p, int64_t axis, double most);
/// log(x / (1 - x)); with eps, x is clamped to [eps, 1 - eps] first.
AnyTensor logit(const AnyTensor& x, std::optional<double> eps = std::nullopt);
/// sin(pi x) / (pi x); 1 at 0.
AnyTensor sinc(const AnyTensor& x);
AnyTensor deg2rad(const AnyTensor& x);
AnyTensor rad2deg(const AnyTensor& x);
/// pow in double, whatever the dtypes.
AnyTensor float_power(const AnyTensor& a, const AnyTensor& b);
AnyTensor float_power(const AnyTensor& a, Scalar b);
/// a / b; integers are divided as float32.
AnyTensor true_divide(const AnyTensor& a, const AnyTensor& b);
/// x * 2^exponent.
AnyTensor ldexp(const AnyTensor& x, const AnyTensor& exponent);
/// Whether the sign is negative, of -0 too.
AnyTensor signbit(const AnyTensor& x);
AnyTensor isposinf(const AnyTensor& x);
AnyTensor isneginf(const AnyTensor& x);

#define GRADUS_TYPED_UNARY(R, name) \
  template <class T> R name(const Tensor<T>& x) { return R(name(untyped(x))); }
#define GRADUS_TYPED_BINARY(name)                                                                                               \
  template <class T> Tensor<T> name(const Tensor<T>& a, const Tensor<T>& b) { return Tensor<T>(name(untyped(a), untyped(b))); } \
  template <class T, class U>                                                                                                   \
  requires(!std::is_same_v<T, U>) void name(const Tensor<T>&, const Tensor<U>&) = delete;
GRADUS_TYPED_BINARY(logaddexp)
GRADUS_TYPED_BINARY(logaddexp2)
GRADUS_TYPED_BINARY(xlogy)
GRADUS_TYPED_BINARY(fmax)
GRADUS_TYPED_BINARY(fmin)
GRADUS_TYPED_BINARY(clamp_min)
GRADUS_TYPED_BINARY(clamp_max)
GRADUS_TYPED_BINARY(xlog1py)
GRADUS_TYPED_BINARY(gcd)
GRADUS_TYPED_BINARY(lcm)
GRADUS_TYPED_BINARY(hypot)
GRADUS_TYPED_BINARY(heaviside)
GRADUS_TYPED_BINARY(copysign)
GRADUS_TYPED_UNARY(Tensor<T>, sinc)
GRADUS_TYPED_UNARY(Tensor<T>, deg2rad)
GRADUS_TYPED_UNARY(Tensor<T>, rad2deg)
GRADUS_TYPED_UNARY(Tensor<bool>, signbit)
GRADUS_TYPED_UNARY(Tensor<T>, angle)
GRADUS_TYPED_UNARY(Tensor<T>, entr)
GRADUS_TYPED_UNARY(Tensor<T>, ndtr)
GRADUS_TYPED_UNARY(Tensor<bool>, isposinf)
GRADUS_TYPED_UNARY(Tensor<bool>, isneginf)
#undef GRADUS_TYPED_UNARY
#undef GRADUS_TYPED_BINARY
template <class T> Tensor<T> lerp(const Tensor<T>& a, const Tensor<T>& b, Scalar weight) {
  return Tensor<T>(lerp(untyped(a), untyped(b), weight));
}
template <class T> Tensor<T> lerp(const Tensor<T>& a, const Tensor<T>& b, const Tensor<T>& weight) {
  return Tensor<T>(lerp(untyped(a), untyped(b), untyped(weight)));
}
template <class T> Tensor<T> addcmul(const Tensor<T>& x, const Tensor<T>& a, const Tensor<T>& b, Scalar value = 1) {
  return Tensor<T>(addcmul(untyped(x), untyped(a), untyped(b), value));
}
template <class T> Tensor<T> addcdiv(const Tensor<T>& x, const Tensor<T>& a, const Tensor<T>& b, Scalar value = 1) {
  return Tensor<T>(addcdiv(untyped(x), untyped(a), untyped(b), value));
}
template <class T> Tensor<T> nan_to_num(const Tensor<T>& x, double nan = 0, std::optional<double> infinity = std::nullopt,
                                        std::optional<double> minus_infinity = std::nullopt) {
  return Tensor<T>(nan_to_num(untyped(x), nan, infinity, minus_infinity));
}
template <class T> Tensor<T> clamp(const Tensor<T>& x, const Tensor<T>& low, const Tensor<T>& high) {
  return Tensor<T>(clamp(untyped(x), untyped(low), untyped(high)));
}
template <class T> Tensor<T> round(const Tensor<T>& x, int64_t decimals) { return Tensor<T>(round(untyped(x), decimals)); }
template <class T> Tensor<T> renorm(const Tensor<T>& x, double p, int64_t axis, double most) {
  return Tensor<T>(renorm(untyped(x), p, axis, most));
}
template <class T> Tensor<T> logit(const Tensor<T>& x, std::optional<double> eps = std::nullopt) {
  return Tensor<T>(logit(untyped(x), eps));
}

}  // namespace gradus
