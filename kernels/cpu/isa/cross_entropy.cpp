// Cross entropy of classes: the logits are read once forward (the row is in the cache when its sum is taken) and once backward.
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

}  // namespace

void cross_entropy(const Array& losses, const Array& lse, const Array& x, const Array& target, const Array& weight,
                   int64_t ignore_index, double smoothing, int64_t* facts) {
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
    const T* w = weight.as<T>();
    const A spread = A(smoothing / double(n)), all = spread != 0 ? total_weight(w, n) : A(0);
    parallel_for(rows, kParallel / (8 * (n + 1)) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T* row = x.as<T>() + r * n;
        if (classes[r] == ignore_index) {
          losses.as<A>()[r] = 0, lse.as<A>()[r] = 0;
          continue;
        }
        A l = log_sum_exp(row, n), own = w ? A(w[classes[r]]) : A(1);
        A loss = A(1 - smoothing) * own * (l - A(row[classes[r]]));
        if (spread != 0) loss += spread * (all * l - weighted_sum(row, w, n));
        lse.as<A>()[r] = l, losses.as<A>()[r] = loss;
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
    using P = Packet<T>;
    const T* w = weight.as<T>();
    const A spread = A(smoothing / double(n)), all = spread != 0 ? total_weight(w, n) : A(0);
    const int64_t step = g.step(0);
    parallel_for(rows, kParallel / (8 * (n + 1)) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T* row = x.as<T>() + r * n;
        T* out = dx.as<T>() + r * n;
        if (classes[r] == ignore_index) {
          for (int64_t i = 0; i < n; ++i) out[i] = T(A(0));
          continue;
        }
        const A scale = g.as<A>()[r * step], chosen = A(1 - smoothing) * (w ? A(w[classes[r]]) : A(1));
        const P shift = P(lse.as<A>()[r]), mass = P(scale * (chosen + spread * all)), even = P(scale * spread);
        const A logit = A(row[classes[r]]);  // out may be row
        sweep<T>(n, [&](int64_t i, auto part) {
          P d = exp(load(row + i, part) - shift) * mass;
          if (spread != 0) d = d - (w ? load(w + i, part) * even : even);
          store(out + i, d, part);
        });
        // The target's own logit in full precision, not from the rounded value.
        A own = std::exp(logit - lse.as<A>()[r]) * (scale * (chosen + spread * all)) - scale * chosen;
        if (spread != 0) own -= scale * spread * (w ? A(w[classes[r]]) : A(1));
        out[classes[r]] = T(own);
      }
    });
  });
}

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
