// Normalisation over the other axes of (N, C, ...): a statistic for each channel over the batch (batch norm) or for each group of
// channels of each example (group and instance norm). In memory x is (n, c, d), or (n, d, c) where the channels come last; a batch of
// the latter is one example of n * d rows. Both passes, statistics and then y, read x once from memory; so do backward's two.
#include "kernels/array.h"
#include "kernels/cpu/isa/sweep.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/scratch.h"
#include "kernels/dispatch.h"
#include "kernels/rectified.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {
namespace {

template <class T> using Acc = accumulate_t<T>;

struct Channels {
  int64_t n, c, d, groups;  // groups: 0 for statistics over the batch
  bool last;
  Channels(const Array& x, int64_t groups) : n(x.size(0)), c(x.size(1)), groups(groups) {
    d = n * c > 0 ? x.count / (n * c) : 0;
    last = d == 1 || !x.contiguous;
    if (last && !groups) d *= n, n = 1;
  }
  int64_t units() const { return n * c; }  // (example, channel)
  int64_t statistics() const { return groups ? n * groups : c; }
  int64_t statistic(int64_t i, int64_t k) const { return groups ? i * groups + k / (c / groups) : k; }
  int64_t per_statistic() const { return groups ? d * (c / groups) : n * d; }  // elements
  /// Where an example's coefficients begin: those of a batch are the same for all examples.
  int64_t first(int64_t i) const { return groups ? i * c : 0; }

