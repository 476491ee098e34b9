// New tensors.
#pragma once
#include "gradus/core/tensor.h"

namespace gradus {

AnyTensor full(const Shape& shape, Scalar value, DType dtype, Device device = kCPU);
AnyTensor zeros(const Shape& shape, DType dtype, Device device = kCPU);
AnyTensor ones(const Shape& shape, DType dtype, Device device = kCPU);
AnyTensor full_like(const AnyTensor& x, Scalar value);
AnyTensor zeros_like(const AnyTensor& x);
AnyTensor ones_like(const AnyTensor& x);

/// A tensor over memory that somebody else owns: row-major, on the CPU. `release(context)` is called when the last view goes.
AnyTensor from_blob(void* data, const Shape& shape, DType dtype, void (*release)(void* context) = nullptr, void* context = nullptr);

template <Element T = float> Tensor<T> empty(const Shape& shape, Device device = kCPU) {
  return Tensor<T>(empty(shape, dtype_of<T>, device));
}
template <Element T = float> Tensor<T> full(const Shape& shape, std::type_identity_t<T> value, Device device = kCPU) {
  return Tensor<T>(full(shape, value, dtype_of<T>, device));
}
template <Element T = float> Tensor<T> zeros(const Shape& shape, Device device = kCPU) {
  return Tensor<T>(zeros(shape, dtype_of<T>, device));
}
template <Element T = float> Tensor<T> ones(const Shape& shape, Device device = kCPU) {
  return Tensor<T>(ones(shape, dtype_of<T>, device));
}
template <class T> Tensor<T> full_like(const Tensor<T>& x, Scalar value) {
  return Tensor<T>(full_like(static_cast<const AnyTensor&>(x), value));
}
template <class T> Tensor<T> zeros_like(const Tensor<T>& x) { return Tensor<T>(zeros_like(static_cast<const AnyTensor&>(x))); }
template <class T> Tensor<T> ones_like(const Tensor<T>& x) { return Tensor<T>(ones_like(static_cast<const AnyTensor&>(x))); }

}  // namespace gradus
