// The places of what is not zero, in row-major order: chunks are counted, the counts added up, and each chunk writes behind those before.
#include "kernels/cuda/reduce.cuh"

namespace gradus::cuda {
namespace {

constexpr int64_t kChunk = 16 * kThreads;  // elements that a block counts

struct Elements {
  const char* x;
  int64_t count;
  int item;
  DType dtype;
  __device__ bool at(int64_t i) const { return i < count && LoadNonzero::get(x + i * item, dtype) != 0; }
};

/// How many of this thread's block are before it, in their order; `total` becomes how many there are. All threads come here.
__device__ int before(bool mine, int* total) {
  __shared__ int of_warp[kThreads / 32];
  const unsigned votes = __ballot_sync(0xffffffffu, mine);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  __syncthreads();  // what was there has been read by all
  if (lane == 0) of_warp[warp] = __popc(votes);
  __syncthreads();
  int count = __popc(votes & ((1u << lane) - 1)), all = 0;
  for (int w = 0; w < int(kThreads / 32); ++w) {
    if (w < warp) count += of_warp[w];
    all += of_warp[w];
  }
  *total = all;
  return count;
}

__global__ void __launch_bounds__(kThreads) count_chunks(int64_t* counts, const Elements x) {
  const int64_t first = int64_t(blockIdx.x) * kChunk + threadIdx.x;
  int64_t sum = 0;
  for (int64_t i = 0; i < kChunk; i += kThreads) {
    int total;
    before(x.at(first + i), &total);
    sum += total;
  }
  if (threadIdx.x == 0) counts[blockIdx.x] = sum;
}
/// counts[i] becomes the sum of those before it; the last one, of all. One block, a part of the chunks a thread.
__global__ void __launch_bounds__(kThreads) add_up(int64_t* counts, int64_t chunks) {
  __shared__ int64_t sums[kThreads];
  const int64_t part = (chunks + kThreads - 1) / kThreads, begin = threadIdx.x * part < chunks ? threadIdx.x * part : chunks;
  const int64_t end = begin + part < chunks ? begin + part : chunks;
  int64_t sum = 0;
  for (int64_t i = begin; i < end; ++i) sum += counts[i];
  sums[threadIdx.x] = sum;
  __syncthreads();
  int64_t total = 0;
  for (unsigned t = 0; t < threadIdx.x; ++t) total += sums[t];
  for (int64_t i = begin; i < end; ++i) {
    const int64_t here = counts[i];
    counts[i] = total, total += here;
  }
  if (threadIdx.x == kThreads - 1) counts[chunks] = total;
}

struct Shape {
  int rank;
  int64_t size[kMaxRank];
};
__global__ void __launch_bounds__(kThreads) write_places(int64_t* y, const int64_t* counts, const Elements x, const Shape shape) {
  const int64_t first = int64_t(blockIdx.x) * kChunk + threadIdx.x;
  int64_t to = counts[blockIdx.x];
  for (int64_t i = 0; i < kChunk; i += kThreads) {
    const bool mine = x.at(first + i);
    int total;
    const int at = before(mine, &total);
    int64_t rest = first + i;
    for (int d = shape.rank - 1; mine && d >= 0; --d) y[(to + at) * shape.rank + d] = rest % shape.size[d], rest /= shape.size[d];
    to += total;
  }
}

int64_t chunks_of(const Array& x) { return (x.count + kChunk - 1) / kChunk; }
void count(const Scratch& counts, const Array& x, const Elements& elements) {
  count_chunks<<<unsigned(chunks_of(x)), kThreads, 0, stream()>>>(counts.as<int64_t>(), elements);
  add_up<<<1, kThreads, 0, stream()>>>(counts.as<int64_t>(), chunks_of(x));
}
Elements elements_of(const Array& x) { return {x.as<char>(), x.count, int(item_size(x.dtype)), x.dtype}; }

}  // namespace

void nonzero_count(int64_t* found, const Array& x) {
  *found = 0;
  if (x.count == 0) return;
  Scratch counts(size_t(chunks_of(x) + 1) * sizeof(int64_t));
  count(counts, x, elements_of(x));
  check_launch("nonzero", {&x});
  to_host(found, counts.as<int64_t>() + chunks_of(x), sizeof *found);
}

void nonzero_places(const Array& y, const Array& x) {
  if (x.count == 0 || y.count == 0) return;
  Scratch counts(size_t(chunks_of(x) + 1) * sizeof(int64_t));
  count(counts, x, elements_of(x));
  Shape shape{x.rank, {}};
  for (int d = 0; d < x.rank; ++d) shape.size[d] = x.shape[d];
  write_places<<<unsigned(chunks_of(x)), kThreads, 0, stream()>>>(y.as<int64_t>(), counts.as<int64_t>(), elements_of(x), shape);
  check_launch("nonzero", {&x});
}

}  // namespace gradus::cuda
