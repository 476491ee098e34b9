// A number whose type is known at run time: integers keep all their 64 bits.
#pragma once
#include <cstdint>
#include <type_traits>

#include "gradus/core/dtype.h"

namespace gradus {

class Scalar {
 public:
  constexpr Scalar() = default;
  template <class S>
  requires std::is_arithmetic_v<S>
  constexpr Scalar(S s) : integral_(std::is_integral_v<S>) {
    if constexpr (std::is_integral_v<S>)
      i_ = int64_t(s), d_ = double(s);
    else
      d_ = double(s);
  }
  constexpr Scalar(half s) : d_(float(s)), integral_(false) {}
  constexpr Scalar(bfloat16 s) : d_(float(s)), integral_(false) {}

  constexpr bool is_integral() const { return integral_; }
  /// The value as T. A fraction given to an integer type is cut off.
  template <class T> constexpr T to() const {
    if constexpr (std::is_same_v<T, bool>)
      return integral_ ? i_ != 0 : d_ != 0;
    else if constexpr (std::is_integral_v<T>)
      return integral_ ? T(i_) : T(d_);
    else
      return T(accumulate_t<T>(d_));
  }
  constexpr operator double() const { return d_; }

 private:
  double d_ = 0;
  int64_t i_ = 0;
  bool integral_ = true;
};

}  // namespace gradus
