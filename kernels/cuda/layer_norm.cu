// Layer and RMS normalisation. A row is read for its mean, for its deviations from that, and for y; the caches hold it between. The
// parameters' gradients are sums over columns: stretches of rows first, whose bounds sizes alone decide, then the stretches.
#include "kernels/cuda/row.cuh"
#include "kernels/cuda/scratch.h"
#include "kernels/dispatch.h"

namespace gradus::cuda {
namespace {

template <class T> struct Forward {
  using A = accumulate_t<T>;
  T* y;
  A *mean, *rstd;  // no mean: the root mean square
  const T* x;
  const A *weight, *bias;
  int64_t rows, n;
  A eps;
  int team;
};

template <class T> __global__ void __launch_bounds__(kThreads) normalise(const Forward<T> c) {
  using A = accumulate_t<T>;
  const int lane = lane_of_team(c.team);
  const int64_t row = row_of_team(c.team);
  const bool mine = row < c.rows;
  const int64_t n = mine ? c.n : 0;  // the others go along: all threads meet in of_team
  const T* x = c.x + (mine ? row * c.n : 0);
  A middle = 0, squares = 0;
  if (c.mean) {
    for_row(x, n, lane, c.team, [&](int64_t i, auto count) {
      T v[count];
      load_items(v, x + i);
#pragma unroll
      for (int j = 0; j < count; ++j) middle += widen(v[j]);
    });
    middle = of_team(middle, c.team, Plus()) / A(c.n);
  }
  for_row(x, n, lane, c.team, [&](int64_t i, auto count) {
    T v[count];
    load_items(v, x + i);
#pragma unroll
    for (int j = 0; j < count; ++j) {
      const A apart = widen(v[j]) - middle;
      squares += apart * apart;
    }
  });
  const A scale = 1 / ::sqrt(of_team(squares, c.team, Plus()) / A(c.n) + c.eps);
  if (!mine) return;
  if (lane == 0) {
    if (c.mean) c.mean[row] = middle;
    c.rstd[row] = scale;
  }
  T* y = c.y + row * c.n;
  for_row(x, n, lane, c.team, [&](int64_t i, auto count) {
    T v[count];
    A w[count], b[count];
    load_items(v, x + i);
    if (c.weight) load_items(w, c.weight + i);
    if (c.bias) load_items(b, c.bias + i);
#pragma unroll
    for (int j = 0; j < count; ++j) {
      A h = (widen(v[j]) - middle) * scale;
      if (c.weight) h *= w[j];
      if (c.bias) h += b[j];
      v[j] = narrow<T>(h);
    }
    store_items(y + i, v);
  });
}

template <class T> struct Backward {
  using A = accumulate_t<T>;
  T* dx;
  const T *g, *x;
  const A *mean, *rstd, *weight;
  int64_t rows, n;
  int team;
  bool more;  // dx holds something that is added to
};

/// With h = (x - mean) * rstd and v = g * weight: dx = rstd * (v - mean(v) - h * mean(v * h)); without a mean, mean(v) is left out.
template <class T> __global__ void __launch_bounds__(kThreads) input_gradient(const Backward<T> c) {
  using A = accumulate_t<T>;
  const int lane = lane_of_team(c.team);
  const int64_t row = row_of_team(c.team);
  const bool mine = row < c.rows;
  const int64_t n = mine ? c.n : 0, first = mine ? row * c.n : 0;
  const T *x = c.x + first, *g = c.g + first;
  const A middle = mine && c.mean ? c.mean[row] : A(0), scale = mine ? c.rstd[row] : A(0);
  A level = 0, along = 0;
  for_row(x, n, lane, c.team, [&](int64_t i, auto count) {
    T v[count], u[count];
    A w[count];
    load_items(v, x + i), load_items(u, g + i);
    if (c.weight) load_items(w, c.weight + i);
#pragma unroll
    for (int j = 0; j < count; ++j) {
      const A slope = c.weight ? widen(u[j]) * w[j] : widen(u[j]);
      level += slope, along += slope * ((widen(v[j]) - middle) * scale);
    }
  });
  along = of_team(along, c.team, Plus()) / A(c.n);
  level = c.mean ? of_team(level, c.team, Plus()) / A(c.n) : A(0);
  if (!mine) return;
  T* dx = c.dx + first;
  for_row(x, n, lane, c.team, [&](int64_t i, auto count) {
    T v[count], u[count], before[count];
    A w[count];
    load_items(v, x + i), load_items(u, g + i);
    if (c.weight) load_items(w, c.weight + i);
    if (c.more) load_items(before, dx + i);
#pragma unroll
    for (int j = 0; j < count; ++j) {
      const A slope = c.weight ? widen(u[j]) * w[j] : widen(u[j]), h = (widen(v[j]) - middle) * scale;
      A d = (slope - level - h * along) * scale;
      if (c.more) d += widen(before[j]);
      v[j] = narrow<T>(d);
    }
    store_items(dx + i, v);
  });
}

constexpr int kSide = int(kThreads / 32);  // rows that a block reads at once

/// sum(g * h) and sum(g) of 32 columns over a stretch of rows, to parts[stretch][0 or 1][column].
template <class T> __global__ void __launch_bounds__(kThreads)
    parameter_parts(accumulate_t<T>* parts, const Backward<T> c, int64_t stretch) {
  using A = accumulate_t<T>;
  __shared__ A of_rows[2][kSide][32];
  const int column = threadIdx.x % 32, side = threadIdx.x / 32;
  const int64_t i = int64_t(blockIdx.x) * 32 + column, begin = int64_t(blockIdx.y) * stretch;
  const int64_t end = begin + stretch < c.rows ? begin + stretch : c.rows;
  A product = 0, sum = 0;
  for (int64_t r = begin + side; i < c.n && r < end; r += kSide) {
    const A g = widen(c.g[r * c.n + i]), h = (widen(c.x[r * c.n + i]) - (c.mean ? c.mean[r] : A(0))) * c.rstd[r];
    product += g * h, sum += g;
  }
  of_rows[0][side][column] = product, of_rows[1][side][column] = sum;
  __syncthreads();
  if (side > 1 || i >= c.n) return;  // the first warp adds the products up, the second the sums
  A total = 0;
#pragma unroll
  for (int k = 0; k < kSide; ++k) total += of_rows[side][k][column];
  parts[(int64_t(blockIdx.y) * 2 + side) * c.n + i] = total;
}
template <class A> __global__ void __launch_bounds__(kThreads)
    join_parts(A* dweight, A* dbias, const A* parts, int stretches, int64_t n) {
  const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= n) return;
  A product = 0, sum = 0;
  for (int k = 0; k < stretches; ++k) product += parts[2 * k * n + i], sum += parts[(2 * k + 1) * n + i];
  if (dweight) dweight[i] = product;
  if (dbias) dbias[i] = sum;
}

}  // namespace

