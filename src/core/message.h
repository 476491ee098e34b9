// Error texts: `fail<ShapeError>("matmul: ", a.shape(), " x ", b.shape())`.
#pragma once
#include <string>

#include "gradus/core/any_tensor.h"

namespace gradus {

namespace detail {
inline std::string text(const char* s) { return s; }
inline std::string text(const std::string& s) { return s; }
inline std::string text(char c) { return std::string(1, c); }
inline std::string text(bool b) { return b ? "true" : "false"; }
inline std::string text(DType t) { return name(t); }
inline std::string text(Device d) { return to_string(d); }
inline std::string text(const Shape& s) { return to_string(s); }
std::string text(double d);
template <class I>
requires std::is_integral_v<I> std::string text(I i) { return std::to_string(i); }
}  // namespace detail

template <class E, class... Parts> [[noreturn, gnu::cold, gnu::noinline]] void fail(const Parts&... parts) {
  std::string message;
  ((message += detail::text(parts)), ...);
  throw E(message);
}

/// The product of the sizes. Throws ShapeError, named after the op, for a negative size or where it does not fit in 63 bits.
int64_t check_sizes(const char* op, const Shape& shape);

}  // namespace gradus
