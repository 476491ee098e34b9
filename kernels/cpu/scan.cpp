// Scans: sums, products and the like of all elements up to each, along one axis. float is accumulated in double: an element is the
// end of a chain as long as the axis.
#include <algorithm>
#include <cmath>

#include "kernels/array.h"
#include "kernels/cpu/parallel.h"
#include "kernels/dispatch.h"
#include "kernels/params.h"

namespace gradus::cpu {
namespace {

template <class T> struct Accumulator { using type = int64_t; };
template <> struct Accumulator<float> { using type = double; };
template <> struct Accumulator<double> { using type = double; };
template <> struct Accumulator<half> { using type = float; };
template <> struct Accumulator<bfloat16> { using type = float; };

/// A row-major tensor as (outer, length, inner); the scan runs over `length`.
struct Lines {
  int64_t outer = 1, length = 1, inner = 1;
  Lines(const Array& x, int axis) {
    for (int d = 0; d < x.rank; ++d) (d < axis ? outer : d > axis ? inner : length) *= x.shape[d];
  }
};

constexpr int64_t kSide =
    64;  // lines that are taken together: one step of each at a time, so that they do not wait for one another

/// Calls f(first, count, apart, step): `count` <= kSide lines, the first from the element `first` on, `apart` from one another, their
/// elements `step` apart.
template <class F> void for_each_bundle(const Lines& l, F f) {
  if (l.outer * l.length * l.inner == 0) return;
  const bool rows = l.inner == 1;
  const int64_t lines = rows ? l.outer : l.inner, apart = rows ? l.length : 1;
  const int64_t side = rows ? 8 : kSide, bundles = (lines + side - 1) / side;
  parallel_for(bundles * (rows ? 1 : l.outer), 1 + kParallel / (side * l.length), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t line = i % bundles * side;
      f(i / bundles * l.length * l.inner + line * apart, std::min(side, lines - line), apart, l.inner);
    }
  });
}

template <class A> A log_add(A a, A b) {
  if (a != a || b != b) return a + b;  // std::max and std::min would drop a NaN that comes second
  A high = std::max(a, b), low = std::min(a, b);
  if (!(std::isfinite(high) && std::isfinite(low))) return high;
  return high + std::log1p(std::exp(low - high));
}

/// Each element of a line becomes next(the one before, its place, whether it is the first); `count` lines side by side.
template <class A, class Out, class Next>
void walk(Out* y, int64_t length, int64_t first, int64_t count, int64_t apart, int64_t step, bool backwards, Next next) {
  A sum[kSide] = {};
  for (int64_t i = 0; i < length; ++i) {
    int64_t at = first + (backwards ? length - 1 - i : i) * step;
    for (int64_t k = 0; k < count; ++k) {
      sum[k] = next(sum[k], at + k * apart, i == 0);
      y[at + k * apart] = Out(sum[k]);
    }
  }
}

}  // namespace

void scan(const Array& y, const Array& x, int axis, Scan kind, bool backwards) {
  Lines lines(x, axis);
  dispatch_number("cumsum", x.dtype == DType::boolean ? DType::uint8 : x.dtype, [&]<class T>() {
    using A = typename Accumulator<T>::type;
    using Out = std::conditional_t<std::is_integral_v<T>, int64_t, T>;
    const T* in = x.as<T>();
    for_each_bundle(lines, [&](int64_t first, int64_t count, int64_t apart, int64_t step) {
      auto run = [&](auto next) { walk<A>(y.as<Out>(), lines.length, first, count, apart, step, backwards, next); };
      if (kind == Scan::sum)
        run([in](A sum, int64_t i, bool) { return sum + A(in[i]); });
      else if (kind == Scan::prod)
        run([in](A product, int64_t i, bool begins) { return begins ? A(in[i]) : product * A(in[i]); });
      else if constexpr (std::is_floating_point_v<A>)
        run([in](A sum, int64_t i, bool begins) { return begins ? A(in[i]) : log_add(sum, A(in[i])); });
    });
  });
}

void scan_linear(const Array& y, const Array& a, const Array& b, int axis, bool backwards, bool late) {
  Lines lines(y, axis);
  dispatch_float("cumprod", y.dtype, [&]<class T>() {
    using A = typename Accumulator<T>::type;
    const T *factor = a.as<T>(), *term = b.as<T>();
    for_each_bundle(lines, [&](int64_t first, int64_t count, int64_t apart, int64_t step) {
      const int64_t before = !late ? 0 : backwards ? step : -step;
      walk<A>(y.as<T>(), lines.length, first, count, apart, step, backwards,
              [&](A sum, int64_t i, bool begins) { return begins ? A(term[i]) : A(factor[i + before]) * sum + A(term[i]); });
    });
  });
}

void scan_extreme(const Array& y, const Array& index, const Array& x, int axis, bool greatest) {
  Lines lines(x, axis);
  dispatch_number("cummax", x.dtype == DType::boolean ? DType::uint8 : x.dtype, [&]<class T>() {
    using A = accumulate_t<T>;
    const T* in = x.as<T>();
    for_each_bundle(lines, [&](int64_t first, int64_t count, int64_t apart, int64_t step) {
      A best[kSide];
      int64_t at[kSide];
      for (int64_t i = 0; i < lines.length; ++i)
        for (int64_t k = 0; k < count; ++k) {
          int64_t place = first + i * step + k * apart;
          A v = A(in[place]);
          bool better = i == 0 || v != v || (greatest ? v >= best[k] : v <= best[k]);
          if (better) best[k] = v, at[k] = i;
          y.as<T>()[place] = T(best[k]);
          index.as<int64_t>()[place] = at[k];
        }
    });
  });
}

}  // namespace gradus::cpu
