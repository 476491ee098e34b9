// In place what else is written as the op that returns a new tensor: the result takes the place of x, in memory and in the graph, in x's
// dtype. Throws ShapeError where the result has another shape than x, GraphError for a leaf that requires a gradient.
//   tril_(weights);  x %= 7;  eq_(x, 0);  clamp_(x, low, high);
#pragma once
#include <type_traits>

#include "gradus/ops/composed.h"
#include "gradus/ops/gather.h"
#include "gradus/ops/index.h"
#include "gradus/ops/matmul.h"
#include "gradus/ops/scan.h"
#include "gradus/ops/shape_ops.h"
#include "gradus/ops/view.h"

namespace gradus {

namespace detail {
template <class X> struct KindOf { using type = AnyTensor; };
template <class T> struct KindOf<Tensor<T>> { using type = Tensor<T>; };
/// What the op reads in place of x: x, or a copy where a gradient may read it later.
AnyTensor before_in_place(const char* op, const AnyTensor& x);
void after_in_place(const char* op, AnyTensor& x, const AnyTensor& result);
void check_view_in_place(const char* op, const AnyTensor& x);
}  // namespace detail
template <class X> concept SomeTensor = std::is_base_of_v<AnyTensor, X>;
/// An operand of x's kind: a Tensor<T> for a Tensor<T>, so that another dtype is an error of the compiler.
template <class X> using Like = typename detail::KindOf<X>::type;

#define GRADUS_UNPACK(...) __VA_ARGS__
#define GRADUS_IN_PLACE(name, parameters, arguments)                     \
  template <SomeTensor X> X& name##_(X& x GRADUS_UNPACK parameters) {    \
    const Like<X> old(detail::before_in_place(#name, x));                \
    detail::after_in_place(#name, x, name(old GRADUS_UNPACK arguments)); \
    return x;                                                            \
  }
#define GRADUS_IN_PLACE_BINARY(name) GRADUS_IN_PLACE(name, (, const Like<X>& b), (, b))
#define GRADUS_IN_PLACE_SCALAR(name) GRADUS_IN_PLACE(name, (, Scalar s), (, s))

#define GRADUS_COMPARE(name, ...) GRADUS_IN_PLACE_BINARY(name) GRADUS_IN_PLACE_SCALAR(name)
#define GRADUS_BITWISE(name, ...) GRADUS_IN_PLACE_BINARY(name) GRADUS_IN_PLACE_SCALAR(name)
#include "gradus/ops/ops.def"

GRADUS_IN_PLACE(logical_not, (), ())
GRADUS_IN_PLACE(bitwise_not, (), ())
GRADUS_IN_PLACE_SCALAR(fmod)
GRADUS_IN_PLACE_SCALAR(remainder)
GRADUS_IN_PLACE_SCALAR(floor_divide)

GRADUS_IN_PLACE(lerp, (, const Like<X>& b, const Like<X>& weight), (, b, weight))
GRADUS_IN_PLACE(nan_to_num,
                (, double nan = 0, std::optional<double> infinity = std::nullopt,
                 std::optional<double> minus_infinity = std::nullopt),
                (, nan, infinity, minus_infinity))
GRADUS_IN_PLACE(clamp, (, const Like<X>& low, const Like<X>& high), (, low, high))
GRADUS_IN_PLACE_BINARY(clamp_min)
GRADUS_IN_PLACE_BINARY(clamp_max)
GRADUS_IN_PLACE(round, (, int64_t decimals), (, decimals))
GRADUS_IN_PLACE_BINARY(xlogy)
GRADUS_IN_PLACE_BINARY(hypot)
GRADUS_IN_PLACE_BINARY(heaviside)
GRADUS_IN_PLACE_BINARY(copysign)
GRADUS_IN_PLACE_BINARY(fmax)
GRADUS_IN_PLACE_BINARY(fmin)
GRADUS_IN_PLACE_BINARY(gcd)
GRADUS_IN_PLACE_BINARY(lcm)
GRADUS_IN_PLACE(logit, (, std::optional<double> eps = std::nullopt), (, eps))
GRADUS_IN_PLACE(sinc, (), ())
GRADUS_IN_PLACE(deg2rad, (), ())
GRADUS_IN_PLACE(rad2deg, (), ())
GRADUS_IN_PLACE(renorm, (, double p, int64_t axis, double most), (, p, axis, most))

GRADUS_IN_PLACE(tril, (, int64_t diagonal = 0), (, diagonal))
GRADUS_IN_PLACE(triu, (, int64_t diagonal = 0), (, diagonal))
GRADUS_IN_PLACE(cumsum, (, int64_t axis), (, axis))
GRADUS_IN_PLACE(cumprod, (, int64_t axis), (, axis))
GRADUS_IN_PLACE(masked_fill, (, const AnyTensor& mask, const Like<X>& value), (, mask, value))
GRADUS_IN_PLACE(masked_scatter, (, const AnyTensor& mask, const Like<X>& source), (, mask, source))
GRADUS_IN_PLACE(index_fill, (, int64_t axis, const AnyTensor& index, const Like<X>& value), (, axis, index, value))
GRADUS_IN_PLACE(put, (, const AnyTensor& index, const Like<X>& source, bool accumulate = false), (, index, source, accumulate))
GRADUS_IN_PLACE(scatter_reduce,
                (, int64_t axis, const AnyTensor& index, const Like<X>& source, ScatterReduction reduction,
                 bool include_self = true),
                (, axis, index, source, reduction, include_self))
GRADUS_IN_PLACE(index_reduce,
                (, int64_t axis, const AnyTensor& index, const Like<X>& source, ScatterReduction reduction,
                 bool include_self = true),
                (, axis, index, source, reduction, include_self))
#define GRADUS_IN_PLACE_PRODUCT(name) \
  GRADUS_IN_PLACE(name, (, const Like<X>& a, const Like<X>& b, const AddmmOptions& options = {}), (, a, b, options))
GRADUS_IN_PLACE_PRODUCT(addmm)
GRADUS_IN_PLACE_PRODUCT(baddbmm)
GRADUS_IN_PLACE_PRODUCT(addbmm)
GRADUS_IN_PLACE_PRODUCT(addmv)
GRADUS_IN_PLACE_PRODUCT(addr)
#undef GRADUS_IN_PLACE_PRODUCT
#undef GRADUS_IN_PLACE_BINARY
#undef GRADUS_IN_PLACE_SCALAR
#undef GRADUS_IN_PLACE

// Numbers, without a tensor of them.
template <SomeTensor X> X& add_(X& x, Scalar s) { return add_scalar_(x, s), x; }
template <SomeTensor X> X& sub_(X& x, Scalar s) { return x -= s, x; }
template <SomeTensor X> X& mul_(X& x, Scalar s) { return mul_scalar_(x, s), x; }
template <SomeTensor X> X& div_(X& x, Scalar s) { return div_scalar_(x, s), x; }
template <SomeTensor X> X& pow_(X& x, Scalar exponent) { return pow_scalar_(x, exponent), x; }

#define GRADUS_ASSIGN(symbol, name)                                                            \
  template <SomeTensor X> X& operator symbol(X& x, const Like<X>& b) { return name##_(x, b); } \
  template <SomeTensor X> X& operator symbol(X& x, Scalar s) { return name##_(x, s); }
GRADUS_ASSIGN(%=, remainder)
GRADUS_ASSIGN(&=, bitwise_and)
GRADUS_ASSIGN(|=, bitwise_or)
GRADUS_ASSIGN(^=, bitwise_xor)
GRADUS_ASSIGN(<<=, bitwise_left_shift)
GRADUS_ASSIGN(>>=, bitwise_right_shift)
#undef GRADUS_ASSIGN

// x becomes a view of what it was; other handles of that tensor stay as they were.
#define GRADUS_VIEW_IN_PLACE(name, parameters, arguments)                        \
  template <SomeTensor X> X& name##_(X& x GRADUS_UNPACK parameters) {            \
    detail::check_view_in_place(#name, x);                                       \
    Like<X> view = name(static_cast<const Like<X>&>(x) GRADUS_UNPACK arguments); \
    return static_cast<Like<X>&>(x) = view, x;                                   \
  }
GRADUS_VIEW_IN_PLACE(squeeze, (), ())
GRADUS_VIEW_IN_PLACE(squeeze, (, int64_t axis), (, axis))
GRADUS_VIEW_IN_PLACE(unsqueeze, (, int64_t axis), (, axis))
GRADUS_VIEW_IN_PLACE(transpose, (, int64_t a, int64_t b), (, a, b))
template <SomeTensor X> X& t_(X& x) {
  detail::check_view_in_place("t", x);
  Like<X> view(x.t());
  return static_cast<Like<X>&>(x) = view, x;
}
#undef GRADUS_VIEW_IN_PLACE
#undef GRADUS_UNPACK

}  // namespace gradus
