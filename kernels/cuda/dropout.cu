// Dropout: whether an element stays is a function of the seed and its place in memory, so nothing is stored for backward. The words are
// the CPU's: a block of four for four elements.
#include "kernels/cuda/row.cuh"
#include "kernels/dispatch.h"
#include "kernels/params.h"
#include "kernels/philox.h"

namespace gradus::cuda {
namespace {

template <class T> __global__ void __launch_bounds__(kThreads)
    drop(T* y, const T* x, int64_t count, Draw given, uint32_t bound, accumulate_t<T> scale) {
  const Draw draw = given.now();
  using A = accumulate_t<T>;
  constexpr int kEach = kItemsOf<T> < 4 ? 4 : kItemsOf<T>;  // elements of a thread: whole blocks of words
  const int64_t first = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * kEach;
  if (first >= count) return;
  const bool whole = first + kEach <= count;
  T v[kEach];
  if (whole)
    load_items(v, x + first);
  else
#pragma unroll  // so that they stay in registers
    for (int j = 0; j < kEach; ++j) v[j] = first + j < count ? x[first + j] : T(A(0));
#pragma unroll
  for (int j = 0; j < kEach; j += 4) {
    const Philox words = Philox::at(draw.seed, draw.offset + uint64_t(first + j) / 4);
#pragma unroll
    for (int k = 0; k < 4; ++k) v[j + k] = narrow<T>(words.word[k] >> 8 >= bound ? widen(v[j + k]) * scale : A(0));
  }
  if (whole) return store_items(y + first, v);
#pragma unroll
  for (int j = 0; j < kEach; ++j)
    if (first + j < count) y[first + j] = v[j];
}

}  // namespace

void dropout(const Array& y, const Array& x, Draw draw, double p) {
  if (y.count == 0) return;
  dispatch_float("dropout", x.dtype, [&]<class T>() {
    using A = accumulate_t<T>;
    const int64_t a_block = int64_t(kThreads) * (kItemsOf<T> < 4 ? 4 : kItemsOf<T>);
    drop<T><<<unsigned((y.count + a_block - 1) / a_block), kThreads, 0, stream()>>>(y.as<T>(), x.as<T>(), y.count, draw,
                                                                                    drop_bound(p), p < 1 ? A(1 / (1 - p)) : A(0));
  });
  check_launch("dropout", {&x});
}

}  // namespace gradus::cuda
