// Cross entropy of classes. Rows that a warp or a block can keep are read once, forward, for the loss and, where it is wanted then, the
// gradient. Others are read forward, and again for the gradient.
#include "kernels/cuda/scratch.h"
#include "kernels/cuda/tally.cuh"
#include "kernels/dispatch.h"

namespace gradus::cuda {
namespace {

/// What the kernels share. spread: how much of the target each class gets by smoothing.
template <class T> struct Call {
  using A = accumulate_t<T>;
  const T *x, *weight;
  const int64_t* target;
  int64_t rows, n, ignore;
  A kept, spread;
  int team;
};

/// `first` becomes rows - (the first target outside), `counted` how many rows count. Both begin as 0; integers may meet in any order.
__global__ void __launch_bounds__(kThreads) inspect(unsigned long long* first, unsigned long long* counted, const int64_t* target,
                                                    int64_t rows, int64_t n, int64_t ignore) {
  const int64_t step = int64_t(gridDim.x) * kThreads;
  unsigned long long count = 0, bad = 0;
  for (int64_t r = int64_t(blockIdx.x) * kThreads + threadIdx.x; r < rows; r += step) {
    const int64_t t = target[r];
    if (t == ignore) continue;
    ++count;
    if (bad == 0 && (t < 0 || t >= n)) bad = (unsigned long long)(rows - r);
  }
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) count += __shfl_xor_sync(0xffffffffu, count, distance);
  if (count && threadIdx.x % 32 == 0) atomicAdd(counted, count);
  if (bad) atomicMax(first, bad);
}

/// A row's target, and the numbers that its loss and gradient are made of.
template <class T> struct Row {
  using A = accumulate_t<T>;
  int64_t target;
  bool outside, counts;
  A chosen;                 // how much of the target its own class gets
  A weighted = 0, all = 0;  // sums of w * x and of w, with smoothing
  __device__ Row(const Call<T>& c, int64_t row) {
    target = row < c.rows ? c.target[row] : c.ignore;
    outside = target != c.ignore && (target < 0 || target >= c.n);  // an error that inspect() reports
    counts = target != c.ignore && !outside;
    chosen = c.kept * (counts && c.weight ? widen(c.weight[target]) : A(1));
  }
  /// Where the target is spread: its share in the elements from i on.
  template <int n> __device__ void take(const Call<T>& c, int64_t i, const T (&x)[n]) {
    if (c.spread == 0) return;
    T w[n];
    if (c.weight) load_items(w, c.weight + i);
#pragma unroll
    for (int j = 0; j < n; ++j) {
      const A by = c.weight ? widen(w[j]) : A(1);
      weighted += by * widen(x[j]), all += by;
    }
  }
  __device__ A loss(const Call<T>& c, A l, A logit) const {
    if (!counts) return outside ? A(NAN) : A(0);
    return chosen * (l - logit) + (c.spread != 0 ? c.spread * (all * l - weighted) : A(0));
  }
};
/// d loss / dx of elements from i on, but for what the target's own class gets more: exp(x - lse) * mass - even * w.
template <class T> struct Slope {
  using A = accumulate_t<T>;
  ExpFrom<T> exp_from;
  A mass, even;
  __device__ Slope(const Call<T>& c, const Row<T>& row, A lse, A scale)
      : exp_from(lse), mass(scale * (row.chosen + (c.spread != 0 ? c.spread * row.all : A(0)))), even(scale * c.spread) {}
  template <bool kSpread = true, int n> __device__ void make(const Call<T>& c, int64_t i, T (&x)[n]) const {
    if (!kSpread || even == 0) {
#pragma unroll
      for (int j = 0; j < n; ++j) x[j] = narrow<T>(exp_from(widen(x[j])) * mass);
      return;
    }
    T w[n];
    if (c.weight) load_items(w, c.weight + i);
#pragma unroll
    for (int j = 0; j < n; ++j) x[j] = narrow<T>(exp_from(widen(x[j])) * mass - even * (c.weight ? widen(w[j]) : A(1)));
  }
};
/// What the losses' gradients are multiplied by: for a mean, 1 / the rows that count.
template <class A> __device__ A scale_of(const unsigned long long* counted) { return counted ? 1 / A(*counted) : A(1); }

template <class T> __global__ void __launch_bounds__(kThreads)
    forward(accumulate_t<T>* losses, accumulate_t<T>* lse, const Call<T> c) {
  using A = accumulate_t<T>;
  const int lane = lane_of_team(c.team);
  const int64_t at = row_of_team(c.team);
  Row<T> row(c, at);
  const T* x = c.x + (row.counts ? at * c.n : 0);
  Tally<A> tally = Tally<A>::none();
  for_row_read(x, row.counts ? c.n : 0, lane, c.team, [&](int64_t i, const auto& values) {
    tally.take(values);
    row.take(c, i, values);
  });
  tally = of_team(tally, c.team, Join());
  if (c.spread != 0) row.weighted = of_team(row.weighted, c.team, Plus()), row.all = of_team(row.all, c.team, Plus());
  if (at >= c.rows || lane != 0) return;
  const A l = row.counts ? tally.top + ::log(tally.total) : A(0);
  losses[at] = row.loss(c, l, row.counts ? widen(x[row.target]) : A(0)), lse[at] = l;
}

/// g: of each row's loss; without it, as `counted` says.
template <class T> __global__ void __launch_bounds__(kThreads)
    backward(T* dx, const accumulate_t<T>* g, int64_t g_step, const unsigned long long* counted, const accumulate_t<T>* lse,
             const Call<T> c) {
  using A = accumulate_t<T>;
  const int lane = lane_of_team(c.team);
  const int64_t at = row_of_team(c.team);
  Row<T> row(c, at);
  row.all = A(c.n);
  if (c.spread != 0 && c.weight) {
    row.all = 0;
    for_row_read(c.weight, c.n, lane, c.team, [&](int64_t, const auto& values) {
      for (const T w : values) row.all += widen(w);
    });
    row.all = of_team(row.all, c.team, Plus());
  }
  if (at >= c.rows) return;
  dx += at * c.n;
  if (!row.counts) {
    for_row(dx, c.n, lane, c.team, [&](int64_t i, auto count) {
      T none[count];
#pragma unroll
      for (int j = 0; j < count; ++j) none[j] = narrow<T>(A(0));
      store_items(dx + i, none);
    });
    return;
  }
  const A scale = g ? g[at * g_step] : scale_of<A>(counted);
  const Slope<T> slope(c, row, lse[at], scale);
  for_row_read(c.x + at * c.n, c.n, lane, c.team, [&](int64_t i, auto& values) {
    constexpr int n = int(sizeof(values) / sizeof(T));
    const int64_t own = row.target - i;
    A logit = 0;
#pragma unroll
    for (int j = 0; j < n; ++j)
      if (j == own) logit = widen(values[j]);
    slope.make(c, i, values);
    if (own >= 0 && own < n) {  // from the logit itself: what was rounded may have lost it
      A d = slope.exp_from(logit) * slope.mass - scale * row.chosen;
      if (slope.even != 0) d -= slope.even * (c.weight ? widen(c.weight[row.target]) : A(1));
#pragma unroll
      for (int j = 0; j < n; ++j)
        if (j == own) values[j] = narrow<T>(d);
    }
    store_items(dx + i, values);
  });
}

/// A row that its team keeps: kNear packs of each thread in registers, kFar more in shared memory, so that two blocks of a multiprocessor keep
/// one of 100 KB each, and one computes while the other reads. A thread takes back what it put there itself.
template <class T, int kNear, int kFar, int kBlock> struct KeptRow {
  static constexpr int kItems = kItemsOf<T>;
  using P = Pack<T, kItems>;
  HeldRow<T, kNear> near;
  P* far;  // this thread's first; one of each thread's lies between two

  __device__ __forceinline__ void load(const T* row, int64_t n, int lane, int team) {
    near.load(row, n, lane, team);
    each_far(n, lane, team, [&](int i, P& to) { to = *reinterpret_cast<const P*>(row + i); });
  }
  /// Between two goings through it, as of HeldRow.
  __device__ __forceinline__ void stay_packed() { near.stay_packed(); }
  /// f(i, items): a copy of the pack that begins with the row's element i.
  template <class F> __device__ __forceinline__ void each(int64_t n, int lane, int team, F f) const {
    HeldRow<T, kNear>::each(n, lane, team, [&](int i, int k) {
      P pack = near.pack[k];
      f(i, pack.item);
    });
    each_far(n, lane, team, [&](int i, const P& from) {
      P pack = from;
      f(i, pack.item);
    });
  }

 private:
  template <class F> __device__ __forceinline__ void each_far(int64_t n, int lane, int team, F f) const {
#pragma unroll
    for (int k = 0; k < kFar; ++k) {
      const int i = (lane + (kNear + k) * team) * kItems;
      if (i < n) f(i, far[k * kBlock]);
    }
  }
};

/// The loss, and where it is wanted the gradient, of rows that are whole packs and that a team keeps. dx may be x.
template <class T, int kBlock, int kBlocks, int kNear, int kFar, int kTeam, bool kSpread>
__global__ void __launch_bounds__(kBlock, kBlocks)
    kept_forward(accumulate_t<T>* losses, accumulate_t<T>* lse, T* dx, const unsigned long long* counted, const Call<T> c) {
  using A = accumulate_t<T>;
  using Kept = KeptRow<T, kNear, kFar, kBlock>;
  constexpr int kItems = Kept::kItems;
  __shared__ typename Kept::P far[kFar > 0 ? kFar * kBlock : 1];
  const int lane = threadIdx.x % kTeam;
  const int64_t at = int64_t(blockIdx.x) * (kBlock / kTeam) + threadIdx.x / kTeam;
  Row<T> row(c, at);
  const T* x = c.x + at * c.n;
  const int64_t n = row.counts ? c.n : 0;
  Kept kept;
  kept.far = far + threadIdx.x;
  kept.load(x, n, lane, kTeam);
  A top = -A(INFINITY), total = 0;
  kept.each(n, lane, kTeam, [&](int i, const auto& items) {
#pragma unroll
    for (int j = 0; j < kItems; ++j) top = Larger()(top, widen(items[j]));
    if (kSpread) row.take(c, i, items);
  });
  top = of_team<kBlock>(top, kTeam, Larger());
  if (sizeof(T) == 2) kept.stay_packed();
  const ExpFrom<T> exp_from(Tally<A>::base(top));
  kept.each(n, lane, kTeam, [&](int, const auto& items) {
    A sum = 0;
#pragma unroll
    for (int j = 0; j < kItems; ++j) sum += exp_from(widen(items[j]));
    total += sum;
  });
  total = of_team<kBlock>(total, kTeam, Plus());
  if (sizeof(T) == 2) kept.stay_packed();
  if (kSpread && c.spread != 0)
    row.weighted = of_team<kBlock>(row.weighted, kTeam, Plus()), row.all = of_team<kBlock>(row.all, kTeam, Plus());
  if (at >= c.rows) return;
  // Whoever keeps the target's logit reads it before writing there, and writes what comes of it last.
  const bool owns = row.counts ? row.target / kItems % kTeam == lane : lane == 0;
  const A l = row.counts ? top + ::log(total) : A(0), logit = owns && row.counts ? widen(x[row.target]) : A(0);
  if (owns) losses[at] = row.loss(c, l, logit), lse[at] = l;
  if (!dx) return;
  dx += at * c.n;
  if (!row.counts) {
    typename Kept::P none;
#pragma unroll
    for (int j = 0; j < kItems; ++j) none.item[j] = narrow<T>(A(0));
    for (int64_t i = lane * kItems; i < c.n; i += kTeam * kItems) *reinterpret_cast<typename Kept::P*>(dx + i) = none;
    return;
  }
  const A scale = scale_of<A>(counted);
  const Slope<T> slope(c, row, l, scale);
  kept.each(n, lane, kTeam, [&](int i, auto& items) {
    slope.template make<kSpread>(c, i, items);
    *reinterpret_cast<typename Kept::P*>(dx + i) = reinterpret_cast<const typename Kept::P&>(items);
  });
  if (!owns) return;
  A d = slope.exp_from(logit) * slope.mass - scale * row.chosen;
  if (slope.even != 0) d -= slope.even * (c.weight ? widen(c.weight[row.target]) : A(1));
  dx[row.target] = narrow<T>(d);
}

/// Rows of n elements by whoever keeps them; false where nobody does.
template <class T>
bool launch_kept(accumulate_t<T>* losses, accumulate_t<T>* lse, T* dx, const unsigned long long* counted, const Call<T>& c) {
  constexpr int64_t kItems = kItemsOf<T>;
  constexpr int kWide = 512, kNear = 8, kFar = 5, kAlone = 16;  // 53248 halves or 26624 floats; of a block alone 65536 and 32768
  for (const void* a : {static_cast<const void*>(c.x), static_cast<const void*>(c.weight), static_cast<const void*>(dx)})
    if (reinterpret_cast<uintptr_t>(a) % 16 != 0) return false;
  const unsigned rows = unsigned(c.rows);
  if (c.n % kItems != 0 || c.n > kWide * kAlone * kItems) return false;
  if (c.n <= 32 * 4 * kItems) {
    const Teams teams = Teams::with(c.rows, 32);
    kept_forward<T, int(kThreads), 4, 4, 0, 32, true><<<teams.blocks, kThreads, 0, stream()>>>(losses, lse, dx, counted, c);
  } else if (c.spread == 0 && c.n <= kWide * kNear * kItems) {
    kept_forward<T, kWide, 2, kNear, 0, kWide, false><<<rows, kWide, 0, stream()>>>(losses, lse, dx, counted, c);
  } else if (c.spread == 0 && c.n <= kWide * (kNear + kFar) * kItems) {
    kept_forward<T, kWide, 2, kNear, kFar, kWide, false><<<rows, kWide, 0, stream()>>>(losses, lse, dx, counted, c);
  } else {
    kept_forward<T, kWide, 1, kAlone, 0, kWide, true><<<rows, kWide, 0, stream()>>>(losses, lse, dx, counted, c);
  }
  return true;
}

/// dx = x * g, unless that is there already.
template <class T> __global__ void __launch_bounds__(kThreads)
    scale_gradient(T* dx, const T* x, const accumulate_t<T>* g, int64_t count) {
  const accumulate_t<T> by = *g;
  if (by == 1 && dx == x) return;
  const int team = int(gridDim.x * kThreads);
  for_row_read(x, count, int(blockIdx.x * kThreads + threadIdx.x), team, [&](int64_t i, auto& values) {
    for (T& v : values) v = narrow<T>(widen(v) * by);
    store_items(dx + i, values);
  });
}

template <class T> Call<T> call_of(const Array& x, const Array& target, const Array& weight, int64_t ignore, double smoothing) {
  using A = accumulate_t<T>;
  const int64_t rows = x.size(0), n = x.size(1);
  return {x.as<T>(),        weight.as<T>(),           target.as<int64_t>(), rows, n, ignore,
          A(1 - smoothing), A(smoothing / double(n)), Teams(rows, n).team};
}

}  // namespace

