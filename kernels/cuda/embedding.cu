// Rows of a table by index, and what comes back to them. Backward sorts the positions by row, so that each row of the table is summed by
// warps, each of which takes 32 packs, in the order of the positions and written once: no atomic sums, half types are summed in float, and
// the cost does not depend on how many rows the table has beyond writing them. Where 128 sorted positions from a multiple of 128 on
// are one row's, they are summed first: some rows are named thousands of times.
#include "kernels/cuda/places.cuh"
#include "kernels/cuda/row.cuh"
#include "kernels/cuda/sorted.h"
#include "kernels/dispatch.h"

namespace gradus::cuda {
namespace {

constexpr int64_t kWarps = kThreads / 32;
unsigned warp_blocks(int64_t rows) { return unsigned((rows + kWarps - 1) / kWarps); }

/// A warp a row. T is an unsigned integer of the element's size.
template <class T> __global__ void __launch_bounds__(kThreads)
    take_rows(T* y, const T* table, int64_t step, const int64_t* index, int64_t count, int64_t width, int64_t zeros) {
  const int64_t at = row_of_team(32), which = at < count ? index[at] : 0;
  if (at >= count) return;
  y += at * width;
  for_row(y, width, lane_of_team(32), 32, [&](int64_t i, auto n) {
    T v[n] = {};
    if (which != zeros) load_items(v, table + which * step + i);
    store_items(y + i, v);
  });
}

struct RowKeys {
  uint64_t* keys;
  int64_t* places;
  const int64_t* index;
  __device__ void operator()(int64_t i) const { keys[i] = uint64_t(index[i]), places[i] = i; }
};
/// Where each row's positions begin and end; both are 0 before, and stay so for rows that no index names.
struct Bounds {
  int64_t *first, *last;
  const uint64_t* keys;
  int64_t n;
  __device__ void operator()(int64_t i) const {
    if (i == 0 || keys[i] != keys[i - 1]) first[keys[i]] = i;
    if (i + 1 == n || keys[i] != keys[i + 1]) last[keys[i]] = i + 1;
  }
};

constexpr int64_t kChunk = 128;
/// What a warp takes of a row.
template <class T> constexpr int64_t kOfWarp = 32 * kItemsOf<T>;
template <class T> int64_t warps_a_row(int64_t width) { return (width + kOfWarp<T> - 1) / kOfWarp<T>; }
template <class T, class F> __device__ __forceinline__ void for_part_of_row(const T* row, int64_t width, int64_t which, F f) {
  const int64_t from = which * kOfWarp<T>, left = width - from;
  for_row(row + from, left < kOfWarp<T> ? left : kOfWarp<T>, lane_of_team(32), 32, [&](int64_t i, auto n) { f(from + i, n); });
}
/// sum += the rows begin..end of a table, of which place(k) is number k.
template <class A, int n, class T, class Place>
__device__ __forceinline__ void add_rows(A (&sum)[n], int64_t begin, int64_t end, const T* from, Place place) {
  constexpr int kAtOnce = 8;  // reads that do not wait for each other
  T some[kAtOnce][n];
  int64_t k = begin;
  for (; k + kAtOnce <= end; k += kAtOnce) {
    int64_t at[kAtOnce];
#pragma unroll
    for (int u = 0; u < kAtOnce; ++u) at[u] = place(k + u);
#pragma unroll
    for (int u = 0; u < kAtOnce; ++u) load_items(some[u], from + at[u]);
#pragma unroll
    for (int u = 0; u < kAtOnce; ++u) {
#pragma unroll
      for (int j = 0; j < n; ++j) sum[j] += widen(some[u][j]);
    }
  }
  for (; k < end; ++k) {
    load_items(some[0], from + place(k));
#pragma unroll
    for (int j = 0; j < n; ++j) sum[j] += widen(some[0][j]);
  }
}

template <class T> __global__ void __launch_bounds__(kThreads)
    sum_chunks(accumulate_t<T>* sums, const T* g, const uint64_t* keys, const int64_t* places, int64_t chunks, int64_t width,
               int64_t warps, int64_t skip) {
  const int64_t task = row_of_team(32), chunk = task / warps, begin = chunk * kChunk;
  if (chunk >= chunks || keys[begin] != keys[begin + kChunk - 1] || int64_t(keys[begin]) == skip) return;
  for_part_of_row(g, width, task % warps, [&](int64_t i, auto n) {
    accumulate_t<T> sum[n] = {};
    add_rows(sum, begin, begin + kChunk, g, [&](int64_t k) { return places[k] * width + i; });
    store_items(sums + chunk * width + i, sum);
  });
}

template <class T> __global__ void __launch_bounds__(kThreads)
    sum_rows(T* dtable, const T* g, const accumulate_t<T>* sums, const int64_t* first, const int64_t* last, const int64_t* places,
             int64_t rows, int64_t width, int64_t warps, int64_t skip) {
  const int64_t task = row_of_team(32), row = task / warps;
  if (row >= rows) return;
  const int64_t begin = first[row], end = row == skip ? begin : last[row];
  const int64_t chunk = (begin + kChunk - 1) / kChunk, chunk_end = end / kChunk;  // the whole ones
  const bool chunks = chunk < chunk_end;
  T* to = dtable + row * width;
  for_part_of_row(to, width, task % warps, [&](int64_t i, auto n) {
    accumulate_t<T> sum[n] = {};
    auto place = [&](int64_t k) { return places[k] * width + i; };
    add_rows(sum, begin, chunks ? chunk * kChunk : end, g, place);
    if (chunks) {
      add_rows(sum, chunk, chunk_end, sums, [&](int64_t k) { return k * width + i; });
      add_rows(sum, chunk_end * kChunk, end, g, place);
    }
    T v[n];
#pragma unroll
    for (int j = 0; j < n; ++j) v[j] = narrow<T>(sum[j]);
    store_items(to + i, v);
  });
}

}  // namespace

void embedding(const Array& y, const Array& table, const Array& index, int64_t zeros) {
  if (y.count == 0) return;
  dispatch_size(y.dtype, [&]<class T>() {
    take_rows<T><<<warp_blocks(index.count), kThreads, 0, stream()>>>(y.as<T>(), table.as<T>(), table.step(0), index.as<int64_t>(),
                                                                      index.count, table.size(1), zeros);
  });
  check_launch("embedding", {&table, &index});
}

void embedding_backward(const Array& dtable, const Array& g, const Array& index, int64_t skip) {
  if (dtable.count == 0) return;
  const int64_t rows = dtable.size(0), width = dtable.size(1), n = index.count;
  Sorted order(n);
  launch_each("embedding_backward", n, {&index}, RowKeys{order.keys(), order.places(), index.as<int64_t>()});
  order.sort("embedding_backward", bits_below(uint64_t(rows)));
  Scratch bounds(size_t(2 * rows) * sizeof(int64_t));
  int64_t *first = bounds.as<int64_t>(), *last = first + rows;
  check("embedding_backward", cudaMemsetAsync(first, 0, size_t(2 * rows) * sizeof(int64_t), stream()));
  launch_each("embedding_backward", n, {&index}, Bounds{first, last, order.keys(), n});
  dispatch_float("embedding_backward", g.dtype, [&]<class T>() {
    using A = accumulate_t<T>;
    const int64_t chunks = n / kChunk, warps = warps_a_row<T>(width);
    Scratch sums(size_t(chunks * width + 1) * sizeof(A));
    if (chunks > 0)
      sum_chunks<T><<<warp_blocks(chunks * warps), kThreads, 0, stream()>>>(sums.as<A>(), g.as<T>(), order.keys(), order.places(),
                                                                            chunks, width, warps, skip);
    sum_rows<T><<<warp_blocks(rows * warps), kThreads, 0, stream()>>>(dtable.as<T>(), g.as<T>(), sums.as<A>(), first, last,
                                                                      order.places(), rows, width, warps, skip);
  });
  check_launch("embedding_backward", {&dtable, &g, &index});
}

}  // namespace gradus::cuda
