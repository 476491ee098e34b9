// Layer and RMS normalisation: each row of n elements by its own mean and deviation, or by its root mean square.
#include "kernels/array.h"
#include "kernels/cpu/isa/stream.h"
#include "kernels/cpu/isa/sweep.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/scratch.h"
#include "kernels/dispatch.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {
namespace {

template <class T> using Acc = accumulate_t<T>;
constexpr int64_t kBeyond = 512;  // elements of the row after next: its beginning is read as soon as the next row ends

/// A row's results, once its mean and deviation are known.
template <class T> struct Normalized {
  using P = Packet<T>;
  const T* x = nullptr;
  T* y = nullptr;
  P middle = 0, scale = 0;

  template <class Width> GRADUS_FN P at(int64_t i, Width part, const Acc<T>* weight, const Acc<T>* bias) const {
    P v = rounded((load(x + i, part) - middle) * scale);
    if (weight) v = rounded(v * load(weight + i, part));
    return bias ? v + load(bias + i, part) : v;
  }
};

/// Mean and deviation of one row. The passes after the first find it in the first-level cache, so the variance is summed from true deviations.
/// aside(i) is work on the packet at i that waits for memory where this computes.
template <class T, bool kCenter, class F>
GRADUS_FN void measure(Normalized<T>& row, Acc<T>* mean, Acc<T>* rstd, const T* x, T* y, int64_t n, Acc<T> eps, F aside) {
  using P = Packet<T>;
  P middle = 0;
  if constexpr (kCenter) {
    P s[4] = {0, 0, 0, 0};
    sweep4<T>(n, [&](int64_t i, auto part, int k) {
      s[k] = s[k] + load(x + i, part);
      expect(x + n + i);
      aside(i);
    });
    *mean = sum_of((s[0] + s[1]) + (s[2] + s[3])) / Acc<T>(n);
    middle = P(*mean);
  }
  P q[4] = {0, 0, 0, 0};
  sweep4<T>(n, [&](int64_t i, auto part, int k) {
    P d = only(load(x + i, part) - middle, part);
    q[k] = q[k] + d * d;
    if constexpr (!kCenter) expect(x + n + i), aside(i);
  });
  *rstd = 1 / std::sqrt(sum_of((q[0] + q[1]) + (q[2] + q[3])) / Acc<T>(n) + eps);
  row = {x, y, middle, P(*rstd)};
}

/// sum = x + residual, which stays in the caches.
template <class T> const T* add(T* sum, const T* x, const T* residual, int64_t n) {
  sweep<T>(n, [&](int64_t i, auto part) {
    expect(x + n + i);
    expect(residual + n + i);
    store(sum + i, load(x + i, part) + load(residual + i, part), part);
  });
  return sum;
}

/// The gradient of a row, once the means over it are known.
template <class T> struct RowGradient {
  using P = Packet<T>;
  const T *g = nullptr, *x = nullptr;
  T* dx = nullptr;
  P middle = 0, scale = 0, along = 0, level = 0;

  template <class Width> GRADUS_FN P at(int64_t i, Width part, const Acc<T>* weight) const {
    P v = load(g + i, part);
    if (weight) v = rounded(v * load(weight + i, part));
    return (v - level - (load(x + i, part) - middle) * along) * scale;
  }
};

/// With h = (x - mean) * rstd and v = g * weight: dx = rstd * (v - mean(v) - h * mean(v * h)); dweight += g * h, dbias += g.
/// Where `past` is given, it is the row before, whose dx is written past the caches while this row is read, and becomes this row.
template <class T, bool kCenter, bool kSums> void row_backward(T* dx, Acc<T>* dweight, Acc<T>* dbias, const T* g, const T* x,
                                                               const Acc<T>* weight, Acc<T> mean, Acc<T> rstd, int64_t n,
                                                               RowGradient<T>* past, bool more) {
  using P = Packet<T>;
  P middle = P(mean), scale = P(rstd), s[2] = {0, 0}, q[2] = {0, 0};
  const RowGradient<T> before = past ? *past : RowGradient<T>{};
  sweep2<T>(n, [&](int64_t i, auto part, int k) {
    P v = load(g + i, part), h = (load(x + i, part) - middle) * scale;
    expect(g + n + kBeyond + i);
    if (past) expect(x + n + kBeyond + i);
    if constexpr (kSums) {
      store(dweight + i, load(dweight + i, part) + v * h, part);
      if (dbias) store(dbias + i, load(dbias + i, part) + v, part);
    }
    if (weight) v = v * load(weight + i, part);
    if constexpr (kCenter) s[k] = s[k] + v;
    q[k] = q[k] + v * h;  // v is zero beyond the row
    if constexpr (kStreams<T>) {
      if (before.dx) store_past(before.dx + i, before.at(i, part, weight), part, true);
    }
  });
  if (!dx) return;
  P along = P(sum_of(q[0] + q[1]) / Acc<T>(n)) * scale, level = kCenter ? P(sum_of(s[0] + s[1]) / Acc<T>(n)) : P(0);
  const RowGradient<T> row{g, x, dx, middle, scale, along, level};
  if (past) {
    *past = row;
    return;
  }
  sweep<T>(n, [&](int64_t i, auto part) {
    expect(x + n + i);
    P v = rounded(row.at(i, part, weight));
    if (more) v = v + load(dx + i, part);
    store(dx + i, v, part);
  });
}

template <class F> void with(bool flag, F f) { flag ? f(std::true_type()) : f(std::false_type()); }

}  // namespace

