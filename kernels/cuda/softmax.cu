// Softmax and log-softmax along any axis of a dense tensor, which in memory is (outer, n, inner). Where inner is 1 a row is taken by a warp or
// a block, else each thread takes a column and neighbours read side by side.
#include "kernels/cuda/row.cuh"
#include "kernels/dispatch.h"

namespace gradus::cuda {
namespace {

struct Rows {
  int64_t outer, n, inner;
};
Rows rows_of(const Array& y, int axis) {
  if (y.rank == 0) return {1, 1, 1};
  int64_t n = y.size(axis), inner = n == 1 ? 1 : y.step(axis);
  return {y.count / (n * inner), n, inner};
}

template <class T, bool kLog> __global__ void __launch_bounds__(kThreads)
    softmax_rows(T* y, const T* x, int64_t outer, int64_t n, int team) {
  using A = accumulate_t<T>;
  const int lane = lane_of_team(team);
  const int64_t row = row_of_team(team), width = n;
  n = row < outer ? n : 0;  // the others go along: all threads meet in of_team
  x += row * width, y += row * width;
  A top = -A(INFINITY), total = 0;
  for_row(x, n, lane, team, [&](int64_t i, auto count) {
    T v[count];
    load_items(v, x + i);
#pragma unroll
    for (int j = 0; j < count; ++j) top = Larger()(top, A(widen(v[j])));
  });
  top = of_team(top, team, Larger());
  for_row(x, n, lane, team, [&](int64_t i, auto count) {
    T v[count];
    load_items(v, x + i);
#pragma unroll
    for (int j = 0; j < count; ++j) total += ::exp(widen(v[j]) - top);
  });
  total = of_team(total, team, Plus());
  const A last = kLog ? A(::log(total)) : 1 / total;
  for_row(x, n, lane, team, [&](int64_t i, auto count) {
    T v[count];
    load_items(v, x + i);
#pragma unroll
    for (int j = 0; j < count; ++j) {
      const A d = widen(v[j]) - top;
      v[j] = narrow<T>(kLog ? d - last : ::exp(d) * last);
    }
    store_items(y + i, v);
  });
}

template <class T, bool kLog> __global__ void __launch_bounds__(kThreads)
    softmax_columns(T* y, const T* x, int64_t columns, int64_t n, int64_t inner) {
  using A = accumulate_t<T>;
  const int64_t c = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (c >= columns) return;
  x += c / inner * n * inner + c % inner, y += c / inner * n * inner + c % inner;
  A top = -A(INFINITY), total = 0;
  for (int64_t i = 0; i < n; ++i) top = Larger()(top, A(widen(x[i * inner])));
  for (int64_t i = 0; i < n; ++i) total += ::exp(widen(x[i * inner]) - top);
  const A last = kLog ? A(::log(total)) : 1 / total;
  for (int64_t i = 0; i < n; ++i) {
    const A d = widen(x[i * inner]) - top;
    y[i * inner] = narrow<T>(kLog ? d - last : ::exp(d) * last);
  }
}

template <class T, bool kLog> __global__ void __launch_bounds__(kThreads)
    backward_rows(T* dx, const T* g, const T* y, int64_t outer, int64_t n, int team) {
  using A = accumulate_t<T>;
  const int lane = lane_of_team(team);
  const int64_t row = row_of_team(team), width = n;
  n = row < outer ? n : 0;
  dx += row * width, g += row * width, y += row * width;
  A total = 0;
  for_row(y, n, lane, team, [&](int64_t i, auto count) {
    T v[count], p[count];
    load_items(v, g + i);
    if (!kLog) load_items(p, y + i);
#pragma unroll
    for (int j = 0; j < count; ++j) total += kLog ? widen(v[j]) : widen(v[j]) * widen(p[j]);
  });
  total = of_team(total, team, Plus());
  for_row(y, n, lane, team, [&](int64_t i, auto count) {
    T v[count], p[count];
    load_items(v, g + i), load_items(p, y + i);
#pragma unroll
    for (int j = 0; j < count; ++j) {
      const A slope = widen(v[j]), of = widen(p[j]);
      v[j] = narrow<T>(kLog ? slope - ::exp(of) * total : of * (slope - total));
    }
    store_items(dx + i, v);
  });
}
template <class T, bool kLog> __global__ void __launch_bounds__(kThreads)
    backward_columns(T* dx, const T* g, const T* y, int64_t columns, int64_t n, int64_t inner) {
  using A = accumulate_t<T>;
  const int64_t c = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (c >= columns) return;
  const int64_t first = c / inner * n * inner + c % inner;
  dx += first, g += first, y += first;
  A total = 0;
  for (int64_t i = 0; i < n; ++i) total += kLog ? widen(g[i * inner]) : widen(g[i * inner]) * widen(y[i * inner]);
  for (int64_t i = 0; i < n; ++i) {
    const A v = widen(g[i * inner]), p = widen(y[i * inner]);
    dx[i * inner] = narrow<T>(kLog ? v - ::exp(p) * total : p * (v - total));
  }
}

unsigned column_blocks(const Rows& r) { return unsigned((r.outer * r.inner + kThreads - 1) / kThreads); }

template <class T, bool kLog> void forward(const Array& y, const Array& x, const Rows& r) {
  const Teams t = teams_for(r.outer, r.n);
  if (r.inner == 1)
    softmax_rows<T, kLog><<<t.blocks, kThreads, 0, stream()>>>(y.as<T>(), x.as<T>(), r.outer, r.n, t.team);
  else
    softmax_columns<T, kLog><<<column_blocks(r), kThreads, 0, stream()>>>(y.as<T>(), x.as<T>(), r.outer * r.inner, r.n, r.inner);
}
template <class T, bool kLog> void backward(const Array& dx, const Array& g, const Array& y, const Rows& r) {
  const Teams t = teams_for(r.outer, r.n);
  if (r.inner == 1)
    backward_rows<T, kLog><<<t.blocks, kThreads, 0, stream()>>>(dx.as<T>(), g.as<T>(), y.as<T>(), r.outer, r.n, t.team);
  else
    backward_columns<T, kLog>
        <<<column_blocks(r), kThreads, 0, stream()>>>(dx.as<T>(), g.as<T>(), y.as<T>(), r.outer * r.inner, r.n, r.inner);
}

}  // namespace

void softmax(const Array& y, const Array& x, int axis, bool log) {
  if (y.count == 0) return;
  const Rows r = rows_of(y, axis);
  dispatch_float("softmax", x.dtype, [&]<class T>() { log ? forward<T, true>(y, x, r) : forward<T, false>(y, x, r); });
  check_launch(log ? "log_softmax" : "softmax", {&x});
}

void softmax_backward(const Array& dx, const Array& g, const Array& y, int axis, bool log) {
  if (y.count == 0) return;
  const Rows r = rows_of(y, axis);
  dispatch_float("softmax_backward", y.dtype,
                 [&]<class T>() { log ? backward<T, true>(dx, g, y, r) : backward<T, false>(dx, g, y, r); });
  check_launch(log ? "log_softmax_backward" : "softmax_backward", {&y});
}

}  // namespace gradus::cuda
