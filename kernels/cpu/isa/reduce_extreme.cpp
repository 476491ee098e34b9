// The greatest and the least, and where they are.
#include <limits>

#include "kernels/cpu/isa/fold.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/scratch.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {
namespace {

template <class A> struct Limits {
  static constexpr bool kFloat = std::is_floating_point_v<A>;
  static constexpr A kLow = kFloat ? -std::numeric_limits<A>::infinity() : std::numeric_limits<A>::lowest();
  static constexpr A kHigh = kFloat ? std::numeric_limits<A>::infinity() : std::numeric_limits<A>::max();
};

// NaN wins over everything. `beats` is strict, so that the first of equal ones stays.
struct Greatest : Add {
  template <class A> static constexpr A kFirst = Limits<A>::kLow;
  template <class A, int kLanes> GRADUS_FN static Number<A, kLanes> join(Number<A, kLanes> a, Number<A, kLanes> b) {
    if constexpr (std::is_integral_v<A>)
      return where(a < b, b, a);
    else
      return maximum(a, b);
  }
  template <class A> GRADUS_FN static bool beats(A a, A b) { return (a > b) | ((a != a) & (b == b)); }
};
struct Least : Greatest {
  template <class A> static constexpr A kFirst = Limits<A>::kHigh;
  template <class A, int kLanes> GRADUS_FN static Number<A, kLanes> join(Number<A, kLanes> a, Number<A, kLanes> b) {
    if constexpr (std::is_integral_v<A>)
      return where(b < a, b, a);
    else
      return minimum(a, b);
  }
  template <class A> GRADUS_FN static bool beats(A a, A b) { return (a < b) | ((a != a) & (b == b)); }
};
struct GreatestMagnitude : Greatest {
  template <class P> GRADUS_FN static P take(P x, P, P) { return abs(x); }
};
struct LeastMagnitude : Least {
  template <class P> GRADUS_FN static P take(P x, P, P) { return abs(x); }
};

/// Where the extreme is.
template <class Op, class T> struct Search {
  using F = Folding<Op, T>;
  struct Found {
    T value;
    int64_t index;
  };

  static T of_run(const T* x, int64_t n) {
    typename F::Parameters none{};
    return F::across(n == F::kBlock ? F::block(x, none) : F::short_run(x, n, none));
  }
  /// The first place of `value`, the extreme of these n elements: first its piece, then its place there.
  static int64_t place(const T* x, int64_t n, T value) {
    constexpr int64_t kPiece = 8 * F::kLanes;
    auto same = [&](T v) { return v == value || (v != v && value != value); };
    int64_t at = 0;
    while (at + kPiece < n && !same(of_run(x + at, kPiece))) at += kPiece;
    while (!same(x[at])) ++at;
    return at;
  }
  /// The extreme of n > 0 elements; each block is read once, and one of them again.
  static Found line(const Reduce& r, const char* x, int64_t n) {
    alignas(64) T buffer[F::kBlock];
    T best{};
    int64_t block = 0, index = 0;
    auto length = [n](int64_t begin) { return n - begin < F::kBlock ? n - begin : F::kBlock; };
    for (int64_t i = 0; i < n; i += F::kBlock) {
      const T* from = reinterpret_cast<const T*>(x) + i;
      if (r.gather) r.gather(buffer, x + i * r.gone_x[0], r.gone_x[0], length(i)), from = buffer;
      T value = of_run(from, length(i));
      if (i > 0 && !Op::beats(value, best)) continue;
      best = value, block = i;
      if (r.gather) index = i + place(buffer, length(i), value);
    }
    if (!r.gather) index = block + place(reinterpret_cast<const T*>(x) + block, length(block), best);
    return {best, index};
  }

  static void store(const Reduce& r, char* values, Reduce::Place at, int64_t index) {
    *reinterpret_cast<int64_t*>(r.y + at.y) = index;
    if (!values) return;
    // Not the one compared: zeros keep their sign, and nothing need be converted back.
    const char* from = r.x + at.x + index * r.gone_x[0];
    char* to = values + at.y / int64_t(sizeof(int64_t)) * r.x_item;
    switch (r.x_item) {
      case 1: __builtin_memcpy(to, from, 1); break;
      case 2: __builtin_memcpy(to, from, 2); break;
      case 4: __builtin_memcpy(to, from, 4); break;
      default: __builtin_memcpy(to, from, 8);
    }
  }
  static void rows(const Reduce& r, char* values) {
    const int last = r.kept_rank - 1;
    constexpr int64_t kPart = 1 << 15;
    if (r.outputs < 64 && r.depth >= 2 * kPart) {
      int64_t parts = r.depth / kPart, part = (r.depth + parts - 1) / parts;
      parts = (r.depth + part - 1) / part;
      Scratch scratch(size_t(r.outputs * parts) * sizeof(Found));
      Found* found = scratch.as<Found>();
      parallel_for(r.outputs * parts, 1, [&](int64_t first, int64_t end) {
        for (int64_t i = first; i < end; ++i) {
          int64_t begin = i % parts * part;
          found[i] =
              line(r, r.x + r.place(i / parts, last).x + begin * r.gone_x[0], r.depth - begin < part ? r.depth - begin : part);
          found[i].index += begin;
        }
      });
      for (int64_t i = 0; i < r.outputs; ++i) {
        Found best = found[i * parts];
        for (int64_t k = 1; k < parts; ++k)
          if (Op::beats(found[i * parts + k].value, best.value)) best = found[i * parts + k];
        store(r, values, r.place(i, last), best.index);
      }
      return;
    }
    parallel_for(r.outputs, 1 + kParallel / r.depth, [&](int64_t first, int64_t end) {
      for (int64_t i = first; i < end; ++i) {
        Reduce::Place at = r.place(i, last);
        store(r, values, at, line(r, r.x + at.x, r.depth).index);
      }
    });
  }

  /// Results that lie side by side, an element of each at a time.
  template <class Index> static void columns(const Reduce& r, char* values) {
    const int last = r.kept_rank - 1;
    const int64_t wide = r.kept[last], blocks = (wide + kMaxWidth - 1) / kMaxWidth, width = (wide + blocks - 1) / blocks;
    parallel_for(r.outputs / wide * blocks, 1 + kParallel / (r.depth * width), [&](int64_t first, int64_t end) {
      alignas(64) T best[kMaxWidth], gathered[kMaxWidth];
      alignas(64) Index index[kMaxWidth];
      for (int64_t i = first; i < end; ++i) {
        int64_t begin = i % blocks * width, n = wide - begin < width ? wide - begin : width;
        Reduce::Place at = r.place(i / blocks, last - 1);
        at.x += begin * r.kept_x[last], at.y += begin * r.kept_y[last];
        auto row = [&](int64_t k) -> const T* {
          const char* from = r.x + at.x + k * r.gone_x[0];
          if (!r.gather) return reinterpret_cast<const T*>(from);
          r.gather(gathered, from, r.kept_x[last], n);
          return gathered;
        };
        const T* v = row(0);
        for (int64_t j = 0; j < n; ++j) best[j] = v[j], index[j] = 0;
        for (int64_t k = 1; k < r.depth; ++k) {
          v = row(k);
          for (int64_t j = 0; j < n; ++j) {
            bool better = Op::beats(v[j], best[j]);
            best[j] = better ? v[j] : best[j];
            index[j] = better ? Index(k) : index[j];
          }
        }
        for (int64_t j = 0; j < n; ++j) store(r, values, {at.x + j * r.kept_x[last], at.y + j * r.kept_y[last]}, index[j]);
      }
    });
  }

  static void run(Reduce& r, DType x, char* values) {
    set_gather(r, x, dtype_of<T>);
    if (r.by_rows)
      rows(r, values);
    else if (sizeof(T) == 4 && r.depth < int64_t(1) << 31)
      columns<int32_t>(r, values);
    else
      columns<int64_t>(r, values);
  }
};

}  // namespace

const Fold& extreme_fold(ReduceKind kind, DType x) {
  switch (kind) {
    case ReduceKind::max: return GRADUS_NUMBER_FOLD(Greatest, x);
    case ReduceKind::min: return GRADUS_NUMBER_FOLD(Least, x);
    case ReduceKind::max_abs: return GRADUS_FLOAT_FOLD(GreatestMagnitude, x);
    default: return GRADUS_FLOAT_FOLD(LeastMagnitude, x);
  }
}

void extreme(const Array& y, const Array& index, const Array& x, bool greatest) {
  Reduce r;
  lay_out(r, index, x);
  if (r.outputs == 0) return;
  auto search = [&]<class T>() {
    greatest ? Search<Greatest, T>::run(r, x.dtype, y.as<char>()) : Search<Least, T>::run(r, x.dtype, y.as<char>());
  };
  if (x.dtype == DType::float64)
    search.template operator()<double>();
  else if (is_float(x.dtype))
    search.template operator()<float>();
  else
    search.template operator()<int64_t>();
}

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
