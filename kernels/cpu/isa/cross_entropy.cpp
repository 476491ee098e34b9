// Cross entropy of classes: the logits are read once forward (the row is in the cache when its sum is taken), where the gradient may be
// written too, or once more backward.
#include "kernels/array.h"
#include "kernels/cpu/isa/sweep.h"
#include "kernels/cpu/parallel.h"
#include "kernels/dispatch.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {
namespace {

template <class T> using Acc = accumulate_t<T>;

/// log(sum(exp(x))) of one row; NaN where the row has one.
template <class T> Acc<T> log_sum_exp(const T* x, int64_t n) {
  using P = Packet<T>;
  constexpr Acc<T> kLowest = -Acc<T>(__builtin_inf());
  P m[4] = {kLowest, kLowest, kLowest, kLowest};
  sweep4<T>(n, [&](int64_t i, auto part, int k) { m[k] = larger(m[k], load(x + i, part, kLowest)); });
  Acc<T> top = largest_of(larger(larger(m[0], m[1]), larger(m[2], m[3])));
  P s[4] = {0, 0, 0, 0};
  sweep4<T>(n, [&](int64_t i, auto part, int k) { s[k] = s[k] + exp(load(x + i, part, kLowest) - P(top)); });
  return top + std::log(sum_of((s[0] + s[1]) + (s[2] + s[3])));
}

/// sum(w * x) of one row, or sum(x) without a weight.
template <class T> Acc<T> weighted_sum(const T* x, const T* w, int64_t n) {
  using P = Packet<T>;
  P s = 0;
  sweep<T>(n, [&](int64_t i, auto part) { s = s + (w ? load(x + i, part) * load(w + i, part) : load(x + i, part)); });
  return sum_of(s);
}

template <class T> Acc<T> total_weight(const T* w, int64_t n) {
  if (!w) return Acc<T>(n);
  Acc<T> total = 0;
  for (int64_t i = 0; i < n; ++i) total += Acc<T>(w[i]);
  return total;
}

/// The gradient of one row from its log_sum_exp; dx may be x.
template <class T> struct RowGradient {
  using A = Acc<T>;
  const T* w;
  int64_t n;
  A kept, spread, all;
  void operator()(T* dx, const T* x, int64_t target, A lse, A scale) const {
    using P = Packet<T>;
    const A chosen = kept * (w ? A(w[target]) : A(1)), mass = scale * (chosen + spread * all);
    const P shift = P(lse), masses = P(mass), even = P(scale * spread);
    const A logit = A(x[target]);  // dx may be x
    sweep<T>(n, [&](int64_t i, auto part) {
      P d = exp(load(x + i, part) - shift) * masses;
      if (spread != 0) d = d - (w ? load(w + i, part) * even : even);
      store(dx + i, d, part);
    });
    // The target's own logit in full precision, not from the rounded value.
    A own = std::exp(logit - lse) * mass - scale * chosen;
    if (spread != 0) own -= scale * spread * (w ? A(w[target]) : A(1));
    dx[target] = T(own);
  }
  void none(T* dx) const {
    for (int64_t i = 0; i < n; ++i) dx[i] = T(A(0));
  }
};
template <class T> RowGradient<T> row_gradient(const Array& weight, int64_t n, double smoothing) {
  using A = Acc<T>;
  const A spread = A(smoothing / double(n));
  return {weight.as<T>(), n, A(1 - smoothing), spread, spread != 0 ? total_weight(weight.as<T>(), n) : A(0)};
}

/// dx = x * g, unless that is there already.
template <class T> void scale_gradient(T* dx, const T* x, Acc<T> g, int64_t count) {
  using P = Packet<T>;
  if (g == 1 && dx == x) return;
  parallel_for(count, kParallel, [&](int64_t begin, int64_t end) {
    sweep<T>(end - begin, [&](int64_t i, auto part) { store(dx + begin + i, load(x + begin + i, part) * P(g), part); });
  });
}

}  // namespace

void cross_entropy(const Array& losses, const Array& lse, const Array& dx, const Array& x, const Array& target, const Array& weight,
                   int64_t ignore_index, double smoothing, bool mean, int64_t* facts) {
  const int64_t rows = x.size(0), n = x.size(1);
  const int64_t* classes = target.as<int64_t>();
  facts[0] = -1, facts[1] = 0;
  for (int64_t r = 0; r < rows; ++r) {
    if (classes[r] == ignore_index) continue;
    ++facts[1];
    if (facts[0] < 0 && (classes[r] < 0 || classes[r] >= n)) facts[0] = r;
  }
  if (facts[0] >= 0) return;
  dispatch_float("cross_entropy", x.dtype, [&]<class T>() {
    using A = Acc<T>;
    const RowGradient<T> gradient = row_gradient<T>(weight, n, smoothing);
    const T* w = gradient.w;
    const A scale = mean ? 1 / A(facts[1]) : A(1);
    parallel_for(rows, kParallel / (8 * (n + 1)) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T* row = x.as<T>() + r * n;
        if (classes[r] == ignore_index) {
          losses.as<A>()[r] = 0, lse.as<A>()[r] = 0;
          if (dx) gradient.none(dx.as<T>() + r * n);
          continue;
        }
        A l = log_sum_exp(row, n), own = w ? A(w[classes[r]]) : A(1);
        A loss = gradient.kept * own * (l - A(row[classes[r]]));
        if (gradient.spread != 0) loss += gradient.spread * (gradient.all * l - weighted_sum(row, w, n));
        lse.as<A>()[r] = l, losses.as<A>()[r] = loss;
        if (dx) gradient(dx.as<T>() + r * n, row, classes[r], l, scale);
      }
    });
  });
}

void cross_entropy_backward(const Array& dx, const Array& g, const Array& x, const Array& lse, const Array& target,
                            const Array& weight, int64_t ignore_index, double smoothing) {
  const int64_t rows = x.size(0), n = x.size(1);
  const int64_t* classes = target.as<int64_t>();
  dispatch_float("cross_entropy", x.dtype, [&]<class T>() {
    using A = Acc<T>;
    if (!lse) return scale_gradient(dx.as<T>(), x.as<T>(), g.as<A>()[0], x.count);
    const RowGradient<T> gradient = row_gradient<T>(weight, n, smoothing);
    const int64_t step = g.step(0);
    parallel_for(rows, kParallel / (8 * (n + 1)) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        T* out = dx.as<T>() + r * n;
        if (classes[r] == ignore_index)
          gradient.none(out);
        else
          gradient(out, x.as<T>() + r * n, classes[r], lse.as<A>()[r], g.as<A>()[r * step]);
      }
    });
  });
}

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
