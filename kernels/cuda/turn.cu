#include "kernels/cuda/elementwise.cuh"
#include "kernels/cuda/turn.h"
#include "kernels/dispatch.h"

namespace gradus::cuda {
namespace {

constexpr int64_t kFew = 4096;    // elements that are not worth it
constexpr int64_t kNarrow = 16;   // neither are axes of which a square would stay empty
constexpr int64_t kMost = 65535;  // blocks along all axes of a grid but the first

/// y's innermost axis and x's, and what each of the two steps along the other's; then the axes that are left.
struct Turn {
  int64_t wide, high, x_step, y_step;
  int64_t batches;
  int rank;
  int64_t size[kMaxRank], x[kMaxRank], y[kMaxRank];
};

/// A block moves squares through shared memory, so that a warp reads along x's rows and writes along y's. What a thread reads it holds
/// in registers first: the reads do not wait for each other. n: elements that move together, up to 4 bytes, which no side cuts.
template <class Bits> constexpr int kSide = sizeof(Bits) < 4 ? 64 : 32;
template <class Bits, int n> __global__ void __launch_bounds__(kThreads)
    turn(Bits* y, const Bits* x, const __grid_constant__ Turn t) {
  constexpr int kWide = kSide<Bits>, kGap = sizeof(Bits) < 4 ? int(4 / sizeof(Bits)) : 1;  // columns lie in different banks
  constexpr int kPacks = kWide / n, kOfThread = kWide * kPacks / int(kThreads), kHeld = 4;
  static_assert(kOfThread % kHeld == 0);
  using Packed = Pack<Bits, n>;
  alignas(16) __shared__ Bits square[kWide][kWide + kGap];
  const int64_t column = int64_t(blockIdx.x) * kWide, row = int64_t(blockIdx.y) * kWide;  // of y
  const bool whole = column + kWide <= t.wide && row + kWide <= t.high;
  for (int64_t batch = blockIdx.z; batch < t.batches; batch += gridDim.z) {
    int64_t from = row + column * t.x_step, to = column + row * t.y_step, rest = batch;
    for (int d = t.rank - 1; d >= 0; --d) {
      const int64_t at = rest % t.size[d];
      from += at * t.x[d], to += at * t.y[d], rest /= t.size[d];
    }
    // f(line of the square, first element in it, which of those held) of kHeld of the thread's packs.
    auto each = [&](int first, auto f) {
#pragma unroll
      for (int k = 0; k < kHeld; ++k) {
        const int at = int(threadIdx.x) + (first + k) * int(kThreads);
        f(at / kPacks, at % kPacks * n, k);
      }
    };
    __syncthreads();  // what was there before has been written
#pragma unroll 1
    for (int first = 0; first < kOfThread; first += kHeld) {
      Packed held[kHeld];
      if (whole)
        each(first, [&](int i, int j, int k) { held[k] = *reinterpret_cast<const Packed*>(x + from + i * t.x_step + j); });
      else
        each(first, [&](int i, int j, int k) {
          if (column + i < t.wide && row + j < t.high) held[k] = *reinterpret_cast<const Packed*>(x + from + i * t.x_step + j);
        });
      each(first, [&](int i, int j, int k) { *reinterpret_cast<Packed*>(&square[i][j]) = held[k]; });
    }
    __syncthreads();
#pragma unroll 1
    for (int first = 0; first < kOfThread; first += kHeld)
      each(first, [&](int j, int i, int) {
        if (!whole && !(column + i < t.wide && row + j < t.high)) return;
        Packed pack;
#pragma unroll
        for (int u = 0; u < n; ++u) pack.item[u] = square[i + u][j];
        *reinterpret_cast<Packed*>(y + to + j * t.y_step + i) = pack;
      });
  }
}

/// Whether n neighbours of `bytes` each can move as one.
bool together(const Turn& t, const void* y, const void* x, int n, size_t bytes) {
  int64_t steps = t.wide | t.high | t.x_step | t.y_step;
  for (int d = 0; d < t.rank; ++d) steps |= t.x[d] | t.y[d];
  return steps % n == 0 && (reinterpret_cast<uintptr_t>(y) | reinterpret_cast<uintptr_t>(x)) % (size_t(n) * bytes) == 0;
}

}  // namespace

bool copy_turned(const Elementwise& c) {
  const Plan& p = c.plan;
  const int inner = p.rank - 1;
  if (p.count < kFew || p.stride[0][inner] != 1 || p.stride[1][inner] == 0) return false;
  int other = inner;
  while (other >= 0 && p.stride[1][other] != 1) --other;
  if (other < 0 || other == inner || p.size[inner] < kNarrow || p.size[other] < kNarrow) return false;
  Turn t{p.size[inner], p.size[other], p.stride[1][inner], p.stride[0][other], 1, 0, {}, {}, {}};
  for (int d = 0; d < inner; ++d) {
    if (d == other) continue;
    t.size[t.rank] = p.size[d], t.x[t.rank] = p.stride[1][d], t.y[t.rank] = p.stride[0][d];
    t.batches *= t.size[t.rank++];
  }
  return dispatch_size(c.dtype, [&]<class Bits>() {
    const int64_t across = (t.wide + kSide<Bits> - 1) / kSide<Bits>, down = (t.high + kSide<Bits> - 1) / kSide<Bits>;
    if (down > kMost) return false;
    const dim3 grid(unsigned(across), unsigned(down), unsigned(t.batches < kMost ? t.batches : kMost));
    auto* y = static_cast<Bits*>(c.data[0]);
    auto* x = static_cast<const Bits*>(c.data[1]);
    constexpr int n = sizeof(Bits) < 4 ? int(4 / sizeof(Bits)) : 1;
    if (n > 1 && together(t, y, x, n, sizeof(Bits)))
      turn<Bits, n><<<grid, kThreads, 0, stream()>>>(y, x, t);
    else
      turn<Bits, 1><<<grid, kThreads, 0, stream()>>>(y, x, t);
    return true;
  });
}

}  // namespace gradus::cuda
