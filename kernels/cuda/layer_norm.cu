// Layer and RMS normalisation. Rows of whole packs are held in registers: read once, forward and backward. Others are read again for each
// pass, and the caches hold them between. The parameters' gradients are sums over columns: stretches of rows first, whose bounds sizes
// alone decide, then the stretches.
#include "kernels/cuda/row.cuh"
#include "kernels/cuda/scratch.h"
#include "kernels/dispatch.h"

namespace gradus::cuda {
namespace {

template <class T> struct Forward {
  using A = accumulate_t<T>;
  T* y;
  A *mean, *rstd;  // no mean: the root mean square
  T* sum;          // x + residual, which is what is normalised; none: x is
  const T *x, *residual;
  const A *weight, *bias;
  int64_t rows, n;
  A eps;
  int team;
};

template <class T> __device__ __forceinline__ accumulate_t<T> normalised(T x, accumulate_t<T> middle, accumulate_t<T> scale) {
  return (widen(x) - middle) * scale;
}

template <class T, int kPacks> __global__ void __launch_bounds__(kThreads, sizeof(T) == 2 ? 3
                                                                           : kPacks > 4   ? 2
                                                                                          : 4) normalise_held(const Forward<T> c) {
  using A = accumulate_t<T>;
  using Row = HeldRow<T, kPacks>;
  const int lane = lane_of_team(c.team);
  const int64_t row = row_of_team(c.team), first = row * c.n;
  const bool mine = row < c.rows;
  const int64_t n = mine ? c.n : 0;
  auto each = [&](auto f) { Row::each(n, lane, c.team, f); };
  Row x;
  x.load(c.x + first, n, lane, c.team);
  if (c.sum) {
    Row r;
    r.load(c.residual + first, n, lane, c.team);
    each([&](int, int k) {
#pragma unroll
      for (int j = 0; j < Row::kItems; ++j) x.pack[k].item[j] = narrow<T>(widen(x.pack[k].item[j]) + widen(r.pack[k].item[j]));
    });
    x.store(c.sum + first, n, lane, c.team);
  }
  A middle = 0, squares = 0;
  if (c.mean) {
    each([&](int, int k) {
#pragma unroll
      for (int j = 0; j < Row::kItems; ++j) middle += widen(x.pack[k].item[j]);
    });
    middle = of_team(middle, c.team, Plus()) / A(c.n);
    if (sizeof(T) == 2) x.stay_packed();
  }
  each([&](int, int k) {
#pragma unroll
    for (int j = 0; j < Row::kItems; ++j) {
      const A apart = widen(x.pack[k].item[j]) - middle;
      squares += apart * apart;
    }
  });
  const A scale = 1 / ::sqrt(of_team(squares, c.team, Plus()) / A(c.n) + c.eps);
  if (sizeof(T) == 2) x.stay_packed();
  if (!mine) return;
  if (lane == 0) {
    if (c.mean) c.mean[row] = middle;
    c.rstd[row] = scale;
  }
  each([&](int i, int k) {
    A w[Row::kItems], b[Row::kItems];
    if (c.weight) load_items(w, c.weight + i);
    if (c.bias) load_items(b, c.bias + i);
#pragma unroll
    for (int j = 0; j < Row::kItems; ++j) {
      A h = normalised(x.pack[k].item[j], middle, scale);
      if (c.weight) h *= w[j];
      if (c.bias) h += b[j];
      x.pack[k].item[j] = narrow<T>(h);
    }
  });
  x.store(c.y + first, n, lane, c.team);
}

template <class T> __global__ void __launch_bounds__(kThreads) normalise(const Forward<T> c) {
  using A = accumulate_t<T>;
  const int lane = lane_of_team(c.team);
  const int64_t row = row_of_team(c.team);
  const bool mine = row < c.rows;
  const int64_t n = mine ? c.n : 0;  // the others go along: all threads meet in of_team
  const T* x = c.x + (mine ? row * c.n : 0);
  if (c.sum) {  // each thread finds again what it has written itself
    const T* r = c.residual + (mine ? row * c.n : 0);
    T* sum = c.sum + (mine ? row * c.n : 0);
    for_row(sum, n, lane, c.team, [&](int64_t i, auto count) {
      T v[count], u[count];
      load_items(v, x + i), load_items(u, r + i);
#pragma unroll
      for (int j = 0; j < count; ++j) v[j] = narrow<T>(widen(v[j]) + widen(u[j]));
      store_items(sum + i, v);
    });
    x = sum;
  }
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
      A h = normalised(v[j], middle, scale);
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

/// All gradients of rows that are held, in one reading. A block takes a stretch of rows, its teams in turn; parts[block][0 or 1][column]
/// are its sums of g * h and of g, unless there are none to be. Sums of four packs of half types leave registers for one block alone.
template <class T, int kPacks> __global__ void __launch_bounds__(kThreads, kPacks* kItemsOf<T> > 24 ? 1 : 2)
    gradients_held(accumulate_t<T>* parts, const Backward<T> c, int64_t stretch) {
  using A = accumulate_t<T>;
  using Row = HeldRow<T, kPacks>;
  constexpr int kItems = Row::kItems;
  const int lane = lane_of_team(c.team), team = threadIdx.x / c.team, teams = kThreads / c.team;
  const int64_t begin = int64_t(blockIdx.x) * stretch, end = begin + stretch < c.rows ? begin + stretch : c.rows;
  auto each = [&](auto f) { Row::each(c.n, lane, c.team, f); };
  A products[kPacks][kItems] = {}, sums[kPacks][kItems] = {};
  for (int64_t row = begin + team; row < end; row += teams) {
    const int64_t first = row * c.n;
    const A middle = c.mean ? c.mean[row] : A(0), scale = c.rstd[row];
    Row x, g;
    x.load(c.x + first, c.n, lane, c.team), g.load(c.g + first, c.n, lane, c.team);
    A level = 0, along = 0;
    each([&](int i, int k) {
      A w[kItems];
      if (c.weight) load_items(w, c.weight + i);
#pragma unroll
      for (int j = 0; j < kItems; ++j) {
        const A u = widen(g.pack[k].item[j]), h = normalised(x.pack[k].item[j], middle, scale), slope = c.weight ? u * w[j] : u;
        products[k][j] += u * h, sums[k][j] += u;
        level += slope, along += slope * h;
      }
    });
    if (!c.dx) continue;
    along = of_team(along, c.team, Plus()) / A(c.n);
    level = c.mean ? of_team(level, c.team, Plus()) / A(c.n) : A(0);
    if (sizeof(T) == 2) x.stay_packed(), g.stay_packed();
    each([&](int i, int k) {
      A w[kItems];
      T before[kItems];
      if (c.weight) load_items(w, c.weight + i);
      if (c.more) load_items(before, c.dx + first + i);
#pragma unroll
      for (int j = 0; j < kItems; ++j) {
        const A u = widen(g.pack[k].item[j]), h = normalised(x.pack[k].item[j], middle, scale);
        A d = ((c.weight ? u * w[j] : u) - level - h * along) * scale;
        if (c.more) d += widen(before[j]);
        g.pack[k].item[j] = narrow<T>(d);
      }
    });
    g.store(c.dx + first, c.n, lane, c.team);
  }
  if (!parts) return;
  parts += int64_t(blockIdx.x) * 2 * c.n;
  if (teams == 1) {
    each([&](int i, int k) { store_items(parts + i, products[k]), store_items(parts + c.n + i, sums[k]); });
    return;
  }
  __shared__ A total[2][32 * kPacks * kItems];  // of the teams so far
  for (int t = 0; t < teams; ++t) {
    if (t == team)
      each([&](int i, int k) {
#pragma unroll
        for (int j = 0; j < kItems; ++j) {
          total[0][i + j] = (t ? total[0][i + j] : A(0)) + products[k][j];
          total[1][i + j] = (t ? total[1][i + j] : A(0)) + sums[k][j];
        }
      });
    __syncthreads();
  }
  for (int i = threadIdx.x; i < 2 * c.n; i += kThreads) parts[i] = i < c.n ? total[0][i] : total[1][i - c.n];
}

constexpr int kSide = int(kThreads / 32);  // rows that a block reads at once
constexpr int64_t kStretches = 512;        // four blocks for each of the processors of a large GPU

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
/// The stretches' sums, 32 columns a block: of products to dweight (blockIdx.y = 0), of gradients to dbias.
template <class A> __global__ void __launch_bounds__(kThreads)
    join_parts(A* dweight, A* dbias, const A* parts, int stretches, int64_t n) {
  __shared__ A of_sides[kSide][32];
  const int column = threadIdx.x % 32, side = threadIdx.x / 32, which = blockIdx.y;
  const int64_t i = int64_t(blockIdx.x) * 32 + column;
  A sum = 0;
  for (int k = side; i < n && k < stretches; k += kSide) sum += parts[(2 * k + which) * n + i];
  of_sides[side][column] = sum;
  __syncthreads();
  A* to = which == 0 ? dweight : dbias;
  if (side > 0 || i >= n || !to) return;
#pragma unroll
  for (int k = 1; k < kSide; ++k) sum += of_sides[k][column];
  to[i] = sum;
}

}  // namespace

void layer_norm(const Array& y, const Array& mean, const Array& rstd, const Array& sum, const Array& x, const Array& residual,
                const Array& weight, const Array& bias, double eps) {
  if (x.count == 0) return;
  const int64_t rows = rstd.count, n = x.count / rows;
  dispatch_float("layer_norm", x.dtype, [&]<class T>() {
    using A = accumulate_t<T>;
    using Longer = HeldRow<T, 8>;  // rows of 513 to 1024 floats are a warp's, too
    const bool held = HeldRow<T>::holds(n, {x.data, y.data, sum.data, residual.data});
    const bool longer = held && sizeof(T) == 4 && Longer::team_of(n) < HeldRow<T>::team_of(n);
    const Teams teams = longer ? Teams::with(rows, 32) : held ? Teams::with(rows, HeldRow<T>::team_of(n)) : Teams(rows, n);
    const Forward<T> call{y.as<T>(),      mean.as<A>(), rstd.as<A>(), sum.as<T>(), x.as<T>(), residual.as<T>(),
                          weight.as<A>(), bias.as<A>(), rows,         n,           A(eps),    teams.team};
    if (longer)
      normalise_held<T, sizeof(T) == 4 ? 8 : 4><<<teams.blocks, kThreads, 0, stream()>>>(call);
    else if (held)
      normalise_held<T, 4><<<teams.blocks, kThreads, 0, stream()>>>(call);
    else
      normalise<T><<<teams.blocks, kThreads, 0, stream()>>>(call);
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
  dispatch_float("layer_norm_backward", x.dtype, [&]<class T>() {
    using A = accumulate_t<T>;
    // Three packs of a half type hold the widths of most networks, and two blocks fit.
    constexpr int kFew = sizeof(T) == 2 ? 3 : 4;
    using Few = HeldRow<T, kFew>;
    using Row = HeldRow<T>;
    const bool few = Few::holds(n, {x.data, g.data, dx.data}) && Few::team_of(n) == Row::team_of(n);
    const bool held = few || Row::holds(n, {x.data, g.data, dx.data});
    const Teams teams = held ? Teams::with(rows, Row::team_of(n)) : Teams(rows, n);
    const Backward<T> call{dx.as<T>(),     g.as<T>(), x.as<T>(), mean.as<A>(), rstd.as<A>(),
                           weight.as<A>(), rows,      n,         teams.team,   accumulate};
    auto in_one_reading = [&](unsigned blocks, A* parts, int64_t stretch) {
      if (few)
        gradients_held<T, kFew><<<blocks, kThreads, 0, stream()>>>(parts, call, stretch);
      else
        gradients_held<T, 4><<<blocks, kThreads, 0, stream()>>>(parts, call, stretch);
    };
    if (!dweight && !dbias) {
      if (held)
        in_one_reading(teams.blocks, nullptr, int64_t(kThreads) / teams.team);
      else
        input_gradient<T><<<teams.blocks, kThreads, 0, stream()>>>(call);
      return;
    }
    const int64_t most = (rows + 15) / 16, blocks = most < kStretches ? most : kStretches, stretch = (rows + blocks - 1) / blocks;
    const int64_t stretches = (rows + stretch - 1) / stretch;
    Scratch parts(size_t(stretches * 2 * n) * sizeof(A));
    if (held) {
      in_one_reading(unsigned(stretches), parts.as<A>(), stretch);
    } else {
      if (dx) input_gradient<T><<<teams.blocks, kThreads, 0, stream()>>>(call);
      const dim3 grid(unsigned((n + 31) / 32), unsigned(stretches));
      parameter_parts<T><<<grid, kThreads, 0, stream()>>>(parts.as<A>(), call, stretch);
    }
    const dim3 grid(unsigned((n + 31) / 32), 2);
    join_parts<A><<<grid, kThreads, 0, stream()>>>(dweight.as<A>(), dbias.as<A>(), parts.as<A>(), int(stretches), n);
  });
  check_launch("layer_norm_backward", {&x});
}

}  // namespace gradus::cuda
