// Exponentials, logarithms and quotients as the processor's own instructions give them: for numbers that are rounded to half types, which
// are wrong by 2^-12 of themselves anyhow. Subnormal floats count as zeros in most.
#pragma once
#include "kernels/cuda/elementwise.cuh"

namespace gradus::cuda {

inline constexpr float kLog2E = 1.44269504f, kLn2F = 0.69314718f;

/// 2^x; wrong by at most 2 units in the last place.
__device__ __forceinline__ float exp2_approx(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
/// log2(x); wrong by at most 2^-22 of itself, between 0.5 and 2 by 2^-22.
__device__ __forceinline__ float log2_approx(float x) {
  float y;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
/// 1 / x; wrong by at most one unit in the last place.
__device__ __forceinline__ float rcp_approx_ftz(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
/// The same, and the one function here that knows subnormal floats: 1e38 has a reciprocal. Four instructions instead of one.
__device__ __forceinline__ float rcp_approx(float x) {
  float y;
  asm("rcp.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// exp(x - from), for x of type T: of a half type by one multiplication and one instruction for the power.
template <class T> struct ExpFrom {
  using A = accumulate_t<T>;
  A from;
  __device__ __forceinline__ explicit ExpFrom(A f) : from(f) {}
  __device__ __forceinline__ A operator()(A x) const { return ::exp(x - from); }
};
template <class T>
requires(sizeof(T) == 2) struct ExpFrom<T> {
  float from;  // in powers of two
  __device__ __forceinline__ explicit ExpFrom(float f) : from(f * kLog2E) {}
  __device__ __forceinline__ float operator()(float x) const { return exp2_approx(::fmaf(x, kLog2E, -from)); }
};

}  // namespace gradus::cuda
