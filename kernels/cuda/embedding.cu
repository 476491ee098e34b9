// Rows of a table by index, and what comes back to them. Backward sorts the positions by row, so that each row of the table is summed by
// one warp in the order of the positions and written once: no atomic sums, half types are summed in float, and the cost does not depend
// on how many rows the table has beyond writing them.
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

template <class T> __global__ void __launch_bounds__(kThreads)
    sum_rows(T* dtable, const T* g, const int64_t* first, const int64_t* last, const int64_t* places, int64_t rows, int64_t width,
             int64_t skip) {
  const int64_t row = row_of_team(32);
  if (row >= rows) return;
  const int64_t begin = first[row], end = row == skip ? begin : last[row];
  T* to = dtable + row * width;
  for_row(to, width, lane_of_team(32), 32, [&](int64_t i, auto n) {
    constexpr int kAtOnce = 4;  // reads that do not wait for each other: some rows are named thousands of times
    T v[n], some[kAtOnce][n];
    accumulate_t<T> sum[n] = {};
    int64_t k = begin;
    for (; k + kAtOnce <= end; k += kAtOnce) {
      int64_t at[kAtOnce];
#pragma unroll
      for (int u = 0; u < kAtOnce; ++u) at[u] = places[k + u] * width + i;
#pragma unroll
      for (int u = 0; u < kAtOnce; ++u) load_items(some[u], g + at[u]);
#pragma unroll
      for (int u = 0; u < kAtOnce; ++u) {
#pragma unroll
        for (int j = 0; j < n; ++j) sum[j] += widen(some[u][j]);
      }
    }
    for (; k < end; ++k) {
      load_items(v, g + places[k] * width + i);
#pragma unroll
      for (int j = 0; j < n; ++j) sum[j] += widen(v[j]);
    }
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
    sum_rows<T>
        <<<warp_blocks(rows), kThreads, 0, stream()>>>(dtable.as<T>(), g.as<T>(), first, last, order.places(), rows, width, skip);
  });
  check_launch("embedding_backward", {&dtable, &g, &index});
}

}  // namespace gradus::cuda
