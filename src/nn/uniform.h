// How weights and biases begin where a layer's authors said nothing else: uniform in [-bound, bound], in float.
#pragma once
#include "gradus/nn/parameter.h"
#include "gradus/ops/random.h"

namespace gradus::nn {

inline Parameter uniform_parameter(const Shape& shape, double bound) {
  return Parameter(uniform(shape, -bound, bound, DType::float32));
}

/// Throws ValueError, naming the layer, for a size that is not positive.
inline void check_size(const char* layer, const char* what, int64_t n) {
  if (n < 1) throw ValueError(std::string(layer) + ": " + what + " is " + std::to_string(n) + "; it must be at least 1");
}

/// Throws ValueError, naming the layer, for an undefined tensor: what a layer that looks at its input before any op does begins with.
inline void check_defined(const char* layer, const AnyTensor& x) {
  if (!x.defined()) throw ValueError(std::string(layer) + ": got an undefined tensor");
}

}  // namespace gradus::nn
