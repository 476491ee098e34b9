// Normalisation over the other axes of (N, C, ...): a statistic for each channel over the batch (batch norm) or for each group of channels
// of each example (group and instance norm). In memory x is (n, c, d), or (n, d, c) where the channels come last; a batch of the latter is
// one example of n * d rows. Sums are taken in slots, one an (example, channel) or a stretch of an example's rows, and joined in double in
// a fixed order; their bounds are functions of sizes alone.
#include "kernels/cuda/row.cuh"
#include "kernels/cuda/scratch.h"
#include "kernels/dispatch.h"

namespace gradus::cuda {
namespace {

constexpr int kRows = int(kThreads / 32);  // rows of 32 channels that a block reads at once

struct Channels {
  int64_t n, c, d, groups;  // groups: 0 for statistics over the batch
  int64_t stretches;        // of an example's rows
  bool last;
  Channels(const Array& x, int64_t groups) : n(x.size(0)), c(x.size(1)), groups(groups), stretches(1) {
    d = n * c > 0 ? x.count / (n * c) : 0;
    last = d == 1 || !x.contiguous;
    if (last && !groups) d *= n, n = 1;
    if (!last) return;
    const int64_t most = n < 1024 ? 1024 / (n + 1) + 1 : 1, room = (d + 63) / 64;
    stretches = most < room ? most : room;
    if (stretches < 1) stretches = 1;
  }
  __host__ __device__ int64_t slots() const { return n * stretches; }  // of c numbers each
  __host__ __device__ int64_t statistics() const { return groups ? n * groups : c; }
  __host__ __device__ int64_t statistic(int64_t i, int64_t k) const { return groups ? i * groups + k / (c / groups) : k; }
  __host__ __device__ int64_t per_statistic() const { return groups ? d * (c / groups) : n * d; }  // elements
  __host__ __device__ int64_t coefficients() const { return (groups ? n : 1) * c; }
  __device__ int64_t stretch_begin(int64_t s) const { return d * s / stretches; }
  __device__ int64_t rows_of_slot(int64_t slot) const {
    const int64_t s = slot % stretches;
    return stretch_begin(s + 1) - stretch_begin(s);
  }
};

/// Count, mean and sum of squared deviations; joined as Chan, Golub and LeVeque do (1979), so that a large mean costs no digits.
template <class A> struct Moments { A count, mean, squares; };
template <class A> __device__ Moments<A> across(Moments<A> v, int distance) {
  return {__shfl_xor_sync(0xffffffffu, v.count, distance), __shfl_xor_sync(0xffffffffu, v.mean, distance),
          __shfl_xor_sync(0xffffffffu, v.squares, distance)};
}
struct Join {
  template <class A> __device__ Moments<A> operator()(Moments<A> a, Moments<A> b) const {
    const A count = a.count + b.count;
    if (count == 0) return a;
    const A share = b.count / count, apart = b.mean - a.mean;
    return {count, a.mean + apart * share, a.squares + b.squares + apart * apart * share * a.count};
  }
};

/// sum(g) and sum(g * (x - middle)).
template <class A> struct Products { A sum, product; };
template <class A> __device__ Products<A> across(Products<A> v, int distance) {
  return {__shfl_xor_sync(0xffffffffu, v.sum, distance), __shfl_xor_sync(0xffffffffu, v.product, distance)};
}
struct Add {
  template <class A> __device__ Products<A> operator()(Products<A> a, Products<A> b) const {
    return {a.sum + b.sum, a.product + b.product};
  }
};

// What is taken of an element, in both passes, and what its sums make. `middle` is one for all elements that are summed together.

/// The elements' distances from their first one, which lies near the mean: so that a large mean costs no digits, and nothing is divided.
template <class T> struct TakeMoments {
  using A = accumulate_t<T>;
  using Result = Moments<A>;
  const T* x;
  __device__ A middle(const Channels&, int64_t, int64_t, int64_t first) const { return widen(x[first]); }
  __device__ void take(Products<A>& sum, int64_t at, A middle) const {
    const A apart = widen(x[at]) - middle;
    sum.sum += apart, sum.product += apart * apart;
  }
  __device__ Result result(Products<A> sum, A middle, int64_t count) const {
    const A apart = sum.sum / A(count), squares = sum.product - sum.sum * apart;
    return {A(count), middle + apart, squares < 0 ? A(0) : squares};
  }
};
template <class T> struct TakeProducts {
  using A = accumulate_t<T>;
  using Result = Products<A>;
  const T *x, *g;
  const A* mean;
  __device__ A middle(const Channels& v, int64_t i, int64_t k, int64_t) const { return mean[v.statistic(i, k)]; }
  __device__ void take(Products<A>& sum, int64_t at, A middle) const {
    const A u = widen(g[at]);
    sum.sum += u, sum.product += u * (widen(x[at]) - middle);
  }
  __device__ Result result(Products<A> sum, A, int64_t) const { return sum; }
};

/// Slots of channels that come first: a row of d elements a team.
template <class Take> __global__ void __launch_bounds__(kThreads)
    sum_rows(typename Take::Result* results, const Take take, const Channels v, int team) {
  using A = typename Take::A;
  const int64_t unit = row_of_team(team);
  const bool mine = unit < v.n * v.c;
  const A middle = mine ? take.middle(v, unit / v.c, unit % v.c, unit * v.d) : A(0);
  Products<A> sum{};
#pragma unroll 4  // reads that do not wait for each other
  for (int64_t i = lane_of_team(team); i < (mine ? v.d : 0); i += team) take.take(sum, unit * v.d + i, middle);
  sum = of_team(sum, team, Add());
  if (mine && lane_of_team(team) == 0) results[unit] = take.result(sum, middle, v.d);
}
/// Slots of channels that come last: a block takes 32 channels of a stretch.
template <class Take> __global__ void __launch_bounds__(kThreads)
    sum_columns(typename Take::Result* results, const Take take, const Channels v) {
  using A = typename Take::A;
  __shared__ Products<A> of_rows[kRows][32];
  const int lane = threadIdx.x % 32, side = threadIdx.x / 32;
  const int64_t slot = blockIdx.x, example = slot / v.stretches, k = int64_t(blockIdx.y) * 32 + lane;
  const int64_t begin = v.stretch_begin(slot % v.stretches), end = begin + v.rows_of_slot(slot);
  const A middle = k < v.c ? take.middle(v, example, k, (example * v.d + begin) * v.c + k) : A(0);
  Products<A> sum{};
#pragma unroll 4
  for (int64_t r = begin + side; r < (k < v.c ? end : 0); r += kRows) take.take(sum, (example * v.d + r) * v.c + k, middle);
  of_rows[side][lane] = sum;
  __syncthreads();
  if (side > 0 || k >= v.c) return;
#pragma unroll
  for (int r = 1; r < kRows; ++r) sum = Add()(sum, of_rows[r][lane]);
  results[slot * v.c + k] = take.result(sum, middle, end - begin);
}
template <class Take> void sum_slots(typename Take::Result* sums, const Take& take, const Channels& v) {
  if (v.last) {
    const dim3 grid(unsigned(v.slots()), unsigned((v.c + 31) / 32));
    sum_columns<Take><<<grid, kThreads, 0, stream()>>>(sums, take, v);
  } else {
    const Teams teams(v.n * v.c, v.d);
    sum_rows<Take><<<teams.blocks, kThreads, 0, stream()>>>(sums, take, v, teams.team);
  }
}

/// The slots' numbers that make statistic s, shared among a warp: f(slot, channel).
template <class F> __device__ void each_of_statistic(const Channels& v, int64_t s, F f) {
  const int64_t wide = v.groups ? v.c / v.groups : 1, first = v.groups ? s % v.groups * wide : s;
  const int64_t slot = v.groups ? s / v.groups * v.stretches : 0, slots = v.groups ? v.stretches : v.slots();
  for (int64_t e = lane_of_team(32); e < slots * wide; e += 32) f(slot + e / wide, first + e % wide);
}

template <class A> struct Statistics {
  A *mean, *rstd, *running_mean, *running_var;
  double eps, momentum;
};
/// A warp a statistic.
template <class A> __global__ void __launch_bounds__(kThreads)
    finish(const Statistics<A> to, const Moments<A>* sums, const Channels v) {
  const int64_t s = row_of_team(32);
  if (s >= v.statistics()) return;
  Moments<double> all{};
  each_of_statistic(v, s, [&](int64_t slot, int64_t k) {
    const Moments<A> m = sums[slot * v.c + k];
    all = Join()(all, Moments<double>{double(v.last ? v.rows_of_slot(slot) : v.d), double(m.mean), double(m.squares)});
  });
  all = of_team(all, 32, Join());
  if (lane_of_team(32) != 0) return;
  const double count = double(v.per_statistic());
  to.mean[s] = A(all.mean), to.rstd[s] = A(1 / ::sqrt(all.squares / count + to.eps));
  auto move = [&](A* running, double value) {
    if (running) running[s] = A((1 - to.momentum) * double(running[s]) + to.momentum * value);
  };
  move(to.running_mean, all.mean), move(to.running_var, all.squares / (count - 1));
}

template <class A> __global__ void __launch_bounds__(kThreads) rstd_of(A* rstd, const A* var, int64_t c, double eps) {
  const int64_t k = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (k < c) rstd[k] = A(1 / ::sqrt(double(var[k]) + eps));
}

/// out = (x - middle) * scale + shift, or with g: g * scale + (x - middle) * slope + shift; four coefficients an (example, channel), each kind
/// side by side.
template <class A> struct Coefficients {
  A *middle, *scale, *shift, *slope;
  Coefficients(const Scratch& memory, int64_t count)
      : middle(memory.as<A>()), scale(middle + count), shift(scale + count), slope(shift + count) {}
  static size_t bytes(int64_t count) { return size_t(4 * count) * sizeof(A); }
  __device__ void put(int64_t u, A a, A b, A c, A d) const { middle[u] = a, scale[u] = b, shift[u] = c, slope[u] = d; }
};

template <class A> __global__ void __launch_bounds__(kThreads)
    forward_coefficients(const Coefficients<A> to, const A* mean, const A* rstd, const A* weight, const A* bias, const Channels v) {
  const int64_t u = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (u >= v.coefficients()) return;
  const int64_t k = u % v.c, s = v.statistic(u / v.c, k);
  to.put(u, mean[s], rstd[s] * (weight ? weight[k] : A(1)), bias ? bias[k] : A(0), A(0));
}

/// Each thread takes 16 bytes, wherever rows begin.
template <class T> __global__ void __launch_bounds__(kThreads)
    apply(T* out, const T* g, const T* x, const Coefficients<accumulate_t<T>> of, const Channels v) {
  using A = accumulate_t<T>;
  constexpr int n = kItemsOf<T>;
  const int64_t all = v.n * v.c * v.d, first = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * n, inner = v.last ? v.c : v.d;
  if (first >= all) return;
  int64_t outer = first / inner, at = first - outer * inner;
  auto begin = [&](int64_t o) { return v.last ? (v.groups ? o / v.d * v.c : 0) : v.groups ? o : o % v.c; };
  int64_t base = begin(outer);
  auto value = [&](T e, T slope_e, A middle, A scale, A shift, A slope) {
    const A apart = widen(e) - middle;
    return narrow<T>(g ? widen(slope_e) * scale + apart * slope + shift : apart * scale + shift);
  };
  const bool whole = first + n <= all;
  T u[n], w[n];
  if (inner % n == 0) {  // each thread's are of one channel, or of channels side by side
    A middle[n], scale[n], shift[n], slope[n];
    load_items(w, x + first);
    if (g) load_items(u, g + first);
    if (v.last) {
      load_items(middle, of.middle + base + at), load_items(scale, of.scale + base + at), load_items(shift, of.shift + base + at);
      if (g) load_items(slope, of.slope + base + at);
    } else {
#pragma unroll
      for (int j = 0; j < n; ++j)
        middle[j] = of.middle[base], scale[j] = of.scale[base], shift[j] = of.shift[base], slope[j] = of.slope[base];
    }
#pragma unroll
    for (int j = 0; j < n; ++j) w[j] = value(w[j], u[j], middle[j], scale[j], shift[j], slope[j]);
    return store_items(out + first, w);
  }
  if (whole) {
    load_items(w, x + first);
    if (g) load_items(u, g + first);
  } else {
#pragma unroll  // so that both stay in registers
    for (int j = 0; j < n; ++j) {
      if (first + j < all) w[j] = x[first + j];
      if (g && first + j < all) u[j] = g[first + j];
    }
  }
#pragma unroll
  for (int j = 0; j < n; ++j) {
    if (first + j >= all) continue;
    const int64_t k = base + (v.last ? at : 0);
    w[j] = value(w[j], u[j], of.middle[k], of.scale[k], of.shift[k], of.slope[k]);
    if (++at == inner) at = 0, base = begin(++outer);
  }
  if (whole) return store_items(out + first, w);
#pragma unroll
  for (int j = 0; j < n; ++j)
    if (first + j < all) out[first + j] = w[j];
}
template <class T>
void launch_apply(const Array& out, const T* g, const Array& x, const Coefficients<accumulate_t<T>>& of, const Channels& v) {
  const int64_t a_block = int64_t(kThreads) * kItemsOf<T>;
  apply<T><<<unsigned((x.count + a_block - 1) / a_block), kThreads, 0, stream()>>>(out.as<T>(), g, x.as<T>(), of, v);
}

unsigned blocks_for(int64_t threads) { return unsigned((threads + kThreads - 1) / kThreads); }

template <class T, class A = accumulate_t<T>> void normalise(const Array& y, const Array& x, const A* mean, const A* rstd,
                                                             const Array& weight, const Array& bias, const Channels& v) {
  const Scratch memory(Coefficients<A>::bytes(v.coefficients()));
  const Coefficients<A> of(memory, v.coefficients());
  forward_coefficients<<<blocks_for(v.coefficients()), kThreads, 0, stream()>>>(of, mean, rstd, weight.as<A>(), bias.as<A>(), v);
  launch_apply<T>(y, nullptr, x, of, v);
}

/// Of each statistic: the sums of u = g * weight and of u * h.
template <class A> __global__ void __launch_bounds__(kThreads)
    join_slopes(Products<double>* to, const Products<A>* sums, const A* rstd, const A* weight, const Channels v) {
  const int64_t s = row_of_team(32);
  if (s >= v.statistics()) return;
  Products<double> all{};
  each_of_statistic(v, s, [&](int64_t slot, int64_t k) {
    const Products<A> p = sums[slot * v.c + k];
    const double w = weight ? double(weight[k]) : 1.0;
    all.sum += w * double(p.sum), all.product += w * (double(p.product) * double(rstd[s]));
  });
  all = of_team(all, 32, Add());
  if (lane_of_team(32) == 0) to[s] = all;
}
/// A warp a channel.
template <class A> __global__ void __launch_bounds__(kThreads)
    join_parameters(A* dweight, A* dbias, const Products<A>* sums, const A* rstd, const Channels v) {
  const int64_t k = row_of_team(32);
  if (k >= v.c) return;
  Products<double> all{};
  for (int64_t slot = lane_of_team(32); slot < v.slots(); slot += 32) {
    const Products<A> p = sums[slot * v.c + k];
    all.sum += double(p.sum), all.product += double(p.product) * double(rstd[v.statistic(slot / v.stretches, k)]);
  }
  all = of_team(all, 32, Add());
  if (lane_of_team(32) != 0) return;
  if (dweight) dweight[k] = A(all.product);
  if (dbias) dbias[k] = A(all.sum);
}
/// slopes: absent where statistics are fixed, which do not move with x.
template <class A> __global__ void __launch_bounds__(kThreads)
    backward_coefficients(const Coefficients<A> to, const Products<double>* slopes, const A* mean, const A* rstd, const A* weight,
                          const Channels v) {
  const int64_t u = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (u >= v.coefficients()) return;
  const int64_t k = u % v.c, s = v.statistic(u / v.c, k);
  const double r = double(rstd[s]), m = double(v.per_statistic());
  const Products<double> p = slopes ? slopes[s] : Products<double>{};
  to.put(u, mean[s], A(r * (weight ? double(weight[k]) : 1.0)), A(-r * p.sum / m), A(-r * r * p.product / m));
}

}  // namespace

void channel_norm(const Array& y, const Array& mean, const Array& rstd, const Array& running_mean, const Array& running_var,
                  const Array& x, const Array& weight, const Array& bias, int64_t groups, double eps, double momentum) {
  if (x.count == 0) return;
  const Channels v(x, groups);
  dispatch_float("channel_norm", x.dtype, [&]<class T>() {
    using A = accumulate_t<T>;
    Scratch sums(size_t(v.slots() * v.c) * sizeof(Moments<A>));
    sum_slots(sums.as<Moments<A>>(), TakeMoments<T>{x.as<T>()}, v);
    finish<<<blocks_for(v.statistics() * 32), kThreads, 0, stream()>>>(
        Statistics<A>{mean.as<A>(), rstd.as<A>(), running_mean.as<A>(), running_var.as<A>(), eps, momentum}, sums.as<Moments<A>>(),
        v);
    normalise<T>(y, x, mean.as<A>(), rstd.as<A>(), weight, bias, v);
  });
  check_launch("channel_norm", {&x});
}

void channel_norm_fixed(const Array& y, const Array& rstd, const Array& x, const Array& mean, const Array& var, const Array& weight,
                        const Array& bias, double eps) {
  const Channels v(x, 0);
  if (v.c == 0) return;
  dispatch_float("channel_norm_fixed", x.dtype, [&]<class T>() {
    using A = accumulate_t<T>;
    rstd_of<<<blocks_for(v.c), kThreads, 0, stream()>>>(rstd.as<A>(), var.as<A>(), v.c, eps);
    if (x.count > 0) normalise<T>(y, x, mean.as<A>(), rstd.as<A>(), weight, bias, v);
  });
  check_launch("channel_norm", {&x});
}

/// With h = (x - mean) * rstd and u = g * weight: dx = rstd * (u - mean(u) - h * mean(u * h)), where the means are over the elements of
/// a statistic; dweight = sum(g * h), dbias = sum(g).
void channel_norm_backward(const Array& dx, const Array& dweight, const Array& dbias, const Array& g, const Array& x,
                           const Array& mean, const Array& rstd, const Array& weight, int64_t groups, bool fixed) {
  if (x.count == 0) {
    for (const Array* to : {&dweight, &dbias})
      if (*to && to->count) check("channel_norm", cudaMemsetAsync(to->data, 0, size_t(to->count) * item_size(to->dtype), stream()));
    return;
  }
  const Channels v(x, groups);
  dispatch_float("channel_norm_backward", x.dtype, [&]<class T>() {
    using A = accumulate_t<T>;
    Scratch sums(size_t(v.slots() * v.c) * sizeof(Products<A>)), slopes(size_t(v.statistics()) * sizeof(Products<double>));
    const Scratch memory(Coefficients<A>::bytes(v.coefficients()));
    const Coefficients<A> of(memory, v.coefficients());
    if (!fixed || dweight || dbias) sum_slots(sums.as<Products<A>>(), TakeProducts<T>{x.as<T>(), g.as<T>(), mean.as<A>()}, v);
    if (dweight || dbias)
      join_parameters<<<blocks_for(v.c * 32), kThreads, 0, stream()>>>(dweight.as<A>(), dbias.as<A>(), sums.as<Products<A>>(),
                                                                       rstd.as<A>(), v);
    if (!dx) return;
    if (!fixed)
      join_slopes<<<blocks_for(v.statistics() * 32), kThreads, 0, stream()>>>(slopes.as<Products<double>>(), sums.as<Products<A>>(),
                                                                              rstd.as<A>(), weight.as<A>(), v);
    backward_coefficients<<<blocks_for(v.coefficients()), kThreads, 0, stream()>>>(
        of, fixed ? nullptr : slopes.as<Products<double>>(), mean.as<A>(), rstd.as<A>(), weight.as<A>(), v);
    launch_apply<T>(dx, g.as<T>(), x, of, v);
  });
  check_launch("channel_norm_backward", {&x});
}

}  // namespace gradus::cuda
