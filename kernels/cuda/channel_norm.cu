// Normalisation over the other axes of (N, C, ...): a statistic for each channel over the batch (batch norm) or for each group of channels
// of each example (group and instance norm). In memory x is (n, c, d), or (n, d, c) where the channels come last; a batch of the latter is
// one example of n * d rows. Sums are taken in slots, one an (example, channel) or a stretch of an example's rows, and joined in double in
// a fixed order; their bounds are functions of sizes alone.
#include "kernels/cuda/row.cuh"
#include "kernels/cuda/scratch.h"
#include "kernels/dispatch.h"

namespace gradus::cuda {
namespace {

bool lie_on_packs(std::initializer_list<const void*> arrays) {
  for (const void* a : arrays)
    if (reinterpret_cast<uintptr_t>(a) % 16 != 0) return false;
  return true;
}

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

// What is taken of neighbouring elements, in both passes, and what their sums make. `middle` is one for all elements that are summed
// together. Reads come apart from sums, so that many are under way at once.

/// The elements' distances from the mean of the first few, which lies near that of all: so that a large mean costs no digits, and nothing is
/// divided. With a residual, of the sum's elements, which are written.
template <class T_> struct TakeMoments {
  using T = T_;
  using A = accumulate_t<T>;
  using Result = Moments<A>;
  template <int n> struct Raw { Pack<T, n> x, residual; };
  const T *x, *residual;
  T* sum;
  bool aligned() const { return lie_on_packs({x, residual, sum}); }
  /// Of `count` elements, `step` apart, from `first` on.
  __device__ A middle(const Channels&, int64_t, int64_t, int64_t first, int64_t step, int64_t count) const {
    constexpr int kFirst = 4;
    const int few = count < kFirst ? int(count) : kFirst;
    A total = 0;
    for (int j = 0; j < few; ++j) {
      const int64_t at = first + j * step;
      total += residual ? widen(narrow<T>(widen(x[at]) + widen(residual[at]))) : widen(x[at]);
    }
    return few > 0 ? total / A(few) : A(0);
  }
  template <int n> __device__ __forceinline__ void read(Raw<n>& raw, int64_t at) const {
    raw.x = *reinterpret_cast<const Pack<T, n>*>(x + at);
    if (residual) raw.residual = *reinterpret_cast<const Pack<T, n>*>(residual + at);
  }
  template <int n> __device__ __forceinline__ void take(Products<A> (&to)[n], Raw<n>& raw, int64_t at, const A (&middle)[n]) const {
    if (residual) {
#pragma unroll
      for (int j = 0; j < n; ++j) raw.x.item[j] = narrow<T>(widen(raw.x.item[j]) + widen(raw.residual.item[j]));
      *reinterpret_cast<Pack<T, n>*>(sum + at) = raw.x;
    }
#pragma unroll
    for (int j = 0; j < n; ++j) {
      const A apart = widen(raw.x.item[j]) - middle[j];
      to[j].sum += apart, to[j].product += apart * apart;
    }
  }
  __device__ Result result(Products<A> sum, A middle, int64_t count) const {
    const A apart = sum.sum / A(count), squares = sum.product - sum.sum * apart;
    return {A(count), middle + apart, squares < 0 ? A(0) : squares};
  }
};
template <class T_> struct TakeProducts {
  using T = T_;
  using A = accumulate_t<T>;
  using Result = Products<A>;
  template <int n> struct Raw { Pack<T, n> x, g; };
  const T *x, *g;
  const A* mean;
  bool aligned() const { return lie_on_packs({x, g}); }
  __device__ A middle(const Channels& v, int64_t i, int64_t k, int64_t, int64_t, int64_t) const { return mean[v.statistic(i, k)]; }
  template <int n> __device__ __forceinline__ void read(Raw<n>& raw, int64_t at) const {
    raw.x = *reinterpret_cast<const Pack<T, n>*>(x + at), raw.g = *reinterpret_cast<const Pack<T, n>*>(g + at);
  }
  template <int n> __device__ __forceinline__ void take(Products<A> (&to)[n], Raw<n>& raw, int64_t, const A (&middle)[n]) const {
#pragma unroll
    for (int j = 0; j < n; ++j) {
      const A u = widen(raw.g.item[j]);
      to[j].sum += u, to[j].product += u * (widen(raw.x.item[j]) - middle[j]);
    }
  }
  __device__ Result result(Products<A> sum, A, int64_t) const { return sum; }
};

constexpr int kAhead = 4;  // reads of a thread that are under way at once

/// Calls take for packs of n elements: at(i) is where the i-th lies, of those from i on in steps, below end.
template <int n, class Take, class A, class At> __device__ __forceinline__ void take_ahead(const Take& take, Products<A> (&to)[n],
                                                                                           const A (&middle)[n], int64_t i,
                                                                                           int64_t end, int step, At at) {
  for (; i < end; i += kAhead * step) {
    typename Take::template Raw<n> raw[kAhead];
#pragma unroll
    for (int a = 0; a < kAhead; ++a)
      if (i + a * step < end) take.read(raw[a], at(i + a * step));
#pragma unroll
    for (int a = 0; a < kAhead; ++a)
      if (i + a * step < end) take.take(to, raw[a], at(i + a * step), middle);
  }
}

/// Slots of channels that come first: a row of d elements a team, n at once.
template <class Take, int n> __global__ void __launch_bounds__(kThreads)
    sum_rows(typename Take::Result* results, const Take take, const Channels v, int team) {
  using A = typename Take::A;
  const int64_t unit = row_of_team(team), begin = unit * v.d;
  const bool mine = unit < v.n * v.c;
  const A about = mine ? take.middle(v, unit / v.c, unit % v.c, begin, 1, v.d) : A(0);
  A middle[n];
  Products<A> sums[n] = {};
#pragma unroll
  for (int j = 0; j < n; ++j) middle[j] = about;
  if (mine) take_ahead(take, sums, middle, lane_of_team(team), v.d / n, team, [&](int64_t i) { return begin + i * n; });
  Products<A> sum = sums[0];
#pragma unroll
  for (int j = 1; j < n; ++j) sum = Add()(sum, sums[j]);
  sum = of_team(sum, team, Add());
  if (mine && lane_of_team(team) == 0) results[unit] = take.result(sum, about, v.d);
}

/// Who takes the channels of a row where they come last: so many lanes, n channels each, and blocks for all channels.
struct Lanes {
  int lanes;
  unsigned blocks;
  Lanes(int64_t c, int n) : lanes(1) {
    while (lanes < 32 && lanes * n < c) lanes *= 2;
    blocks = unsigned((c + lanes * n - 1) / (lanes * n));
  }
  /// Blocks for all slots: those of channels go on along the third axis, since the second one of a grid ends at 65535.
  dim3 grid(int64_t slots) const {
    constexpr unsigned kMost = 65535;
    return blocks <= kMost ? dim3(unsigned(slots), blocks) : dim3(unsigned(slots), kMost, (blocks + kMost - 1) / kMost);
  }
};
/// Which of a slot's blocks this one is; there may be some behind the last channel.
__device__ __forceinline__ int64_t block_of_channels() { return int64_t(blockIdx.z) * gridDim.y + blockIdx.y; }
/// Slots of channels that come last: a block takes n channels a lane of a stretch.
template <class Take, int n> __global__ void __launch_bounds__(kThreads)
    sum_columns(typename Take::Result* results, const Take take, const Channels v, int lanes) {
  using A = typename Take::A;
  __shared__ Products<A> of_rows[kThreads][n];
  __shared__ A middles[32 * n];
  const int lane = threadIdx.x % lanes, side = threadIdx.x / lanes, sides = int(kThreads) / lanes;
  const int64_t slot = blockIdx.x, example = slot / v.stretches, k = (block_of_channels() * lanes + lane) * n;
  const int64_t begin = v.stretch_begin(slot % v.stretches), end = begin + v.rows_of_slot(slot), from = example * v.d;
  Products<A> sums[n] = {};
  if (k < v.c) {
    A middle[n];
#pragma unroll
    for (int j = 0; j < n; ++j) middle[j] = take.middle(v, example, k + j, (from + begin) * v.c + k + j, v.c, end - begin);
    take_ahead(take, sums, middle, begin + side, end, sides, [&](int64_t r) { return (from + r) * v.c + k; });
    if (side == 0) {
#pragma unroll
      for (int j = 0; j < n; ++j) middles[lane * n + j] = middle[j];
    }
  }
#pragma unroll
  for (int j = 0; j < n; ++j) of_rows[threadIdx.x][j] = sums[j];
  __syncthreads();
  const int mine = threadIdx.x;  // a channel of the block
  const int64_t channel = block_of_channels() * lanes * n + mine;
  if (mine >= lanes * n || channel >= v.c) return;
  Products<A> sum = of_rows[mine / n][mine % n];
  for (int s = 1; s < sides; ++s) sum = Add()(sum, of_rows[s * lanes + mine / n][mine % n]);
  results[slot * v.c + channel] = take.result(sum, middles[mine], end - begin);
}

template <class Take, int n> void launch_sums(typename Take::Result* sums, const Take& take, const Channels& v) {
  if (v.last) {
    const Lanes lanes(v.c, n);
    sum_columns<Take, n><<<lanes.grid(v.slots()), kThreads, 0, stream()>>>(sums, take, v, lanes.lanes);
  } else {
    const Teams teams(v.n * v.c, v.d / n * 2);
    sum_rows<Take, n><<<teams.blocks, kThreads, 0, stream()>>>(sums, take, v, teams.team);
  }
}
template <class Take> void sum_slots(typename Take::Result* sums, const Take& take, const Channels& v) {
  constexpr int n = kItemsOf<typename Take::T>;
  if ((v.last ? v.c : v.d) % n == 0 && take.aligned())
    launch_sums<Take, n>(sums, take, v);
  else
    launch_sums<Take, 1>(sums, take, v);
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
template <class A> __device__ double moved(const Statistics<A>& by, A running, double value) {
  return (1 - by.momentum) * double(running) + by.momentum * value;
}
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
  if (to.running_mean) to.running_mean[s] = A(moved(to, to.running_mean[s], all.mean));
  if (to.running_var) to.running_var[s] = A(moved(to, to.running_var[s], all.squares / (count - 1)));
}

/// From the statistics of a batch that are there, as finish does it.
template <class A> __global__ void __launch_bounds__(kThreads) move_running_of(const Statistics<A> to, int64_t c, double count) {
  const int64_t k = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (k >= c) return;
  const double var = 1 / (double(to.rstd[k]) * double(to.rstd[k])) - to.eps;
  if (to.running_mean) to.running_mean[k] = A(moved(to, to.running_mean[k], double(to.mean[k])));
  if (to.running_var) to.running_var[k] = A(moved(to, to.running_var[k], (var > 0 ? var : 0) * count / (count - 1)));
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

/// What apply is given: without g it is the forward pass; where `adds` is set, out is added to.
template <class T> struct Application {
  using A = accumulate_t<T>;
  T* out;
  const T *g, *x;
  Coefficients<A> of;
  bool adds;
  /// e: of x, u: of g, o: of out
  __device__ __forceinline__ T value(T e, T u, T o, A middle, A scale, A shift, A slope) const {
    const A apart = widen(e) - middle, y = g ? widen(u) * scale + apart * slope + shift : apart * scale + shift;
    return narrow<T>(adds ? widen(o) + y : y);
  }
};

/// Channels that come last, in whole packs: a thread keeps the coefficients of n of them for all rows of a stretch.
template <class T> __global__ void __launch_bounds__(kThreads) apply_columns(const Application<T> to, const Channels v, int lanes) {
  using A = accumulate_t<T>;
  constexpr int n = kItemsOf<T>;
  const int lane = threadIdx.x % lanes, side = threadIdx.x / lanes, sides = int(kThreads) / lanes;
  const int64_t slot = blockIdx.x, example = slot / v.stretches, k = (block_of_channels() * lanes + lane) * n;
  if (k >= v.c) return;
  const int64_t begin = v.stretch_begin(slot % v.stretches), end = begin + v.rows_of_slot(slot),
                base = v.groups ? example * v.c : 0;
  A middle[n], scale[n], shift[n], slope[n];
  load_items(middle, to.of.middle + base + k), load_items(scale, to.of.scale + base + k), load_items(shift, to.of.shift + base + k);
  if (to.g) load_items(slope, to.of.slope + base + k);
  for (int64_t r = begin + side; r < end; r += kAhead * sides) {
    T x[kAhead][n], g[kAhead][n], o[n];
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      const int64_t at = (example * v.d + r + a * sides) * v.c + k;
      if (r + a * sides >= end) continue;
      load_items(x[a], to.x + at);
      if (to.g) load_items(g[a], to.g + at);
    }
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      const int64_t at = (example * v.d + r + a * sides) * v.c + k;
      if (r + a * sides >= end) continue;
      if (to.adds) load_items(o, to.out + at);
#pragma unroll
      for (int j = 0; j < n; ++j) x[a][j] = to.value(x[a][j], g[a][j], o[j], middle[j], scale[j], shift[j], slope[j]);
      store_items(to.out + at, x[a]);
    }
  }
}

/// Divisions by sizes: by multiplications where there are less than 2^31 elements.
struct Dividers {
  bool narrow;
  Divider inner, c, d;
  Dividers(const Channels& v, int64_t all) : narrow(all < int64_t(1) << 31) {
    if (narrow) inner = Divider(uint32_t(v.last ? v.c : v.d)), c = Divider(uint32_t(v.c)), d = Divider(uint32_t(v.d));
  }
  __device__ __forceinline__ int64_t quotient(int64_t a, const Divider& by, int64_t b) const {
    return narrow ? int64_t(divide(uint32_t(a), by)) : a / b;
  }
};
/// Each thread takes 16 bytes, wherever rows begin.
template <class T> __global__ void __launch_bounds__(kThreads) apply(const Application<T> to, const Channels v, const Dividers by) {
  constexpr int n = kItemsOf<T>;
  const int64_t all = v.n * v.c * v.d, first = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * n, inner = v.last ? v.c : v.d;
  if (first >= all) return;
  int64_t outer = by.quotient(first, by.inner, inner), at = first - outer * inner;
  auto begin = [&](int64_t o) {
    if (v.last) return v.groups ? by.quotient(o, by.d, v.d) * v.c : int64_t(0);
    return v.groups ? o : o - by.quotient(o, by.c, v.c) * v.c;
  };
  int64_t base = begin(outer);
  const bool whole = first + n <= all;
  T u[n], w[n], old[n];
  if (whole) {
    load_items(w, to.x + first);
    if (to.g) load_items(u, to.g + first);
    if (to.adds) load_items(old, to.out + first);
  } else {
#pragma unroll  // so that all stay in registers
    for (int j = 0; j < n; ++j) {
      if (first + j >= all) continue;
      w[j] = to.x[first + j];
      if (to.g) u[j] = to.g[first + j];
      if (to.adds) old[j] = to.out[first + j];
    }
  }
  if (!v.last && inner % n == 0) {  // all are of one channel
    const auto middle = to.of.middle[base], scale = to.of.scale[base], shift = to.of.shift[base], slope = to.of.slope[base];
#pragma unroll
    for (int j = 0; j < n; ++j) w[j] = to.value(w[j], u[j], old[j], middle, scale, shift, slope);
    return store_items(to.out + first, w);
  }
#pragma unroll
  for (int j = 0; j < n; ++j) {
    if (first + j >= all) continue;
    const int64_t k = base + (v.last ? at : 0);
    w[j] = to.value(w[j], u[j], old[j], to.of.middle[k], to.of.scale[k], to.of.shift[k], to.of.slope[k]);
    if (++at == inner) at = 0, base = begin(++outer);
  }
  if (whole) return store_items(to.out + first, w);
#pragma unroll
  for (int j = 0; j < n; ++j)
    if (first + j < all) to.out[first + j] = w[j];
}
template <class T> void launch_apply(const Application<T>& to, int64_t count, const Channels& v) {
  if (v.last && v.c % kItemsOf<T> == 0) {
    const Lanes lanes(v.c, kItemsOf<T>);
    apply_columns<T><<<lanes.grid(v.slots()), kThreads, 0, stream()>>>(to, v, lanes.lanes);
    return;
  }
  const int64_t a_block = int64_t(kThreads) * kItemsOf<T>;
  apply<T><<<unsigned((count + a_block - 1) / a_block), kThreads, 0, stream()>>>(to, v, Dividers(v, count));
}

unsigned blocks_for(int64_t threads) { return unsigned((threads + kThreads - 1) / kThreads); }

template <class T, class A = accumulate_t<T>> void normalise(const Array& y, const Array& x, const A* mean, const A* rstd,
                                                             const Array& weight, const Array& bias, const Channels& v) {
  const Scratch memory(Coefficients<A>::bytes(v.coefficients()));
  const Coefficients<A> of(memory, v.coefficients());
  forward_coefficients<<<blocks_for(v.coefficients()), kThreads, 0, stream()>>>(of, mean, rstd, weight.as<A>(), bias.as<A>(), v);
  launch_apply<T>({y.as<T>(), nullptr, x.as<T>(), of, false}, x.count, v);
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
                  const Array& sum, const Array& x, const Array& residual, const Array& weight, const Array& bias, int64_t groups,
                  double eps, double momentum) {
  if (x.count == 0) return;
  const Channels v(x, groups);
  dispatch_float("channel_norm", x.dtype, [&]<class T>() {
    using A = accumulate_t<T>;
    Scratch sums(size_t(v.slots() * v.c) * sizeof(Moments<A>));
    sum_slots(sums.as<Moments<A>>(), TakeMoments<T>{x.as<T>(), residual.as<T>(), sum.as<T>()}, v);
    finish<<<blocks_for(v.statistics() * 32), kThreads, 0, stream()>>>(
        Statistics<A>{mean.as<A>(), rstd.as<A>(), running_mean.as<A>(), running_var.as<A>(), eps, momentum}, sums.as<Moments<A>>(),
        v);
    normalise<T>(y, residual ? sum : x, mean.as<A>(), rstd.as<A>(), weight, bias, v);
  });
  check_launch("channel_norm", {&x});
}

/// For whoever has mean and rstd from elsewhere (cuda/dnn). That is as exact as rstd: var + eps to its last digit.
void move_running(const Array& running_mean, const Array& running_var, const Array& mean, const Array& rstd, int64_t per_channel,
                  double eps, double momentum) {
  dispatch_float("channel_norm", mean.dtype, [&]<class T>() {
    using A = accumulate_t<T>;
    move_running_of<<<blocks_for(mean.count), kThreads, 0, stream()>>>(
        Statistics<A>{mean.as<A>(), rstd.as<A>(), running_mean.as<A>(), running_var.as<A>(), eps, momentum}, mean.count,
        double(per_channel));
  });
  check_launch("channel_norm", {&mean});
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
                           const Array& mean, const Array& rstd, const Array& weight, int64_t groups, bool fixed, bool accumulate) {
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
    launch_apply<T>({dx.as<T>(), g.as<T>(), x.as<T>(), of, accumulate}, x.count, v);
  });
  check_launch("channel_norm_backward", {&x});
}

}  // namespace gradus::cuda
