// The number that activations of half types are evaluated on: a float whose functions are right to 2^-16 of their values, which rounding to 11
// or 8 digits hides. float's own functions would take longer than the memory does.
#pragma once
#include "kernels/cuda/approx.cuh"
#include "kernels/functors.h"

namespace gradus {
inline namespace GRADUS_ISA {

struct Coarse {
  float v;
  Coarse() = default;
  template <class S>
  requires std::is_arithmetic_v<S> __device__ __forceinline__ Coarse(S s) : v(float(s)) {}

#define GRADUS_COARSE __device__ __forceinline__ friend
  GRADUS_COARSE Coarse operator+(Coarse a, Coarse b) { return a.v + b.v; }
  GRADUS_COARSE Coarse operator-(Coarse a, Coarse b) { return a.v - b.v; }
  GRADUS_COARSE Coarse operator*(Coarse a, Coarse b) { return a.v * b.v; }
  GRADUS_COARSE Coarse operator/(Coarse a, Coarse b) { return a.v * cuda::rcp_approx(b.v); }
  GRADUS_COARSE Coarse operator-(Coarse a) { return -a.v; }
  GRADUS_COARSE bool operator<(Coarse a, Coarse b) { return a.v < b.v; }
  GRADUS_COARSE bool operator>(Coarse a, Coarse b) { return a.v > b.v; }
  GRADUS_COARSE bool operator<=(Coarse a, Coarse b) { return a.v <= b.v; }
  GRADUS_COARSE bool operator>=(Coarse a, Coarse b) { return a.v >= b.v; }
  GRADUS_COARSE bool operator==(Coarse a, Coarse b) { return a.v == b.v; }
  GRADUS_COARSE bool operator!=(Coarse a, Coarse b) { return a.v != b.v; }
  GRADUS_COARSE Coarse where(bool m, Coarse a, Coarse b) { return m ? a.v : b.v; }
  GRADUS_COARSE Coarse abs(Coarse a) { return ::fabsf(a.v); }
  GRADUS_COARSE Coarse maximum(Coarse a, Coarse b) { return where(a > b, a, where(b >= a, b, a + b)); }  // NaN stays NaN
  GRADUS_COARSE Coarse minimum(Coarse a, Coarse b) { return where(a < b, a, where(b <= a, b, a + b)); }
  GRADUS_COARSE Coarse zero(Coarse) { return 0; }

  GRADUS_COARSE Coarse exp(Coarse x) { return cuda::exp2_approx(x.v * cuda::kLog2E); }
  GRADUS_COARSE Coarse erf(Coarse x) { return ::erff(x.v); }
  // Where a difference would leave few digits, the first terms of the series.
  GRADUS_COARSE Coarse expm1(Coarse x) {
    const float near = x.v * (1 + x.v * (0.5f + x.v * (1 / 6.0f + x.v * (1 / 24.0f))));
    return ::fabsf(x.v) < 0.0625f ? near : exp(x).v - 1;
  }
  GRADUS_COARSE Coarse log1p(Coarse x) {
    const float near = x.v * (1 - x.v * (0.5f - x.v * (1 / 3.0f)));
    return ::fabsf(x.v) < 0.015625f ? near : cuda::log2_approx(1 + x.v) * cuda::kLn2F;
  }
  GRADUS_COARSE Coarse tanh(Coarse x) {
    const float squared = x.v * x.v, near = x.v * (1 - squared * (1 / 3.0f - squared * (2 / 15.0f)));
    return ::fabsf(x.v) < 0.0625f ? near : 1 - 2 * cuda::rcp_approx_ftz(1 + cuda::exp2_approx(x.v * (2 * cuda::kLog2E)));
  }

  // These are formulas of functors.h with fewer instructions: (1 + tanh(u)) / 2 is sigmoid(2 u).
  GRADUS_COARSE Coarse sigmoid(Coarse x) { return cuda::rcp_approx_ftz(1 + cuda::exp2_approx(-cuda::kLog2E * x.v)); }
  GRADUS_COARSE Coarse gelu_tanh_of(Coarse x) { return x * sigmoid(2 * kGeluTanh * x * (1 + kGeluCubic * x * x)); }
  GRADUS_COARSE Coarse gelu_tanh_slope(Coarse x) {
    const Coarse s = sigmoid(2 * kGeluTanh * x * (1 + kGeluCubic * x * x));
    return s + 2 * kGeluTanh * x * (s * (1 - s)) * (1 + 3 * kGeluCubic * x * x);
  }
#undef GRADUS_COARSE
};

}  // namespace GRADUS_ISA
}  // namespace gradus
