// Cross entropy of classes: the logits are read once forward, where the largest and the sum of exponentials move along together (Milakov,
// Gimelshein: Online normalizer calculation, 2018), and once backward.
#include "kernels/cuda/row.cuh"
#include "kernels/cuda/scratch.h"
#include "kernels/dispatch.h"

namespace gradus::cuda {
namespace {

/// Numbers seen so far: sum(exp(x - top)), the top counting as 0 where it is -infinity, so that NaN is kept and nothing else becomes NaN.
template <class A> struct Tally {
  A top, total;
  __device__ static Tally none() { return {-A(INFINITY), A(0)}; }
  __device__ static A base(A top) { return top == -A(INFINITY) ? A(0) : top; }
  template <int n> __device__ void take(const A (&x)[n]) {
    A most = x[0];
#pragma unroll
    for (int j = 1; j < n; ++j) most = Larger()(most, x[j]);
    if (most > top) total *= ::exp(top - base(most)), top = most;
    const A from = base(top);
#pragma unroll
    for (int j = 0; j < n; ++j) total += ::exp(x[j] - from);
  }
};
struct Join {
  template <class A> __device__ Tally<A> operator()(Tally<A> a, Tally<A> b) const {
    Tally<A> both;
    both.top = Larger()(a.top, b.top);
    const A from = Tally<A>::base(both.top);
    both.total = (a.total == 0 ? A(0) : a.total * ::exp(a.top - from)) + (b.total == 0 ? A(0) : b.total * ::exp(b.top - from));
    return both;
  }
};
template <class A> __device__ Tally<A> across(Tally<A> v, int distance) {
  return {__shfl_xor_sync(0xffffffffu, v.top, distance), __shfl_xor_sync(0xffffffffu, v.total, distance)};
}

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
  if (count) atomicAdd(counted, count);
  if (bad) atomicMax(first, bad);
}

template <class T> __global__ void __launch_bounds__(kThreads)
    forward(accumulate_t<T>* losses, accumulate_t<T>* lse, const Call<T> c) {
  using A = accumulate_t<T>;
  const int lane = lane_of_team(c.team);
  const int64_t row = row_of_team(c.team);
  const bool mine = row < c.rows;
  const int64_t target = mine ? c.target[row] : 0;
  const bool outside = target != c.ignore && (target < 0 || target >= c.n);  // an error that inspect() reports
  const bool counts = mine && target != c.ignore && !outside;
  const T* x = c.x + (counts ? row * c.n : 0);
  Tally<A> tally = Tally<A>::none();
  A weighted = 0, all = 0;  // sums of w * x and of w
  for_row(x, counts ? c.n : 0, lane, c.team, [&](int64_t i, auto count) {
    T raw[count], w[count];
    A v[count];
    load_items(raw, x + i);
#pragma unroll
    for (int j = 0; j < count; ++j) v[j] = widen(raw[j]);
    tally.take(v);
    if (c.spread == 0) return;
    if (c.weight) load_items(w, c.weight + i);
#pragma unroll
    for (int j = 0; j < count; ++j) {
      const A by = c.weight ? widen(w[j]) : A(1);
      weighted += by * v[j], all += by;
    }
  });
  tally = of_team(tally, c.team, Join());
  if (c.spread != 0) weighted = of_team(weighted, c.team, Plus()), all = of_team(all, c.team, Plus());
  if (!mine || lane != 0) return;
  A l = 0, loss = outside ? A(NAN) : A(0);
  if (counts) {
    l = tally.top + ::log(tally.total);
    loss = c.kept * (c.weight ? widen(c.weight[target]) : A(1)) * (l - widen(x[target]));
    if (c.spread != 0) loss += c.spread * (all * l - weighted);
  }
  losses[row] = loss, lse[row] = l;
}

template <class T> __global__ void __launch_bounds__(kThreads)
    backward(T* dx, const accumulate_t<T>* g, int64_t g_step, const accumulate_t<T>* lse, const Call<T> c) {
  using A = accumulate_t<T>;
  const int lane = lane_of_team(c.team);
  const int64_t row = row_of_team(c.team);
  const bool mine = row < c.rows;
  A all = A(c.n);
  if (c.spread != 0 && c.weight) {
    all = 0;
    for_row(c.weight, c.n, lane, c.team, [&](int64_t i, auto count) {
      T w[count];
      load_items(w, c.weight + i);
#pragma unroll
      for (int j = 0; j < count; ++j) all += widen(w[j]);
    });
    all = of_team(all, c.team, Plus());
  }
  if (!mine) return;
  const T* x = c.x + row * c.n;
  dx += row * c.n;
  const int64_t target = c.target[row];
  const bool counts = target != c.ignore && target >= 0 && target < c.n;
  const A scale = counts ? g[row * g_step] : A(0), shift = lse[row];
  const A chosen = c.kept * (counts && c.weight ? widen(c.weight[target]) : A(1));
  const A mass = scale * (chosen + (c.spread != 0 ? c.spread * all : A(0))), even = scale * c.spread;
  for_row(x, c.n, lane, c.team, [&](int64_t i, auto count) {
    T v[count], w[count];
    if (counts) load_items(v, x + i);
    if (counts && c.spread != 0 && c.weight) load_items(w, c.weight + i);
#pragma unroll
    for (int j = 0; j < count; ++j) {
      A d = 0;
      if (counts) {
        d = ::exp(widen(v[j]) - shift) * mass;
        if (c.spread != 0) d -= even * (c.weight ? widen(w[j]) : A(1));
        if (i + j == target) d -= scale * chosen;
      }
      v[j] = narrow<T>(d);
    }
    store_items(dx + i, v);
  });
}

template <class T> Call<T> call_of(const Array& x, const Array& target, const Array& weight, int64_t ignore, double smoothing) {
  using A = accumulate_t<T>;
  const int64_t rows = x.size(0), n = x.size(1);
  return {x.as<T>(),        weight.as<T>(),           target.as<int64_t>(), rows, n, ignore,
          A(1 - smoothing), A(smoothing / double(n)), Teams(rows, n).team};
}

}  // namespace

void cross_entropy(const Array& losses, const Array& lse, const Array& x, const Array& target, const Array& weight,
                   int64_t ignore_index, double smoothing, int64_t* facts) {
  const int64_t rows = x.size(0), n = x.size(1);
  facts[0] = -1, facts[1] = 0;
  if (rows == 0) return;
  Found<2> found("cross_entropy", rows);
  const int64_t blocks = (rows + kThreads - 1) / kThreads;
  inspect<<<unsigned(blocks < 1024 ? blocks : 1024), kThreads, 0, stream()>>>(found.counter(0), found.counter(1),
                                                                              target.as<int64_t>(), rows, n, ignore_index);
  dispatch_float("cross_entropy", x.dtype, [&]<class T>() {
    using A = accumulate_t<T>;
    forward<T><<<Teams(rows, n).blocks, kThreads, 0, stream()>>>(losses.as<A>(), lse.as<A>(),
                                                                 call_of<T>(x, target, weight, ignore_index, smoothing));
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
    backward<T><<<Teams(x.size(0), x.size(1)).blocks, kThreads, 0, stream()>>>(
        dx.as<T>(), g.as<A>(), g.step(0), lse.as<A>(), call_of<T>(x, target, weight, ignore_index, smoothing));
  });
  check_launch("cross_entropy_backward", {&x});
}

}  // namespace gradus::cuda
