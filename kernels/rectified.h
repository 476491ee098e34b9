// What relu lets through, told from a number before it is rounded to its type.
#pragma once
#include "gradus/core/dtype.h"

namespace gradus {

/// The largest number that becomes zero as a T: half of the smallest, which is a tie and goes to the even one. All numbers above it are positive
/// in memory too.
template <class T> inline constexpr accumulate_t<T> kBecomesZero = 0;
template <> inline constexpr float kBecomesZero<half> = 0x1p-25f;
template <> inline constexpr float kBecomesZero<bfloat16> = 0x1p-134f;

}  // namespace gradus
