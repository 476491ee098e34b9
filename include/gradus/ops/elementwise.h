// Elementwise ops. Each row of ops.def is a function on AnyTensor, one on Tensor<T>, and one in place (with an underscore); operands
// broadcast as in NumPy and have one dtype. Scalars take the tensor's dtype; a fraction with an integer tensor is a DTypeError.
// Division of integers cuts towards zero, and by zero is a ValueError.
#pragma once
#include "gradus/core/tensor.h"

namespace gradus {

#define GRADUS_UNARY(name, ...)       \
  AnyTensor name(const AnyTensor& x); \
  AnyTensor& name##_(AnyTensor& x);
#define GRADUS_UNARY1(name, of, s, ...)         \
  AnyTensor name(const AnyTensor& x, Scalar s); \
  AnyTensor& name##_(AnyTensor& x, Scalar s);
#define GRADUS_UNARY2(name, of, s, s_test, t, ...)        \
  AnyTensor name(const AnyTensor& x, Scalar s, Scalar t); \
  AnyTensor& name##_(AnyTensor& x, Scalar s, Scalar t);
#define GRADUS_BINARY(name, ...)                          \
  AnyTensor name(const AnyTensor& a, const AnyTensor& b); \
  AnyTensor& name##_(AnyTensor& a, const AnyTensor& b);
#define GRADUS_COMPARE(name, ...)                         \
  AnyTensor name(const AnyTensor& a, const AnyTensor& b); \
  AnyTensor name(const AnyTensor& a, Scalar b);
#define GRADUS_PREDICATE(name, ...) AnyTensor name(const AnyTensor& x);
#define GRADUS_BITWISE(name, ...)                         \
  AnyTensor name(const AnyTensor& a, const AnyTensor& b); \
  AnyTensor name(const AnyTensor& a, Scalar b);
#include "gradus/ops/ops.def"

/// a where condition (bool) holds, else b; all three broadcast.
AnyTensor where(const AnyTensor& condition, const AnyTensor& a, const AnyTensor& b);
AnyTensor where(const AnyTensor& condition, Scalar a, const AnyTensor& b);
AnyTensor where(const AnyTensor& condition, const AnyTensor& a, Scalar b);

AnyTensor add(const AnyTensor& x, Scalar s);
AnyTensor sub(const AnyTensor& x, Scalar s);
AnyTensor mul(const AnyTensor& x, Scalar s);
AnyTensor div(const AnyTensor& x, Scalar s);
AnyTensor pow(const AnyTensor& x, Scalar exponent);
AnyTensor pow(Scalar base, const AnyTensor& exponent);
AnyTensor maximum(const AnyTensor& x, Scalar s);
AnyTensor minimum(const AnyTensor& x, Scalar s);
AnyTensor fmod(const AnyTensor& x, Scalar s);
AnyTensor remainder(const AnyTensor& x, Scalar s);
AnyTensor floor_divide(const AnyTensor& x, Scalar s);
AnyTensor bitwise_not(const AnyTensor& x);
/// Of the given dtype; differentiable between floating point types. x itself where nothing changes.
AnyTensor to(const AnyTensor& x, DType dtype);

/// Zeros like x that no gradient passes: what rules write where a gradient is nothing.
AnyTensor zero(const AnyTensor& x);

inline AnyTensor operator-(const AnyTensor& x) { return neg(x); }
inline AnyTensor operator~(const AnyTensor& x) { return bitwise_not(x); }
#define GRADUS_OPERATOR(symbol, function)                                                             \
  inline AnyTensor operator symbol(const AnyTensor& a, const AnyTensor& b) { return function(a, b); } \
  inline AnyTensor operator symbol(const AnyTensor& a, Scalar s) { return function(a, s); }
GRADUS_OPERATOR(+, add)
GRADUS_OPERATOR(-, sub)
GRADUS_OPERATOR(*, mul)
GRADUS_OPERATOR(/, div)
GRADUS_OPERATOR(%, remainder)
GRADUS_OPERATOR(==, eq)
GRADUS_OPERATOR(!=, ne)
GRADUS_OPERATOR(<, lt)
GRADUS_OPERATOR(<=, le)
GRADUS_OPERATOR(>, gt)
GRADUS_OPERATOR(>=, ge)
GRADUS_OPERATOR(&, bitwise_and)
GRADUS_OPERATOR(|, bitwise_or)
GRADUS_OPERATOR(^, bitwise_xor)
#undef GRADUS_OPERATOR
inline AnyTensor operator+(Scalar s, const AnyTensor& a) { return add_scalar(a, s); }
inline AnyTensor operator-(Scalar s, const AnyTensor& a) { return rsub_scalar(a, s); }
inline AnyTensor operator*(Scalar s, const AnyTensor& a) { return mul_scalar(a, s); }
inline AnyTensor operator/(Scalar s, const AnyTensor& a) { return rdiv_scalar(a, s); }
inline AnyTensor& operator+=(AnyTensor& a, const AnyTensor& b) { return add_(a, b); }
inline AnyTensor& operator-=(AnyTensor& a, const AnyTensor& b) { return sub_(a, b); }
inline AnyTensor& operator*=(AnyTensor& a, const AnyTensor& b) { return mul_(a, b); }
inline AnyTensor& operator/=(AnyTensor& a, const AnyTensor& b) { return div_(a, b); }
inline AnyTensor& operator+=(AnyTensor& a, Scalar s) { return add_scalar_(a, s); }
inline AnyTensor& operator-=(AnyTensor& a, Scalar s) {
  return add_scalar_(a, s.is_integral() ? Scalar(-s.to<int64_t>()) : Scalar(-double(s)));
}
inline AnyTensor& operator*=(AnyTensor& a, Scalar s) { return mul_scalar_(a, s); }
inline AnyTensor& operator/=(AnyTensor& a, Scalar s) { return div_scalar_(a, s); }

// On typed tensors. Without the deleted overloads, a float and a double tensor would both convert to AnyTensor and fail only at
// run time.
template <class T> const AnyTensor& untyped(const Tensor<T>& x) { return static_cast<const AnyTensor&>(x); }
template <class T> AnyTensor& untyped(Tensor<T>& x) { return static_cast<AnyTensor&>(x); }

#define GRADUS_TYPED_UNARY(R, name) \
  template <class T> R name(const Tensor<T>& x) { return R(name(untyped(x))); }
#define GRADUS_TYPED_BINARY(R, name)                                                                            \
  template <class T> R name(const Tensor<T>& a, const Tensor<T>& b) { return R(name(untyped(a), untyped(b))); } \
  template <class T, class U>                                                                                   \
  requires(!std::is_same_v<T, U>) void name(const Tensor<T>&, const Tensor<U>&) = delete;
#define GRADUS_TYPED_SCALAR(R, name) \
  template <class T> R name(const Tensor<T>& a, Scalar s) { return R(name(untyped(a), s)); }
#define GRADUS_TYPED_IN_PLACE(name)                                      \
  template <class T> Tensor<T>& name(Tensor<T>& a, const Tensor<T>& b) { \
    name(untyped(a), untyped(b));                                        \
    return a;                                                            \
  }                                                                      \
  template <class T, class U>                                            \
  requires(!std::is_same_v<T, U>) void name(Tensor<T>&, const Tensor<U>&) = delete;
#define GRADUS_TYPED_IN_PLACE_SCALAR(name)                     \
  template <class T> Tensor<T>& name(Tensor<T>& a, Scalar s) { \
    name(untyped(a), s);                                       \
    return a;                                                  \
  }

#define GRADUS_UNARY(name, ...)                         \
  GRADUS_TYPED_UNARY(Tensor<T>, name)                   \
  template <class T> Tensor<T>& name##_(Tensor<T>& x) { \
    name##_(untyped(x));                                \
    return x;                                           \
  }