void cross_entropy(const Array& losses, const Array& lse, const Array& dx, const Array& x, const Array& target, const Array& weight,
                   int64_t ignore_index, double smoothing, bool mean, int64_t* facts) {
  const int64_t rows = x.size(0), n = x.size(1);
  facts[0] = -1, facts[1] = 0;
  if (rows == 0) return;
  Found<2> found("cross_entropy", rows);
  const int64_t blocks = (rows + kThreads - 1) / kThreads;
  inspect<<<unsigned(blocks < 1024 ? blocks : 1024), kThreads, 0, stream()>>>(found.counter(0), found.counter(1),
                                                                              target.as<int64_t>(), rows, n, ignore_index);
  dispatch_float("cross_entropy", x.dtype, [&]<class T>() {
    using A = accumulate_t<T>;
    const Call<T> c = call_of<T>(x, target, weight, ignore_index, smoothing);
    const unsigned long long* counted = mean ? found.counter(1) : nullptr;
    if constexpr (sizeof(T) <= sizeof(float))
      if (launch_kept<T>(losses.as<A>(), lse.as<A>(), dx.as<T>(), counted, c)) return;
    const unsigned all = Teams(rows, n).blocks;
    forward<T><<<all, kThreads, 0, stream()>>>(losses.as<A>(), lse.as<A>(), c);
    if (dx && n > 0) backward<T><<<all, kThreads, 0, stream()>>>(dx.as<T>(), nullptr, 0, counted, lse.as<A>(), c);
  });
  check_launch("cross_entropy", {&x, &target});
  int64_t here[2];
  if (!found.read(here)) {
    facts[1] = -1;
    return;
  }
  if (here[0] > 0) facts[0] = rows - here[0];
  facts[1] = here[1];
}

void cross_entropy_backward(const Array& dx, const Array& g, const Array& x, const Array& lse, const Array& target,
                            const Array& weight, int64_t ignore_index, double smoothing) {
  if (x.count == 0) return;
  dispatch_float("cross_entropy", x.dtype, [&]<class T>() {
    using A = accumulate_t<T>;
    if (!lse) {
      const int64_t blocks = (x.count + kThreads * kItemsOf<T> - 1) / (kThreads * kItemsOf<T>);
      scale_gradient<T>
          <<<unsigned(blocks < 2048 ? blocks : 2048), kThreads, 0, stream()>>>(dx.as<T>(), x.as<T>(), g.as<A>(), x.count);
      return;
    }
    backward<T><<<Teams(x.size(0), x.size(1)).blocks, kThreads, 0, stream()>>>(
        dx.as<T>(), g.as<A>(), g.step(0), nullptr, lse.as<A>(), call_of<T>(x, target, weight, ignore_index, smoothing));
  });
  check_launch("cross_entropy_backward", {&x});
}

}  // namespace gradus::cuda
