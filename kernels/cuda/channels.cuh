// (N, C, ...) as norms over the other axes see it, and what they have of each channel; and what tells the gradient of relu behind a norm what has
// passed it.
#pragma once
#include "kernels/cuda/row.cuh"
#include "kernels/cuda/scratch.h"
#include "kernels/rectified.h"

namespace gradus::cuda::channels {

inline bool lie_on_packs(std::initializer_list<const void*> arrays) {
  for (const void* a : arrays)
    if (reinterpret_cast<uintptr_t>(a) % 16 != 0) return false;
  return true;
}

struct Channels {
  int64_t n, c, d, groups;  // groups: 0 for statistics over the batch
  int64_t stretches;        // of an example's rows
  bool last;
  Channels(const Array& x, int64_t groups) : n(x.size(0)), c(x.size(1)), groups(groups), stretches(1) {
    d = n * c > 0 ? x.count / (n * c) : 0;
    last = d == 1 || !x.contiguous;
    if (last && !groups) d *= n, n = 1;
    if (!last) return;
    const int64_t most = n < 1024 ? 1024 / (n + 1) + 1 : 1, room = (d + 63) / 64;
    stretches = most < room ? most : room;
    if (stretches < 1) stretches = 1;
  }
  __host__ __device__ int64_t slots() const { return n * stretches; }  // of c numbers each
  __host__ __device__ int64_t statistics() const { return groups ? n * groups : c; }
  __host__ __device__ int64_t statistic(int64_t i, int64_t k) const { return groups ? i * groups + k / (c / groups) : k; }
  __host__ __device__ int64_t per_statistic() const { return groups ? d * (c / groups) : n * d; }  // elements
  __host__ __device__ int64_t coefficients() const { return (groups ? n : 1) * c; }
  __device__ int64_t stretch_begin(int64_t s) const { return d * s / stretches; }
  __device__ int64_t rows_of_slot(int64_t slot) const {
    const int64_t s = slot % stretches;
    return stretch_begin(s + 1) - stretch_begin(s);
  }
};

/// Who takes the channels of a row where they come last: so many lanes, n channels each, and blocks for all channels.
struct Lanes {
  int lanes;
  unsigned blocks;
  Lanes(int64_t c, int n) : lanes(1) {
    while (lanes < 32 && lanes * n < c) lanes *= 2;
    blocks = unsigned((c + lanes * n - 1) / (lanes * n));
  }
  /// Blocks for all slots: those of channels go on along the third axis, since the second one of a grid ends at 65535.
  dim3 grid(int64_t slots) const {
    constexpr unsigned kMost = 65535;
    return blocks <= kMost ? dim3(unsigned(slots), blocks) : dim3(unsigned(slots), kMost, (blocks + kMost - 1) / kMost);
  }
};
/// Which of a slot's blocks this one is; there may be some behind the last channel.
__device__ __forceinline__ int64_t block_of_channels() { return int64_t(blockIdx.z) * gridDim.y + blockIdx.y; }

constexpr int kAhead = 4;  // reads of a thread that are under way at once

/// Keeps elements packed until they are worked on, where the compiler would rather keep each, unpacked, in a register of its own.
template <int n, class T> __device__ __forceinline__ void stay_packed(T (&items)[n]) {
  if constexpr (sizeof items == 16) {
    auto& words = reinterpret_cast<uint32_t(&)[4]>(items);
#pragma unroll
    for (int j = 0; j < 4; ++j) asm volatile("" : "+r"(words[j]));
  }
}

/// Of each (example, channel), each kind side by side. With apart = x - middle the norm is apart * scale + bias, and its gradient g * scale +
/// apart * slope + shift.
template <class A> struct Coefficients {
  A *middle, *scale, *bias, *slope, *shift;
  Coefficients(const Scratch& memory, int64_t count)
      : middle(memory.as<A>()), scale(middle + count), bias(scale + count), slope(bias + count), shift(slope + count) {}
  static size_t bytes(int64_t count) { return size_t(5 * count) * sizeof(A); }
};

// Forward and backward call these, so that what tells the gradient has the bits of what was stored.
template <class A> __device__ __forceinline__ A scale_of(A rstd, const A* weight, int64_t k) {
  return rstd * (weight ? weight[k] : A(1));
}
template <class A> __device__ __forceinline__ A bias_of(const A* bias, int64_t k) { return bias ? bias[k] : A(0); }
__device__ __forceinline__ float norm_of(float apart, float scale, float bias) { return ::fmaf(apart, scale, bias); }
__device__ __forceinline__ double norm_of(double apart, double scale, double bias) { return ::fma(apart, scale, bias); }

/// Where relu lets a gradient through: there is none, or by the x of the norm, or by relu's result.
enum class Gate { open, by_x, by_y };
template <class T> __device__ __forceinline__ bool is_closed_at(accumulate_t<T> norm) { return norm <= kBecomesZero<T>; }

}  // namespace gradus::cuda::channels
