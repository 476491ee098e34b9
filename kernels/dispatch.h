// From a run-time dtype to a type: `dispatch_float("softmax", x.dtype, [&]<class T>() { ... })`. The op has checked the dtype
// before; a kernel that meets one it has no code for says so.
#pragma once
#include <cstdint>

#include "gradus/core/dtype.h"
#include "gradus/core/error.h"

namespace gradus {

/// Defined once, for the baseline: code for AVX-512 must not bring along inline functions that others could be linked to.
[[noreturn]] void no_kernel(const char* kernel, DType t);

template <class F> decltype(auto) dispatch_float(const char* kernel, DType t, F&& f) {
  switch (t) {
    case DType::float32: return f.template operator()<float>();
    case DType::float64: return f.template operator()<double>();
    case DType::float16: return f.template operator()<half>();
    case DType::bfloat16: return f.template operator()<bfloat16>();
    default: no_kernel(kernel, t);
  }
}
template <class F> decltype(auto) dispatch_integer(const char* kernel, DType t, F&& f) {
  switch (t) {
    case DType::int8: return f.template operator()<int8_t>();
    case DType::int16: return f.template operator()<int16_t>();
    case DType::int32: return f.template operator()<int32_t>();
    case DType::int64: return f.template operator()<int64_t>();
    case DType::uint8: return f.template operator()<uint8_t>();
    default: no_kernel(kernel, t);
  }
}
/// Floats and integers.
template <class F> decltype(auto) dispatch_number(const char* kernel, DType t, F&& f) {
  if (is_float(t)) return dispatch_float(kernel, t, f);
  return dispatch_integer(kernel, t, f);
}
/// Every dtype.
template <class F> decltype(auto) dispatch_all(const char* kernel, DType t, F&& f) {
  if (t == DType::boolean) return f.template operator()<bool>();
  return dispatch_number(kernel, t, f);
}
/// For kernels that only move bytes: one instantiation per item size.
template <class F> decltype(auto) dispatch_size(DType t, F&& f) {
  switch (item_size(t)) {
    case 1: return f.template operator()<uint8_t>();
    case 2: return f.template operator()<uint16_t>();
    case 4: return f.template operator()<uint32_t>();
    default: return f.template operator()<uint64_t>();
  }
}

}  // namespace gradus
