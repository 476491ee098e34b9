// What is done with factors once they are there: permutations, determinants, triangular systems.
#include <algorithm>

#include "kernels/cuda/linalg.h"
#include "kernels/cuda/places.cuh"
#include "kernels/cuda/product.h"
#include "kernels/cuda/scratch.h"

namespace gradus::cuda {

void copy(const Array& y, const Array& x);
void reduce(const Array& y, const Array& x, const Array& center, ReduceKind kind, double p);

namespace {

template <class T> struct Identity {
  T* y;
  int64_t rows, columns;
  __device__ void operator()(int64_t i) const { y[i] = T(i % columns == i / columns % rows); }
};

struct Beginnings {
  void** places;
  char* first;
  int64_t bytes;
  __device__ void operator()(int64_t i) const { places[i] = first + i * bytes; }
};

template <class T> struct Unfinite {
  int32_t* info;
  const T* values;
  int64_t count, matrix_step, step;
  __device__ void operator()(int64_t i) const {
    for (int64_t k = 0; k < count && info[i] == 0; ++k) {
      const T v = values[i * matrix_step + k * step];
      if (!(v - v == 0)) info[i] = int32_t(k + 1);
    }
  }
};

template <class T> struct ClearUnfinite {
  T* x;
  const T* largest;
  int64_t items;
  __device__ void operator()(int64_t i) const {
    const T v = largest[i / items];
    if (!(v - v == 0)) x[i] = T(0);
  }
};

struct Pivots {
  int32_t* to;
  const int64_t* rows;
  int64_t m, count;
  __device__ void operator()(int64_t i) const {
    const int64_t own = i % count + 1, row = rows[i];
    to[i] = int32_t(row >= own && row <= m ? row : own);
  }
};

/// order[r] becomes the row that comes to r when rows are exchanged with their pivots, first to last or the other way round.
struct Order {
  int32_t* order;
  const int32_t* pivots;
  int64_t n, count;
  bool backwards;
  __device__ void operator()(int64_t i) const {
    int32_t* of = order + i * n;
    for (int64_t k = 0; k < n; ++k) of[k] = int32_t(k);
    for (int64_t s = 0; s < count; ++s) {
      const int64_t k = backwards ? count - 1 - s : s, other = pivots[i * count + k] - 1;
      const int32_t row = of[k];
      of[k] = of[other], of[other] = row;
    }
  }
};
template <class T> struct Permutation {
  T* y;
  const int32_t* order;
  int64_t n;
  __device__ void operator()(int64_t i) const { y[i] = T(order[i / n] == i % n); }
};
template <class T> struct TakeRows {
  T* y;
  const T* x;
  const int32_t* order;
  int64_t n, columns;
  __device__ void operator()(int64_t i) const {
    const int64_t row = i / columns, first = row / n * n;
    y[i] = x[(first + order[row]) * columns + i % columns];
  }
};

template <class T> struct Determinant {
  T *det, *sign, *logabs;  // each may be absent
  const T* lu;
  const int32_t* pivots;
  int64_t n;
  __device__ void operator()(int64_t i) const {
    T product = 1, s = 1, sum = 0;
    for (int64_t k = 0; k < n; ++k) {
      if (pivots[i * n + k] != k + 1) product = -product, s = -s;
      const T d = lu[(i * n + k) * n + k];
      product *= d;
      s *= d > 0 ? T(1) : d < 0 ? T(-1) : d;  // zero and NaN stay what they are
      sum += log(d < 0 ? -d : d);
    }
    if (det) det[i] = product;
    if (sign) sign[i] = s;
    if (logabs) logabs[i] = sum;
  }
};

constexpr int kRows = 32;        // of a system that a thread holds at once
constexpr int kColumns = 64;     // right sides of a block, one a thread
constexpr int64_t kPanel = 256;  // rows that are solved before their share is taken from all others by one product

template <class T> struct Systems {
  T* x;
  const T* a;
  int64_t n, columns, batches, row, column;  // steps within a
  bool unit;
};

/// Solves rows [start, start + width): those before, or behind for an upper triangle, have had their share taken away.
template <class T, bool kUpper> __global__ void __launch_bounds__(kColumns)
    solve_panel(const __grid_constant__ Systems<T> p, int64_t start, int64_t width) {
  __shared__ T tile[kRows][kRows + 1];
  const int64_t column = int64_t(blockIdx.x) * kColumns + threadIdx.x, end = start + width, blocks = (width + kRows - 1) / kRows;
  const bool mine = column < p.columns;
  for (int64_t batch = blockIdx.y; batch < p.batches; batch += gridDim.y) {
    const T* a = p.a + batch * p.n * p.n;
    T* x = p.x + batch * p.n * p.columns + column;
    auto load = [&](int64_t first_row, int64_t first_column) {  // zeros beyond the panel
      __syncthreads();                                          // what was there has been used
      for (int i = int(threadIdx.x); i < kRows * kRows; i += kColumns) {
        const int64_t r = first_row + i / kRows, c = first_column + i % kRows;
        tile[i / kRows][i % kRows] = r < end && c < end ? a[r * p.row + c * p.column] : T(0);
      }
      __syncthreads();
    };
    for (int64_t step = 0; step < blocks; ++step) {
      const int64_t here = start + (kUpper ? blocks - 1 - step : step) * kRows;
      T sum[kRows];
#pragma unroll
      for (int i = 0; i < kRows; ++i) sum[i] = mine && here + i < end ? x[(here + i) * p.columns] : T(0);
      for (int64_t before = 0; before < step; ++before) {
        const int64_t there = start + (kUpper ? blocks - 1 - before : before) * kRows;
        load(here, there);
        for (int k = 0; k < kRows && there + k < end; ++k) {
          const T known = mine ? x[(there + k) * p.columns] : T(0);
#pragma unroll
          for (int i = 0; i < kRows; ++i) sum[i] -= tile[i][k] * known;
        }
      }
      load(here, here);
#pragma unroll
      for (int s = 0; s < kRows; ++s) {
        const int k = kUpper ? kRows - 1 - s : s;
        if (here + k >= end) continue;
        if (!p.unit) sum[k] /= tile[k][k];
#pragma unroll
        for (int i = 0; i < kRows; ++i)
          if (kUpper ? i < k : i > k) sum[i] -= tile[i][k] * sum[k];
      }
#pragma unroll
      for (int i = 0; i < kRows; ++i)
        if (mine && here + i < end) x[(here + i) * p.columns] = sum[i];
    }
  }
}

/// A matrix for multiply_matrices.
struct Block {
  int64_t shape[2], stride[2];
  Array view;
  Block(const Array& of, void* data, int64_t rows, int64_t columns, int64_t row, int64_t column)
      : shape{rows, columns}, stride{row, column}, view{data, of.dtype, false, 2, rows * columns, shape, stride} {}
  Block(const Block&) = delete;
};

template <class T> void solve(const char* op, const Array& x, const Array& a, bool upper, bool unit, bool transposed) {
  const int64_t n = a.size(-1), columns = x.size(-1);
  if (x.count == 0) return;
  Systems<T> p{x.as<T>(), a.as<T>(), n, columns, batch_of(x, 2), transposed ? 1 : n, transposed ? n : 1, unit};
  const dim3 grid(unsigned((columns + kColumns - 1) / kColumns), unsigned(std::min<int64_t>(p.batches, 65535)));
  const int64_t panels = (n + kPanel - 1) / kPanel;
  for (int64_t step = 0; step < panels; ++step) {
    const int64_t start = (upper ? panels - 1 - step : step) * kPanel, end = std::min(start + kPanel, n);
    if (upper)
      solve_panel<T, true><<<grid, kColumns, 0, stream()>>>(p, start, end - start);
    else
      solve_panel<T, false><<<grid, kColumns, 0, stream()>>>(p, start, end - start);
    check_launch(op, {&x, &a});
    const int64_t from = upper ? 0 : end, rest = upper ? start : n - end;
    for (int64_t i = 0; i < p.batches && rest > 0; ++i) {
      T *at = p.x + i * n * columns, *to = at + from * columns;
      const T* factor = p.a + i * n * n + from * p.row + start * p.column;
      const Block y(x, to, rest, columns, columns, 1), known(x, at + start * columns, end - start, columns, columns, 1);
      const Block left(a, const_cast<T*>(factor), rest, end - start, p.row, p.column);
      multiply_matrices(y.view, left.view, known.view, {}, -1, true, Float32Precision::highest);
    }
  }
}

void find_order(const char* op, int32_t* order, const Array& pivots, int64_t n, bool backwards) {
  launch_each(op, batch_of(pivots, 1), {&pivots}, Order{order, pivots.as<int32_t>(), n, pivots.size(-1), backwards});
}

}  // namespace

void fill_identity(const char* op, const Array& y) {
  dispatch_real(op, y.dtype, [&]<class T>() { launch_each(op, y.count, {&y}, Identity<T>{y.as<T>(), y.size(-2), y.size(-1)}); });
}

void list_matrices(const char* op, void** places, const Array& x) {
  launch_each(op, batch_of(x, 2), {&x}, Beginnings{places, x.as<char>(), x.size(-2) * x.size(-1) * int64_t(item_size(x.dtype))});
}

void clear_unfinite(const char* op, void* largest, const Array& x) {
  const int64_t batch = batch_of(x, 2), items = x.size(-2) * x.size(-1);
  const int64_t shape[] = {batch, items}, stride[] = {items, 1}, each[] = {batch, 1}, each_stride[] = {1, 0};
  const Array all{x.data, x.dtype, true, 2, x.count, shape, stride};
  reduce({largest, x.dtype, true, 2, batch, each, each_stride}, all, {}, ReduceKind::max_abs, 0);  // which NaN wins
  dispatch_real(op, x.dtype, [&]<class T>() {
    launch_each(op, x.count, {&x}, ClearUnfinite<T>{x.as<T>(), static_cast<const T*>(largest), items});
  });
}

void note_unfinite(const char* op, const Array& info, const Array& values, int64_t count, int64_t matrix_step, int64_t step) {
  dispatch_real(op, values.dtype, [&]<class T>() {
    launch_each(op, info.count, {&info}, Unfinite<T>{info.as<int32_t>(), values.as<T>(), count, matrix_step, step});
  });
}

void take_pivots(const char* op, const Array& pivots, const int64_t* rows, int64_t m) {
  launch_each(op, pivots.count, {&pivots}, Pivots{pivots.as<int32_t>(), rows, m, pivots.size(-1)});
}

void linalg_permutation(const Array& p, const Array& pivots) {
  if (p.count == 0) return;
  const int64_t n = p.size(-1);
  Scratch order(size_t(batch_of(p, 2) * n) * sizeof(int32_t));
  find_order("lu", order.as<int32_t>(), pivots, n, true);
  dispatch_real("lu", p.dtype, [&]<class T>() {
    launch_each("lu", p.count, {&p, &pivots}, Permutation<T>{p.as<T>(), order.as<int32_t>(), n});
  });
}

void linalg_lu_solve(const Array& x, const Array& lu, const Array& pivots, bool transposed) {
  if (x.count == 0) return;
  const int64_t n = lu.size(-1);
  Scratch order(size_t(batch_of(x, 2) * n) * sizeof(int32_t)), before(size_t(x.count) * item_size(x.dtype));
  find_order("solve", order.as<int32_t>(), pivots, n, transposed);
  dispatch_real("solve", x.dtype, [&]<class T>() {
    auto exchange = [&] {
      Array old = x;
      old.data = before.as<void>();
      copy(old, x);
      launch_each("solve", x.count, {&x}, TakeRows<T>{x.as<T>(), before.as<T>(), order.as<int32_t>(), n, x.size(-1)});
    };
    if (!transposed) {
      exchange();
      solve<T>("solve", x, lu, false, true, false);
      solve<T>("solve", x, lu, true, false, false);
    } else {
      solve<T>("solve", x, lu, false, false, true);
      solve<T>("solve", x, lu, true, true, true);
      exchange();
    }
  });
}

void linalg_solve_triangular(const Array& x, const Array& a, bool upper, bool unit) {
  dispatch_real("solve_triangular", x.dtype, [&]<class T>() { solve<T>("solve_triangular", x, a, upper, unit, false); });
}

void linalg_det(const Array& det, const Array& sign, const Array& logabs, const Array& lu, const Array& pivots) {
  dispatch_real("det", lu.dtype, [&]<class T>() {
    launch_each("det", batch_of(lu, 2), {&lu},
                Determinant<T>{det.as<T>(), sign.as<T>(), logabs.as<T>(), lu.as<T>(), pivots.as<int32_t>(), lu.size(-1)});
  });
}

}  // namespace gradus::cuda