  // Rows of channels-last data are summed in stretches, whose bounds depend on sizes only.
  int64_t stretches() const {
    int64_t s = d * c / kParallel;
    return s < 1 ? 1 : s > 32 ? 32 : s;
  }
  int64_t stretch_begin(int64_t s) const { return d * s / stretches(); }
};

/// f(v, offset, width) on strips of four packets of channels, then of one: f is a template on the number of packets.
template <class T, class F> GRADUS_FN void strips(int64_t c, F&& f) {
  constexpr int kLanes = kLanesOf<T>;
  int64_t k = 0;
  for (; k + 4 * kLanes <= c; k += 4 * kLanes) f(std::integral_constant<int, 4>(), k, Whole{});
  for (; k + kLanes <= c; k += kLanes) f(std::integral_constant<int, 1>(), k, Whole{});
  if (k < c) f(std::integral_constant<int, 1>(), k, Part{int(c - k)});
}

constexpr int64_t kBlock = 64;  // rows that the first-level cache holds of a strip

/// Means and sums of squared deviations of `rows` rows. Each block is summed twice, about its own mean, so that a large mean costs no
/// digits; blocks are joined as Chan, Golub and LeVeque do (1979).
template <class T> void moments_of_columns(Acc<T>* mean, Acc<T>* squares, const T* x, int64_t rows, int64_t c) {
  using P = Packet<T>;
  constexpr int kLanes = kLanesOf<T>;
  strips<T>(c, [&](auto v, int64_t k, auto width) {
    constexpr int V = v;
    P middle[V], total[V];
    for (int j = 0; j < V; ++j) middle[j] = 0, total[j] = 0;
    for (int64_t seen = 0; seen < rows;) {
      int64_t n = rows - seen < kBlock ? rows - seen : kBlock;
      const T* from = x + seen * c + k;
      P sum[V], square[V];
      for (int j = 0; j < V; ++j) sum[j] = 0, square[j] = 0;
      for (int64_t r = 0; r < n; ++r)
        for (int j = 0; j < V; ++j) sum[j] = sum[j] + load(from + r * c + j * kLanes, width);
      for (int j = 0; j < V; ++j) sum[j] = sum[j] * P(1 / Acc<T>(n));
      for (int64_t r = 0; r < n; ++r)
        for (int j = 0; j < V; ++j) {
          P apart = load(from + r * c + j * kLanes, width) - sum[j];
          square[j] = square[j] + apart * apart;
        }
      Acc<T> share = Acc<T>(n) / Acc<T>(seen + n);
      for (int j = 0; j < V; ++j) {
        P step = sum[j] - middle[j];
        middle[j] = middle[j] + step * P(share);
        total[j] = total[j] + square[j] + step * step * P(share * Acc<T>(seen));
      }
      seen += n;
    }
    for (int j = 0; j < V; ++j) {
      store(mean + k + j * kLanes, middle[j], width);
      store(squares + k + j * kLanes, total[j], width);
    }
  });
}

/// The same of n elements in a row.
template <class T> void moments_of_row(Acc<T>* mean, Acc<T>* squares, const T* x, int64_t n) {
  using P = Packet<T>;
  Acc<T> middle = 0, total = 0;
  for (int64_t seen = 0; seen < n;) {
    int64_t m = n - seen < 2048 ? n - seen : 2048;
    P s[4] = {0, 0, 0, 0}, q[4] = {0, 0, 0, 0};
    sweep4<T>(m, [&](int64_t i, auto part, int k) { s[k] = s[k] + load(x + seen + i, part); });
    Acc<T> own = sum_of((s[0] + s[1]) + (s[2] + s[3])) / Acc<T>(m), share = Acc<T>(m) / Acc<T>(seen + m), step = own - middle;
    sweep4<T>(m, [&](int64_t i, auto part, int k) {
      P apart = only(load(x + seen + i, part) - P(own), part);
      q[k] = q[k] + apart * apart;
    });
    middle += step * share;
    total += sum_of((q[0] + q[1]) + (q[2] + q[3])) + step * step * share * Acc<T>(seen);
    seen += m;
  }
  *mean = middle, *squares = total;
}

/// By (example, channel). With apart = x - middle the norm is apart * scale + bias, and its gradient g * scale + apart * slope + shift.
template <class A> struct Coefficients { A *middle, *scale, *bias, *slope, *shift; };

/// Where relu lets a gradient through: there is none, or by the x of the norm, or by relu's result y.
enum class Gate { open, by_x, by_y };
/// The gradient that arrives, what tells whether it passes, and where what has passed is kept (may be null).
template <class T> struct Arrival {
  const T *g, *x, *y;
  T* passed;
};
/// The gradient at `at` where it passes, else 0. NaN lets it through.
template <Gate gate, class T, class P, class Width>
GRADUS_FN P gradient(const Arrival<T>& from, int64_t at, P apart, P scale, P bias, Width width) {
  P u = load(from.g + at, width);
  if constexpr (gate == Gate::by_x) return where(multiply_add(apart, scale, bias) <= P(kBecomesZero<T>), 0, u);
  if constexpr (gate == Gate::by_y) return where(load(from.y + at, width) <= P(0), 0, u);
  return u;
}

/// sum(g) and sum(g * (x - middle)) of each column of `rows` rows from `at` on, where g is what passes.
template <Gate gate, class T> void products_of_columns(Acc<T>* sums, Acc<T>* products, const Arrival<T>& from, int64_t at,
                                                       const Coefficients<Acc<T>>& f, int64_t of, int64_t rows, int64_t c) {
  using P = Packet<T>;
  constexpr int kLanes = kLanesOf<T>;
  strips<T>(c, [&](auto v, int64_t k, auto width) {
    constexpr int V = v;
    P middle[V], scale[V], bias[V], sum[V], product[V];
    for (int j = 0; j < V; ++j) {
      const int64_t u = of + k + j * kLanes;
      sum[j] = 0, product[j] = 0, middle[j] = load(f.middle + u, width);
      if constexpr (gate == Gate::by_x) scale[j] = load(f.scale + u, width), bias[j] = load(f.bias + u, width);
    }
    for (int64_t begin = 0; begin < rows; begin += 4 * kBlock) {  // two levels of sums: long columns lose no digits
      int64_t end = begin + 4 * kBlock < rows ? begin + 4 * kBlock : rows;
      P s[V], p[V];
      for (int j = 0; j < V; ++j) s[j] = 0, p[j] = 0;
      for (int64_t r = begin; r < end; ++r)
        for (int j = 0; j < V; ++j) {
          const int64_t i = at + r * c + k + j * kLanes;
          P apart = load(from.x + i, width) - middle[j], u = gradient<gate>(from, i, apart, scale[j], bias[j], width);
          if (gate != Gate::open && from.passed) store(from.passed + i, u, width);
          s[j] = s[j] + u;
          p[j] = p[j] + u * apart;
        }
      for (int j = 0; j < V; ++j) sum[j] = sum[j] + s[j], product[j] = product[j] + p[j];
    }
    for (int j = 0; j < V; ++j) {
      store(sums + k + j * kLanes, sum[j], width);
      store(products + k + j * kLanes, product[j], width);
    }
  });
}
/// The same of n elements in a row, whose coefficients are of one channel.
template <Gate gate, class T> void products_of_row(Acc<T>* sums, Acc<T>* products, const Arrival<T>& from, int64_t at,
                                                   const Coefficients<Acc<T>>& f, int64_t of, int64_t n) {
  using P = Packet<T>;
  const P middle = f.middle[of], scale = gate == Gate::by_x ? f.scale[of] : 0, bias = gate == Gate::by_x ? f.bias[of] : 0;
  P s[4] = {0, 0, 0, 0}, p[4] = {0, 0, 0, 0};
  sweep4<T>(n, [&](int64_t i, auto part, int k) {
    P apart = load(from.x + at + i, part) - middle, u = gradient<gate>(from, at + i, apart, scale, bias, part);
    if (gate != Gate::open && from.passed) store(from.passed + at + i, u, part);
    s[k] = s[k] + u;
    p[k] = p[k] + u * apart;
  });
  *sums = sum_of((s[0] + s[1]) + (s[2] + s[3]));
  *products = sum_of((p[0] + p[1]) + (p[2] + p[3]));
}

/// Calls row(unit, offset, n) for each (example, channel) of channels-first data, or columns(slot, example, offset, rows) for each
/// stretch of channels-last data, whose results go to slot `slot` of c numbers.
template <class Row, class Columns> void each_unit(const Channels& v, Row row, Columns columns) {
  if (!v.last) {
    parallel_for(v.units(), kParallel / (4 * v.d) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t u = begin; u < end; ++u) row(u, u * v.d, v.d);
    });
    return;
  }
  int64_t s = v.stretches();
  parallel_for(v.n * s, kParallel * s / (4 * v.d * v.c) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      int64_t first = v.stretch_begin(k % s), rows = v.stretch_begin(k % s + 1) - first;
      columns(k, k / s, (k / s * v.d + first) * v.c, rows);
    }
  });
}

