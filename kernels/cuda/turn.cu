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

/// A block moves squares through shared memory, so that a warp reads along x's rows and writes along y's.
template <class Bits> constexpr int kSide = sizeof(Bits) < 4 ? 64 : 32;
template <class Bits> __global__ void __launch_bounds__(kThreads) turn(Bits* y, const Bits* x, const __grid_constant__ Turn t) {
  constexpr int kWide = kSide<Bits>, kGap = sizeof(Bits) < 4 ? int(4 / sizeof(Bits)) : 1;  // columns lie in different banks
  __shared__ Bits square[kWide][kWide + kGap];
  const int lane = threadIdx.x % 32, side = threadIdx.x / 32;
  const int64_t column = int64_t(blockIdx.x) * kWide, row = int64_t(blockIdx.y) * kWide;  // of y
  for (int64_t batch = blockIdx.z; batch < t.batches; batch += gridDim.z) {
    int64_t from = row + column * t.x_step, to = column + row * t.y_step, rest = batch;
    for (int d = t.rank - 1; d >= 0; --d) {
      const int64_t at = rest % t.size[d];
      from += at * t.x[d], to += at * t.y[d], rest /= t.size[d];
    }
    __syncthreads();  // what was there before has been written
#pragma unroll
    for (int i = side; i < kWide; i += int(kThreads / 32)) {
#pragma unroll
      for (int j = lane; j < kWide; j += 32)
        if (column + i < t.wide && row + j < t.high) square[i][j] = x[from + i * t.x_step + j];
    }
    __syncthreads();
#pragma unroll
    for (int j = side; j < kWide; j += int(kThreads / 32)) {
#pragma unroll
      for (int i = lane; i < kWide; i += 32)
        if (column + i < t.wide && row + j < t.high) y[to + j * t.y_step + i] = square[i][j];
    }
  }
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
    turn<<<grid, kThreads, 0, stream()>>>(static_cast<Bits*>(c.data[0]), static_cast<const Bits*>(c.data[1]), t);
    check_launch(c);
    return true;
  });
}

}  // namespace gradus::cuda
