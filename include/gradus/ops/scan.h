// Scans: what becomes of the elements up to and including each, along one axis. float is accumulated in double, half types in float.
#pragma once
#include "gradus/ops/results.h"

namespace gradus {

/// Sums and products of the elements up to each. Integers and bool give int64. The gradient is right where factors are zero.
AnyTensor cumsum(const AnyTensor& x, int64_t axis);
AnyTensor cumprod(const AnyTensor& x, int64_t axis);
/// log(cumsum(exp(x))), safe from overflow.
AnyTensor logcumsumexp(const AnyTensor& x, int64_t axis);

/// Differences of neighbours along an axis, n times: one element fewer each time.
AnyTensor diff(const AnyTensor& x, int64_t n = 1, int64_t axis = -1);
/// The area under y along an axis by the trapezoid rule, for samples dx apart, or at the places x, which broadcast against y or are a
/// vector along the axis.
AnyTensor trapezoid(const AnyTensor& y, Scalar dx = 1, int64_t axis = -1);
AnyTensor trapezoid(const AnyTensor& y, const AnyTensor& x, int64_t axis = -1);
/// The same up to each sample but the first.
AnyTensor cumulative_trapezoid(const AnyTensor& y, Scalar dx = 1, int64_t axis = -1);
AnyTensor cumulative_trapezoid(const AnyTensor& y, const AnyTensor& x, int64_t axis = -1);

#define GRADUS_TYPED(R, name, parameters, arguments) \
  template <class T> R name parameters { return R(name arguments); }
#define GRADUS_X static_cast<const AnyTensor&>(x)
#define GRADUS_Y static_cast<const AnyTensor&>(y)
GRADUS_TYPED(SumOf<T>, cumsum, (const Tensor<T>& x, int64_t axis), (GRADUS_X, axis))
GRADUS_TYPED(SumOf<T>, cumprod, (const Tensor<T>& x, int64_t axis), (GRADUS_X, axis))
GRADUS_TYPED(Tensor<T>, logcumsumexp, (const Tensor<T>& x, int64_t axis), (GRADUS_X, axis))
GRADUS_TYPED(Tensor<T>, diff, (const Tensor<T>& x, int64_t n = 1, int64_t axis = -1), (GRADUS_X, n, axis))
#define GRADUS_TYPED_AREA(name)                                                                                          \
  GRADUS_TYPED(Tensor<T>, name, (const Tensor<T>& y, Scalar dx = 1, int64_t axis = -1), (GRADUS_Y, dx, axis))            \
  GRADUS_TYPED(Tensor<T>, name, (const Tensor<T>& y, const Tensor<T>& x, int64_t axis = -1), (GRADUS_Y, GRADUS_X, axis)) \
  template <class T, class U>                                                                                            \
  requires(!std::is_same_v<T, U>) void name(const Tensor<T>&, const Tensor<U>&, int64_t = -1) = delete;
GRADUS_TYPED_AREA(trapezoid)
GRADUS_TYPED_AREA(cumulative_trapezoid)
#undef GRADUS_TYPED_AREA
#undef GRADUS_X
#undef GRADUS_Y
#undef GRADUS_TYPED

}  // namespace gradus
