// Rows of any length in packets: whole ones, then one part. A kernel's body is written once for both:
//   sweep(n, [&](int64_t i, auto part) { store(y + i, load(x + i, part, 0) * 2, part); });
#pragma once
#include "kernels/packet.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {

using gradus::load;
using gradus::store;

template <class T> inline constexpr int kLanesOf = kRegister / sizeof(accumulate_t<T>);

struct Whole {};
struct Part {
  int n;  // lanes, from the first
};

#if defined(__AVX2__) && !defined(__AVX512F__)
/// The first n of an instruction's lanes: what it takes for a mask lies n words before the middle.
template <class Word, int lanes> GRADUS_FN __m256i first_lanes(int n) {
  static constexpr struct Words {
    Word word[2 * lanes];
    constexpr Words() : word{} {
      for (int i = 0; i < lanes; ++i) word[i] = Word(-1);
    }
  } kWords;
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kWords.word + lanes - n));
}
#endif

template <class T> GRADUS_FN Packet<T> load(const T* from, Whole, accumulate_t<T> = 0) { return gradus::load(from); }
/// Lanes beyond the part are `fill`.
template <class T> GRADUS_FN Packet<T> load(const T* from, Part part, accumulate_t<T> fill = 0) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<T, float>)
    return PacketF(PacketF::V(_mm512_mask_loadu_ps(_mm512_set1_ps(fill), __mmask16((1u << part.n) - 1), from)));
  if constexpr (std::is_same_v<T, double>)
    return PacketD(PacketD::V(_mm512_mask_loadu_pd(_mm512_set1_pd(fill), __mmask8((1u << part.n) - 1), from)));
  if constexpr (is_half(dtype_of<T>)) {
    T words[kLanesOf<T>];  // in a register
    gradus::store(static_cast<T*>(words), Packet<T>(fill));
    auto* all = reinterpret_cast<__m256i*>(words);
    _mm256_storeu_si256(all, _mm256_mask_loadu_epi16(_mm256_loadu_si256(all), __mmask16((1u << part.n) - 1), from));
    return gradus::load(static_cast<const T*>(words));
  }
#elif defined(__AVX2__)
  if constexpr (std::is_same_v<T, float>) {
    const __m256i lanes = first_lanes<int32_t, 8>(part.n);
    return PacketF(PacketF::V(_mm256_blendv_ps(_mm256_set1_ps(fill), _mm256_maskload_ps(from, lanes), _mm256_castsi256_ps(lanes))));
  }
  if constexpr (std::is_same_v<T, double>) {
    const __m256i lanes = first_lanes<int64_t, 4>(part.n);
    return PacketD(PacketD::V(_mm256_blendv_pd(_mm256_set1_pd(fill), _mm256_maskload_pd(from, lanes), _mm256_castsi256_pd(lanes))));
  }
#endif
  T buffer[kLanesOf<T>];
  gradus::store(static_cast<T*>(buffer), Packet<T>(fill));
  __builtin_memcpy(buffer, from, size_t(part.n) * sizeof(T));
  return gradus::load(static_cast<const T*>(buffer));
}
template <class T> GRADUS_FN void store(T* to, Packet<T> x, Whole) { gradus::store(to, x); }
template <class T> GRADUS_FN void store(T* to, Packet<T> x, Part part) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<T, float>) return _mm512_mask_storeu_ps(to, __mmask16((1u << part.n) - 1), x.v);
  if constexpr (std::is_same_v<T, double>) return _mm512_mask_storeu_pd(to, __mmask8((1u << part.n) - 1), x.v);
  if constexpr (is_half(dtype_of<T>)) {
    T words[kLanesOf<T>];
    gradus::store(static_cast<T*>(words), x);
    return _mm256_mask_storeu_epi16(to, __mmask16((1u << part.n) - 1), _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words)));
  }
#elif defined(__AVX2__)
  if constexpr (std::is_same_v<T, float>) return _mm256_maskstore_ps(to, first_lanes<int32_t, 8>(part.n), x.v);
  if constexpr (std::is_same_v<T, double>) return _mm256_maskstore_pd(to, first_lanes<int64_t, 4>(part.n), x.v);
