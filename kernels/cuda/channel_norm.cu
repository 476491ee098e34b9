// Normalisation over the other axes of (N, C, ...): a statistic for each channel over the batch (batch norm) or for each group of channels
// of each example (group and instance norm). In memory x is (n, c, d), or (n, d, c) where the channels come last; a batch of the latter is
// one example of n * d rows. One pass takes sums (channel_sums.cuh), a second one writes what comes of them (channel_apply.cuh); between them
// sums are joined in double in a fixed order. relu behind a norm goes along with these passes, forward and backward.
#include "kernels/cuda/channel_apply.cuh"
#include "kernels/cuda/channel_sums.cuh"
#include "kernels/dispatch.h"

namespace gradus::cuda {
namespace {

using namespace channels;

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

template <class A> __global__ void __launch_bounds__(kThreads)
    forward_coefficients(const Coefficients<A> to, const A* mean, const A* rstd, const A* weight, const A* bias, const Channels v) {
  const int64_t u = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (u >= v.coefficients()) return;
  const int64_t k = u % v.c, s = v.statistic(u / v.c, k);
  to.middle[u] = mean[s], to.scale[u] = scale_of(rstd[s], weight, k), to.bias[u] = bias_of(bias, k);
}

unsigned blocks_for(int64_t threads) { return unsigned((threads + kThreads - 1) / kThreads); }

/// rectified: with relu behind it, and `past`, which may be absent, added before that.
template <class T, class A = accumulate_t<T>> void normalise(const Array& y, const Array& x, const Array& past, const A* mean,
                                                             const A* rstd, const Array& weight, const Array& bias,
                                                             const Channels& v, bool rectified) {
  const Scratch memory(Coefficients<A>::bytes(v.coefficients()));
  const Coefficients<A> of(memory, v.coefficients());
  forward_coefficients<<<blocks_for(v.coefficients()), kThreads, 0, stream()>>>(of, mean, rstd, weight.as<A>(), bias.as<A>(), v);
  if (rectified)
    launch_apply(Application<T, Pass::rectified>{y.as<T>(), x.as<T>(), nullptr, past.as<T>(), of}, x.count, v);
  else
    launch_apply(Application<T, Pass::norm>{y.as<T>(), x.as<T>(), nullptr, nullptr, of}, x.count, v);
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
                          const A* bias, const Channels v) {
  const int64_t u = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (u >= v.coefficients()) return;
  const int64_t k = u % v.c, s = v.statistic(u / v.c, k);
  const double r = double(rstd[s]), m = double(v.per_statistic());
  const Products<double> p = slopes ? slopes[s] : Products<double>{};
  to.middle[u] = mean[s], to.scale[u] = scale_of(rstd[s], weight, k), to.bias[u] = bias_of(bias, k);
  to.slope[u] = A(-r * r * p.product / m), to.shift[u] = A(-r * p.sum / m);
}

}  // namespace

void channel_norm(const Array& y, const Array& mean, const Array& rstd, const Array& running_mean, const Array& running_var,
                  const Array& sum, const Array& x, const Array& residual, const Array& past, const Array& weight,
                  const Array& bias, int64_t groups, double eps, double momentum, bool rectified) {
  if (x.count == 0) return;
  const Channels v(x, groups);
  dispatch_float("channel_norm", x.dtype, [&]<class T>() {
    using A = accumulate_t<T>;
    Scratch sums(size_t(v.slots() * v.c) * sizeof(Moments<A>));
    sum_slots(sums.as<Moments<A>>(), TakeMoments<T>{x.as<T>(), residual.as<T>(), sum.as<T>()}, v);
    finish<<<blocks_for(v.statistics() * 32), kThreads, 0, stream()>>>(
        Statistics<A>{mean.as<A>(), rstd.as<A>(), running_mean.as<A>(), running_var.as<A>(), eps, momentum}, sums.as<Moments<A>>(),
        v);
    normalise<T>(y, residual ? sum : x, past, mean.as<A>(), rstd.as<A>(), weight, bias, v, rectified);
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

void channel_norm_fixed(const Array& y, const Array& rstd, const Array& x, const Array& past, const Array& mean, const Array& var,
                        const Array& weight, const Array& bias, double eps, bool rectified) {
  const Channels v(x, 0);
  if (v.c == 0) return;
  dispatch_float("channel_norm_fixed", x.dtype, [&]<class T>() {
    using A = accumulate_t<T>;
    rstd_of<<<blocks_for(v.c), kThreads, 0, stream()>>>(rstd.as<A>(), var.as<A>(), v.c, eps);
    if (x.count > 0) normalise<T>(y, x, past, mean.as<A>(), rstd.as<A>(), weight, bias, v, rectified);
  });
  check_launch("channel_norm", {&x});
}

/// With h = (x - mean) * rstd and u = g * weight: dx = rstd * (u - mean(u) - h * mean(u * h)), where the means are over the elements of
/// a statistic; dweight = sum(g * h), dbias = sum(g). Behind relu, g is what has passed it.
void channel_norm_backward(const Array& dx, const Array& dweight, const Array& dbias, const Array& dpast, const Array& g,
                           const Array& x, const Array& y, const Array& mean, const Array& rstd, const Array& weight,
                           const Array& bias, int64_t groups, bool fixed, bool accumulate, bool rectified) {
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
    const T* from = g.as<T>();
    auto take = [&]<Gate gate>() {
      sum_slots(sums.as<Products<A>>(),
                TakeProducts<T, gate>{x.as<T>(), from, y.as<T>(), dpast.as<T>(), mean.as<A>(), rstd.as<A>(), weight.as<A>(),
                                      bias.as<A>()},
                v);
    };
    if (!fixed || dweight || dbias || dpast) {
      if (!rectified)
        take.template operator()<Gate::open>();
      else if (y)
        take.template operator()<Gate::by_y>();
      else
        take.template operator()<Gate::by_x>();
    }
    if (dweight || dbias)
      join_parameters<<<blocks_for(v.c * 32), kThreads, 0, stream()>>>(dweight.as<A>(), dbias.as<A>(), sums.as<Products<A>>(),
                                                                       rstd.as<A>(), v);
    if (!dx) return;
    if (!fixed)
      join_slopes<<<blocks_for(v.statistics() * 32), kThreads, 0, stream()>>>(slopes.as<Products<double>>(), sums.as<Products<A>>(),
                                                                              rstd.as<A>(), weight.as<A>(), v);
    backward_coefficients<<<blocks_for(v.coefficients()), kThreads, 0, stream()>>>(
        of, fixed ? nullptr : slopes.as<Products<double>>(), mean.as<A>(), rstd.as<A>(), weight.as<A>(), bias.as<A>(), v);
    if (dpast) from = dpast.as<T>();  // what has passed is there to be read
    T* const added = accumulate ? dx.as<T>() : nullptr;
    if (rectified && !dpast)
      launch_apply(Application<T, Pass::slope_by_x>{dx.as<T>(), x.as<T>(), from, added, of}, x.count, v);
    else
      launch_apply(Application<T, Pass::slope>{dx.as<T>(), x.as<T>(), from, added, of}, x.count, v);
  });
  check_launch("channel_norm_backward", {&x});
}

}  // namespace gradus::cuda