#define GRADUS_UNARY1(name, ...)       \
  GRADUS_TYPED_SCALAR(Tensor<T>, name) \
  GRADUS_TYPED_IN_PLACE_SCALAR(name##_)
#define GRADUS_UNARY2(name, ...)                                                                                          \
  template <class T> Tensor<T> name(const Tensor<T>& x, Scalar s, Scalar t) { return Tensor<T>(name(untyped(x), s, t)); } \
  template <class T> Tensor<T>& name##_(Tensor<T>& x, Scalar s, Scalar t) {                                               \
    name##_(untyped(x), s, t);                                                                                            \
    return x;                                                                                                             \
  }
#define GRADUS_BINARY(name, ...) GRADUS_TYPED_BINARY(Tensor<T>, name) GRADUS_TYPED_IN_PLACE(name##_)
#define GRADUS_COMPARE(name, ...) GRADUS_TYPED_BINARY(Tensor<bool>, name) GRADUS_TYPED_SCALAR(Tensor<bool>, name)
#define GRADUS_PREDICATE(name, ...) GRADUS_TYPED_UNARY(Tensor<bool>, name)
#define GRADUS_BITWISE(name, ...) GRADUS_TYPED_BINARY(Tensor<T>, name) GRADUS_TYPED_SCALAR(Tensor<T>, name)
#include "gradus/ops/ops.def"