#endif
  T buffer[kLanesOf<T>];
  gradus::store(static_cast<T*>(buffer), x);
  __builtin_memcpy(to, buffer, size_t(part.n) * sizeof(T));
}
/// The first lanes of x, zero in the others.
template <class P> GRADUS_FN P only(P x, Whole) { return x; }
template <class P> GRADUS_FN P only(P x, Part part) {
  for (int i = 0; i < int(sizeof x.v / sizeof x.v[0]); ++i) x.v[i] = i < part.n ? x.v[i] : 0;
  return x;
}

/// x as memory would hold it: no product that is left to be fused with a sum, which the compiler does in some loops and not in others.
template <class P> GRADUS_FN P rounded(P x) {
  asm("" : "+x"(x.v));
  return x;
}

/// a * b + c, rounded once wherever the processor can: the same to the bit in every loop.
template <class P> GRADUS_FN P multiply_add(P a, P b, P c) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<P, PacketF>) return P(typename P::V(_mm512_fmadd_ps(a.v, b.v, c.v)));
  if constexpr (std::is_same_v<P, PacketD>) return P(typename P::V(_mm512_fmadd_pd(a.v, b.v, c.v)));
#elif defined(__AVX2__) && defined(__FMA__)
  if constexpr (std::is_same_v<P, PacketF>) return P(typename P::V(_mm256_fmadd_ps(a.v, b.v, c.v)));
  if constexpr (std::is_same_v<P, PacketD>) return P(typename P::V(_mm256_fmadd_pd(a.v, b.v, c.v)));
#else
  return rounded(a * b) + c;
#endif
}

/// f(i, part) for the packets of T that cover [0, n).
template <class T, class F> GRADUS_FN void sweep(int64_t n, F&& f) {
  constexpr int kLanes = kLanesOf<T>;
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) f(i, Whole{});
  if (i < n) f(i, Part{int(n - i)});
}
/// The same with f(i, part, k), where k counts 0 to 3 in turn and is a constant in each copy of f: for four sums that do not wait for
/// each other.
template <class T, class F> GRADUS_FN void sweep4(int64_t n, F&& f) {
  constexpr int kLanes = kLanesOf<T>;
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    f(i, Whole{}, 0), f(i + kLanes, Whole{}, 1), f(i + 2 * kLanes, Whole{}, 2), f(i + 3 * kLanes, Whole{}, 3);
  }
  for (; i + kLanes <= n; i += kLanes) f(i, Whole{}, 0);
  if (i < n) f(i, Part{int(n - i)}, 1);
}

/// With two in turn, for longer bodies.
template <class T, class F> GRADUS_FN void sweep2(int64_t n, F&& f) {
  constexpr int kLanes = kLanesOf<T>;
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) f(i, Whole{}, 0), f(i + kLanes, Whole{}, 1);
  if (i + kLanes <= n) f(i, Whole{}, 0), i += kLanes;
  if (i < n) f(i, Part{int(n - i)}, 1);
}

/// All lanes as one, halving: a fixed order.
template <class T, int kLanes, class F> GRADUS_FN T fold(Number<T, kLanes> x, F f) {
  if constexpr (kLanes == 1) {
    return x.v;
  } else if constexpr (kLanes == 2) {
    return f(Number<T, 1>(x.v[0]), Number<T, 1>(x.v[1])).v;
  } else {
    using Half = Number<T, kLanes / 2>;
    typename Half::V halves[2];
    __builtin_memcpy(halves, &x.v, sizeof x.v);
    return fold(f(Half(halves[0]), Half(halves[1])), f);
  }
}
template <class P> GRADUS_FN auto sum_of(P x) {
  return fold(x, [](auto a, auto b) { return a + b; });
}
/// The larger; where one is NaN, b.
template <class P> GRADUS_FN P larger(P a, P b) { return where(a > b, a, b); }
template <class P> GRADUS_FN auto largest_of(P x) {
  return fold(x, [](auto a, auto b) { return larger(a, b); });
}

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