/// Slots of c numbers: one an example, or one a stretch of it.
int64_t slots(const Channels& v) { return v.last ? v.n * v.stretches() : v.n; }
int64_t rows_of_slot(const Channels& v, int64_t slot) {
  if (!v.last) return v.d;
  int64_t s = slot % v.stretches();
  return v.stretch_begin(s + 1) - v.stretch_begin(s);
}
int64_t example_of_slot(const Channels& v, int64_t slot) { return v.last ? slot / v.stretches() : slot; }

/// f(i, k, u) for every channel k of every example i, whose coefficients have the index u; once a channel for a batch.
template <class F> void each_coefficient(const Channels& v, F f) {
  int64_t examples = v.groups ? v.n : 1;
  for (int64_t i = 0; i < examples; ++i)
    for (int64_t k = 0; k < v.c; ++k) f(i, k, i * v.c + k);
}

/// y of the second pass: the norm, or relu of it and of what is added to it (may be null).
template <class T, bool kRectified> struct Norm {
  using P = Packet<T>;
  static constexpr bool kReadsBias = true, kReadsSlope = false;
  T* out;
  const T *x, *past;
  template <class Part> GRADUS_FN P operator()(int64_t at, Part part, P middle, P scale, P bias, P, P) const {
    P y = multiply_add(load(x + at, part) - middle, scale, bias);
    if constexpr (!kRectified) return y;
    if (past) y = y + load(past + at, part);
    return where(y < 0, 0, y);
  }
};
/// dx of the second pass, added to what is there if asked.
template <class T, Gate gate> struct Slope {
  using P = Packet<T>;
  static constexpr bool kReadsBias = gate == Gate::by_x, kReadsSlope = true;
  T* out;
  Arrival<T> from;
  bool adds;
  template <class Part> GRADUS_FN P operator()(int64_t at, Part part, P middle, P scale, P bias, P slope, P shift) const {
    P apart = load(from.x + at, part) - middle, u = gradient<gate>(from, at, apart, scale, bias, part);
    P d = u * scale + apart * slope + shift;
    return adds ? load(out + at, part) + d : d;
  }
};
template <class T, class Body> void apply(const Body& body, const Coefficients<Acc<T>>& f, const Channels& v) {
  using P = Packet<T>;
  if (v.last) {
    parallel_for(v.n * v.d, kParallel / (2 * v.c) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        int64_t at = r * v.c, of = v.first(r / v.d);
        sweep<T>(v.c, [&](int64_t i, auto part) {
          P middle = load(f.middle + of + i, part), scale = load(f.scale + of + i, part);
          P bias = Body::kReadsBias ? load(f.bias + of + i, part) : P(0);
          P slope = Body::kReadsSlope ? load(f.slope + of + i, part) : P(0);
          P shift = Body::kReadsSlope ? load(f.shift + of + i, part) : P(0);
          store(body.out + at + i, body(at + i, part, middle, scale, bias, slope, shift), part);
        });
      }
    });
    return;
  }
  parallel_for(v.units(), kParallel / (2 * v.d) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit) {
      int64_t at = unit * v.d, of = v.first(unit / v.c) + unit % v.c;
      P middle = P(f.middle[of]), scale = P(f.scale[of]), bias = Body::kReadsBias ? P(f.bias[of]) : P(0);
      P slope = Body::kReadsSlope ? P(f.slope[of]) : P(0), shift = Body::kReadsSlope ? P(f.shift[of]) : P(0);
      sweep<T>(v.d, [&](int64_t i, auto part) {
        store(body.out + at + i, body(at + i, part, middle, scale, bias, slope, shift), part);
      });
    }
  });
}

