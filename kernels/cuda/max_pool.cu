// The largest element of each window, and where it stood. NaN counts as the largest.
#include "kernels/cuda/image.cuh"
#include "kernels/dispatch.h"
#include "kernels/windows.h"

namespace gradus::cuda {
namespace {

template <class T> struct Largest {
  Image y, indices, x;
  Pixels pixels;  // of y
  Windows rows, columns;
  __device__ void operator()(int64_t i) const {
    using A = accumulate_t<T>;
    const Pixels::Place p = pixels(i);
    const T* from = x.plane<T>(p.n, p.c);
    const int64_t top = rows.begin(p.h), bottom = rows.end(p.h), left = columns.begin(p.w), right = columns.end(p.w);
    A best = -A(INFINITY);
    int64_t where = top * columns.in + left;
    for (int64_t h = top; h < bottom; h += rows.step)
      for (int64_t w = left; w < right; w += columns.step) {
        const A v = widen(from[x.at(h, w)]);
        if (v > best || v != v) best = v, where = h * columns.in + w;
      }
    y.plane<T>(p.n, p.c)[y.at(p.h, p.w)] = narrow<T>(best);
    if (indices.data) indices.plane<int32_t>(p.n, p.c)[indices.at(p.h, p.w)] = int32_t(where);
  }
};

/// Each input pixel gathers from the windows that chose it: no pixel is written twice.
template <class T> struct Gather {
  Image dx, dy, indices;
  Pixels pixels;  // of dx
  Windows rows, columns;
  __device__ void operator()(int64_t i) const {
    const Pixels::Place p = pixels(i);
    const T* g = dy.plane<T>(p.n, p.c);
    const int32_t *index = indices.plane<int32_t>(p.n, p.c), here = int32_t(p.h * columns.in + p.w);
    accumulate_t<T> sum = 0;
    for (int64_t r = rows.first(p.h), last_r = rows.last(p.h), last_s = columns.last(p.w); r <= last_r; ++r)
      for (int64_t s = columns.first(p.w); s <= last_s; ++s)
        if (index[indices.at(r, s)] == here) sum += widen(g[dy.at(r, s)]);
    dx.plane<T>(p.n, p.c)[dx.at(p.h, p.w)] = narrow<T>(sum);
  }
};

template <class T> struct Take {
  Image y, x, indices;
  Pixels pixels;  // of y
  int64_t width;  // of x
  __device__ void operator()(int64_t i) const {
    const Pixels::Place p = pixels(i);
    const int64_t from = indices.plane<int32_t>(p.n, p.c)[indices.at(p.h, p.w)];
    y.plane<T>(p.n, p.c)[y.at(p.h, p.w)] = x.plane<T>(p.n, p.c)[x.at(from / width, from % width)];
  }
};

}  // namespace

void max_pool2d(const Array& y, const Array& indices, const Array& x, const PoolParams& p) {
  if (y.count == 0) return;
  const Windows rows(x.size(2), y.size(2), p, 0), columns(x.size(3), y.size(3), p, 1);
  dispatch_float("max_pool2d", y.dtype, [&]<class T>() {
    launch_each("max_pool2d", y.count, {&x}, Largest<T>{Image(y), Image(indices), Image(x), Pixels(y), rows, columns});
  });
}
void max_pool2d_backward(const Array& dx, const Array& dy, const Array& indices, const PoolParams& p) {
  if (dx.count == 0) return;
  const Windows rows(dx.size(2), dy.size(2), p, 0), columns(dx.size(3), dy.size(3), p, 1);
  dispatch_float("max_pool2d", dx.dtype, [&]<class T>() {
    launch_each("max_pool2d", dx.count, {&dx}, Gather<T>{Image(dx), Image(dy), Image(indices), Pixels(dx), rows, columns});
  });
}
void take_pixels(const Array& y, const Array& x, const Array& indices) {
  if (y.count == 0) return;
  dispatch_size(y.dtype, [&]<class T>() {
    launch_each("max_pool2d", y.count, {&x}, Take<T>{Image(y), Image(x), Image(indices), Pixels(y), x.size(3)});
  });
}

}  // namespace gradus::cuda
