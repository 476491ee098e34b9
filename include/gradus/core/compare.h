// Comparing tensors as wholes.
#pragma once
#include "gradus/core/tensor.h"

namespace gradus {

/// Elementwise |a - b| <= atol + rtol * |b|, broadcast; equal infinities are close, NaN is close to NaN only with equal_nan.
AnyTensor isclose(const AnyTensor& a, const AnyTensor& b, double rtol = 1e-5, double atol = 1e-8, bool equal_nan = false);
/// Whether isclose() holds everywhere.
bool allclose(const AnyTensor& a, const AnyTensor& b, double rtol = 1e-5, double atol = 1e-8, bool equal_nan = false);
/// Whether shapes and all elements are the same. NaN equals nothing.
bool equal(const AnyTensor& a, const AnyTensor& b);

template <class T>
Tensor<bool> isclose(const Tensor<T>& a, const Tensor<T>& b, double rtol = 1e-5, double atol = 1e-8, bool equal_nan = false) {
  return Tensor<bool>(isclose(static_cast<const AnyTensor&>(a), static_cast<const AnyTensor&>(b), rtol, atol, equal_nan));
}
template <class T, class U>
requires(!std::is_same_v<T, U>) void isclose(const Tensor<T>&, const Tensor<U>&, double = 0, double = 0, bool = false) = delete;
template <class T, class U>
requires(!std::is_same_v<T, U>) void allclose(const Tensor<T>&, const Tensor<U>&, double = 0, double = 0, bool = false) = delete;
template <class T, class U>
requires(!std::is_same_v<T, U>) void equal(const Tensor<T>&, const Tensor<U>&) = delete;

}  // namespace gradus
