// Sums over the elements of each channel, in slots: one an (example, channel) or a stretch of an example's rows, whose bounds are functions of
// sizes alone.
#pragma once
#include "kernels/cuda/channels.cuh"

namespace gradus::cuda::channels {

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

// What is taken of neighbouring elements, in both passes, and what their sums make. `About`, with the `middle`, is one for all elements that are
// summed together. Reads come apart from sums, so that many are under way at once.

/// The elements' distances from the mean of the first few, which lies near that of all: so that a large mean costs no digits, and nothing is
/// divided. With a residual, of the sum's elements, which are written.
template <class T_> struct TakeMoments {
  using T = T_;
  using A = accumulate_t<T>;
  using Result = Moments<A>;
  struct About {
    A middle;
  };
  template <int n> struct Raw { Pack<T, n> x, residual; };
  const T *x, *residual;
  T* sum;
  bool aligned() const { return lie_on_packs({x, residual, sum}); }
  /// Of `count` elements, `step` apart, from `first` on.
  __device__ About about(const Channels&, int64_t, int64_t, int64_t first, int64_t step, int64_t count) const {
    constexpr int kFirst = 4;
    const int few = count < kFirst ? int(count) : kFirst;
    A total = 0;
    for (int j = 0; j < few; ++j) {
      const int64_t at = first + j * step;
      total += residual ? widen(narrow<T>(widen(x[at]) + widen(residual[at]))) : widen(x[at]);
    }
    return {few > 0 ? total / A(few) : A(0)};
  }
  template <int n> __device__ __forceinline__ void read(Raw<n>& raw, int64_t at) const {
    raw.x = *reinterpret_cast<const Pack<T, n>*>(x + at);
    if (residual) raw.residual = *reinterpret_cast<const Pack<T, n>*>(residual + at);
  }
  template <int n>
  __device__ __forceinline__ void take(Products<A> (&to)[n], Raw<n>& raw, int64_t at, const About (&about)[n]) const {
    if (residual) {
#pragma unroll
      for (int j = 0; j < n; ++j) raw.x.item[j] = narrow<T>(widen(raw.x.item[j]) + widen(raw.residual.item[j]));
      *reinterpret_cast<Pack<T, n>*>(sum + at) = raw.x;
    }
#pragma unroll
    for (int j = 0; j < n; ++j) {
      const A apart = widen(raw.x.item[j]) - about[j].middle;
      to[j].sum += apart, to[j].product += apart * apart;
    }
  }
  __device__ Result result(Products<A> sum, A middle, int64_t count) const {
    const A apart = sum.sum / A(count), squares = sum.product - sum.sum * apart;
    return {A(count), middle + apart, squares < 0 ? A(0) : squares};
  }
};
/// Of the gradient, or of what of it passes relu, which is kept if asked; where y tells, always.
template <class T_, Gate gate> struct TakeProducts {
  using T = T_;
  using A = accumulate_t<T>;
  using Result = Products<A>;
  struct About {
    A middle, scale, bias;
  };
  template <int n> struct Raw { Pack<T, n> x, g, y; };
  const T *x, *g, *y;
  T* passed;
  const A *mean, *rstd, *weight, *bias;
  bool aligned() const { return lie_on_packs({x, g, y, passed}); }
  __device__ About about(const Channels& v, int64_t i, int64_t k, int64_t, int64_t, int64_t) const {
    const int64_t s = v.statistic(i, k);
    if constexpr (gate == Gate::by_x) return {mean[s], scale_of(rstd[s], weight, k), bias_of(bias, k)};
    return {mean[s], A(0), A(0)};
  }
  template <int n> __device__ __forceinline__ void read(Raw<n>& raw, int64_t at) const {
    raw.x = *reinterpret_cast<const Pack<T, n>*>(x + at), raw.g = *reinterpret_cast<const Pack<T, n>*>(g + at);
    if constexpr (gate == Gate::by_y) raw.y = *reinterpret_cast<const Pack<T, n>*>(y + at);
  }
  template <int n>
  __device__ __forceinline__ void take(Products<A> (&to)[n], Raw<n>& raw, int64_t at, const About (&about)[n]) const {
    if constexpr (gate != Gate::open) stay_packed(raw.x.item), stay_packed(raw.g.item);
    if constexpr (gate == Gate::by_y) stay_packed(raw.y.item);
#pragma unroll
    for (int j = 0; j < n; ++j) {
      const A apart = widen(raw.x.item[j]) - about[j].middle;
      bool closed = false;
      if constexpr (gate == Gate::by_x) closed = is_closed_at<T>(norm_of(apart, about[j].scale, about[j].bias));
      if constexpr (gate == Gate::by_y) closed = widen(raw.y.item[j]) <= 0;
      if constexpr (gate != Gate::open) raw.g.item[j] = closed ? narrow<T>(0) : raw.g.item[j];
      const A u = widen(raw.g.item[j]);
      to[j].sum += u, to[j].product += u * apart;
    }
    if constexpr (gate != Gate::open) {
      if (gate == Gate::by_y || passed) *reinterpret_cast<Pack<T, n>*>(passed + at) = raw.g;
    }
  }
  __device__ Result result(Products<A> sum, A, int64_t) const { return sum; }
};

/// Calls take for packs of n elements: at(i) is where the i-th lies, of those from i on in steps, below end.
template <int n, class Take, class At>
__device__ __forceinline__ void take_ahead(const Take& take, Products<typename Take::A> (&to)[n],
                                           const typename Take::About (&about)[n], int64_t i, int64_t end, int step, At at) {
  for (; i < end; i += kAhead * step) {
    typename Take::template Raw<n> raw[kAhead];
#pragma unroll
    for (int a = 0; a < kAhead; ++a)
      if (i + a * step < end) take.read(raw[a], at(i + a * step));
#pragma unroll
    for (int a = 0; a < kAhead; ++a)
      if (i + a * step < end) take.take(to, raw[a], at(i + a * step), about);
  }
}

/// Slots of channels that come first: a row of d elements a team, n at once.
template <class Take, int n> __global__ void __launch_bounds__(kThreads)
    sum_rows(typename Take::Result* results, const Take take, const Channels v, int team) {
  using A = typename Take::A;
  const int64_t unit = row_of_team(team), begin = unit * v.d;
  const bool mine = unit < v.n * v.c;
  const typename Take::About one = mine ? take.about(v, unit / v.c, unit % v.c, begin, 1, v.d) : typename Take::About{};
  typename Take::About about[n];
  Products<A> sums[n] = {};
#pragma unroll
  for (int j = 0; j < n; ++j) about[j] = one;
  if (mine) take_ahead(take, sums, about, lane_of_team(team), v.d / n, team, [&](int64_t i) { return begin + i * n; });
  Products<A> sum = sums[0];
#pragma unroll
  for (int j = 1; j < n; ++j) sum = Add()(sum, sums[j]);
  sum = of_team(sum, team, Add());
  if (mine && lane_of_team(team) == 0) results[unit] = take.result(sum, one.middle, v.d);
}

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
    typename Take::About about[n];
#pragma unroll
    for (int j = 0; j < n; ++j) about[j] = take.about(v, example, k + j, (from + begin) * v.c + k + j, v.c, end - begin);
    take_ahead(take, sums, about, begin + side, end, sides, [&](int64_t r) { return (from + r) * v.c + k; });
    if (side == 0) {
#pragma unroll
      for (int j = 0; j < n; ++j) middles[lane * n + j] = about[j].middle;
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

}  // namespace gradus::cuda::channels