/// Mean and sum of squared deviations of each statistic, joined in double in a fixed order. These have `statistics` elements. With a
/// residual, of the sum, which is written a slot at a time.
template <class T>
void statistics(double* mean, double* squares, const Array& sum, const Array& x, const Array& residual, const Channels& v) {
  int64_t count = slots(v), c = v.c;
  Scratch memory(size_t(count) * c * 2 * sizeof(Acc<T>));
  Acc<T>*means = memory.as<Acc<T>>(), *own = means + count * c;
  auto from = [&](int64_t at, int64_t n) -> const T* {
    if (!residual) return x.as<T>() + at;
    T* to = sum.as<T>() + at;
    sweep<T>(n, [&](int64_t i, auto part) {
      store(to + i, load(x.as<T>() + at + i, part) + load(residual.as<T>() + at + i, part), part);
    });
    return to;
  };
  each_unit(
      v, [&](int64_t u, int64_t at, int64_t n) { moments_of_row(means + u, own + u, from(at, n), n); },
      [&](int64_t slot, int64_t, int64_t at, int64_t rows) {
        moments_of_columns(means + slot * c, own + slot * c, from(at, rows * c), rows, c);
      });
  for (int64_t s = 0; s < v.statistics(); ++s) mean[s] = squares[s] = 0;
  double total = double(v.per_statistic());
  for (int64_t k = 0; k < count; ++k) {
    double rows = double(rows_of_slot(v, k)) / total;
    for (int64_t i = 0; i < c; ++i) mean[v.statistic(example_of_slot(v, k), i)] += rows * means[k * c + i];
  }
  for (int64_t k = 0; k < count; ++k) {
    double rows = double(rows_of_slot(v, k));
    for (int64_t i = 0; i < c; ++i) {
      int64_t s = v.statistic(example_of_slot(v, k), i);
      double apart = means[k * c + i] - mean[s];
      squares[s] += own[k * c + i] + rows * apart * apart;
    }
  }
}

