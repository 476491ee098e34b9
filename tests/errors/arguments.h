// What wrong calls are made with.
#pragma once
#include "tests/check.h"

namespace gradus::testing {

inline const AnyTensor kNone;
inline AnyTensor f(const Shape& shape) { return draw(shape, 0.5, 1.5, 3, DType::float32); }
inline AnyTensor d(const Shape& shape) { return draw(shape, 0.5, 1.5); }
inline AnyTensor integers(std::initializer_list<int64_t> list) {
  std::vector<int64_t> values(list);
  return Tensor<int64_t>(std::span<const int64_t>(values));
}

}  // namespace gradus::testing
