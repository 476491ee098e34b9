// Softmax and log-softmax along any axis of a dense tensor, which in memory is (outer, n, inner). Where inner is 1 a row is taken by a warp or
// a block, in registers where it fits; else each thread takes a column and neighbours read side by side.
#include "kernels/cuda/approx.cuh"
#include "kernels/cuda/row.cuh"
#include "kernels/cuda/tally.cuh"
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
    softmax_held(T* y, const T* x, int64_t outer, int64_t n, int team) {
  using A = accumulate_t<T>;
  using Row = HeldRow<T>;
  const int lane = lane_of_team(team);
  const int64_t row = row_of_team(team), width = row < outer ? n : 0;  // the others go along: all threads meet in of_team
  auto each = [&](auto f) { Row::each(width, lane, team, f); };
  Row held;
  held.load(x + row * n, width, lane, team);
  A v[Row::kPacks][Row::kItems], top = -A(INFINITY), total = 0;
  each([&](int, int k) {
#pragma unroll
    for (int j = 0; j < Row::kItems; ++j) v[k][j] = widen(held.pack[k].item[j]), top = Larger()(top, v[k][j]);
  });
  top = of_team(top, team, Larger());
  const ExpFrom<T> exp_from(top);
  each([&](int, int k) {
#pragma unroll
    for (int j = 0; j < Row::kItems; ++j) {
      const A e = exp_from(v[k][j]);
      total += e;
      v[k][j] = kLog ? v[k][j] - top : e;
    }
  });
  total = of_team(total, team, Plus());
  const A last = kLog ? A(::log(total)) : 1 / total;
  each([&](int, int k) {
#pragma unroll
    for (int j = 0; j < Row::kItems; ++j) held.pack[k].item[j] = narrow<T>(kLog ? v[k][j] - last : v[k][j] * last);
  });
  held.store(y + row * n, width, lane, team);
}

template <class T, bool kLog> __global__ void __launch_bounds__(kThreads)
    softmax_rows(T* y, const T* x, int64_t outer, int64_t n, int team) {
  using A = accumulate_t<T>;
  const int lane = lane_of_team(team);
  const int64_t row = row_of_team(team), width = row < outer ? n : 0;
  x += row * n, y += row * n;
  Tally<A> tally = Tally<A>::none();
  for_row_read(x, width, lane, team, [&](int64_t, const auto& values) { tally.take(values); });
  tally = of_team(tally, team, Join());
  // A row of nothing but -infinity has no largest: NaN, as is what remains of it.
  const A top = tally.top, last = kLog ? A(::log(tally.total)) : 1 / tally.total;
  const ExpFrom<T> exp_from(top);
  for_row_read(x, width, lane, team, [&](int64_t i, auto& values) {
    for (T& v : values) v = narrow<T>(kLog ? widen(v) - top - last : exp_from(widen(v)) * last);
    store_items(y + i, values);
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

template <class T, bool kLog, class A> __device__ __forceinline__ A input_gradient(A g, A y, A total) {
  return kLog ? g - ExpFrom<T>(A(0))(y) * total : y * (g - total);
}

template <class T, bool kLog> __global__ void __launch_bounds__(kThreads)
    backward_held(T* dx, const T* g, const T* y, int64_t outer, int64_t n, int team) {
  using A = accumulate_t<T>;
  using Row = HeldRow<T>;
  const int lane = lane_of_team(team);
  const int64_t row = row_of_team(team), width = row < outer ? n : 0;
  auto each = [&](auto f) { Row::each(width, lane, team, f); };
  Row slope, result;
  slope.load(g + row * n, width, lane, team), result.load(y + row * n, width, lane, team);
  A total = 0;
  each([&](int, int k) {
#pragma unroll
    for (int j = 0; j < Row::kItems; ++j) {
      const A v = widen(slope.pack[k].item[j]);
      total += kLog ? v : v * widen(result.pack[k].item[j]);
    }
  });
  total = of_team(total, team, Plus());
  each([&](int, int k) {
#pragma unroll
    for (int j = 0; j < Row::kItems; ++j)
      result.pack[k].item[j] =
          narrow<T>(input_gradient<T, kLog>(widen(slope.pack[k].item[j]), widen(result.pack[k].item[j]), total));
  });
  result.store(dx + row * n, width, lane, team);
}

template <class T, bool kLog> __global__ void __launch_bounds__(kThreads)
    backward_rows(T* dx, const T* g, const T* y, int64_t outer, int64_t n, int team) {
  using A = accumulate_t<T>;
  const int lane = lane_of_team(team);
  const int64_t row = row_of_team(team), width = row < outer ? n : 0;
  dx += row * n, g += row * n, y += row * n;
  A total = 0;
  for_row(y, width, lane, team, [&](int64_t i, auto count) {
    T v[count], p[count];
    load_items(v, g + i);
    if (!kLog) load_items(p, y + i);
#pragma unroll
    for (int j = 0; j < count; ++j) total += kLog ? widen(v[j]) : widen(v[j]) * widen(p[j]);
  });
  total = of_team(total, team, Plus());
  for_row(y, width, lane, team, [&](int64_t i, auto count) {
    T v[count], p[count];
    load_items(v, g + i), load_items(p, y + i);
#pragma unroll
    for (int j = 0; j < count; ++j) v[j] = narrow<T>(input_gradient<T, kLog>(widen(v[j]), widen(p[j]), total));
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
    dx[i * inner] = narrow<T>(input_gradient<T, kLog>(widen(g[i * inner]), widen(y[i * inner]), total));
  }
}

unsigned column_blocks(const Rows& r) { return unsigned((r.outer * r.inner + kThreads - 1) / kThreads); }

template <class T, bool kLog> void forward(const Array& y, const Array& x, const Rows& r) {
  if (r.inner > 1) {
    softmax_columns<T, kLog><<<column_blocks(r), kThreads, 0, stream()>>>(y.as<T>(), x.as<T>(), r.outer * r.inner, r.n, r.inner);
  } else if (HeldRow<T>::holds(r.n, {y.data, x.data})) {
    const Teams t = Teams::with(r.outer, HeldRow<T>::team_of(r.n));
    softmax_held<T, kLog><<<t.blocks, kThreads, 0, stream()>>>(y.as<T>(), x.as<T>(), r.outer, r.n, t.team);
  } else {
    const Teams t(r.outer, r.n);
    softmax_rows<T, kLog><<<t.blocks, kThreads, 0, stream()>>>(y.as<T>(), x.as<T>(), r.outer, r.n, t.team);
  }
}
template <class T, bool kLog> void backward(const Array& dx, const Array& g, const Array& y, const Rows& r) {
  if (r.inner > 1) {
    backward_columns<T, kLog>
        <<<column_blocks(r), kThreads, 0, stream()>>>(dx.as<T>(), g.as<T>(), y.as<T>(), r.outer * r.inner, r.n, r.inner);
  } else if (HeldRow<T>::holds(r.n, {dx.data, g.data, y.data})) {
    const Teams t = Teams::with(r.outer, HeldRow<T>::team_of(r.n));
    backward_held<T, kLog><<<t.blocks, kThreads, 0, stream()>>>(dx.as<T>(), g.as<T>(), y.as<T>(), r.outer, r.n, t.team);
  } else {
    const Teams t(r.outer, r.n);
    backward_rows<T, kLog><<<t.blocks, kThreads, 0, stream()>>>(dx.as<T>(), g.as<T>(), y.as<T>(), r.outer, r.n, t.team);
  }
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
