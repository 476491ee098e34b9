// The second pass of a norm, forward and backward: an element's result from its channel's coefficients.
#pragma once
#include "kernels/cuda/channels.cuh"

namespace gradus::cuda::channels {

/// What the pass writes: y, or relu's result in its place, or dx of all of g or of what x tells to have passed relu.
enum class Pass { norm, rectified, slope, slope_by_x };

/// An element's coefficients, those that its pass reads.
template <class A> struct Own { A middle, scale, bias, slope, shift; };

template <class T, Pass pass> struct Application {
  using A = accumulate_t<T>;
  static constexpr bool kGradient = pass == Pass::slope || pass == Pass::slope_by_x, kBias = pass != Pass::slope;
  /// o: what is added to the result, of out or of `past`
  template <int n> struct alignas(n * sizeof(T)) Raw { T x[n], g[n], o[n]; };
  T* out;
  const T *x, *g;
  const T* added;  // may be null: what is added behind the norm, or out itself, which a gradient is added to
  Coefficients<A> of;

  template <int n> __device__ __forceinline__ void read(Raw<n>& raw, int64_t at) const {
    load_items(raw.x, x + at);
    if constexpr (kGradient) load_items(raw.g, g + at);
    if constexpr (pass == Pass::rectified) {
      if (added) load_items(raw.o, added + at);
    }
  }
  template <int n> __device__ __forceinline__ void read_out(Raw<n>& raw, int64_t at) const {
    if constexpr (kGradient) {
      if (added) load_items(raw.o, added + at);
    }
  }
  __device__ __forceinline__ Own<A> own(int64_t u) const {
    Own<A> c{of.middle[u], of.scale[u]};
    if constexpr (kBias) c.bias = of.bias[u];
    if constexpr (kGradient) c.slope = of.slope[u], c.shift = of.shift[u];
    return c;
  }
  /// x of the raw elements becomes the result.
  template <int n> __device__ __forceinline__ void turn(Raw<n>& raw, int j, const Own<A>& c) const {
    const A apart = widen(raw.x[j]) - c.middle;
    A y;
    if constexpr (kGradient) {
      A u = widen(raw.g[j]);
      if constexpr (pass == Pass::slope_by_x) u = is_closed_at<T>(norm_of(apart, c.scale, c.bias)) ? A(0) : u;
      y = u * c.scale + apart * c.slope + c.shift;
    } else {
      y = norm_of(apart, c.scale, c.bias);
    }
    if constexpr (pass != Pass::norm) {
      if (added) y = widen(raw.o[j]) + y;
    }
    if constexpr (pass == Pass::rectified) y = y < 0 ? A(0) : y;
    raw.x[j] = narrow<T>(y);
  }
};

/// Channels that come last, in whole packs: a thread keeps the coefficients of n of them for all rows of a stretch.
template <class T, Pass pass> __global__ void __launch_bounds__(kThreads)
    apply_columns(const Application<T, pass> to, const Channels v, int lanes) {
  using A = accumulate_t<T>;
  using Kind = Application<T, pass>;
  constexpr int n = kItemsOf<T>;
  const int lane = threadIdx.x % lanes, side = threadIdx.x / lanes, sides = int(kThreads) / lanes;
  const int64_t slot = blockIdx.x, example = slot / v.stretches, k = (block_of_channels() * lanes + lane) * n;
  if (k >= v.c) return;
  const int64_t begin = v.stretch_begin(slot % v.stretches), end = begin + v.rows_of_slot(slot),
                base = v.groups ? example * v.c : 0;
  A middle[n], scale[n], bias[n], slope[n], shift[n];
  load_items(middle, to.of.middle + base + k), load_items(scale, to.of.scale + base + k);
  if constexpr (Kind::kBias) load_items(bias, to.of.bias + base + k);
  if constexpr (Kind::kGradient) load_items(slope, to.of.slope + base + k), load_items(shift, to.of.shift + base + k);
  for (int64_t r = begin + side; r < end; r += kAhead * sides) {
    typename Kind::template Raw<n> raw[kAhead];
#pragma unroll
    for (int a = 0; a < kAhead; ++a)
      if (r + a * sides < end) to.read(raw[a], (example * v.d + r + a * sides) * v.c + k);
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      const int64_t at = (example * v.d + r + a * sides) * v.c + k;
      if (r + a * sides >= end) continue;
      if constexpr (Kind::kGradient) stay_packed(raw[a].x), stay_packed(raw[a].g);
      if constexpr (pass == Pass::rectified) stay_packed(raw[a].x), stay_packed(raw[a].o);
      to.read_out(raw[a], at);
#pragma unroll
      for (int j = 0; j < n; ++j) to.turn(raw[a], j, {middle[j], scale[j], bias[j], slope[j], shift[j]});
      store_items(to.out + at, raw[a].x);
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
template <class T, Pass pass> __global__ void __launch_bounds__(kThreads)
    apply(const Application<T, pass> to, const Channels v, const Dividers by) {
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
  typename Application<T, pass>::template Raw<n> raw;
  if (whole) {
    to.read(raw, first), to.read_out(raw, first);
  } else {
#pragma unroll  // so that all stay in registers
    for (int j = 0; j < n; ++j) {
      if (first + j >= all) continue;
      typename Application<T, pass>::template Raw<1> one;
      to.read(one, first + j), to.read_out(one, first + j);
      raw.x[j] = one.x[0], raw.g[j] = one.g[0], raw.o[j] = one.o[0];
    }
  }
  if (!v.last && inner % n == 0) {  // all are of one channel
    const auto own = to.own(base);
#pragma unroll
    for (int j = 0; j < n; ++j) to.turn(raw, j, own);
    return store_items(to.out + first, raw.x);
  }
#pragma unroll
  for (int j = 0; j < n; ++j) {
    if (first + j >= all) continue;
    to.turn(raw, j, to.own(base + (v.last ? at : 0)));
    if (++at == inner) at = 0, base = begin(++outer);
  }
  if (whole) return store_items(to.out + first, raw.x);
#pragma unroll
  for (int j = 0; j < n; ++j)
    if (first + j < all) to.out[first + j] = raw.x[j];
}
template <class T, Pass pass> void launch_apply(const Application<T, pass>& to, int64_t count, const Channels& v) {
  if (v.last && v.c % kItemsOf<T> == 0) {
    const Lanes lanes(v.c, kItemsOf<T>);
    apply_columns<T, pass><<<lanes.grid(v.slots()), kThreads, 0, stream()>>>(to, v, lanes.lanes);
    return;
  }
  const int64_t a_block = int64_t(kThreads) * kItemsOf<T>;
  apply<T, pass><<<unsigned((count + a_block - 1) / a_block), kThreads, 0, stream()>>>(to, v, Dividers(v, count));
}

}  // namespace gradus::cuda::channels
