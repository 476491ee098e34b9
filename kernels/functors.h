// Rows become types: `tanh_row::forward(values)`, `tanh_row::gradient_a(values)`, on any kind of number. Formulas too long for a
// row stand here as functions with names; they too work on numbers, probes and tensors alike.
#pragma once
#include "kernels/number.h"

namespace gradus {

inline constexpr double kTwoOverSqrtPi = 1.1283791670955126, kSqrtHalf = 0.7071067811865476;
inline constexpr double kGeluTanh = 0.7978845608028654, kGeluCubic = 0.044715;
inline constexpr double kLn2 = 0.6931471805599453, kLn10 = 2.302585092994046;
inline constexpr double kSelu = 1.0507009873554805, kSeluAlpha = 1.6732632423543772;
inline constexpr double kInfinity = __builtin_huge_val();

inline namespace GRADUS_ISA {

#define GRADUS_FORMULA template <class N> GRADUS_FN constexpr N
GRADUS_FORMULA sigmoid(N x) { return 1 / (1 + exp(-x)); }  // on tensors, the op of that name is the better match
GRADUS_FORMULA silu_slope(N x) {
  N s = sigmoid(x);
  return s * (1 + x * (1 - s));
}
// The vector functions square what they are given or add to it, and overflow long before their results do.
GRADUS_FORMULA asinh_of(N x) {
  N far = log(abs(x)) + kLn2;
  return where(abs(x) > 1e18, where(x < 0, -far, far), asinh(x));
}
GRADUS_FORMULA acosh_of(N x) { return where(x > 1e18, log(x) + kLn2, acosh(x)); }
GRADUS_FORMULA log1p_of(N x) {
  N y = log1p(where(x > 1e30, 0x1p-6 * x, x));
  return where(x > 1e30, y + 6 * kLn2, y);
}
GRADUS_FORMULA softplus_of(N x) { return maximum(x, 0) + log1p(exp(-abs(x))); }
GRADUS_FORMULA mish_slope(N x) {
  N t = tanh(softplus_of(x));
  return t + x * sigmoid(x) * (1 - t * t);
}
GRADUS_FORMULA gelu_of(N x) { return 0.5 * x * (1 + erf(x * kSqrtHalf)); }
GRADUS_FORMULA gelu_slope(N x) {
  return 0.5 * (1 + erf(x * kSqrtHalf)) + x * (0.5 * kSqrtHalf * kTwoOverSqrtPi * exp(-0.5 * x * x));
}
GRADUS_FORMULA gelu_tanh_of(N x) { return 0.5 * x * (1 + tanh(kGeluTanh * x * (1 + kGeluCubic * x * x))); }
GRADUS_FORMULA gelu_tanh_slope(N x) {
  N t = tanh(kGeluTanh * x * (1 + kGeluCubic * x * x));
  return 0.5 * (1 + t) + 0.5 * kGeluTanh * x * (1 - t * t) * (1 + 3 * kGeluCubic * x * x);
}
/// The part of g that goes to the lesser of two: all of it where it is the lesser, half at a tie.
GRADUS_FORMULA first_share(N g, N lesser, N greater) {
  return where(lesser < greater, g, where(lesser > greater, zero(g), 0.5 * g));
}
/// The slope of pow(x, p): nothing where p is 0, also at x = 0, where pow(x, -1) is infinite.
GRADUS_FORMULA pow_slope(N x, N p) { return where(p == 0, zero(x), p * pow(x, p - 1)); }
/// The part of g that goes to a where y = pow(a, b), and that to b: nothing to a where b is 0, and nothing to b where 0 stays 0 or 1.
GRADUS_FORMULA base_share(N g, N a, N b) { return where(b == 0, zero(g), g * (b * pow(a, b - 1))); }
GRADUS_FORMULA exponent_share(N g, N a, N b, N y) { return where((a == 0) & (b >= 0), zero(g), g * (y * log(a))); }
/// g times other / (a^2 + b^2), the slope of an angle. At the origin, where there is no angle, nothing.
GRADUS_FORMULA angle_share(N g, N other, N a, N b) { return where((a == 0) & (b == 0), zero(g), g * (other / (a * a + b * b))); }
/// The slope of y = pow(s, x) in x. A power of 0 is 0, 1 or (x < 0) infinite; the first two have a slope of 0, not of 0 * log(0).
GRADUS_FORMULA rpow_slope(N y, N s) { return where((s == 0) & (y <= 1), zero(y), y * log(s)); }
/// With the sign of b, as in Python.
GRADUS_FORMULA remainder_of(N a, N b) {
  N m = fmod(a, b);
  return where(((m < 0) & (b > 0)) | ((m > 0) & (b < 0)), m + b, m);
}
/// How often b goes into a, rounded down: floor_divide * b + remainder is a. Not floor(a / b), which may have been rounded up to a whole
/// number before it is cut.
template <class T, int kLanes> GRADUS_FN Number<T, kLanes> floor_divide_of(Number<T, kLanes> a, Number<T, kLanes> b) {
  if constexpr (std::is_integral_v<T>) {
    Number<T, kLanes> q = quotient(a, b), r = a - q * b;
    return where((r != 0) & ((r < 0) != (b < 0)), q - 1, q);
  } else {
    Number<T, kLanes> m = fmod(a, b), q = (a - m) / b;
    q = where(((m < 0) & (b > 0)) | ((m > 0) & (b < 0)), q - 1, q);
    Number<T, kLanes> whole = floor(q);
    whole = where(q - whole > 0.5, whole + 1, whole);  // q is whole but for rounding
    return where(b == 0, a / b, where(whole == 0, 0 * (a / b), whole));
  }
}
GRADUS_HD constexpr Probe floor_divide_of(Probe a, Probe b) { return Probe::any(a, b); }
#undef GRADUS_FORMULA

template <class N> struct Values { N g, a, b, y, s, t; };  // s and t: the scalar parameters

inline constexpr unsigned kUsesA = 1, kUsesB = 2, kUsesY = 4;
inline constexpr Values<Probe> kProbes{{0, true}, {kUsesA, false}, {kUsesB, false}, {kUsesY, false}, {}, {}};

/// The classes of dtypes that a row's second column names.
enum class RowClass { floats, numbers, bits, any };

#define GRADUS_UNARY2(name, of, s_name, s_test, t_name, t_test, text, gradient, lo, hi)    \
  struct name##_row {                                                                      \
    static constexpr int kInputs = 1;                                                      \
    static constexpr RowClass kClass = RowClass::of;                                       \
    template <class N> GRADUS_FN static constexpr N forward(const Values<N>& v) {          \
      [[maybe_unused]] const N &x = v.a, &s_name = v.s, &t_name = v.t;                     \
      return text;                                                                         \
    }                                                                                      \
    template <class N> GRADUS_FN static constexpr N gradient_a(const Values<N>& v) {       \
      [[maybe_unused]] const N &g = v.g, &x = v.a, &y = v.y, &s_name = v.s, &t_name = v.t; \
      return gradient;                                                                     \
    }                                                                                      \
  };
#define GRADUS_UNARY1(name, of, s_name, s_test, ...) GRADUS_UNARY2(name, of, s_name, s_test, unused, 0, __VA_ARGS__)
#define GRADUS_UNARY(name, of, ...) GRADUS_UNARY2(name, of, unused1, 0, unused2, 0, __VA_ARGS__)
#define GRADUS_BINARY(name, of, text, da, db, lo, hi)                                \
  struct name##_row {                                                                \
    static constexpr int kInputs = 2;                                                \
    static constexpr RowClass kClass = RowClass::of;                                 \
    template <class N> GRADUS_FN static constexpr N forward(const Values<N>& v) {    \
      const N &a = v.a, &b = v.b;                                                    \
      return text;                                                                   \
    }                                                                                \
    template <class N> GRADUS_FN static constexpr N gradient_a(const Values<N>& v) { \
      [[maybe_unused]] const N &g = v.g, &a = v.a, &b = v.b, &y = v.y;               \
      return da;                                                                     \
    }                                                                                \
    template <class N> GRADUS_FN static constexpr N gradient_b(const Values<N>& v) { \
      [[maybe_unused]] const N &g = v.g, &a = v.a, &b = v.b, &y = v.y;               \
      return db;                                                                     \
    }                                                                                \
  };