void layer_norm(const Array& y, const Array& mean, const Array& rstd, const Array& sum, const Array& x, const Array& residual,
                const Array& weight, const Array& bias, double eps) {
  if (x.count == 0) return;
  int64_t rows = rstd.count, n = x.count / rows;
  dispatch_float("layer_norm", x.dtype, [&]<class T>() {
    const bool streams = rows_stream<T>(y.data, n, y.count);
    with(bool(mean), [&](auto center) {
      parallel_for(rows, kParallel / (4 * n) + 1, [&](int64_t begin, int64_t end) {
        const auto *w = weight.as<Acc<T>>(), *b = bias.as<Acc<T>>();
        Normalized<T> now;  // past the caches a row is written while the next one is measured
        auto write = [&](int64_t i) {
          if (now.y) store_past(now.y + i, now.at(i, Whole{}, w, b), true);
        };
        for (int64_t r = begin; r < end; ++r) {
          const T* from = x.as<T>() + r * n;
          if (sum) from = add(sum.as<T>() + r * n, from, residual.as<T>() + r * n, n);
          auto *m = mean.as<Acc<T>>() + (center ? r : 0), *deviation = rstd.as<Acc<T>>() + r;
          T* to = y.as<T>() + r * n;
          if (kStreams<T> && streams) {
            if constexpr (kStreams<T>) measure<T, center>(now, m, deviation, from, to, n, Acc<T>(eps), write);
          } else {
            measure<T, center>(now, m, deviation, from, to, n, Acc<T>(eps), [](int64_t) {});
            sweep<T>(n, [&](int64_t i, auto part) { store(to + i, now.at(i, part, w, b), part); });
          }
        }
        if (streams) sweep<T>(n, [&](int64_t i, auto) { write(i); });
        _mm_sfence();
      });
    });
  });
}

void layer_norm_backward(const Array& dx, const Array& dweight, const Array& dbias, const Array& g, const Array& x,
                         const Array& mean, const Array& rstd, const Array& weight, bool accumulate) {
  int64_t rows = rstd.count, n = rows ? x.count / rows : 0;
  dispatch_float("layer_norm_backward", x.dtype, [&]<class T>() {
    using A = Acc<T>;
    // The parameters' sums are taken over stretches of rows whose bounds do not depend on the threads, then over the stretches. One
    // that is not wanted alone is computed all the same.
    bool sums = dweight || dbias;
    const bool streams = dx && !accumulate && rows_stream<T>(dx.data, n, dx.count);
    int64_t stretch = (rows + 31) / 32;
    stretch = stretch < 16 ? 16 : stretch > 1024 ? 1024 : stretch;
    int64_t stretches = (rows + stretch - 1) / stretch;
    Scratch partial(sums ? size_t(stretches) * 2 * n * sizeof(A) : 0);
    if (x.count > 0) {
      with(bool(mean), [&](auto center) {
        with(sums, [&](auto s) {
          parallel_for(stretches, kParallel / (8 * n * stretch) + 1, [&](int64_t begin, int64_t end) {
            RowGradient<T> past;
            for (int64_t k = begin; k < end; ++k) {
              A* sum = partial.as<A>() + (s ? k * 2 * n : 0);
              if (s)
                for (int64_t i = 0; i < 2 * n; ++i) sum[i] = 0;
              for (int64_t r = k * stretch; r < rows && r < (k + 1) * stretch; ++r)
                row_backward<T, center, s>(dx ? dx.as<T>() + r * n : nullptr, sum, dbias ? sum + n : nullptr, g.as<T>() + r * n,
                                           x.as<T>() + r * n, weight.as<A>(), center ? mean.as<A>()[r] : A(0), rstd.as<A>()[r], n,
                                           streams ? &past : nullptr, accumulate);
            }
            if constexpr (kStreams<T>) {
              if (past.dx)
                sweep<T>(n, [&](int64_t i, auto part) { store_past(past.dx + i, past.at(i, part, weight.as<A>()), part, true); });
            }
            _mm_sfence();
          });
        });
      });
    }
    auto gather = [&](const Array& to, int64_t offset) {
      if (!to) return;
      A* out = to.as<A>();
      for (int64_t i = 0; i < to.count; ++i) out[i] = 0;
      for (int64_t k = 0; n > 0 && k < stretches; ++k)
        for (int64_t i = 0; i < n; ++i) out[i] += partial.as<A>()[k * 2 * n + offset + i];
    };
    gather(dweight, 0), gather(dbias, n);
  });
}

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
