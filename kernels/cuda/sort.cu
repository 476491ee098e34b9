// Order along one axis. Elements are sorted by line and key: by both in one number where the key has up to 32 bits, else by their keys and then
// by their lines; each sort keeps equal ones in order, so lines come out one after the other, each in order. Selecting a few or one
// sorts too: simple, and the result is the same in any order of work.
#include "kernels/cuda/keys.cuh"
#include "kernels/cuda/sorted.h"
#include "kernels/dispatch.h"
#include "kernels/params.h"

namespace gradus::cuda {
namespace {

/// (outer, n, inner), row-major; a line is one of outer * inner.
struct Lines {
  int64_t n, inner, count;
  Lines(const Array& x, int axis) : n(1), inner(1), count(1) {
    for (int d = 0; d < x.rank; ++d) {
      if (d == axis)
        n = x.shape[d];
      else
        count *= x.shape[d];
      if (d > axis) inner *= x.shape[d];
    }
  }
  __device__ int64_t line(int64_t place) const { return place / (n * inner) * inner + place % inner; }
  __device__ int64_t number(int64_t place) const { return place / inner % n; }
  /// The i-th of k elements that a line has in a result.
  __device__ int64_t at(int64_t line, int64_t i, int64_t k) const { return (line / inner * k + i) * inner + line % inner; }
};

/// The bits above an element's key, if there are any, are its line's.
template <class T, class Key, class Place> struct ElementInLine {
  Key* keys;
  Place* places;
  const T* x;
  Lines lines;
  bool descending;
  __device__ void operator()(int64_t i) const {
    const KeyOf<T> own = key_of(x[i]);
    Key key = descending ? KeyOf<T>(~own) : own;
    if constexpr (sizeof(Key) > sizeof(T)) {
      if (lines.count > 1) key |= Key(lines.line(i)) << (8 * sizeof(T));
    }
    keys[i] = key, places[i] = Place(i);
  }
};
template <class Place> struct LineKeys {
  uint64_t* keys;
  const Place* places;
  Lines lines;
  __device__ void operator()(int64_t i) const { keys[i] = uint64_t(lines.line(places[i])); }
};
template <class T, class Place> struct PutFirst {
  T* y;
  int64_t* index;
  const T* x;
  const Place* places;
  Lines lines;
  int64_t k;
  __device__ void operator()(int64_t i) const {
    const int64_t line = i / k, place = places[line * lines.n + i % k], to = lines.at(line, i % k, k);
    index[to] = lines.number(place);
    if (y) y[to] = x[place];
  }
};
template <class T, class Place> struct PutNth {
  T* y;
  int64_t* index;
  const T* x;
  const Place* places;
  Lines lines;
  Nth which;
  int64_t k;
  __device__ void operator()(int64_t line) const {
    const Place* in_order = places + line * lines.n;
    auto is_number = [&](int64_t i) {
      const auto v = widen(x[in_order[i]]);
      return v == v;
    };
    int64_t at = k;
    if (which != Nth::kth) {
      int64_t numbers = 0;  // they come before NaN: the first NaN is found by halving
      for (int64_t end = lines.n; numbers < end;) {
        const int64_t middle = (numbers + end) / 2;
        if (is_number(middle))
          numbers = middle + 1;
        else
          end = middle;
      }
      // The middle of the numbers; NaN itself where one is there, or where there is nothing else.
      at = numbers < lines.n && (which == Nth::median || numbers == 0) ? numbers : (numbers - 1) / 2;
    }
    const int64_t to = lines.at(line, 0, 1);
    index[to] = lines.number(in_order[at]);
    if (y) y[to] = x[in_order[at]];
  }
};

template <class T> struct Search {
  int64_t* y;
  const T *sequence, *x;
  int64_t n, per_line;
  bool right;
  __device__ void operator()(int64_t i) const {
    const T* line = sequence + i / per_line * n;
    const KeyOf<T> key = key_of(x[i]);
    int64_t begin = 0;
    for (int64_t end = n; begin < end;) {
      const int64_t middle = (begin + end) / 2;
      const KeyOf<T> there = key_of(line[middle]);
      if (right ? there <= key : there < key)
        begin = middle + 1;
      else
        end = middle;
    }
    y[i] = begin;
  }
};

template <class T, class Key, class Place, class F>
void sort_lines(const char* op, const Array& x, const Lines& lines, bool descending, F f) {
  SortedBy<Key, Place> sorted(x.count);
  constexpr int kBits = int(sizeof(T)) * 8;
  launch_each(op, x.count, {&x}, ElementInLine<T, Key, Place>{sorted.keys(), sorted.places(), x.as<T>(), lines, descending});
  const int line_bits = lines.count > 1 ? bits_below(uint64_t(lines.count)) : 0;
  sorted.sort(op, sizeof(Key) > sizeof(T) ? kBits + line_bits : kBits);
  if constexpr (sizeof(Key) == sizeof(uint64_t) && sizeof(T) == sizeof(uint64_t)) {
    if (line_bits > 0) {
      launch_each(op, x.count, {&x}, LineKeys<Place>{sorted.keys(), sorted.places(), lines});
      sorted.sort(op, line_bits);
    }
  }
  f.template operator()<T>(sorted.places(), lines);
}
/// Sorts x's lines and calls f<T>(places, lines).
template <class F> void with_sorted(const char* op, const Array& x, int axis, bool descending, F f) {
  const Lines lines(x, axis);
  if (x.count == 0) return;
  dispatch_number(op, comparable(x.dtype), [&]<class T>() {
    if (x.count > INT32_MAX) return sort_lines<T, uint64_t, int64_t>(op, x, lines, descending, f);
    if constexpr (sizeof(T) < sizeof(uint64_t)) {
      // What fits 32 bits with its line is sorted as that.
      if (int(sizeof(T)) * 8 + (lines.count > 1 ? bits_below(uint64_t(lines.count)) : 0) <= 32)
        return sort_lines<T, uint32_t, int32_t>(op, x, lines, descending, f);
    }
    sort_lines<T, uint64_t, int32_t>(op, x, lines, descending, f);
  });
}

}  // namespace

void sort(const Array& y, const Array& index, const Array& x, int axis, bool descending) {
  with_sorted("sort", x, axis, descending, [&]<class T, class Place>(const Place* places, const Lines& lines) {
    launch_each("sort", x.count, {&x}, PutFirst<T, Place>{y.as<T>(), index.as<int64_t>(), x.as<T>(), places, lines, lines.n});
  });
}

void top(const Array& y, const Array& index, const Array& x, int axis, bool greatest, bool) {
  const int64_t k = index.rank ? index.shape[axis] : 1;
  if (k == 0) return;
  with_sorted("topk", x, axis, greatest, [&]<class T, class Place>(const Place* places, const Lines& lines) {
    launch_each("topk", lines.count * k, {&x}, PutFirst<T, Place>{y.as<T>(), index.as<int64_t>(), x.as<T>(), places, lines, k});
  });
}

void nth(const Array& y, const Array& index, const Array& x, int axis, Nth which, int64_t k) {
  with_sorted("median", x, axis, false, [&]<class T, class Place>(const Place* places, const Lines& lines) {
    launch_each("median", lines.count, {&x}, PutNth<T, Place>{y.as<T>(), index.as<int64_t>(), x.as<T>(), places, lines, which, k});
  });
}

void search_sorted(const Array& y, const Array& sequence, const Array& x, bool right) {
  const int64_t n = sequence.size(-1), per_line = sequence.rank == 1 ? x.count : x.rank ? x.size(-1) : 1;
  dispatch_number("searchsorted", comparable(x.dtype), [&]<class T>() {
    launch_each("searchsorted", x.count, {&x}, Search<T>{y.as<int64_t>(), sequence.as<T>(), x.as<T>(), n, per_line, right});
  });
}

}  // namespace gradus::cuda