#define GRADUS_TEST(name, inputs, of, text)                                \
  struct name##_row {                                                      \
    static constexpr int kInputs = inputs;                                 \
    static constexpr RowClass kClass = RowClass::of;                       \
    template <class N> GRADUS_FN static auto forward(const Values<N>& v) { \
      [[maybe_unused]] const N &a = v.a, &b = v.b;                         \
      return text;                                                         \
    }                                                                      \
  };
#define GRADUS_COMPARE(name, of, text) GRADUS_TEST(name, 2, of, text)
#define GRADUS_PREDICATE(name, of, text) GRADUS_TEST(name, 1, of, text)
#define GRADUS_BITWISE(name, text) GRADUS_TEST(name, 2, bits, text)
#include "gradus/ops/ops.def"
#undef GRADUS_TEST

/// What backward of a row needs, read off its text by the compiler: nobody lists it, so nobody lists it wrongly.
template <class Row> GRADUS_HD constexpr Probe probe_b() {
  if constexpr (Row::kInputs == 2)
    return Row::gradient_b(kProbes);
  else
    return Probe(0, true);
}
template <class Row> struct Gradients {
  static constexpr Probe kA = Row::gradient_a(kProbes), kB = probe_b<Row>();
  static constexpr unsigned kSeen = kA.seen | kB.seen;
};

}  // namespace GRADUS_ISA
}  // namespace gradus
