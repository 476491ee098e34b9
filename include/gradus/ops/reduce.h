// Reductions over any set of axes; none given means all. keepdim leaves the reduced axes in place with size 1. Half types are
// accumulated in float, and rounded once. What is made from the same elements is the same to the last bit for any number of threads.
#pragma once
#include <optional>

#include "gradus/ops/results.h"

namespace gradus {

/// The sum. Integers and bool give int64. Of nothing it is 0.
AnyTensor sum(const AnyTensor& x, const Axes& axes = {}, bool keepdim = false);
/// The mean. Throws DTypeError unless floating point. Of nothing it is NaN.
AnyTensor mean(const AnyTensor& x, const Axes& axes = {}, bool keepdim = false);
/// The product. Integers and bool give int64. Of nothing it is 1. The gradient is right where factors are zero.
AnyTensor prod(const AnyTensor& x, const Axes& axes = {}, bool keepdim = false);
/// Sum and mean of what is not NaN.
AnyTensor nansum(const AnyTensor& x, const Axes& axes = {}, bool keepdim = false);
AnyTensor nanmean(const AnyTensor& x, const Axes& axes = {}, bool keepdim = false);

/// The greatest and least element. NaN counts as beyond everything. The gradient is shared evenly at ties. Throws ValueError where
/// there is nothing to choose from.
AnyTensor amax(const AnyTensor& x, const Axes& axes = {}, bool keepdim = false);
AnyTensor amin(const AnyTensor& x, const Axes& axes = {}, bool keepdim = false);
AnyMinMax aminmax(const AnyTensor& x, const Axes& axes = {}, bool keepdim = false);
/// Over everything: as amax and amin. Along one axis: with the index, the first at ties, which gets the gradient.
AnyTensor max(const AnyTensor& x);
AnyTensor min(const AnyTensor& x);
AnyValuesIndices max(const AnyTensor& x, int64_t axis, bool keepdim = false);
AnyValuesIndices min(const AnyTensor& x, int64_t axis, bool keepdim = false);
/// The index of the first greatest or least element along an axis, or in row-major order of all of them. int64.
AnyTensor argmax(const AnyTensor& x, std::optional<int64_t> axis = {}, bool keepdim = false);
AnyTensor argmin(const AnyTensor& x, std::optional<int64_t> axis = {}, bool keepdim = false);

/// The mean squared distance from the mean, with n - correction in place of n; std is its root. In two passes, without cancellation.
AnyTensor var(const AnyTensor& x, const Axes& axes = {}, bool keepdim = false, double correction = 1);
AnyTensor std(const AnyTensor& x, const Axes& axes = {}, bool keepdim = false, double correction = 1);
AnyVarMean var_mean(const AnyTensor& x, const Axes& axes = {}, bool keepdim = false, double correction = 1);
/// (sum |x|^p)^(1/p). p = infinity is the greatest magnitude, -infinity the least, 0 the number of elements that are not zero.
/// Where the norm is 0 the gradient is 0.
AnyTensor norm(const AnyTensor& x, Scalar p = 2, const Axes& axes = {}, bool keepdim = false);
/// log(sum(exp(x))), safe from overflow.
AnyTensor logsumexp(const AnyTensor& x, const Axes& axes = {}, bool keepdim = false);

/// Whether all, or any, elements are other than zero: bool. Of nothing: true and false.
AnyTensor all(const AnyTensor& x, const Axes& axes = {}, bool keepdim = false);
AnyTensor any(const AnyTensor& x, const Axes& axes = {}, bool keepdim = false);
/// How many elements are other than zero: int64.
AnyTensor count_nonzero(const AnyTensor& x, const Axes& axes = {}, bool keepdim = false);

#define GRADUS_TYPED(R, name, parameters, arguments) \
  template <class T> R name parameters { return R(name arguments); }
#define GRADUS_X static_cast<const AnyTensor&>(x)
#define GRADUS_TYPED_REDUCTION(R, name) \
  GRADUS_TYPED(R, name, (const Tensor<T>& x, const Axes& axes = {}, bool keepdim = false), (GRADUS_X, axes, keepdim))
GRADUS_TYPED_REDUCTION(SumOf<T>, sum)
GRADUS_TYPED_REDUCTION(Tensor<T>, mean)
GRADUS_TYPED_REDUCTION(SumOf<T>, prod)
GRADUS_TYPED_REDUCTION(Tensor<T>, nansum)
GRADUS_TYPED_REDUCTION(Tensor<T>, nanmean)
GRADUS_TYPED_REDUCTION(Tensor<T>, amax)
GRADUS_TYPED_REDUCTION(Tensor<T>, amin)
GRADUS_TYPED_REDUCTION(MinMax<T>, aminmax)
GRADUS_TYPED_REDUCTION(Tensor<T>, logsumexp)
GRADUS_TYPED_REDUCTION(Tensor<bool>, all)
GRADUS_TYPED_REDUCTION(Tensor<bool>, any)
GRADUS_TYPED_REDUCTION(Tensor<int64_t>, count_nonzero)
#undef GRADUS_TYPED_REDUCTION
GRADUS_TYPED(Tensor<T>, max, (const Tensor<T>& x), (GRADUS_X))
GRADUS_TYPED(Tensor<T>, min, (const Tensor<T>& x), (GRADUS_X))
GRADUS_TYPED(ValuesIndices<T>, max, (const Tensor<T>& x, int64_t axis, bool keepdim = false), (GRADUS_X, axis, keepdim))
GRADUS_TYPED(ValuesIndices<T>, min, (const Tensor<T>& x, int64_t axis, bool keepdim = false), (GRADUS_X, axis, keepdim))
GRADUS_TYPED(Tensor<int64_t>, argmax, (const Tensor<T>& x, std::optional<int64_t> axis = {}, bool keepdim = false),
             (GRADUS_X, axis, keepdim))
GRADUS_TYPED(Tensor<int64_t>, argmin, (const Tensor<T>& x, std::optional<int64_t> axis = {}, bool keepdim = false),
             (GRADUS_X, axis, keepdim))
#define GRADUS_SPREAD (const Tensor<T>& x, const Axes& axes = {}, bool keepdim = false, double correction = 1)
GRADUS_TYPED(Tensor<T>, var, GRADUS_SPREAD, (GRADUS_X, axes, keepdim, correction))
GRADUS_TYPED(Tensor<T>, std, GRADUS_SPREAD, (GRADUS_X, axes, keepdim, correction))
GRADUS_TYPED(VarMean<T>, var_mean, GRADUS_SPREAD, (GRADUS_X, axes, keepdim, correction))
#undef GRADUS_SPREAD
GRADUS_TYPED(Tensor<T>, norm, (const Tensor<T>& x, Scalar p = 2, const Axes& axes = {}, bool keepdim = false),
             (GRADUS_X, p, axes, keepdim))
#undef GRADUS_X
#undef GRADUS_TYPED

}  // namespace gradus
