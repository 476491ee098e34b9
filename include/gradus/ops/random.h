// Random tensors. Each call takes a stretch of its generator's stream (gradus/core/random.h), and element i, in row-major order, is a
// function of the seed and its place in the stream: the same for any number of threads.
#pragma once
#include "gradus/core/random.h"
#include "gradus/core/tensor.h"

namespace gradus {

/// Uniform in [0, 1). Floating point types only, as for randn.
AnyTensor rand(const Shape& shape, DType dtype, Generator& g = default_generator(), Device device = default_device());
/// Uniform in [low, high).
AnyTensor uniform(const Shape& shape, double low, double high, DType dtype, Generator& g = default_generator(),
                  Device device = default_device());
/// Normal with mean 0 and deviation 1.
AnyTensor randn(const Shape& shape, DType dtype, Generator& g = default_generator(), Device device = default_device());
AnyTensor normal(const Shape& shape, double mean, double deviation, DType dtype, Generator& g = default_generator(),
                 Device device = default_device());
/// One draw for each mean and deviation, which broadcast; differentiable with respect to both.
AnyTensor normal(const AnyTensor& mean, const AnyTensor& deviation, Generator& g = default_generator());
/// Integers in [low, high), in any dtype but bool. Throws ValueError where there are none.
AnyTensor randint(int64_t low, int64_t high, const Shape& shape, DType dtype, Generator& g = default_generator(),
                  Device device = default_device());
/// The numbers 0 to n - 1 in a random order.
Tensor<int64_t> randperm(int64_t n, Generator& g = default_generator(), Device device = default_device());
/// 1 with the probability that p has at that place, else 0; shape and dtype of p. Throws ValueError for p outside [0, 1].
AnyTensor bernoulli(const AnyTensor& p, Generator& g = default_generator());
/// 1 with probability p, else 0.
AnyTensor bernoulli(const Shape& shape, double p, DType dtype, Generator& g = default_generator(),
                    Device device = default_device());
/// With the density rate * exp(-rate * x) for x > 0.
AnyTensor exponential(const Shape& shape, double rate, DType dtype, Generator& g = default_generator(),
                      Device device = default_device());
/// n classes from each row of weights (classes) or (rows, classes), which need not sum to 1: (n) or (rows, n). Without replacement, all
/// of a row differ. Throws ValueError for negative weights, or fewer positive ones than are asked for.
Tensor<int64_t> multinomial(const AnyTensor& weights, int64_t n, bool replacement = false, Generator& g = default_generator());

AnyTensor rand_like(const AnyTensor& x, Generator& g = default_generator());
AnyTensor randn_like(const AnyTensor& x, Generator& g = default_generator());
AnyTensor randint_like(const AnyTensor& x, int64_t low, int64_t high, Generator& g = default_generator());
AnyTensor bernoulli_like(const AnyTensor& x, double p, Generator& g = default_generator());

// In place. A leaf that requires a gradient may only be written under NoGrad.
AnyTensor& uniform_(AnyTensor& x, double low = 0, double high = 1, Generator& g = default_generator());
AnyTensor& normal_(AnyTensor& x, double mean = 0, double deviation = 1, Generator& g = default_generator());
AnyTensor& bernoulli_(AnyTensor& x, double p = 0.5, Generator& g = default_generator());
AnyTensor& exponential_(AnyTensor& x, double rate = 1, Generator& g = default_generator());
/// Integers in [low, high).
AnyTensor& random_(AnyTensor& x, int64_t low, int64_t high, Generator& g = default_generator());
/// From 0 to the largest integer that the dtype counts to (2^24 for float).
AnyTensor& random_(AnyTensor& x, Generator& g = default_generator());

template <Element T = float>
Tensor<T> rand(const Shape& shape, Generator& g = default_generator(), Device device = default_device()) {
  return Tensor<T>(rand(shape, dtype_of<T>, g, device));
}
template <Element T = float> Tensor<T> uniform(const Shape& shape, double low, double high, Generator& g = default_generator(),
                                               Device device = default_device()) {
  return Tensor<T>(uniform(shape, low, high, dtype_of<T>, g, device));
}
template <Element T = float>
Tensor<T> randn(const Shape& shape, Generator& g = default_generator(), Device device = default_device()) {
  return Tensor<T>(randn(shape, dtype_of<T>, g, device));
}
template <Element T = float> Tensor<T> normal(const Shape& shape, double mean, double deviation, Generator& g = default_generator(),
                                              Device device = default_device()) {
  return Tensor<T>(normal(shape, mean, deviation, dtype_of<T>, g, device));
}
template <class T> Tensor<T> normal(const Tensor<T>& mean, const Tensor<T>& deviation, Generator& g = default_generator()) {
  return Tensor<T>(normal(static_cast<const AnyTensor&>(mean), static_cast<const AnyTensor&>(deviation), g));
}
template <Element T = int64_t> Tensor<T> randint(int64_t low, int64_t high, const Shape& shape, Generator& g = default_generator(),
                                                 Device device = default_device()) {
  return Tensor<T>(randint(low, high, shape, dtype_of<T>, g, device));
}
template <class T> Tensor<T> bernoulli(const Tensor<T>& p, Generator& g = default_generator()) {
  return Tensor<T>(bernoulli(static_cast<const AnyTensor&>(p), g));
}
template <Element T = float>
Tensor<T> bernoulli(const Shape& shape, double p, Generator& g = default_generator(), Device device = default_device()) {
  return Tensor<T>(bernoulli(shape, p, dtype_of<T>, g, device));
}
template <Element T = float>
Tensor<T> exponential(const Shape& shape, double rate, Generator& g = default_generator(), Device device = default_device()) {
  return Tensor<T>(exponential(shape, rate, dtype_of<T>, g, device));
}
#define GRADUS_X static_cast<const AnyTensor&>(x)
template <class T> Tensor<T> rand_like(const Tensor<T>& x, Generator& g = default_generator()) {
  return Tensor<T>(rand_like(GRADUS_X, g));
}
template <class T> Tensor<T> randn_like(const Tensor<T>& x, Generator& g = default_generator()) {
  return Tensor<T>(randn_like(GRADUS_X, g));
}
template <class T> Tensor<T> randint_like(const Tensor<T>& x, int64_t low, int64_t high, Generator& g = default_generator()) {
  return Tensor<T>(randint_like(GRADUS_X, low, high, g));
}
template <class T> Tensor<T> bernoulli_like(const Tensor<T>& x, double p, Generator& g = default_generator()) {
  return Tensor<T>(bernoulli_like(GRADUS_X, p, g));
}
#undef GRADUS_X

}  // namespace gradus
