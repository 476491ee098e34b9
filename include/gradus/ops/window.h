// Sizes of windows over one or two axes, as options take them.
#pragma once
#include <cstdint>
#include <type_traits>

namespace gradus {

/// One number for both axes, or one for the height and one for the width: {.stride = 2} or {.stride = {2, 1}}.
struct Pair {
  int64_t height, width;
  template <class I>
  requires std::is_integral_v<I>
  constexpr Pair(I both) : height(both), width(both) {}
  constexpr Pair(int64_t height, int64_t width) : height(height), width(width) {}
  constexpr bool operator==(const Pair&) const = default;
};

/// Zeros around an image: their number at each side, or "same" for as many as keep its size under a stride of 1.
struct Padding : Pair {
  bool same = false;
  using Pair::Pair;
  constexpr Padding(Pair size) : Pair(size) {}
  /// Throws ValueError for a word other than "same" and "valid", which means none.
  Padding(const char* word);
};

}  // namespace gradus
