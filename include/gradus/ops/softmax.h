// Softmax and its relatives, along one axis.
#pragma once
#include "gradus/core/tensor.h"

namespace gradus {

/// exp(x - max) / sum along axis; half types in float. Throws ShapeError for an axis out of range, DTypeError unless floating point.
///   Tensor<float> p = softmax(logits, -1);   // each row sums to one
AnyTensor softmax(const AnyTensor& x, int64_t axis);
/// log(softmax(x)) without the cancellation.
AnyTensor log_softmax(const AnyTensor& x, int64_t axis);
/// softmax(-x).
AnyTensor softmin(const AnyTensor& x, int64_t axis);
/// Gradient of x, given that of y = softmax(x, axis): y * (g - sum(g * y)).
AnyTensor softmax_backward(const AnyTensor& g, const AnyTensor& y, int64_t axis);
/// Gradient of x, given that of y = log_softmax(x, axis): g - exp(y) * sum(g).
AnyTensor log_softmax_backward(const AnyTensor& g, const AnyTensor& y, int64_t axis);

template <class T> Tensor<T> softmax(const Tensor<T>& x, int64_t axis) {
  return Tensor<T>(softmax(static_cast<const AnyTensor&>(x), axis));
}
template <class T> Tensor<T> log_softmax(const Tensor<T>& x, int64_t axis) {
  return Tensor<T>(log_softmax(static_cast<const AnyTensor&>(x), axis));
}
template <class T> Tensor<T> softmin(const Tensor<T>& x, int64_t axis) {
  return Tensor<T>(softmin(static_cast<const AnyTensor&>(x), axis));
}

}  // namespace gradus
