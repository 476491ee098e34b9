// What a row of ops.def is evaluated on in a kernel: `Number<T, lanes>`, one value or a packet of them, and `Probe`, which has no
// value and only remembers which variables were asked for. A row's literals (0.5, 2) convert to the number's own type, so
// `0.5 * x` is never computed in double by accident: on a GPU that would cost a factor of 64.
#pragma once
#include <cmath>
#include <type_traits>

#include "gradus/core/dtype.h"
#include "gradus/core/scalar.h"

// Everything that a kernel inlines lives in a namespace named after the instruction set: otherwise the linker could keep the
// AVX-512 copy of an inline function for the baseline build.
#ifndef GRADUS_ISA
#define GRADUS_ISA generic
#endif
#ifdef __CUDACC__
#define GRADUS_FN __host__ __device__ __forceinline__
#else
#define GRADUS_FN [[gnu::always_inline]] inline
#endif

namespace gradus {
inline namespace GRADUS_ISA {

template <class T, int kLanes> struct vector_of { typedef T type __attribute__((vector_size(sizeof(T) * kLanes))); };
template <class T> struct vector_of<T, 1> { using type = T; };

template <class T, int kLanes> struct Number {
  using V = typename vector_of<T, kLanes>::type;
  struct Mask {
    decltype(V{} < V{}) v;
    GRADUS_FN friend Mask operator&(Mask a, Mask b) { return {decltype(Mask::v)(a.v & b.v)}; }
    GRADUS_FN friend Mask operator|(Mask a, Mask b) { return {decltype(Mask::v)(a.v | b.v)}; }
    GRADUS_FN friend Mask operator!=(Mask a, Mask b) { return {decltype(Mask::v)(a.v ^ b.v)}; }
  };
  V v;

  Number() = default;  // uninitialised: a gradient's unused inputs are never read
  GRADUS_FN Number(V v) : v(v) {}
  template <class S>
  requires(std::is_arithmetic_v<S> && !std::is_same_v<S, V>) GRADUS_FN Number(S s) : v(V(V{} + T(s))) {}

  GRADUS_FN friend Number operator+(Number a, Number b) { return Number(V(a.v + b.v)); }
  GRADUS_FN friend Number operator-(Number a, Number b) { return Number(V(a.v - b.v)); }
  GRADUS_FN friend Number operator*(Number a, Number b) { return Number(V(a.v * b.v)); }
  GRADUS_FN friend Number operator/(Number a, Number b) {
    if constexpr (std::is_integral_v<T>)
      return quotient(a, b);
    else
      return Number(V(a.v / b.v));
  }
  GRADUS_FN friend Number operator-(Number a) { return Number(V(-a.v)); }
  GRADUS_FN friend Mask operator<(Number a, Number b) { return {a.v < b.v}; }
  GRADUS_FN friend Mask operator>(Number a, Number b) { return {a.v > b.v}; }
  GRADUS_FN friend Mask operator<=(Number a, Number b) { return {a.v <= b.v}; }
  GRADUS_FN friend Mask operator>=(Number a, Number b) { return {a.v >= b.v}; }
  GRADUS_FN friend Mask operator==(Number a, Number b) { return {a.v == b.v}; }
  GRADUS_FN friend Mask operator!=(Number a, Number b) { return {a.v != b.v}; }
  GRADUS_FN friend Number where(Mask m, Number a, Number b) { return Number(V(m.v ? a.v : b.v)); }
  GRADUS_FN friend Number abs(Number a) { return where(a < 0, -a, a + 0); }                                 // + 0: abs(-0.0) is 0.0
  GRADUS_FN friend Number maximum(Number a, Number b) { return where(a > b, a, where(b >= a, b, a + b)); }  // a + b: NaN stays NaN
  GRADUS_FN friend Number minimum(Number a, Number b) { return where(a < b, a, where(b <= a, b, a + b)); }
  GRADUS_FN friend Number zero(Number) { return 0; }

  // Integers only.
  GRADUS_FN friend Number operator&(Number a, Number b) requires std::is_integral_v<T> { return Number(V(a.v & b.v)); }
  GRADUS_FN friend Number operator|(Number a, Number b) requires std::is_integral_v<T> { return Number(V(a.v | b.v)); }
  GRADUS_FN friend Number operator^(Number a, Number b) requires std::is_integral_v<T> { return Number(V(a.v ^ b.v)); }
  GRADUS_FN friend Number operator~(Number a) requires std::is_integral_v<T> { return Number(V(~a.v)); }
  /// Shifts by less than nothing or by more than there are bits give what an infinite register would.
  GRADUS_FN friend Number shift_left(Number a, Number n) requires std::is_integral_v<T> {
    constexpr int kBits = sizeof(T) * 8;
    Number safe = where((n < 0) | (n >= kBits), 0, n);
    return where((n < 0) | (n >= kBits), 0, Number(V(a.v << safe.v)));
  }
  GRADUS_FN friend Number shift_right(Number a, Number n) requires std::is_integral_v<T> {
    constexpr int kBits = sizeof(T) * 8;
    Number safe = where((n < 0) | (n >= kBits), kBits - 1, n);
    Number shifted = Number(V(a.v >> safe.v));
    return std::is_unsigned_v<T> ? where((n < 0) | (n >= kBits), 0, shifted) : shifted;
  }
  /// Cut towards zero. Division by zero gives 0 (the op has refused it before; padding lanes come here), and the least number
  /// divided by -1 wraps instead of trapping.
  GRADUS_FN friend Number quotient(Number a, Number b) {
    Mask none = b == 0, minus = std::is_signed_v<T> ? b == T(-1) : b != b;
    Number q = Number(V(a.v / where(none | minus, 1, b).v));
    return where(none, 0, where(minus, Number(0) - a, q));
  }
  GRADUS_FN friend Number fmod(Number a, Number b) requires std::is_integral_v<T> { return a - quotient(a, b) * b; }
};

// One lane: <cmath>. In CUDA these are the device's functions; the packets' are in packet.h.
#define GRADUS_MATH(name, function, accuracy)                                                          \
  GRADUS_FN Number<float, 1> name(Number<float, 1> x) { return Number<float, 1>(::function##f(x.v)); } \
  GRADUS_FN Number<double, 1> name(Number<double, 1> x) { return Number<double, 1>(::function(x.v)); }
#define GRADUS_MATH2(name, function, accuracy)                                                                                  \
  GRADUS_FN Number<float, 1> name(Number<float, 1> x, Number<float, 1> z) { return Number<float, 1>(::function##f(x.v, z.v)); } \
  GRADUS_FN Number<double, 1> name(Number<double, 1> x, Number<double, 1> z) { return Number<double, 1>(::function(x.v, z.v)); }
#include "math.def"
GRADUS_FN Number<float, 1> sqrt(Number<float, 1> x) { return Number<float, 1>(::sqrtf(x.v)); }
GRADUS_FN Number<double, 1> sqrt(Number<double, 1> x) { return Number<double, 1>(::sqrt(x.v)); }

/// Evaluates a gradient without values: `seen` becomes the set of variables it reads, `is_g` stays true where it is g itself.
struct Probe {
  unsigned seen;
  bool is_g;
  GRADUS_HD constexpr Probe() : Probe(0, false) {}
  GRADUS_HD constexpr Probe(unsigned seen, bool is_g) : seen(seen), is_g(is_g) {}
  template <class S>
  requires std::is_arithmetic_v<S> GRADUS_HD constexpr Probe(S) : Probe() {}
  GRADUS_HD static constexpr Probe any(Probe a, Probe b = Probe(0, false), Probe c = Probe(0, false)) {
    return {a.seen | b.seen | c.seen, false};
  }
#define GRADUS_PROBE(name) \
  GRADUS_HD friend constexpr Probe name(Probe a, Probe b) { return any(a, b); }
  GRADUS_PROBE(operator+);
  GRADUS_PROBE(operator-);
  GRADUS_PROBE(operator*);
  GRADUS_PROBE(operator/);
  GRADUS_PROBE(operator<);
  GRADUS_PROBE(operator>);
  GRADUS_PROBE(operator<=);
  GRADUS_PROBE(operator>=);
  GRADUS_PROBE(operator==);
  GRADUS_PROBE(operator!=);
  GRADUS_PROBE(operator&);
  GRADUS_PROBE(operator|);
  GRADUS_PROBE(minimum);
  GRADUS_PROBE(maximum);
#undef GRADUS_PROBE
  GRADUS_HD friend constexpr Probe operator-(Probe a) { return any(a); }
  GRADUS_HD friend constexpr Probe abs(Probe a) { return any(a); }
  GRADUS_HD friend constexpr Probe zero(Probe a) { return any(a); }
  GRADUS_HD friend constexpr Probe where(Probe m, Probe a, Probe b) { return any(m, a, b); }
  GRADUS_HD friend constexpr Probe sqrt(Probe a) { return any(a); }
#define GRADUS_MATH(name, ...) \
  GRADUS_HD friend constexpr Probe name(Probe a) { return any(a); }
#define GRADUS_MATH2(name, ...) \
  GRADUS_HD friend constexpr Probe name(Probe a, Probe b) { return any(a, b); }
#include "math.def"
};

}  // namespace GRADUS_ISA
}  // namespace gradus
