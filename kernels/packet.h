// Packets: as many numbers as one register of this instruction set holds. Loading and storing converts half types to float and
// back; functions come from SLEEF. Nothing here is written per operation.
#pragma once
#include <immintrin.h>
#if GRADUS_WITH_SLEEF
#include <sleef.h>
#endif

#include "kernels/number.h"

namespace gradus {
inline namespace GRADUS_ISA {

#if defined(__AVX512F__)
inline constexpr int kRegister = 64;
#define GRADUS_SLEEF_F(name, u) Sleef_##name##f16##u##avx512f
#define GRADUS_SLEEF_D(name, u) Sleef_##name##d8##u##avx512f
#elif defined(__AVX2__)
inline constexpr int kRegister = 32;
#define GRADUS_SLEEF_F(name, u) Sleef_##name##f8##u##avx2
#define GRADUS_SLEEF_D(name, u) Sleef_##name##d4##u##avx2
#else
inline constexpr int kRegister = 16;
#define GRADUS_SLEEF_F(name, u) Sleef_##name##f4##u##sse2
#define GRADUS_SLEEF_D(name, u) Sleef_##name##d2##u##sse2
#endif
// Integers: sixteen lanes whatever their size, so that every packet fits in a run's quantum; the compiler splits the wide ones.
template <class T> using Packet = Number<accumulate_t<T>, std::is_integral_v<T> ? 16 : kRegister / sizeof(accumulate_t<T>)>;
using PacketF = Packet<float>;
using PacketD = Packet<double>;

#if GRADUS_WITH_SLEEF
#define GRADUS_CALL_F(function, u, ...) PacketF(PacketF::V(GRADUS_SLEEF_F(function, u)(__VA_ARGS__)))
#define GRADUS_CALL_D(function, u, ...) PacketD(PacketD::V(GRADUS_SLEEF_D(function, u)(__VA_ARGS__)))
#else  // one lane at a time through the C library
template <class P, class F, class... V> GRADUS_FN P lane_by_lane(F f, V... v) {
  P y;
  for (size_t i = 0; i < sizeof y.v / sizeof y.v[0]; ++i) y.v[i] = f(v[i]...);
  return y;
}
#define GRADUS_CALL_F(function, u, ...) lane_by_lane<PacketF>([](auto... a) { return __builtin_##function##f(a...); }, __VA_ARGS__)
#define GRADUS_CALL_D(function, u, ...) lane_by_lane<PacketD>([](auto... a) { return __builtin_##function(a...); }, __VA_ARGS__)
#endif
#define GRADUS_MATH(name, function, u)                                          \
  GRADUS_FN PacketF name(PacketF x) { return GRADUS_CALL_F(function, u, x.v); } \
  GRADUS_OWN(name, function, u)
#define GRADUS_OWN(name, function, u) \
  GRADUS_FN PacketD name(PacketD x) { return GRADUS_CALL_D(function, u, x.v); }
#define GRADUS_MATH2(name, function, u)                                                         \
  GRADUS_FN PacketF name(PacketF x, PacketF z) { return GRADUS_CALL_F(function, u, x.v, z.v); } \
  GRADUS_FN PacketD name(PacketD x, PacketD z) { return GRADUS_CALL_D(function, u, x.v, z.v); }
#include "math.def"

// exp, tanh and erf carry the activations of most networks. SLEEF's are right to 1 ulp, through a call that spills every register;
// these are right to a few ulp, inlined, and 3 to 8 times faster. Coefficients: Eigen's (tanh, erf).
template <class... C> GRADUS_FN PacketF polynomial(PacketF x, C... c) {  // highest power first
  PacketF y = 0;
  ((y = y * x + c), ...);
  return y;
}
GRADUS_FN PacketF exp(PacketF x) {
  constexpr float kRound = 0x1.8p23f;  // adding it leaves the nearest integer in the low bits
#if defined(__AVX512F__)
  PacketF in = PacketF::V(_mm512_min_ps(_mm512_set1_ps(89.f), x.v));  // of a NaN and a number, min gives its second operand
#else
  PacketF in = where(x < -87.3f, -87.3f, where(x > 88.7228f, 88.7228f, x));
#endif
  PacketF shifted = in * 1.44269504088896341f + kRound, n = shifted - kRound;
  PacketF r = in - n * 0.693359375f + n * 2.12194440e-4f;
  // Minimax for the relative error (3e-9) on |r| <= log(2) / 2, with the first two coefficients held at 1.
  PacketF y = polynomial(r, 1.38145402e-3f, 8.36874511e-3f, 4.16683908e-2f, 1.66665204e-1f, 4.99999934e-1f, 1.f, 1.f);
#if defined(__AVX512F__)
  __mmask16 normal = _mm512_cmp_ps_mask(x.v, _mm512_set1_ps(-87.3f), _CMP_NLT_UQ);  // below, the result would be subnormal: 0
  return PacketF(PacketF::V(_mm512_maskz_scalef_ps(normal, y.v, n.v)));
#else
  using Int = decltype(PacketF::Mask::v);
  y.v = (PacketF::V)((Int)y.v + ((Int)shifted.v << 23));  // times 2^n
  return where(x < -87.3f, 0, where(x > 88.7228f, __builtin_inff(), y));
#endif
}
GRADUS_FN PacketF tanh(PacketF x) {
  constexpr float kOne = 7.90531110763549805f;  // from here on the quotient is 1
  PacketF in = where(x < -kOne, -kOne, where(x > kOne, kOne, x)), s = in * in;
  PacketF p = polynomial(s, -2.76076847742355e-16f, 2.00018790482477e-13f, -8.60467152213735e-11f, 5.12229709037114e-08f,
                         1.48572235717979e-05f, 6.37261928875436e-04f, 4.89352455891786e-03f);
  PacketF q = polynomial(s, 1.19825839466702e-06f, 1.18534705686654e-04f, 2.26843463243900e-03f, 4.89352518554385e-03f);
  PacketF y = where(abs(x) < 4e-4f, x, in * p / q);
  return where(x > kOne, 1, where(x < -kOne, -1, y));  // exactly, however the products were rounded
}
GRADUS_FN PacketF erf(PacketF x) {
  PacketF in = where(x < -4, -4, where(x > 4, 4, x)), s = in * in;
  PacketF p = polynomial(s, -2.72614225801306e-10f, 2.77068142495902e-08f, -2.10102402082508e-06f, -5.69250639462346e-05f,
                         -7.34990630326855e-04f, -2.95459980854025e-03f, -1.60960333262415e-02f);
  PacketF q = polynomial(s, -1.45660718464996e-05f, -2.13374055278905e-04f, -1.68282697438203e-03f, -7.37332916720468e-03f,
                         -1.42647390514189e-02f);
  return where(x > 4, 1, where(x < -4, -1, in * p / q));
}
#if defined(__AVX512F__)
GRADUS_FN PacketF sqrt(PacketF x) { return PacketF(PacketF::V(_mm512_sqrt_ps(x.v))); }
GRADUS_FN PacketD sqrt(PacketD x) { return PacketD(PacketD::V(_mm512_sqrt_pd(x.v))); }
#elif defined(__AVX2__)
GRADUS_FN PacketF sqrt(PacketF x) { return PacketF(PacketF::V(_mm256_sqrt_ps(x.v))); }
GRADUS_FN PacketD sqrt(PacketD x) { return PacketD(PacketD::V(_mm256_sqrt_pd(x.v))); }
#else
GRADUS_FN PacketF sqrt(PacketF x) { return PacketF(PacketF::V(_mm_sqrt_ps(x.v))); }
GRADUS_FN PacketD sqrt(PacketD x) { return PacketD(PacketD::V(_mm_sqrt_pd(x.v))); }
#endif

template <class V> GRADUS_FN V load_bits(const void* from) {
  V v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}
template <class V> GRADUS_FN void store_bits(void* to, V v) { __builtin_memcpy(to, &v, sizeof v); }

template <class T> GRADUS_FN Packet<T> load(const T* from) { return Packet<T>(load_bits<typename Packet<T>::V>(from)); }
template <class T> GRADUS_FN void store(T* to, Packet<T> x) { store_bits(to, x.v); }

constexpr int kLanesF = kRegister / 4;
typedef uint32_t Bits32 __attribute__((vector_size(kRegister)));
typedef uint16_t Bits16 __attribute__((vector_size(kRegister / 2)));

/// One bool a byte, read and written as packets' masks.
template <int kLanes> using Bools = typename vector_of<int8_t, kLanes>::type;

template <> GRADUS_FN PacketF load(const bfloat16* from) {
  return PacketF(PacketF::V(__builtin_convertvector(load_bits<Bits16>(from), Bits32) << 16));
}
template <> GRADUS_FN void store(bfloat16* to, PacketF x) {
  Bits32 u = (Bits32)x.v, rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16;
  Bits32 bits = (u & 0x7fffffff) > 0x7f800000 ? (u >> 16 | 64) : rounded;
  store_bits(to, __builtin_convertvector(bits, Bits16));
}

template <> GRADUS_FN PacketF load(const half* from) {
#if defined(__AVX512F__)
  return PacketF(PacketF::V(_mm512_cvtph_ps(load_bits<__m256i>(from))));
#elif defined(__F16C__)
  return PacketF(PacketF::V(_mm256_cvtph_ps(load_bits<__m128i>(from))));
#else
  PacketF x;
  for (int i = 0; i < kLanesF; ++i) x.v[i] = float(from[i]);
  return x;
#endif
}
template <> GRADUS_FN void store(half* to, PacketF x) {
#if defined(__AVX512F__)
  store_bits(to, _mm512_cvtps_ph(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
#elif defined(__F16C__)
  store_bits(to, _mm256_cvtps_ph(x.v, _MM_FROUND_TO_NEAREST_INT));
#else
  for (int i = 0; i < kLanesF; ++i) to[i] = half(x.v[i]);
#endif
}

}  // namespace GRADUS_ISA
}  // namespace gradus
