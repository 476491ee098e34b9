// Scans: sums, products and the like of all elements up to each, along one axis; float is accumulated in double, as on the CPU. Where
// other axes come after this one, a thread takes a line and neighbours read side by side; else a block takes a line, 256 elements at a
// time, which it joins in an order that does not depend on anything.
#include "kernels/cuda/row.cuh"
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
  bool backwards;
  Lines(const Array& x, int axis, bool backwards) : backwards(backwards) {
    for (int d = 0; d < x.rank; ++d) (d < axis ? outer : d > axis ? inner : length) *= x.shape[d];
  }
  __device__ int64_t at(int64_t line, int64_t i) const {
    return line / inner * length * inner + (backwards ? length - 1 - i : i) * inner + line % inner;
  }
};

// A scan has: kInOrder, whether joining may not be done in another order; Value, what is joined; get(place, i), element i of a line; join(a, b), a before b; put(place, value).

template <class S> __global__ void __launch_bounds__(kThreads) scan_columns(const S s, const Lines lines) {
  const int64_t line = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (line >= lines.outer * lines.inner) return;
  typename S::Value all = s.get(lines.at(line, 0), 0);
  s.put(lines.at(line, 0), all);
  for (int64_t i = 1; i < lines.length; ++i) {
    const int64_t place = lines.at(line, i);
    all = s.join(all, s.get(place, i)), s.put(place, all);
  }
}

template <class S> __global__ void __launch_bounds__(kThreads) scan_rows(const S s, const Lines lines) {
  using Value = typename S::Value;
  __shared__ Value joined[2][kThreads];
  const int t = threadIdx.x;
  Value before{};
  for (int64_t first = 0; first < lines.length; first += kThreads) {
    const int64_t i = first + t, place = lines.at(blockIdx.x, i);
    const int count = int(lines.length - first < kThreads ? lines.length - first : kThreads);
    int now = 0;
    __syncthreads();  // what was there has been read by all
    if (t < count) {
      const Value own = s.get(place, i);
      joined[0][t] = t == 0 && first > 0 ? s.join(before, own) : own;
    }
    for (int distance = 1; distance < int(kThreads); distance *= 2, now = 1 - now) {  // Hillis and Steele (1986)
      __syncthreads();
      if (t < count) joined[1 - now][t] = t >= distance ? s.join(joined[now][t - distance], joined[now][t]) : joined[now][t];
    }
    __syncthreads();
    if (t < count) s.put(place, joined[now][t]);
    before = joined[now][count - 1];
  }
}

template <class S> void run(const char* op, const S& s, const Array& x, const Lines& lines) {
  if (x.count == 0) return;
  const int64_t count = lines.outer * lines.inner;
  if (S::kInOrder || lines.inner > 1 || lines.length <= 32)
    scan_columns<S><<<unsigned((count + kThreads - 1) / kThreads), kThreads, 0, stream()>>>(s, lines);
  else if constexpr (!S::kInOrder)
    scan_rows<S><<<unsigned(count), kThreads, 0, stream()>>>(s, lines);
  check_launch(op, {&x});
}

template <class T> __device__ auto widest(T x) { return typename AccumulatorOf<T>::type(widen(x)); }
template <class T, class A> __device__ T cut(A a) { return narrow<T>(accumulate_t<T>(a)); }

template <class A> __device__ A log_add(A a, A b) {
  if (a != a || b != b) return a + b;
  const A high = a < b ? b : a, low = a < b ? a : b;
  if (!(high - high == 0 && low - low == 0)) return high;
  return high + ::log1p(::exp(low - high));
}

template <class T> struct Simple {
  static constexpr bool kInOrder = false;
  using A = typename AccumulatorOf<T>::type;
  using Out = std::conditional_t<std::is_integral_v<T>, int64_t, T>;
  using Value = A;
  Out* y;
  const T* x;
  Scan kind;
  __device__ A get(int64_t place, int64_t) const { return widest(x[place]); }
  __device__ A join(A a, A b) const {
    if constexpr (std::is_floating_point_v<A>) {
      if (kind == Scan::logsumexp) return log_add(a, b);
    }
    return kind == Scan::sum ? a + b : a * b;
  }
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
/// The last one at ties; NaN beats everything.
template <class T> struct Extreme {
  static constexpr bool kInOrder = false;
  using A = accumulate_t<T>;
  using Value = Best<A>;
  T* y;
  int64_t* index;
  const T* x;
  bool greatest;
  __device__ Value get(int64_t place, int64_t i) const { return {widen(x[place]), i}; }
  __device__ Value join(Value p, Value q) const {
    const bool better = q.value != q.value || (p.value == p.value && (greatest ? q.value >= p.value : q.value <= p.value));
    return better ? q : p;
  }
  __device__ void put(int64_t place, Value v) const { y[place] = narrow<T>(v.value), index[place] = v.index; }
};

DType comparable(DType t) { return t == DType::boolean ? DType::uint8 : t; }

}  // namespace

void scan(const Array& y, const Array& x, int axis, Scan kind, bool backwards) {
  const Lines lines(x, axis, backwards);
  dispatch_number("cumsum", comparable(x.dtype), [&]<class T>() {
    run("cumsum", Simple<T>{y.as<typename Simple<T>::Out>(), x.as<T>(), kind}, x, lines);
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
    run("cummax", Extreme<T>{y.as<T>(), index.as<int64_t>(), x.as<T>(), greatest}, x, lines);
  });
}

}  // namespace gradus::cuda
