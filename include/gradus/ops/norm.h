// Normalisations. Half types compute in float, and their parameters may be stored in float. Weights and biases may be undefined.
#pragma once
#include <optional>

#include "gradus/core/tensor.h"

namespace gradus {

/// (x - mean) / sqrt(var + eps) * weight + bias over the last axes, whose sizes are normalized_shape, the shape of weight and bias. The
/// variance is the biased one. Ba, Kiros, Hinton: Layer Normalization (2016). Throws ShapeError where sizes differ.
///   AnyTensor y = layer_norm(x, {128}, weight, bias);   // each of x's last rows by itself
AnyTensor layer_norm(const AnyTensor& x, const Shape& normalized_shape, const AnyTensor& weight = {}, const AnyTensor& bias = {},
                     double eps = 1e-5);
/// x / sqrt(mean(x * x) + eps) * weight over the last axes. Without eps, the smallest step above 1 of x's dtype. Zhang, Sennrich: Root
/// Mean Square Layer Normalization (2019).
AnyTensor rms_norm(const AnyTensor& x, const Shape& normalized_shape, const AnyTensor& weight = {},
                   std::optional<double> eps = std::nullopt);

template <class T> Tensor<T> layer_norm(const Tensor<T>& x, const Shape& normalized_shape, const AnyTensor& weight = {},
                                        const AnyTensor& bias = {}, double eps = 1e-5) {
  return Tensor<T>(layer_norm(static_cast<const AnyTensor&>(x), normalized_shape, weight, bias, eps));
}
template <class T> Tensor<T> rms_norm(const Tensor<T>& x, const Shape& normalized_shape, const AnyTensor& weight = {},
                                      std::optional<double> eps = std::nullopt) {
  return Tensor<T>(rms_norm(static_cast<const AnyTensor&>(x), normalized_shape, weight, eps));
}

}  // namespace gradus
