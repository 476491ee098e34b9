// Softmax and log-softmax along any axis of a dense tensor, which in memory is (outer, n, inner). Each row is read from memory once:
// what later passes need of it is still in the first-level cache.
#include "kernels/array.h"
#include "kernels/cpu/isa/stream.h"
#include "kernels/cpu/isa/sweep.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/parallel_throwing.h"
#include "kernels/cpu/scratch.h"
#include "kernels/dispatch.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {
namespace {

struct Rows {
  int64_t outer, n, inner;
};
Rows rows_of(const Array& y, int axis) {
  if (y.rank == 0) return {1, 1, 1};
  int64_t n = y.size(axis), inner = n == 1 ? 1 : y.step(axis);
  return {y.count / (n * inner), n, inner};
}

template <class T> using Acc = accumulate_t<T>;
template <class T> constexpr Acc<T> kLowest = -Acc<T>(__builtin_inf());

template <class T> GRADUS_FN Packet<T> largest(const T* x, int64_t n) {
  using P = Packet<T>;
  P m[4] = {kLowest<T>, kLowest<T>, kLowest<T>, kLowest<T>};
  sweep4<T>(n, [&](int64_t i, auto part, int k) { m[k] = larger(m[k], load(x + i, part, kLowest<T>)); });
  return P(largest_of(larger(larger(m[0], m[1]), larger(m[2], m[3]))));
}
template <class T> GRADUS_FN Acc<T> total_of(const Packet<T> (&s)[4]) { return sum_of((s[0] + s[1]) + (s[2] + s[3])); }

/// One contiguous row. A NaN, or an infinity that leaves nothing to compare with, makes the whole row NaN.
template <class T, bool kLog> void row(T* y, const T* x, int64_t n) {
  using P = Packet<T>;
  constexpr bool kKeep = !kLog && std::is_same_v<T, Acc<T>>;  // exp(x - top) waits in y; a rounded one would be rounded twice
  P top = largest(x, n), s[4] = {0, 0, 0, 0};
  sweep4<T>(n, [&](int64_t i, auto part, int k) {
    P e = exp(load(x + i, part, kLowest<T>) - top);
    expect(x + n + i);
    if constexpr (kKeep) store(y + i, e, part);
    s[k] = s[k] + e;
  });
  Acc<T> total = total_of<T>(s);
  if constexpr (kLog) {
    P shift = P(Acc<T>(std::log(total)));  // not added to top: beside a large one it would lose its digits
    sweep<T>(n, [&](int64_t i, auto part) { store(y + i, (load(x + i, part) - top) - shift, part); });
  } else {
    P scale = P(1 / total);
    sweep<T>(n, [&](int64_t i, auto part) {
      store(y + i, (kKeep ? load(y + i, part) : exp(load(x + i, part, kLowest<T>) - top)) * scale, part);
    });
  }
}

/// Rows that are written past the caches, to the same bits: while the exponentials of one row are computed, memory takes the results of
/// the row before and brings the row after, whose largest element is found. `kept` has room for two rows, unless kLog.
template <class T, bool kLog> void rows_past(T* y, const T* x, int64_t n, int64_t count, T* kept) {
  using P = Packet<T>;
  const int64_t ahead = n + 1024;                 // a page beyond where the next row is being read
  P top = largest(x, n), last_top = 0, last = 0;  // last: what a row's results lack, the factor or the logarithm
  T* now = kept;
  T* before = kLog ? kept : kept + n;
  auto result = [&](int64_t i) { return kLog ? (load(x - n + i) - last_top) - last : load(before + i) * last; };
  for (int64_t r = 0; r < count; ++r, x += n, y += n) {
    const bool more = r + 1 < count;
    P s[4] = {0, 0, 0, 0}, m[4] = {kLowest<T>, kLowest<T>, kLowest<T>, kLowest<T>};
    sweep4<T>(n, [&](int64_t i, auto, int k) {
      P e = exp(load(x + i) - top);
      expect(x + ahead + i);
      if (more) m[k] = larger(m[k], load(x + n + i));
      if constexpr (!kLog) store(now + i, e);
      s[k] = s[k] + e;
      if (r > 0) store_stream(y - n + i, result(i));
    });
    Acc<T> total = total_of<T>(s);
    last = P(kLog ? Acc<T>(std::log(total)) : 1 / total), last_top = top;
    top = P(largest_of(larger(larger(m[0], m[1]), larger(m[2], m[3]))));
    std::swap(now, before);
  }
  sweep<T>(n, [&](int64_t i, auto) { store_stream(y - n + i, result(i)); });
  _mm_sfence();
}

/// One packet's width of neighbouring columns; steps of `inner` along the axis.
template <class T, bool kLog, class Width> void columns(T* y, const T* x, int64_t n, int64_t inner, Width width) {
  using P = Packet<T>;
  constexpr bool kKeep = !kLog && std::is_same_v<T, Acc<T>>;  // exp(x - top) waits in y
  P top = kLowest<T>, total = 0;
  for (int64_t i = 0; i < n; ++i) top = larger(top, load(x + i * inner, width));
  for (int64_t i = 0; i < n; ++i) {
    P e = exp(load(x + i * inner, width) - top);
    if constexpr (kKeep) store(y + i * inner, e, width);
    total = total + e;
  }
  P last = kLog ? log(total) : 1 / total;
  for (int64_t i = 0; i < n; ++i) {
    if constexpr (kKeep) {
      store(y + i * inner, load(y + i * inner, width) * last, width);
    } else {
      P d = load(x + i * inner, width) - top;
      store(y + i * inner, kLog ? d - last : exp(d) * last, width);
    }
  }
}

/// The gradient of a row, once its total is known.
template <class T, bool kLog> struct RowGradient {
  using P = Packet<T>;
  const T *g = nullptr, *y = nullptr;
  T* dx = nullptr;
  P total = 0;

  template <class Width> GRADUS_FN P at(int64_t i, Width part) const {
    P v = load(g + i, part), p = load(y + i, part);
    return kLog ? v - exp(p) * total : p * (v - total);
  }
};

/// Where `past` is given, it is the row before, whose gradient is written past the caches while this row is read, and becomes this row.
template <class T, bool kLog> void row_backward(T* dx, const T* g, const T* y, int64_t n, RowGradient<T, kLog>* past = nullptr) {
  using P = Packet<T>;
  P s[4] = {0, 0, 0, 0};
  const RowGradient<T, kLog> before = past ? *past : RowGradient<T, kLog>{};
  sweep4<T>(n, [&](int64_t i, auto part, int k) {
    P v = load(g + i, part);
    expect(g + n + i);
    if (past) expect(y + n + i);
    s[k] = s[k] + (kLog ? v : v * load(y + i, part));
    if (before.dx) store_past(before.dx + i, before.at(i, part), part, true);
  });
  const RowGradient<T, kLog> row{g, y, dx, P(sum_of((s[0] + s[1]) + (s[2] + s[3])))};
  if (past) {
    *past = row;
    return;
  }
  sweep<T>(n, [&](int64_t i, auto part) {
    expect(y + n + i);
    store(dx + i, row.at(i, part), part);
  });
}
template <class T, bool kLog, class Width>
void columns_backward(T* dx, const T* g, const T* y, int64_t n, int64_t inner, Width width) {
  using P = Packet<T>;
  P total = 0;
  for (int64_t i = 0; i < n; ++i) {
    P v = load(g + i * inner, width);
    total = total + (kLog ? v : v * load(y + i * inner, width));
  }
  for (int64_t i = 0; i < n; ++i) {
    P v = load(g + i * inner, width), p = load(y + i * inner, width);
    store(dx + i * inner, kLog ? v - exp(p) * total : p * (v - total), width);
  }
}

/// one(offset) for every row, or wide(offset, width) for every packet of columns.
template <class T, class One, class Wide> void share(const Rows& r, One one, Wide wide) {
  if (r.inner == 1) {
    parallel_for_throwing(r.outer, kParallel / (8 * r.n) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) one(o * r.n);
      _mm_sfence();
    });
    return;
  }
  constexpr int kLanes = kLanesOf<T>;
  int64_t strips = (r.inner + kLanes - 1) / kLanes;
  parallel_for(r.outer * strips, kParallel / (8 * kLanes * r.n) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      int64_t first = k % strips * kLanes, at = k / strips * r.n * r.inner + first;
      r.inner - first >= kLanes ? wide(at, Whole{}) : wide(at, Part{int(r.inner - first)});
    }
  });
}