void layer_norm(const Array& y, const Array& mean, const Array& rstd, const Array& x, const Array& weight, const Array& bias,
                double eps) {
  if (x.count == 0) return;
  const int64_t rows = rstd.count, n = x.count / rows;
  const Teams teams(rows, n);
  dispatch_float("layer_norm", x.dtype, [&]<class T>() {
    using A = accumulate_t<T>;
    normalise<T><<<teams.blocks, kThreads, 0, stream()>>>(
        {y.as<T>(), mean.as<A>(), rstd.as<A>(), x.as<T>(), weight.as<A>(), bias.as<A>(), rows, n, A(eps), teams.team});
  });
  check_launch("layer_norm", {&x});
}

void layer_norm_backward(const Array& dx, const Array& dweight, const Array& dbias, const Array& g, const Array& x,
                         const Array& mean, const Array& rstd, const Array& weight, bool accumulate) {
  if (x.count == 0) {
    for (const Array* to : {&dweight, &dbias})
      if (*to) check("layer_norm_backward", cudaMemsetAsync(to->data, 0, size_t(to->count) * item_size(to->dtype), stream()));
    return;
  }
  const int64_t rows = rstd.count, n = x.count / rows;
  const Teams teams(rows, n);
  dispatch_float("layer_norm_backward", x.dtype, [&]<class T>() {
    using A = accumulate_t<T>;
    const Backward<T> call{dx.as<T>(),     g.as<T>(), x.as<T>(), mean.as<A>(), rstd.as<A>(),
                           weight.as<A>(), rows,      n,         teams.team,   accumulate};
    if (dx) input_gradient<T><<<teams.blocks, kThreads, 0, stream()>>>(call);
    if (!dweight && !dbias) return;
    const int64_t most = (rows + 63) / 64, stretches = most < 128 ? most : 128, stretch = (rows + stretches - 1) / stretches;
    Scratch parts(size_t(stretches * 2 * n) * sizeof(A));
    const dim3 grid(unsigned((n + 31) / 32), unsigned(stretches));
    parameter_parts<T><<<grid, kThreads, 0, stream()>>>(parts.as<A>(), call, stretch);
    join_parts<<<unsigned((n + kThreads - 1) / kThreads), kThreads, 0, stream()>>>(dweight.as<A>(), dbias.as<A>(), parts.as<A>(),
                                                                                   int(stretches), n);
  });
  check_launch("layer_norm_backward", {&x});
}

}  // namespace gradus::cuda
