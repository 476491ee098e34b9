// For kernels whose elements are found through indices: a thread an element, and where it lies in operands of any strides.
#pragma once
#include "kernels/cuda/elementwise.cuh"

namespace gradus::cuda {

/// Calls f(i) for i < n.
template <class F> __global__ void __launch_bounds__(kThreads) each(int64_t n, const __grid_constant__ F f) {
  const int64_t step = int64_t(gridDim.x) * kThreads;
  for (int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x; i < n; i += step) f(i);
}
template <class F> void launch_each(const char* op, int64_t n, std::initializer_list<const Array*> arrays, const F& f) {
  if (n == 0) return;
  const int64_t blocks = (n + kThreads - 1) / kThreads, most = 1 << 20;
  each<<<unsigned(blocks < most ? blocks : most), kThreads, 0, stream()>>>(n, f);
  check_launch(op, arrays);
}

/// Elements of a shape in some order, and their offsets in n operands.
template <int n> struct Places {
  int rank;
  int64_t count, size[kMaxRank], stride[n][kMaxRank];

  /// In the plan's order: neighbours are neighbours in operand 0.
  explicit Places(const Plan& plan) : rank(plan.rank), count(plan.count) {
    for (int d = 0; d < rank; ++d) {
      size[d] = plan.size[d];
      for (int k = 0; k < n; ++k) stride[k][d] = plan.stride[k][d];
    }
  }
  /// In row-major order.
  Places(int rank, const int64_t* shape, const int64_t* const (&strides)[n]) : rank(rank), count(1) {
    for (int d = 0; d < rank; ++d) {
      count *= size[d] = shape[d];
      for (int k = 0; k < n; ++k) stride[k][d] = strides[k][d];
    }
  }
  __device__ void locate(int64_t i, int64_t (&offset)[n]) const {
#pragma unroll
    for (int k = 0; k < n; ++k) offset[k] = 0;
    for (int d = rank - 1; d >= 0; --d) {
      const int64_t outer = d == 0 ? 0 : count <= UINT32_MAX ? int64_t(uint32_t(i) / uint32_t(size[d])) : i / size[d];
      const int64_t at = i - outer * size[d];
#pragma unroll
      for (int k = 0; k < n; ++k) offset[k] += at * stride[k][d];
      i = outer;
    }
  }
};

}  // namespace gradus::cuda