GRADUS_TYPED_UNARY(Tensor<T>, bitwise_not)
GRADUS_TYPED_UNARY(Tensor<T>, operator-)
GRADUS_TYPED_UNARY(Tensor<T>, operator~)
#define GRADUS_TYPED_OPERATOR(R, symbol) GRADUS_TYPED_BINARY(R, operator symbol) GRADUS_TYPED_SCALAR(R, operator symbol)
GRADUS_TYPED_OPERATOR(Tensor<T>, +)
GRADUS_TYPED_OPERATOR(Tensor<T>, -)
GRADUS_TYPED_OPERATOR(Tensor<T>, *)
GRADUS_TYPED_OPERATOR(Tensor<T>, /)
GRADUS_TYPED_OPERATOR(Tensor<T>, %)
GRADUS_TYPED_OPERATOR(Tensor<T>, &)
GRADUS_TYPED_OPERATOR(Tensor<T>, |)
GRADUS_TYPED_OPERATOR(Tensor<T>, ^)
GRADUS_TYPED_OPERATOR(Tensor<bool>, ==)
GRADUS_TYPED_OPERATOR(Tensor<bool>, !=)
GRADUS_TYPED_OPERATOR(Tensor<bool>, <)
GRADUS_TYPED_OPERATOR(Tensor<bool>, <=)
GRADUS_TYPED_OPERATOR(Tensor<bool>, >)
GRADUS_TYPED_OPERATOR(Tensor<bool>, >=)
#undef GRADUS_TYPED_OPERATOR
#define GRADUS_TYPED_REVERSED(symbol) \
  template <class T> Tensor<T> operator symbol(Scalar s, const Tensor<T>& a) { return Tensor<T>(s symbol untyped(a)); }
GRADUS_TYPED_REVERSED(+)
GRADUS_TYPED_REVERSED(-)
GRADUS_TYPED_REVERSED(*)
GRADUS_TYPED_REVERSED(/)
#undef GRADUS_TYPED_REVERSED
GRADUS_TYPED_IN_PLACE(operator+=)
GRADUS_TYPED_IN_PLACE(operator-=)
GRADUS_TYPED_IN_PLACE(operator*=)
GRADUS_TYPED_IN_PLACE(operator/=)
GRADUS_TYPED_IN_PLACE_SCALAR(operator+=)
GRADUS_TYPED_IN_PLACE_SCALAR(operator-=)
GRADUS_TYPED_IN_PLACE_SCALAR(operator*=)
GRADUS_TYPED_IN_PLACE_SCALAR(operator/=)
GRADUS_TYPED_SCALAR(Tensor<T>, add)
GRADUS_TYPED_SCALAR(Tensor<T>, sub)
GRADUS_TYPED_SCALAR(Tensor<T>, mul)
GRADUS_TYPED_SCALAR(Tensor<T>, div)
GRADUS_TYPED_SCALAR(Tensor<T>, pow)
GRADUS_TYPED_SCALAR(Tensor<T>, maximum)
GRADUS_TYPED_SCALAR(Tensor<T>, minimum)
GRADUS_TYPED_SCALAR(Tensor<T>, fmod)
GRADUS_TYPED_SCALAR(Tensor<T>, remainder)
GRADUS_TYPED_SCALAR(Tensor<T>, floor_divide)
template <class T> Tensor<T> where(const Tensor<bool>& c, const Tensor<T>& a, const Tensor<T>& b) {
  return Tensor<T>(where(untyped(c), untyped(a), untyped(b)));
}
template <class T> Tensor<T> where(const Tensor<bool>& c, Scalar a, const Tensor<T>& b) {
  return Tensor<T>(where(untyped(c), a, untyped(b)));
}
template <class T> Tensor<T> where(const Tensor<bool>& c, const Tensor<T>& a, Scalar b) {
  return Tensor<T>(where(untyped(c), untyped(a), b));
}
#undef GRADUS_TYPED_UNARY
#undef GRADUS_TYPED_BINARY
#undef GRADUS_TYPED_SCALAR
#undef GRADUS_TYPED_IN_PLACE
#undef GRADUS_TYPED_IN_PLACE_SCALAR

}  // namespace gradus
