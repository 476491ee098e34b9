// Reductions over any set of axes; none given means all. keepdim leaves the reduced axes in place with size 1.
#pragma once
#include "gradus/core/tensor.h"

namespace gradus {

/// The sum; half types are summed in float. Integers and bool give int64.
AnyTensor sum(const AnyTensor& x, const Axes& axes = {}, bool keepdim = false);
/// The mean. Throws DTypeError unless floating point. Of nothing it is NaN.
AnyTensor mean(const AnyTensor& x, const Axes& axes = {}, bool keepdim = false);

template <class T> using SumOf = Tensor<std::conditional_t<std::is_integral_v<T>, int64_t, T>>;
template <class T> SumOf<T> sum(const Tensor<T>& x, const Axes& axes = {}, bool keepdim = false) {
  return SumOf<T>(sum(static_cast<const AnyTensor&>(x), axes, keepdim));
}
template <class T> Tensor<T> mean(const Tensor<T>& x, const Axes& axes = {}, bool keepdim = false) {
  return Tensor<T>(mean(static_cast<const AnyTensor&>(x), axes, keepdim));
}

}  // namespace gradus
