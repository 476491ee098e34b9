// Elements that differ: each that differs from the one before it, in order or as they come, begins a group, and how many have begun is the
// number of a group.
#include "kernels/cuda/keys.cuh"
#include "kernels/cuda/sorted.h"
#include "kernels/dispatch.h"

namespace gradus::cuda {
namespace {

template <class T> struct Begins {
  int64_t* groups;
  const uint64_t* keys;
  const int64_t* places;
  const T* x;
  __device__ void operator()(int64_t i) const {
    const auto v = widen(x[places[i]]);
    groups[i] = i == 0 || keys[i] != keys[i - 1] || v != v;  // NaN is equal to nothing, itself included
  }
};
template <class T> struct PutGroups {
  T* y;
  int64_t *inverse, *begin;
  const int64_t *groups, *places;
  const T* x;
  __device__ void operator()(int64_t i) const {
    const int64_t group = groups[i] - 1;
    inverse[places[i]] = group;
    if (i == 0 || groups[i - 1] <= group) y[group] = x[places[i]], begin[group] = i;
  }
};
struct PutCounts {
  int64_t* counts;
  const int64_t* begin;
  int64_t groups, count;
  __device__ void operator()(int64_t i) const { counts[i] = (i + 1 < groups ? begin[i + 1] : count) - begin[i]; }
};

}  // namespace

void unique(const Array& y, const Array& inverse, const Array& counts, const Array& x, bool consecutive, int64_t* found) {
  *found = 0;
  const int64_t n = x.count;
  if (n == 0) return;
  Sorted sorted(n);
  const Scratch memory(size_t(2 * n) * sizeof(int64_t));
  int64_t *groups = memory.as<int64_t>(), *begin = groups + n;
  dispatch_number("unique", comparable(x.dtype), [&]<class T>() {
    launch_each("unique", n, {&x}, ElementKeys<T>{sorted.keys(), sorted.places(), x.as<T>(), false});
    if (!consecutive) sorted.sort("unique", int(sizeof(T)) * 8);
    launch_each("unique", n, {&x}, Begins<T>{groups, sorted.keys(), sorted.places(), x.as<T>()});
    add_up("unique", groups, n);
    launch_each("unique", n, {&x}, PutGroups<T>{y.as<T>(), inverse.as<int64_t>(), begin, groups, sorted.places(), x.as<T>()});
  });
  to_host(found, groups + n - 1, sizeof *found);
  launch_each("unique", *found, {&x}, PutCounts{counts.as<int64_t>(), begin, *found, n});
}

}  // namespace gradus::cuda
