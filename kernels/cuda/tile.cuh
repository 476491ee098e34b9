// Products of tiles, which matrix products, attention and convolutions are made of. A block of 16 x 16 threads holds a square of sums, each
// thread those that lie 16 apart; what is multiplied comes through slabs in shared memory.
#pragma once
#include "kernels/cuda/elementwise.cuh"

namespace gradus::cuda {

constexpr int kDepth = 16;  // terms of a sum that a slab holds

template <int kSide, class A> struct Square {
  static constexpr int kEach = kSide / 16;
  using Slab = A[kSide + 1];  // kSide numbers of one depth; one more, so that columns lie in different banks
  A sum[kEach][kEach];

  __device__ void clear() {
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
#pragma unroll
      for (int j = 0; j < kEach; ++j) sum[i][j] = A(0);
    }
  }
  /// sum[i][j] += left[d][i] * right[d][j] over a slab's depth, always in the same order. This is where tensor cores belong.
  __device__ void add_product(const Slab* left, const Slab* right) {
    const int row = threadIdx.x / 16, column = threadIdx.x % 16;
#pragma unroll
    for (int d = 0; d < kDepth; ++d) {
      A l[kEach], r[kEach];
#pragma unroll
      for (int j = 0; j < kEach; ++j) l[j] = left[d][row + 16 * j], r[j] = right[d][column + 16 * j];
#pragma unroll
      for (int i = 0; i < kEach; ++i) {
#pragma unroll
        for (int j = 0; j < kEach; ++j) sum[i][j] += l[i] * r[j];
      }
    }
  }
  /// f(row, column, sum) for this thread's.
  template <class F> __device__ void for_each(F f) {
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
#pragma unroll
      for (int j = 0; j < kEach; ++j) f(int(threadIdx.x / 16) + 16 * i, int(threadIdx.x % 16) + 16 * j, sum[i][j]);
    }
  }
};

/// slab[d][i] = f(d, i, n), for the n-th element that a thread fills. Neighbouring threads take neighbouring depths, or neighbours of one
/// depth: as they lie in memory. A thread's elements share a depth in the first case, and their place i in the second.
template <int kSide, class A, class F> __device__ void fill_slab(A (*slab)[kSide + 1], bool along_depth, F f) {
#pragma unroll
  for (int n = 0; n < kSide * kDepth / int(kThreads); ++n) {
    const int t = int(threadIdx.x) + n * int(kThreads);
    const int d = along_depth ? t % kDepth : t / kSide, i = along_depth ? t / kDepth : t % kSide;
    slab[d][i] = f(d, i, n);
  }
}

}  // namespace gradus::cuda
