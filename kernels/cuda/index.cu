// Offsets of indices, and blocks placed by them: what indexing with tensors comes down to; and triangles.
#include "kernels/cuda/runs.cuh"
#include "kernels/cuda/sorted.h"
#include "kernels/dispatch.h"
#include "kernels/params.h"

namespace gradus::cuda {
namespace {

struct Locate {
  int64_t* offsets;  // may be absent
  const int64_t* index;
  unsigned long long* found;  // becomes count - (the place of the first index outside), and begins as 0
  int64_t least, size, stride;
  bool begins;
  Places<2> places;  // row-major; in index
  __device__ void operator()(int64_t i) const {
    int64_t at[2];
    places.locate(i, at);
    const int64_t v = index[at[1]];
    if (v < least || v >= size) {
      atomicMax(found, (unsigned long long)(places.count - at[0]));
      if (offsets) offsets[at[0]] = 0;  // in a recorded step others will read there before anybody is told
      return;
    }
    if (!offsets) return;
    const int64_t offset = (v < 0 ? v + size : v) * stride;
    offsets[at[0]] = begins ? offset : offsets[at[0]] + offset;
  }
};

struct OffsetKeys {
  uint64_t* keys;
  int64_t* places;
  const int64_t* offsets;
  __device__ void operator()(int64_t i) const {
    keys[i] = uint64_t(offsets[i]) ^ uint64_t(1) << 63, places[i] = i;
  }  // negative ones first
};
/// Blocks in the order of their places.
template <class T> struct SortedBlocks {
  using Sum = accumulate_t<T>;
  int64_t width;  // elements of a block
  const T* values;
  const int64_t* order;
  int64_t step;
  Places<2> block;  // in values, in y
  __device__ int64_t begin(int64_t element) const {
    int64_t at[2];
    block.locate(element, at);
    return at[0];
  }
  __device__ Sum value(int64_t k, int64_t begin) const { return widen(values[begin + order[k] * step]); }
  __device__ Sum join(Sum a, Sum b) const { return Sum(a + b); }
};
/// An element of a block a thread. Of the blocks that go to one place, the first adds them all in their order.
template <class T> struct AddBlock {
  T* y;
  const accumulate_t<T>* parts;
  const uint64_t* keys;
  int64_t n;
  SortedBlocks<T> source;
  __device__ void operator()(int64_t i) const {
    const int64_t first = i / source.width, element = i - first * source.width;
    const uint64_t key = keys[first];
    if (first > 0 && keys[first - 1] == key) return;
    int64_t at[2];
    source.block.locate(element, at);
    T& to = y[at[1] + int64_t(key ^ uint64_t(1) << 63)];
    to = narrow<T>(join_run(widen(to), parts, keys, first, n, source, element));
  }
};
/// The last of them stays.
template <class T> struct PutBlock {
  T* y;
  const T* values;
  const uint64_t* keys;
  const int64_t* order;
  int64_t n, step;
  Places<2> block;  // in values, in y
  __device__ void operator()(int64_t i) const {
    const int64_t which = i / block.count;
    const uint64_t key = keys[which];
    if (which + 1 < n && keys[which + 1] == key) return;
    int64_t at[2];
    block.locate(i - which * block.count, at);
    y[at[1] + int64_t(key ^ uint64_t(1) << 63)] = values[at[0] + order[which] * step];
  }
};

template <class T> struct Triangle {
  T* y;
  const T* x;
  int64_t rows, columns, diagonal;
  bool upper;
  Places<1> places;  // in x
  __device__ void operator()(int64_t i) const {
    int64_t at[1];
    places.locate(i, at);
    const int64_t column = i % columns, row = i / columns % rows;
    y[i] = (upper ? column >= row + diagonal : column <= row + diagonal) ? x[at[0]] : T(0);
  }
};

}  // namespace

void locate(const Array& offsets, const Array& index, int64_t size, int64_t stride, IndexRange range, bool begins, int64_t* bad) {
  const Array& over = offsets ? offsets : index;
  int64_t row_major[kMaxRank], step = 1;
  for (int d = over.rank - 1; d >= 0; --d) row_major[d] = step, step *= over.shape[d];
  const View views[] = {{over.rank, over.shape, row_major}, {index.rank, index.shape, index.stride}};
  Plan plan;
  plan.set(over.rank, over.shape, views, 2);
  *bad = -1;
  if (plan.count == 0) return;
  Found<1> found("index", plan.count);
  launch_each("index", plan.count, {&index},
              Locate{offsets.as<int64_t>(), index.as<int64_t>(), found.counter(0), range == IndexRange::both_ways ? -size : 0, size,
                     stride, begins, Places<2>(plan)});
  int64_t here[1];
  if (found.read(here) && here[0]) *bad = plan.count - here[0];
}

void put_blocks(const Array& y, const Array& offsets, const Array& values, bool accumulate) {
  const View views[] = {{y.rank, y.shape, values.stride + 1}, {y.rank, y.shape, y.stride}};
  Plan plan;
  plan.set(y.rank, y.shape, views, 2);
  const int64_t n = values.size(0);
  if (plan.count == 0 || n == 0) return;
  Sorted sorted(n);
  launch_each("index_put", n, {&values, &offsets}, OffsetKeys{sorted.keys(), sorted.places(), offsets.as<int64_t>()});
  sorted.sort("index_put", 64);
  const Places<2> block(plan);
  if (!accumulate)
    return dispatch_size(y.dtype, [&]<class T>() {
      launch_each("index_put", n * plan.count, {&values, &offsets},
                  PutBlock<T>{y.as<T>(), values.as<T>(), sorted.keys(), sorted.places(), n, values.step(0), block});
    });
  const int64_t parts_count = n / kRunChunk * plan.count;
  dispatch_all("index_put", y.dtype, [&]<class T>() {
    using Sum = accumulate_t<T>;
    const SortedBlocks<T> source{plan.count, values.as<T>(), sorted.places(), values.step(0), block};
    Scratch parts(size_t(parts_count + 1) * sizeof(Sum));
    launch_each("index_put", parts_count, {&values, &offsets},
                JoinChunks<SortedBlocks<T>>{parts.as<Sum>(), sorted.keys(), n, source});
    launch_each("index_put", n * plan.count, {&values, &offsets},
                AddBlock<T>{y.as<T>(), parts.as<Sum>(), sorted.keys(), n, source});
  });
}

void triangle(const Array& y, const Array& x, int64_t diagonal, bool upper) {
  dispatch_size(y.dtype, [&]<class T>() {
    launch_each("triangle", y.count, {&x},
                Triangle<T>{y.as<T>(), x.as<T>(), y.count ? x.size(-2) : 1, y.count ? x.size(-1) : 1, diagonal, upper,
                            Places<1>(y.rank, y.shape, {x.stride})});
  });
}

}  // namespace gradus::cuda
