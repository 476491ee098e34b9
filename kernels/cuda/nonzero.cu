// The places of what is not zero, in row-major order: chunks are counted, the counts added up, and each chunk writes behind those before.
#include "kernels/cuda/elementwise.cuh"
#include "kernels/cuda/sorted.h"
#include "kernels/dispatch.h"

namespace gradus::cuda {
namespace {

constexpr int64_t kChunk = 16 * kThreads;  // elements that a block counts

/// Elements of one size: their bits, without the sign's of floats, since zeros of both signs are zeros.
template <class Bits> struct Elements {
  const Bits* x;
  int64_t count;
  Bits mask;
  __device__ bool at(int64_t i) const { return i < count && (x[i] & mask) != 0; }
};
template <class F> void with_elements(const Array& x, F f) {
  dispatch_size(x.dtype, [&]<class Bits>() {
    f(Elements<Bits>{x.as<Bits>(), x.count, is_float(x.dtype) ? Bits(Bits(~Bits(0)) >> 1) : Bits(~Bits(0))});
  });
}

/// A block a chunk, a warp an eighth of it.
constexpr int kWarps = int(kThreads / 32), kOfWarp = int(kChunk / kThreads);  // kOfWarp elements a thread, 32 apart
/// Which of a thread's elements are not zero: bit k is that of element first + 32 k. The reads do not wait for each other.
template <class Bits> __device__ __forceinline__ unsigned nonzero_bits(const Elements<Bits>& x, int64_t first) {
  unsigned bits = 0;
#pragma unroll
  for (int k = 0; k < kOfWarp; ++k) bits |= unsigned(x.at(first + 32 * k)) << k;
  return bits;
}
__device__ int64_t first_of_thread() {
  return int64_t(blockIdx.x) * kChunk + threadIdx.x / 32 * (kChunk / kWarps) + threadIdx.x % 32;
}
/// The sums of the block's warps: of those before this one, and of all. All threads come here.
struct Before {
  int here = 0, total = 0;
  __device__ explicit Before(int mine) {
    __shared__ int of_warp[kWarps];
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) mine += __shfl_xor_sync(0xffffffffu, mine, distance);
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = mine;
    __syncthreads();
#pragma unroll
    for (int w = 0; w < kWarps; ++w) here += w < int(threadIdx.x / 32) ? of_warp[w] : 0, total += of_warp[w];
  }
};

template <class Bits> __global__ void __launch_bounds__(kThreads) count_chunks(int64_t* counts, const Elements<Bits> x) {
  const Before before(__popc(nonzero_bits(x, first_of_thread())));
  if (threadIdx.x == 0) counts[blockIdx.x + 1] = before.total;
}
struct Shape {
  int rank;
  int64_t size[kMaxRank];
};
template <class Bits> __global__ void __launch_bounds__(kThreads)
    write_places(int64_t* y, const int64_t* counts, const Elements<Bits> x, const __grid_constant__ Shape shape) {
  const int64_t first = first_of_thread();
  const unsigned bits = nonzero_bits(x, first), below = (1u << threadIdx.x % 32) - 1;
  int64_t to = counts[blockIdx.x] + Before(__popc(bits)).here;
  for (int k = 0; k < kOfWarp; ++k) {
    const bool mine = bits >> k & 1;
    const unsigned votes = __ballot_sync(0xffffffffu, mine);
    if (mine) {
      int64_t* place = y + (to + __popc(votes & below)) * shape.rank;
      int64_t rest = first + 32 * k;
      for (int d = shape.rank - 1; d >= 0; --d) {
        const int64_t outer = x.count <= UINT32_MAX ? int64_t(uint32_t(rest) / uint32_t(shape.size[d])) : rest / shape.size[d];
        place[d] = rest - outer * shape.size[d], rest = outer;
      }
    }
    to += __popc(votes);
  }
}

int64_t chunks_of(const Array& x) { return (x.count + kChunk - 1) / kChunk; }
/// counts[i] becomes how many the chunks before it have; the last one, all.
template <class Bits> void count(const Scratch& counts, const Array& x, const Elements<Bits>& elements) {
  count_chunks<<<unsigned(chunks_of(x)), kThreads, 0, stream()>>>(counts.as<int64_t>(), elements);
  check("nonzero", cudaMemsetAsync(counts.as<void>(), 0, sizeof(int64_t), stream()));
  add_up("nonzero", counts.as<int64_t>() + 1, chunks_of(x));
}

}  // namespace

void nonzero_count(int64_t* found, const Array& x) {
  *found = 0;
  if (x.count == 0) return;
  Scratch counts(size_t(chunks_of(x) + 1) * sizeof(int64_t));
  with_elements(x, [&](const auto& elements) { count(counts, x, elements); });
  check_launch("nonzero", {&x});
  to_host(found, counts.as<int64_t>() + chunks_of(x), sizeof *found);
}

void nonzero_places(const Array& y, const Array& x) {
  if (x.count == 0 || y.count == 0) return;
  Scratch counts(size_t(chunks_of(x) + 1) * sizeof(int64_t));
  Shape shape{x.rank, {}};
  for (int d = 0; d < x.rank; ++d) shape.size[d] = x.shape[d];
  with_elements(x, [&](const auto& elements) {
    count(counts, x, elements);
    write_places<<<unsigned(chunks_of(x)), kThreads, 0, stream()>>>(y.as<int64_t>(), counts.as<int64_t>(), elements, shape);
  });
  check_launch("nonzero", {&x});
}

}  // namespace gradus::cuda