/// Each channel's middle, scale and bias, which both directions work out alike.
template <class A>
void put_norm(const Coefficients<A>& to, const A* mean, const A* rstd, const Array& weight, const Array& bias, const Channels& v) {
  each_coefficient(v, [&](int64_t i, int64_t k, int64_t u) {
    int64_t s = v.statistic(i, k);
    to.middle[u] = mean[s];
    to.scale[u] = rstd[s] * (weight ? weight.as<A>()[k] : A(1));
    to.bias[u] = bias ? bias.as<A>()[k] : A(0);
  });
}

/// y from each statistic's mean and 1 / deviation.
template <class T, class A> void normalise(const Array& y, const Array& x, const Array& past, const A* mean, const A* rstd,
                                           const Array& weight, const Array& bias, const Channels& v, bool rectified) {
  int64_t count = (v.groups ? v.n : 1) * v.c;
  Scratch memory(size_t(count) * 3 * sizeof(A));
  A* f = memory.as<A>();
  Coefficients<A> to{f, f + count, f + 2 * count, nullptr, nullptr};
  put_norm(to, mean, rstd, weight, bias, v);
  if (rectified)
    apply<T>(Norm<T, true>{y.as<T>(), x.as<T>(), past.as<T>()}, to, v);
  else
    apply<T>(Norm<T, false>{y.as<T>(), x.as<T>(), nullptr}, to, v);
}

/// Calls f with the gate of a gradient as a constant.
template <class F> void with_gate(bool rectified, bool by_y, F f) {
  if (!rectified) return f(std::integral_constant<Gate, Gate::open>());
  if (by_y) return f(std::integral_constant<Gate, Gate::by_y>());
  f(std::integral_constant<Gate, Gate::by_x>());
}

}  // namespace

void channel_norm(const Array& y, const Array& mean, const Array& rstd, const Array& running_mean, const Array& running_var,
                  const Array& sum, const Array& x, const Array& residual, const Array& past, const Array& weight,
                  const Array& bias, int64_t groups, double eps, double momentum, bool rectified) {
  if (x.count == 0) return;
  Channels v(x, groups);
  dispatch_float("channel_norm", x.dtype, [&]<class T>() {
    using A = Acc<T>;
    int64_t count = v.statistics();
    Scratch memory(size_t(count) * 2 * sizeof(double));
    double *middle = memory.as<double>(), *squares = middle + count, m = double(v.per_statistic());
    statistics<T>(middle, squares, sum, x, residual, v);
    for (int64_t s = 0; s < count; ++s) {
      mean.as<A>()[s] = A(middle[s]);
      rstd.as<A>()[s] = A(1 / __builtin_sqrt(squares[s] / m + eps));
      auto move = [&](const Array& to, double value) {
        if (to) to.as<A>()[s] = A((1 - momentum) * to.as<A>()[s] + momentum * value);
      };
      move(running_mean, middle[s]), move(running_var, squares[s] / (m - 1));
    }
    normalise<T>(y, residual ? sum : x, past, mean.as<A>(), rstd.as<A>(), weight, bias, v, rectified);
  });
}

void channel_norm_fixed(const Array& y, const Array& rstd, const Array& x, const Array& past, const Array& mean, const Array& var,
                        const Array& weight, const Array& bias, double eps, bool rectified) {
  Channels v(x, 0);
  dispatch_float("channel_norm_fixed", x.dtype, [&]<class T>() {
    using A = Acc<T>;
    for (int64_t k = 0; k < v.c; ++k) rstd.as<A>()[k] = A(1 / __builtin_sqrt(double(var.as<A>()[k]) + eps));
    if (x.count > 0) normalise<T>(y, x, past, mean.as<A>(), rstd.as<A>(), weight, bias, v, rectified);
  });
}

