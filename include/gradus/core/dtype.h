// The element types, their run-time names, and the two 16-bit formats. Half types are for storage; arithmetic is in float.
#pragma once
#include <cstddef>
#include <cstdint>
#include <type_traits>

#ifdef __CUDACC__
#define GRADUS_HD __host__ __device__
#else
#define GRADUS_HD
#endif

namespace gradus {

enum class DType : uint8_t { float32, float64, float16, bfloat16, int8, int16, int32, int64, uint8, boolean };
inline constexpr int kFloatTypes = 4;  // the first four are floating point: only these have gradients
inline constexpr int kDTypes = 10;

/// Truncated float: 8 bits of exponent, 7 of mantissa. Converts from float rounding to nearest even; NaN stays NaN.
struct bfloat16 {
  uint16_t bits = 0;
  bfloat16() = default;
  GRADUS_HD constexpr bfloat16(float f) {
    uint32_t u = __builtin_bit_cast(uint32_t, f);
    bool nan = (u & 0x7fffffff) > 0x7f800000;  // rounding would carry some NaNs into infinity
    bits = nan ? uint16_t(u >> 16 | 64) : uint16_t((u + 0x7fff + (u >> 16 & 1)) >> 16);
  }
  GRADUS_HD constexpr operator float() const { return __builtin_bit_cast(float, uint32_t(bits) << 16); }
};

/// IEEE binary16: 5 bits of exponent, 10 of mantissa; overflows to infinity beyond 65504.
struct half {
  uint16_t bits = 0;
  half() = default;
  GRADUS_HD constexpr half(float f) {
    uint32_t u = __builtin_bit_cast(uint32_t, f), sign = u >> 16 & 0x8000;
    u &= 0x7fffffff;
    if (u >= 0x47800000) {
      u = u > 0x7f800000 ? 0x7e00 : 0x7c00;  // too large, infinite, or NaN
    } else if (u < 0x38800000) {
      u = __builtin_bit_cast(uint32_t, __builtin_bit_cast(float, u) + 0.5f) - 0x3f000000;  // subnormal: the sum rounds
    } else {
      u = (u + 0xc8000fff + (u >> 13 & 1)) >> 13;  // exponent down by 112, round to nearest even
    }
    bits = uint16_t(sign | u);
  }
  GRADUS_HD constexpr operator float() const {
    uint32_t sign = uint32_t(bits & 0x8000) << 16, magnitude = bits & 0x7fff;
    if (magnitude >= 0x7c00) return __builtin_bit_cast(float, sign | 0x7f800000 | (magnitude & 0x3ff) << 13);
    return __builtin_bit_cast(float, sign | __builtin_bit_cast(uint32_t, __builtin_bit_cast(float, magnitude << 13) * 0x1p112f));
  }
};

namespace detail {
template <class T> struct DTypeOf;
template <> struct DTypeOf<float> { static constexpr DType value = DType::float32; };
template <> struct DTypeOf<double> { static constexpr DType value = DType::float64; };
template <> struct DTypeOf<half> { static constexpr DType value = DType::float16; };
template <> struct DTypeOf<bfloat16> { static constexpr DType value = DType::bfloat16; };
template <> struct DTypeOf<int8_t> { static constexpr DType value = DType::int8; };
template <> struct DTypeOf<int16_t> { static constexpr DType value = DType::int16; };
template <> struct DTypeOf<int32_t> { static constexpr DType value = DType::int32; };
template <> struct DTypeOf<int64_t> { static constexpr DType value = DType::int64; };
template <> struct DTypeOf<uint8_t> { static constexpr DType value = DType::uint8; };
template <> struct DTypeOf<bool> { static constexpr DType value = DType::boolean; };
}  // namespace detail

/// The run-time name of T. Fails to compile for a type that tensors cannot hold.
template <class T> inline constexpr DType dtype_of = detail::DTypeOf<T>::value;
template <class T> concept Element = requires { detail::DTypeOf<T>::value; };

template <class T> struct accumulate { using type = T; };
template <> struct accumulate<half> { using type = float; };
template <> struct accumulate<bfloat16> { using type = float; };
template <class T> using accumulate_t = typename accumulate<T>::type;  // the type that arithmetic is done in

constexpr bool is_float(DType t) { return int(t) < kFloatTypes; }
constexpr bool is_integer(DType t) { return t >= DType::int8 && t <= DType::uint8; }  // bool is neither
constexpr bool is_half(DType t) { return t == DType::float16 || t == DType::bfloat16; }

constexpr size_t item_size(DType t) {
  constexpr uint8_t sizes[] = {4, 8, 2, 2, 1, 2, 4, 8, 1, 1};
  return sizes[int(t)];
}
constexpr const char* name(DType t) {
  constexpr const char* names[] = {"float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "bool"};
  return names[int(t)];
}

}  // namespace gradus
