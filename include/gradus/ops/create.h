// New tensors.
#pragma once
#include <functional>

#include "gradus/core/tensor.h"

namespace gradus {

AnyTensor full(const Shape& shape, Scalar value, DType dtype, Device device = default_device());
AnyTensor zeros(const Shape& shape, DType dtype, Device device = default_device());
AnyTensor ones(const Shape& shape, DType dtype, Device device = default_device());
AnyTensor full_like(const AnyTensor& x, Scalar value);
AnyTensor zeros_like(const AnyTensor& x);
AnyTensor ones_like(const AnyTensor& x);

/// start, start + step, ... below end (above it where step is negative). Throws ValueError for a step of 0, or one that leads away from end.
AnyTensor arange(Scalar start, Scalar end, Scalar step, DType dtype, Device device = default_device());
AnyTensor arange(Scalar end, DType dtype, Device device = default_device());
/// n numbers from start to end, both included, evenly spaced.
AnyTensor linspace(double start, double end, int64_t n, DType dtype, Device device = default_device());
/// base to the powers of linspace(start, end, n).
AnyTensor logspace(double start, double end, int64_t n, double base, DType dtype, Device device = default_device());
/// Ones on the diagonal of (n, m), or of (n, n) where m is -1.
AnyTensor eye(int64_t n, int64_t m, DType dtype, Device device = default_device());
/// The places (2, count) of the lower triangle of a (rows, columns) matrix, in row-major order: those with column - row <= diagonal.
Tensor<int64_t> tril_indices(int64_t rows, int64_t columns, int64_t diagonal = 0);
/// The places of the upper triangle: those with column - row >= diagonal.
Tensor<int64_t> triu_indices(int64_t rows, int64_t columns, int64_t diagonal = 0);

/// A tensor over memory that somebody else owns: row-major, on the CPU. `release(data)` is called when the last view goes.
AnyTensor from_blob(void* data, const Shape& shape, DType dtype, std::function<void(void*)> release = {});
/// The same for a function with a context of its own.
inline AnyTensor from_blob(void* data, const Shape& shape, DType dtype, void (*release)(void*), void* context) {
  return from_blob(data, shape, dtype, [=](void*) { release(context); });
}
/// The same with strides, in elements; memory that they reach is the caller's care.
AnyTensor from_blob(void* data, const Shape& shape, const Shape& stride, DType dtype, std::function<void(void*)> release = {});
/// A copy of values, in `shape` or as one row. Throws ShapeError where they do not fill it.
template <Element T> Tensor<T> tensor(const std::vector<T>& values) { return Tensor<T>(std::span<const T>(values)); }
template <Element T> Tensor<T> tensor(const std::vector<T>& values, const Shape& shape) {
  return Tensor<T>(std::span<const T>(values), shape);
}

template <Element T = float> Tensor<T> empty(const Shape& shape, Device device = default_device()) {
  return Tensor<T>(empty(shape, dtype_of<T>, device));
}
template <Element T = float> Tensor<T> full(const Shape& shape, std::type_identity_t<T> value, Device device = default_device()) {
  return Tensor<T>(full(shape, value, dtype_of<T>, device));
}
template <Element T = float> Tensor<T> zeros(const Shape& shape, Device device = default_device()) {
  return Tensor<T>(zeros(shape, dtype_of<T>, device));
}
template <Element T = float> Tensor<T> ones(const Shape& shape, Device device = default_device()) {
  return Tensor<T>(ones(shape, dtype_of<T>, device));
}
template <class T> Tensor<T> empty_like(const Tensor<T>& x) { return Tensor<T>(empty_like(static_cast<const AnyTensor&>(x))); }
template <class T> Tensor<T> full_like(const Tensor<T>& x, Scalar value) {
  return Tensor<T>(full_like(static_cast<const AnyTensor&>(x), value));
}
template <class T> Tensor<T> zeros_like(const Tensor<T>& x) { return Tensor<T>(zeros_like(static_cast<const AnyTensor&>(x))); }
template <class T> Tensor<T> ones_like(const Tensor<T>& x) { return Tensor<T>(ones_like(static_cast<const AnyTensor&>(x))); }

// arange(5) counts in int64; arange<float>(0, 1, 0.1) takes fractions.
template <Element T = int64_t> Tensor<T> arange(Scalar start, Scalar end, Scalar step = 1, Device device = default_device()) {
  return Tensor<T>(arange(start, end, step, dtype_of<T>, device));
}
template <Element T = int64_t> Tensor<T> arange(Scalar end, Device device = default_device()) {
  return Tensor<T>(arange(end, dtype_of<T>, device));
}
template <Element T = float> Tensor<T> linspace(double start, double end, int64_t n, Device device = default_device()) {
  return Tensor<T>(linspace(start, end, n, dtype_of<T>, device));
}
template <Element T = float>
Tensor<T> logspace(double start, double end, int64_t n, double base = 10, Device device = default_device()) {
  return Tensor<T>(logspace(start, end, n, base, dtype_of<T>, device));
}
template <Element T = float> Tensor<T> eye(int64_t n, int64_t m = -1, Device device = default_device()) {
  return Tensor<T>(eye(n, m, dtype_of<T>, device));
}
template <Element T> Tensor<T> from_blob(T* data, const Shape& shape, std::function<void(void*)> release = {}) {
  return Tensor<T>(from_blob(data, shape, dtype_of<T>, std::move(release)));
}

}  // namespace gradus
