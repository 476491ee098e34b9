// Activations that are more than one row of ops.def.
#pragma once
#include "gradus/core/random.h"
#include "gradus/core/tensor.h"

namespace gradus {

/// a * sigmoid(b), where a and b are the halves of x along axis. Dauphin et al.: Language Modeling with Gated Convolutional Networks
/// (2017). Throws ShapeError for an odd size.
AnyTensor glu(const AnyTensor& x, int64_t axis = -1);
/// x - tanh(x).
AnyTensor tanhshrink(const AnyTensor& x);
/// x above 0, else x * weight, which has one element or one for each channel of (N, C, ...).
AnyTensor prelu(const AnyTensor& x, const AnyTensor& weight);
/// x above 0, else x times a number drawn from [lower, upper), or in evaluation their mean.
AnyTensor rrelu(const AnyTensor& x, double lower = 1.0 / 8, double upper = 1.0 / 3, bool training = false,
                Generator& g = default_generator());

template <class T> Tensor<T> glu(const Tensor<T>& x, int64_t axis = -1) {
  return Tensor<T>(glu(static_cast<const AnyTensor&>(x), axis));
}
template <class T> Tensor<T> tanhshrink(const Tensor<T>& x) { return Tensor<T>(tanhshrink(static_cast<const AnyTensor&>(x))); }
template <class T> Tensor<T> prelu(const Tensor<T>& x, const Tensor<T>& weight) {
  return Tensor<T>(prelu(static_cast<const AnyTensor&>(x), static_cast<const AnyTensor&>(weight)));
}
template <class T> Tensor<T> rrelu(const Tensor<T>& x, double lower = 1.0 / 8, double upper = 1.0 / 3, bool training = false,
                                   Generator& g = default_generator()) {
  return Tensor<T>(rrelu(static_cast<const AnyTensor&>(x), lower, upper, training, g));
}

}  // namespace gradus
