// Elements picked and placed along one axis, by an index for each element. Where several values may meet in one place, they are put there
// in the order of the axis, as on the CPU: by a thread that takes the whole line, or, where lines are few and long, after a sort.
#include "kernels/cuda/runs.cuh"
#include "kernels/cuda/sorted.h"
#include "kernels/dispatch.h"
#include "kernels/params.h"

namespace gradus::cuda {
namespace {

template <class T> struct Gather {
  T* y;
  const T* x;
  const int64_t* index;
  int64_t along;
  Places<3> places;  // in y, in index, in x without the axis
  __device__ void operator()(int64_t i) const {
    int64_t at[3];
    places.locate(i, at);
    y[at[0]] = x[at[2] + index[at[1]] * along];
  }
};

template <class A> __device__ A joined(A a, A b, ScatterMode mode) {
  switch (mode) {
    case ScatterMode::add: return A(a + b);
    case ScatterMode::multiply: return A(a * b);
    case ScatterMode::maximum: return a > b || a != a ? a : b;  // NaN stays
    case ScatterMode::minimum: return a < b || a != a ? a : b;
    default: return b;
  }
}
template <class T> __device__ T combined(T old, T value, ScatterMode mode) {
  return narrow<T>(joined<accumulate_t<T>>(widen(old), widen(value), mode));
}

/// A line of the index along the axis a thread.
template <class T> struct ScatterLine {
  T* y;
  const int64_t* index;
  const T* source;
  int64_t length, index_step, source_step, along;
  ScatterMode mode;
  Places<3> lines;  // in index, in source, in y
  __device__ void operator()(int64_t i) const {
    int64_t at[3];
    lines.locate(i, at);
    for (int64_t k = 0; k < length; ++k) {
      T& to = y[at[2] + index[at[0] + k * index_step] * along];
      to = combined(to, source[at[1] + k * source_step], mode);
    }
  }
};

/// The key of an element is the number of the place that it goes to.
struct ScatterKeys {
  uint64_t* keys;
  int64_t* order;
  const int64_t* index;
  int64_t size;      // of y along the axis
  Places<2> places;  // in index; of the line
  __device__ void operator()(int64_t i) const {
    int64_t at[2];
    places.locate(i, at);
    keys[i] = uint64_t(at[1] * size + index[at[0]]), order[i] = i;
  }
};
/// Elements in the order of their places.
template <class T> struct SortedSource {
  using Sum = accumulate_t<T>;
  static constexpr int64_t width = 1;
  const T* source;
  const int64_t* order;
  ScatterMode mode;
  Places<2> places;  // in source, in y without the axis
  __device__ int64_t begin(int64_t) const { return 0; }
  __device__ Sum value(int64_t k, int64_t) const {
    int64_t at[2];
    places.locate(order[k], at);
    return widen(source[at[0]]);
  }
  __device__ Sum join(Sum a, Sum b) const { return joined(a, b, mode); }
};
/// The first of the elements that go to one place puts them all there; where only the last counts, that one does.
template <class T> struct ScatterSorted {
  T* y;
  const accumulate_t<T>* parts;
  const uint64_t* keys;
  int64_t count, size, along;
  SortedSource<T> source;
  __device__ void operator()(int64_t i) const {
    const uint64_t key = keys[i];
    const bool assigns = source.mode == ScatterMode::assign;
    if (assigns ? i + 1 < count && keys[i + 1] == key : i > 0 && keys[i - 1] == key) return;
    int64_t at[2];
    source.places.locate(source.order[i], at);
    T& to = y[at[1] + int64_t(key % uint64_t(size)) * along];
    to = assigns ? source.source[at[0]] : narrow<T>(join_run(widen(to), parts, keys, i, count, source, 0));
  }
};

/// Strides without that of the axis.
struct Beside {
  int64_t stride[kMaxRank] = {};
  Beside(const int64_t* from, int rank, int axis) {
    for (int d = 0; d < rank; ++d) stride[d] = d == axis ? 0 : from[d];
  }
};

}  // namespace

void gather(const Array& y, const Array& x, const Array& index, int axis) {
  const Beside beside(x.stride, x.rank, axis);
  const View views[] = {{y.rank, y.shape, y.stride}, {y.rank, y.shape, index.stride}, {y.rank, y.shape, beside.stride}};
  Plan plan;
  plan.set(y.rank, y.shape, views, 3);
  const int64_t along = y.rank ? x.stride[axis] : 0;
  dispatch_size(y.dtype, [&]<class T>() {
    launch_each("gather", plan.count, {&x, &index}, Gather<T>{y.as<T>(), x.as<T>(), index.as<int64_t>(), along, Places<3>(plan)});
  });
}

void take_blocks(const Array& y, const Array& x, const Array& offsets) {
  int64_t block[kMaxRank] = {}, which[kMaxRank] = {1};  // of a block, all elements have one offset
  for (int d = 1; d < y.rank; ++d) block[d] = x.stride[d - 1];
  const View views[] = {{y.rank, y.shape, y.stride}, {y.rank, y.shape, which}, {y.rank, y.shape, block}};
  Plan plan;
  plan.set(y.rank, y.shape, views, 3);
  dispatch_size(y.dtype, [&]<class T>() {
    launch_each("index", plan.count, {&y, &offsets}, Gather<T>{y.as<T>(), x.as<T>(), offsets.as<int64_t>(), 1, Places<3>(plan)});
  });
}

void scatter(const Array& y, const Array& index, const Array& source, int axis, ScatterMode mode) {
  if (index.count == 0) return;
  const int rank = index.rank;
  const int64_t length = rank ? index.size(axis) : 1, lines = index.count / length, along = rank ? y.stride[axis] : 0;
  int64_t shape[kMaxRank] = {};  // of the lines
  for (int d = 0; d < rank; ++d) shape[d] = d == axis ? 1 : index.shape[d];
  const Beside beside(y.stride, rank, axis);
  if (length <= 64 || lines >= 1 << 15) {
    const Places<3> places(rank, shape, {index.stride, source.stride, beside.stride});
    return dispatch_all("scatter", y.dtype, [&]<class T>() {
      launch_each("scatter", lines, {&y, &index},
                  ScatterLine<T>{y.as<T>(), index.as<int64_t>(), source.as<T>(), length, rank ? index.stride[axis] : 0,
                                 rank ? source.stride[axis] : 0, along, mode, places});
    });
  }
  const int64_t size = y.size(axis);
  int64_t line[kMaxRank] = {}, step = 1;
  for (int d = rank - 1; d >= 0; --d) line[d] = d == axis ? 0 : step, step *= shape[d];
  Sorted sorted(index.count);
  launch_each(
      "scatter", index.count, {&y, &index},
      ScatterKeys{sorted.keys(), sorted.places(), index.as<int64_t>(), size, Places<2>(rank, index.shape, {index.stride, line})});
  sorted.sort("scatter", bits_below(uint64_t(lines * size)));
  const Places<2> places(rank, index.shape, {source.stride, beside.stride});
  const int64_t n = index.count, chunks = n / kRunChunk;
  dispatch_all("scatter", y.dtype, [&]<class T>() {
    using Sum = accumulate_t<T>;
    const SortedSource<T> elements{source.as<T>(), sorted.places(), mode, places};
    Scratch parts(size_t(chunks + 1) * sizeof(Sum));
    if (mode != ScatterMode::assign)
      launch_each("scatter", chunks, {&y, &index}, JoinChunks<SortedSource<T>>{parts.as<Sum>(), sorted.keys(), n, elements});
    launch_each("scatter", n, {&y, &index}, ScatterSorted<T>{y.as<T>(), parts.as<Sum>(), sorted.keys(), n, size, along, elements});
  });
}

}  // namespace gradus::cuda