/// With h = (x - mean) * rstd and u = g * weight: dx = rstd * (u - mean(u) - h * mean(u * h)), where the means are over the elements of
/// a statistic; dweight = sum(g * h), dbias = sum(g). Behind relu, g is what has passed it.
void channel_norm_backward(const Array& dx, const Array& dweight, const Array& dbias, const Array& dpast, const Array& g,
                           const Array& x, const Array& y, const Array& mean, const Array& rstd, const Array& weight,
                           const Array& bias, int64_t groups, bool fixed, bool accumulate, bool rectified) {
  Channels v(x, groups);
  dispatch_float("channel_norm_backward", x.dtype, [&]<class T>() {
    using A = Acc<T>;
    int64_t c = v.c, count = slots(v), coefficients = (groups ? v.n : 1) * c, statistics = v.statistics();
    Scratch memory(size_t(2 * count * c + 5 * coefficients) * sizeof(A)), sums(size_t(2 * (statistics + c)) * sizeof(double));
    A *sum = memory.as<A>(), *product = sum + count * c, *f = product + count * c;
    Coefficients<A> to{f, f + coefficients, f + 2 * coefficients, f + 3 * coefficients, f + 4 * coefficients};
    double *level = sums.as<double>(), *along = level + statistics, *dw = along + statistics, *db = dw + c;
    const A* scale = rstd.as<A>();
    put_norm(to, mean.as<A>(), scale, weight, bias, v);
    for (int64_t s = 0; s < 2 * (statistics + c); ++s) level[s] = 0;
    Arrival<T> from{g.as<T>(), x.as<T>(), y.as<T>(), dpast.as<T>()};
    if (x.count > 0 && (!fixed || dweight || dbias || dpast)) {
      with_gate(rectified, bool(y), [&](auto which) {
        constexpr Gate gate = which;
        each_unit(
            v,
            [&](int64_t u, int64_t at, int64_t n) {
              products_of_row<gate>(sum + u, product + u, from, at, to, v.first(u / c) + u % c, n);
            },
            [&](int64_t slot, int64_t i, int64_t at, int64_t rows) {
              products_of_columns<gate>(sum + slot * c, product + slot * c, from, at, to, v.first(i), rows, c);
            });
      });
      for (int64_t k = 0; k < count; ++k)
        for (int64_t i = 0; i < c; ++i) {
          int64_t s = v.statistic(example_of_slot(v, k), i);
          double a = sum[k * c + i], b = double(product[k * c + i]) * scale[s], w = weight ? weight.as<A>()[i] : A(1);
          level[s] += w * a, along[s] += w * b, db[i] += a, dw[i] += b;
        }
    }
    for (int64_t i = 0; i < c; ++i) {
      if (dweight) dweight.as<A>()[i] = A(dw[i]);
      if (dbias) dbias.as<A>()[i] = A(db[i]);
    }
    if (!dx || x.count == 0) return;
    double m = double(v.per_statistic());
    each_coefficient(v, [&](int64_t i, int64_t k, int64_t u) {
      int64_t s = v.statistic(i, k);
      double r = scale[s];
      to.slope[u] = fixed ? A(0) : A(-r * r * along[s] / m);  // fixed statistics do not move with x
      to.shift[u] = fixed ? A(0) : A(-r * level[s] / m);
    });
    if (dpast) from.g = dpast.as<T>();  // what has passed is there to be read
    if (rectified && !dpast)
      apply<T>(Slope<T, Gate::by_x>{dx.as<T>(), from, accumulate}, to, v);
    else
      apply<T>(Slope<T, Gate::open>{dx.as<T>(), from, accumulate}, to, v);
  });
}

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