template <class F> void with(bool log, F f) { log ? f(std::true_type()) : f(std::false_type()); }

}  // namespace

void softmax(const Array& y, const Array& x, int axis, bool log) {
  if (y.count == 0) return;
  Rows r = rows_of(y, axis);
  dispatch_float("softmax", x.dtype, [&]<class T>() {
    with(log, [&](auto l) {
      if constexpr (kStreams<T>)
        if (r.inner == 1 && rows_stream<T>(y.data, r.n, y.count))
          return parallel_for_throwing(r.outer, kParallel / (8 * r.n) + 1, [&](int64_t begin, int64_t end) {
            Scratch kept(l ? 0 : 2 * size_t(r.n) * sizeof(T));
            rows_past<T, l>(y.as<T>() + begin * r.n, x.as<T>() + begin * r.n, r.n, end - begin, kept.as<T>());
          });
      share<T>(
          r, [&](int64_t at) { row<T, l>(y.as<T>() + at, x.as<T>() + at, r.n); },
          [&](int64_t at, auto width) { columns<T, l>(y.as<T>() + at, x.as<T>() + at, r.n, r.inner, width); });
    });
  });
}

void softmax_backward(const Array& dx, const Array& g, const Array& y, int axis, bool log) {
  if (y.count == 0) return;
  Rows r = rows_of(y, axis);
  dispatch_float("softmax_backward", y.dtype, [&]<class T>() {
    with(log, [&](auto l) {
      if (r.inner == 1 && rows_stream<T>(dx.data, r.n, y.count))
        return parallel_for(r.outer, kParallel / (8 * r.n) + 1, [&](int64_t begin, int64_t end) {
          RowGradient<T, l> past;
          for (int64_t at = begin * r.n; at < end * r.n; at += r.n)
            row_backward<T, l>(dx.as<T>() + at, g.as<T>() + at, y.as<T>() + at, r.n, &past);
          sweep<T>(r.n, [&](int64_t i, auto part) { store_past(past.dx + i, past.at(i, part), part, true); });
          _mm_sfence();
        });
      share<T>(
          r, [&](int64_t at) { row_backward<T, l>(dx.as<T>() + at, g.as<T>() + at, y.as<T>() + at, r.n); },
          [&](int64_t at, auto width) {
            columns_backward<T, l>(dx.as<T>() + at, g.as<T>() + at, y.as<T>() + at, r.n, r.inner, width);
          });
    });
  });
}

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
