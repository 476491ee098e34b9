// The squares of many tensors' elements in one sum: a launch does as many tensors as its arguments have room for, and a block 16384 elements
// of one. The blocks' sums are added in double, in their order.
#include "kernels/cuda/entries.cuh"
#include "kernels/cuda/row.cuh"
#include "kernels/cuda/scratch.h"
#include "kernels/dispatch.h"
#include "kernels/update.h"

namespace gradus::cuda {
namespace {

constexpr int kMostStretches = 120;  // arguments have 4 KiB
constexpr int64_t kBlockItems = 64 * kThreads;

struct Stretches {
  int count = 0;
  uint32_t first[kMostStretches + 1] = {};  // the number of each one's first block
  Stretch of[kMostStretches];
};
static_assert(sizeof(Stretches) <= 4000);

int64_t blocks_for(const Stretch& s) { return (s.count + kBlockItems - 1) / kBlockItems; }

template <class T> __global__ void __launch_bounds__(kThreads) square_blocks(double* sums, const __grid_constant__ Stretches all) {
  using A = accumulate_t<T>;
  const int which = entry_of(blockIdx.x, all.first, all.count);
  const Stretch& s = all.of[which];
  const int64_t begin = int64_t(blockIdx.x - all.first[which]) * kBlockItems, left = s.count - begin;
  const T* x = static_cast<const T*>(s.data) + begin;
  A sum = 0;
  for_row(x, left < kBlockItems ? left : kBlockItems, threadIdx.x, kThreads, [&](int64_t i, auto count) {
    T v[count];
    load_items(v, x + i);
#pragma unroll
    for (int j = 0; j < count; ++j) sum += widen(v[j]) * widen(v[j]);
  });
  sum = of_team(sum, int(kThreads), Plus());
  if (threadIdx.x == 0) sums[blockIdx.x] = double(sum);
}
__global__ void __launch_bounds__(kThreads) add_up(double* total, const double* sums, int64_t count) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += kThreads) sum += sums[i];
  sum = of_team(sum, int(kThreads), Plus());
  if (threadIdx.x == 0) *total = sum;
}

}  // namespace

void sum_of_squares(const Array& sum, const Stretch* list, int64_t count) {
  int64_t blocks = 0;
  for (int64_t i = 0; i < count; ++i) blocks += blocks_for(list[i]);
  Scratch sums(size_t(blocks > 0 ? blocks : 1) * sizeof(double));
  for (int64_t i = 0, done = 0; i < count;) {
    const DType dtype = list[i].dtype;
    Stretches all;
    for (; i < count && all.count < kMostStretches && list[i].dtype == dtype; ++i) {
      if (list[i].count == 0) continue;
      if (all.first[all.count] + blocks_for(list[i]) > INT32_MAX) break;
      all.of[all.count] = list[i];
      all.first[all.count + 1] = all.first[all.count] + uint32_t(blocks_for(list[i]));
      ++all.count;
    }
    if (all.count == 0) continue;
    dispatch_float("sum_of_squares", dtype, [&]<class T>() {
      square_blocks<T><<<all.first[all.count], kThreads, 0, stream()>>>(sums.as<double>() + done, all);
    });
    done += all.first[all.count];
  }
  add_up<<<1, kThreads, 0, stream()>>>(sum.as<double>(), sums.as<double>(), blocks);
  check_launch("sum_of_squares", {&sum});
}

}  // namespace gradus::cuda
