// Scans: sums, products and the like of all elements up to each, along one axis; float is accumulated in double, as on the CPU. Where
// other axes come after this one, a thread takes a line and neighbours read side by side; else a block takes a line, 2048 elements at a
// time. Few long lines are cut into chunks: first each one's elements are joined, then what comes before each is, then chunks are scanned.
// Sizes alone say where, so the order of joining depends on nothing else.
#include <optional>

#include "kernels/cuda/row.cuh"
#include "kernels/cuda/scratch.h"
#include "kernels/dispatch.h"
#include "kernels/params.h"

namespace gradus::cuda {
namespace {

template <class T> struct AccumulatorOf { using type = int64_t; };
template <> struct AccumulatorOf<float> { using type = double; };
template <> struct AccumulatorOf<double> { using type = double; };
template <> struct AccumulatorOf<half> { using type = float; };
template <> struct AccumulatorOf<bfloat16> { using type = float; };

/// A row-major tensor as (outer, length, inner); element i of a line counts from its end if backwards.
struct Lines {
  int64_t outer = 1, length = 1, inner = 1;
  bool backwards = false;
  Lines(int64_t outer, int64_t length, int64_t inner) : outer(outer), length(length), inner(inner) {}
  Lines(const Array& x, int axis, bool backwards) : backwards(backwards) {
    for (int d = 0; d < x.rank; ++d) (d < axis ? outer : d > axis ? inner : length) *= x.shape[d];
  }
  int64_t count() const { return outer * inner; }
};
/// The places of a line's elements.
struct Walk {
  int64_t first, step;
  __device__ Walk(const Lines& l, int64_t line)
      : first((line / l.inner * l.length + (l.backwards ? l.length - 1 : 0)) * l.inner + line % l.inner),
        step(l.backwards ? -l.inner : l.inner) {}
  __device__ int64_t at(int64_t i) const { return first + i * step; }
};
/// Lines in chunks: `sums` holds what each one's elements make, and then what all up to its end do. only_sums: the first of these.
template <class Value> struct Chunks {
  int64_t length, count;
  Value* sums;
  bool only_sums;
};

// A scan has: kInOrder, whether joining may not be done in another order; Value, what is joined; get(place, i), element i of a line; join(a, b),
// a before b; put(place, value). Joined is what joins, for scans of Values.
template <class Joined> struct OfSums : Joined {
  using typename Joined::Value;
  Value* sums;
  __device__ Value get(int64_t place, int64_t) const { return sums[place]; }
  __device__ void put(int64_t place, Value v) const { sums[place] = v; }
};

template <class S> __global__ void __launch_bounds__(kThreads)
    scan_columns(const S s, const Lines lines, const Chunks<typename S::Value> chunks) {
  constexpr int kAtOnce = 8;  // reads that do not wait for each other
  using Value = typename S::Value;
  const int64_t task = int64_t(blockIdx.x) * kThreads + threadIdx.x, count = lines.outer * lines.inner;
  if (task >= count * chunks.count) return;
  const int64_t part = chunks.count == 1 ? 0 : task / count, line = task - part * count;
  const int64_t begin = part * chunks.length, end = begin + chunks.length < lines.length ? begin + chunks.length : lines.length;
  const Walk walk(lines, line);
  bool any = part > 0 && !chunks.only_sums;
  Value all{};
  if (any) all = chunks.sums[task - count];
  auto take = [&](int64_t i, Value v) {
    all = any ? s.join(all, v) : v, any = true;
    if (!chunks.only_sums) s.put(walk.at(i), all);
  };
  int64_t i = begin;
  for (; i + kAtOnce <= end; i += kAtOnce) {
    Value some[kAtOnce];
#pragma unroll
    for (int u = 0; u < kAtOnce; ++u) some[u] = s.get(walk.at(i + u), i + u);
#pragma unroll
    for (int u = 0; u < kAtOnce; ++u) take(i + u, some[u]);
  }
  for (; i < end; ++i) take(i, s.get(walk.at(i), i));
  if (chunks.only_sums) chunks.sums[task] = all;  // (chunks, lines)
}

/// What the lane `distance` before this one has.
template <class V> __device__ __forceinline__ V from_lane_below(V v, int distance) {
  return __shfl_up_sync(0xffffffffu, v, distance);
}

constexpr int kItems = 8, kTile = kItems * int(kThreads);  // neighbouring elements that a thread joins; those of a block

template <class S> __global__ void __launch_bounds__(kThreads)
    scan_rows(const S s, const Lines lines, const Chunks<typename S::Value> chunks) {
  using Value = typename S::Value;
  constexpr int kWarps = int(kThreads / 32);
  // Threads read and write side by side, and join neighbours; a gap after each thread's elements keeps them in different banks.
  __shared__ Value held[kThreads * (kItems + 1)], before_thread[kThreads], of_warp[kWarps];
  const int t = threadIdx.x, lane = t % 32, warp = t / 32;
  const int64_t line = blockIdx.x / chunks.count, part = blockIdx.x % chunks.count;
  const int64_t begin = part * chunks.length, end = begin + chunks.length < lines.length ? begin + chunks.length : lines.length;
  const Walk walk(lines, line);
  bool any = part > 0 && !chunks.only_sums;
  Value before{};  // of all elements before the tile, if there are any
  if (any) before = chunks.sums[blockIdx.x - 1];
  // Element e of the tile, joined with all before it.
  auto joined = [&](int e) {
    const Value v = held[e + e / kItems];
    return e < kItems && !any ? v : s.join(before_thread[e / kItems], v);
  };
  for (int64_t first = begin; first < end; first += kTile) {
    const int count = int(end - first < kTile ? end - first : kTile);
    Value own[kItems];
#pragma unroll
    for (int k = 0; k < kItems; ++k) {
      const int e = k * int(kThreads) + t;
      if (e < count) own[k] = s.get(walk.at(first + e), first + e);
    }
    __syncthreads();  // what was there has been read by all
#pragma unroll
    for (int k = 0; k < kItems; ++k) {
      const int e = k * int(kThreads) + t;
      if (e < count) held[e + e / kItems] = own[k];
    }
    __syncthreads();
    // Threads that have nothing come after all that have something, which do not look at them.
    Value* mine = held + t * (kItems + 1);
    Value all{};
#pragma unroll
    for (int j = 0; j < kItems; ++j)
      if (t * kItems + j < count) mine[j] = all = j == 0 ? mine[j] : s.join(all, mine[j]);
#pragma unroll
    for (int distance = 1; distance < 32; distance *= 2) {
      const Value below = from_lane_below(all, distance);
      if (lane >= distance) all = s.join(below, all);
    }
    if (lane == 31) of_warp[warp] = all;
    const Value lanes = from_lane_below(all, 1);
    __syncthreads();
    Value up_to_here = before;
    bool some = any;
    for (int w = 0; w < warp; ++w) up_to_here = some ? s.join(up_to_here, of_warp[w]) : of_warp[w], some = true;
    if (lane > 0) up_to_here = some ? s.join(up_to_here, lanes) : lanes;
    before_thread[t] = up_to_here;
    __syncthreads();
    if (!chunks.only_sums) {
#pragma unroll
      for (int k = 0; k < kItems; ++k) {
        const int e = k * int(kThreads) + t;
        if (e < count) s.put(walk.at(first + e), joined(e));
      }
    }
    before = joined(count - 1), any = true;
  }
  if (chunks.only_sums && t == 0) chunks.sums[blockIdx.x] = before;  // (lines, chunks)
}

constexpr int64_t kFewLines = 512, kRowChunk = 4 * kTile;          // fewer lines than this are cut where they are longer than that
constexpr int64_t kFewColumns = 1 << 15, kLeastColumnChunk = 128;  // here a line is a thread's

template <class S> void run(const char* op, const S& s, const Array& x, const Lines& lines) {
  using Value = typename S::Value;
  if (x.count == 0) return;
  const int64_t count = lines.count();
  const bool by_rows = !S::kInOrder && lines.inner == 1 && lines.length > 32;
  Chunks<Value> whole{lines.length, 1, nullptr, false}, chunks = whole;
  if (by_rows && count < kFewLines && lines.length > kRowChunk) {
    chunks.length = kRowChunk;
  } else if (!by_rows && !S::kInOrder && count < kFewColumns && lines.length >= 2 * kLeastColumnChunk) {
    const int64_t parts = std::min(lines.length / kLeastColumnChunk, (2 * kFewColumns + count - 1) / count);
    chunks.length = (lines.length + parts - 1) / parts;
  }
  chunks.count = (lines.length + chunks.length - 1) / chunks.length;
  std::optional<Scratch> sums;
  if (chunks.count > 1) chunks.sums = sums.emplace(size_t(count * chunks.count) * sizeof(Value)).template as<Value>();
  auto launch = [&]<class Of>(const Of& of, const Lines& l, const Chunks<Value>& c) {
    const int64_t tasks = l.count() * c.count;
    if constexpr (!S::kInOrder) {
      if (by_rows) return scan_rows<Of><<<unsigned(tasks), kThreads, 0, stream()>>>(of, l, c);
    }
    scan_columns<Of><<<unsigned((tasks + kThreads - 1) / kThreads), kThreads, 0, stream()>>>(of, l, c);
  };
  if constexpr (!S::kInOrder) {
    if (chunks.sums) {
      chunks.only_sums = true;
      launch(s, lines, chunks);
      chunks.only_sums = false;
      const Lines across = by_rows ? Lines(count, chunks.count, 1) : Lines(1, chunks.count, count);
      launch(OfSums<typename S::Joined>{s, chunks.sums}, across, {chunks.count, 1, nullptr, false});
    }
  }
  launch(s, lines, chunks);
  check_launch(op, {&x});
}

template <class T> __device__ auto widest(T x) { return typename AccumulatorOf<T>::type(widen(x)); }
template <class T, class A> __device__ T cut(A a) { return narrow<T>(accumulate_t<T>(a)); }

template <class A> __device__ __noinline__ A log_add(A a, A b) {  // large, and called from many places
  if (a != a || b != b) return a + b;
  const A high = a < b ? b : a, low = a < b ? a : b;
  if (!(high - high == 0 && low - low == 0)) return high;
  return high + ::log1p(::exp(low - high));
}

template <class A> struct JoinNumbers {
  static constexpr bool kInOrder = false;
  using Value = A;
  Scan kind;
  __device__ A join(A a, A b) const {
    if constexpr (std::is_floating_point_v<A>) {
      if (kind == Scan::logsumexp) return log_add(a, b);
    }
    return kind == Scan::sum ? a + b : a * b;
  }
};
template <class T> struct Simple : JoinNumbers<typename AccumulatorOf<T>::type> {
  using A = typename AccumulatorOf<T>::type;
  using Joined = JoinNumbers<A>;
  using Out = std::conditional_t<std::is_integral_v<T>, int64_t, T>;
  Out* y;
  const T* x;
  __device__ A get(int64_t place, int64_t) const { return widest(x[place]); }
  __device__ void put(int64_t place, A v) const { y[place] = cut<Out>(v); }
};

/// Products of factors alone could overflow where their terms are zero, so a line stays with one thread.
template <class A> struct Affine { A factor, term; };
template <class T> struct Linear {
  static constexpr bool kInOrder = true;
  using A = typename AccumulatorOf<T>::type;
  using Value = Affine<A>;
  T* y;
  const T *a, *b;
  int64_t before;  // where the factor lies, from the element's place
  __device__ Value get(int64_t place, int64_t i) const { return {i == 0 ? A(0) : widest(a[place + before]), widest(b[place])}; }
  __device__ Value join(Value p, Value q) const { return {A(0), q.factor * p.term + q.term}; }
  __device__ void put(int64_t place, Value v) const { y[place] = cut<T>(v.term); }
};

template <class A> struct Best {
  A value;
  int64_t index;
};
template <class A> __device__ __forceinline__ Best<A> from_lane_below(Best<A> v, int distance) {
  return {A(__shfl_up_sync(0xffffffffu, v.value, distance)), __shfl_up_sync(0xffffffffu, (long long)v.index, distance)};
}
/// The last one at ties; NaN beats everything.
template <class A> struct JoinExtremes {
  static constexpr bool kInOrder = false;
  using Value = Best<A>;
  bool greatest;
  __device__ Value join(Value p, Value q) const {
    const bool better = q.value != q.value || (p.value == p.value && (greatest ? q.value >= p.value : q.value <= p.value));
    return better ? q : p;
  }
};
template <class T> struct Extreme : JoinExtremes<accumulate_t<T>> {
  using Joined = JoinExtremes<accumulate_t<T>>;
  using Value = Best<accumulate_t<T>>;
  T* y;
  int64_t* index;
  const T* x;
  __device__ Value get(int64_t place, int64_t i) const { return {widen(x[place]), i}; }
  __device__ void put(int64_t place, Value v) const { y[place] = narrow<T>(v.value), index[place] = v.index; }
};

DType comparable(DType t) { return t == DType::boolean ? DType::uint8 : t; }

}  // namespace

void scan(const Array& y, const Array& x, int axis, Scan kind, bool backwards) {
  const Lines lines(x, axis, backwards);
  dispatch_number("cumsum", comparable(x.dtype), [&]<class T>() {
    run("cumsum", Simple<T>{{kind}, y.as<typename Simple<T>::Out>(), x.as<T>()}, x, lines);
  });
}

void scan_linear(const Array& y, const Array& a, const Array& b, int axis, bool backwards, bool late) {
  const Lines lines(y, axis, backwards);
  const int64_t before = !late ? 0 : backwards ? lines.inner : -lines.inner;
  dispatch_float("cumprod", y.dtype, [&]<class T>() {
    run("cumprod", Linear<T>{y.as<T>(), a.as<T>(), b.as<T>(), before}, y, lines);
  });
}

void scan_extreme(const Array& y, const Array& index, const Array& x, int axis, bool greatest) {
  const Lines lines(x, axis, false);
  dispatch_number("cummax", comparable(x.dtype), [&]<class T>() {
    run("cummax", Extreme<T>{{greatest}, y.as<T>(), index.as<int64_t>(), x.as<T>()}, x, lines);
  });
}

}  // namespace gradus::cuda
