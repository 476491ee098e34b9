// Elements as numbers that compare as unsigned integers: NaN last, zeros of both signs alike.
#pragma once
#include "kernels/cuda/places.cuh"

namespace gradus::cuda {

template <class T> using KeyOf =
    std::conditional_t<sizeof(T) == 1, uint8_t,
                       std::conditional_t<sizeof(T) == 2, uint16_t, std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>>>;
template <class T> __device__ KeyOf<T> key_of(T x) {
  using Key = KeyOf<T>;
  constexpr Key kTop = Key(Key(1) << (sizeof(T) * 8 - 1));
  const Key bits = __builtin_bit_cast(Key, x);
  if constexpr (is_float(dtype_of<T>)) {
    const auto value = widen(x);
    if (value != value) return Key(-1);
    if (value == 0) return kTop;
    return Key(bits & kTop ? ~bits : bits | kTop);
  } else if constexpr (std::is_signed_v<T>) {
    return Key(bits ^ kTop);
  } else {
    return bits;
  }
}

template <class T> struct ElementKeys {
  uint64_t* keys;
  int64_t* places;
  const T* x;
  bool descending;
  __device__ void operator()(int64_t i) const {
    const KeyOf<T> key = key_of(x[i]);
    keys[i] = descending ? KeyOf<T>(~key) : key, places[i] = i;
  }
};
inline DType comparable(DType t) { return t == DType::boolean ? DType::uint8 : t; }

}  // namespace gradus::cuda
