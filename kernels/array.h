// A tensor as a kernel sees it: sizes, strides (in elements), a pointer and a dtype. It owns nothing and lives for one call.
#pragma once
#include <cstdint>

#include "gradus/core/dtype.h"

namespace gradus {

inline constexpr int kMaxRank = 8;

struct Array {
  void* data = nullptr;  // null: this operand is absent
  DType dtype = DType::float32;
  bool contiguous = true;  // row-major without gaps
  int rank = 0;
  int64_t count = 0;  // elements in all
  const int64_t* shape = nullptr;
  const int64_t* stride = nullptr;

  explicit operator bool() const { return data != nullptr; }
  int64_t size(int d) const { return shape[d < 0 ? d + rank : d]; }
  int64_t step(int d) const { return stride[d < 0 ? d + rank : d]; }
  template <class T> T* as() const { return static_cast<T*>(data); }
};

}  // namespace gradus
