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
GRADUS_TYPED_BINARY(hypot)
GRADUS_TYPED_BINARY(heaviside)
GRADUS_TYPED_BINARY(copysign)
GRADUS_TYPED_UNARY(Tensor<T>, sinc)
GRADUS_TYPED_UNARY(Tensor<T>, deg2rad)
GRADUS_TYPED_UNARY(Tensor<T>, rad2deg)
GRADUS_TYPED_UNARY(Tensor<bool>, signbit)
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
template <class T> Tensor<T> logit(const Tensor<T>& x, std::optional<double> eps = std::nullopt) {
  return Tensor<T>(logit(untyped(x), eps));
}

}  // namespace gradus
