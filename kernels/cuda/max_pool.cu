// The largest element of each window, and where it stood. NaN counts as the largest.
#include "kernels/cuda/image.cuh"
#include "kernels/dispatch.h"
#include "kernels/windows.h"

namespace gradus::cuda {
namespace {

/// Windows along an axis whose divisors divide by multiplications. A stride that is never taken, or a step within a window of one, may be any
/// number, also one of more than 32 bits: it counts as 1.
struct Axis {
  Windows windows;
  Divider stride, step;
  Axis(int64_t in, int64_t out, const PoolParams& p, int d)
      : windows(in, out, p, d),
        stride(out == 1 ? 1 : uint32_t(windows.stride)),
        step(windows.kernel == 1 ? 1 : uint32_t(windows.step)) {}
  __device__ __forceinline__ int32_t begin(int32_t o) const {
    if (windows.adaptive) return int32_t(windows.begin(o));
    const int32_t first = o * int32_t(windows.stride) - int32_t(windows.padding);
    return first >= 0 ? first : first + int32_t(divide(uint32_t(-first) + step.divisor - 1, step) * step.divisor);
  }
  __device__ __forceinline__ int32_t end(int32_t o) const { return int32_t(windows.end(o)); }
  __device__ __forceinline__ int32_t first(int32_t i) const {
    if (windows.adaptive) return int32_t(windows.first(i));
    const int32_t beyond = i + int32_t(windows.padding) - int32_t((windows.kernel - 1) * windows.step);
    return beyond > 0 ? int32_t(divide(uint32_t(beyond) + stride.divisor - 1, stride)) : 0;
  }
  __device__ __forceinline__ int32_t last(int32_t i) const {
    if (windows.adaptive) return int32_t(windows.last(i));
    const int32_t o = int32_t(divide(uint32_t(i + int32_t(windows.padding)), stride)), most = int32_t(windows.out) - 1;
    return o < most ? o : most;
  }
};

constexpr int kTaps = 4;  // of a row of a window, which are under way at once

template <class T, int n> struct Largest {
  Image y, indices, x;
  Pixels pixels;  // of y
  Axis rows, columns;
  __device__ void operator()(int64_t i) const {
    using A = accumulate_t<T>;
    const Pixels::Place p = pixels(i);
    const T* from = x.plane<T>(p.n, p.c);
    const int32_t top = rows.begin(p.h), bottom = rows.end(p.h), left = columns.begin(p.w), right = columns.end(p.w);
    const int32_t down = rows.step.divisor, along = columns.step.divisor, width = int32_t(columns.windows.in);
    A best[n];
    int32_t where[n];
#pragma unroll
    for (int j = 0; j < n; ++j) best[j] = -A(INFINITY), where[j] = top * width + left;
    for (int32_t h = top; h < bottom; h += down)
      for (int32_t w = left; w < right; w += kTaps * along) {
        T v[kTaps][n];
#pragma unroll
        for (int t = 0; t < kTaps; ++t)
          if (w + t * along < right) load_items(v[t], from + x.at(h, w + t * along));
#pragma unroll
        for (int t = 0; t < kTaps; ++t) {
          if (w + t * along >= right) continue;
#pragma unroll
          for (int j = 0; j < n; ++j) {
            const A value = widen(v[t][j]);
            if (value > best[j] || value != value) best[j] = value, where[j] = h * width + w + t * along;
          }
        }
      }
    T result[n];
#pragma unroll
    for (int j = 0; j < n; ++j) result[j] = narrow<T>(best[j]);
    store_items(y.plane<T>(p.n, p.c) + y.at(p.h, p.w), result);
    if (indices.data) store_items(indices.plane<int32_t>(p.n, p.c) + indices.at(p.h, p.w), where);
  }
};

/// Each input pixel gathers from the windows that chose it: no pixel is written twice.
template <class T, int n> struct Gather {
  Image dx, dy, indices;
  Pixels pixels;  // of dx
  Axis rows, columns;
  __device__ void operator()(int64_t i) const {
    constexpr int kWindows = 2;
    const Pixels::Place p = pixels(i);
    const T* g = dy.plane<T>(p.n, p.c);
    const int32_t *index = indices.plane<int32_t>(p.n, p.c), here = p.h * int32_t(columns.windows.in) + p.w;
    const int32_t last_r = rows.last(p.h), first_s = columns.first(p.w), last_s = columns.last(p.w);
    accumulate_t<T> sum[n] = {};
    for (int32_t r = rows.first(p.h); r <= last_r; ++r)
      for (int32_t s = first_s; s <= last_s; s += kWindows) {
        T v[kWindows][n];
        int32_t at[kWindows][n];
#pragma unroll
        for (int t = 0; t < kWindows; ++t)
          if (s + t <= last_s) load_items(v[t], g + dy.at(r, s + t)), load_items(at[t], index + indices.at(r, s + t));
#pragma unroll
        for (int t = 0; t < kWindows; ++t) {
          if (s + t > last_s) continue;
#pragma unroll
          for (int j = 0; j < n; ++j)
            if (at[t][j] == here) sum[j] += widen(v[t][j]);
        }
      }
    T result[n];
#pragma unroll
    for (int j = 0; j < n; ++j) result[j] = narrow<T>(sum[j]);
    store_items(dx.plane<T>(p.n, p.c) + dx.at(p.h, p.w), result);
  }
};

template <class T> struct Take {
  Image y, x, indices;
  Pixels pixels;  // of y
  Divider width;  // of x
  __device__ void operator()(int64_t i) const {
    const Pixels::Place p = pixels(i);
    const uint32_t from = uint32_t(indices.plane<int32_t>(p.n, p.c)[indices.at(p.h, p.w)]), h = divide(from, width);
    y.plane<T>(p.n, p.c)[y.at(p.h, p.w)] = x.plane<T>(p.n, p.c)[x.at(h, from - h * width.divisor)];
  }
};

}  // namespace

void max_pool2d(const Array& y, const Array& indices, const Array& x, const PoolParams& p) {
  if (y.count == 0) return;
  const Axis rows(x.size(2), y.size(2), p, 0), columns(x.size(3), y.size(3), p, 1);
  dispatch_float("max_pool2d", y.dtype, [&]<class T>() {
    auto launch = [&]<int n>(std::integral_constant<int, n>) {
      const Pixels pixels(y, n);
      launch_each("max_pool2d", pixels.count, {&x}, Largest<T, n>{Image(y), Image(indices), Image(x), pixels, rows, columns});
    };
    if (channels_together<T>({&y, &indices, &x}) > 1)
      launch(std::integral_constant<int, kItemsOf<T>>());
    else
      launch(std::integral_constant<int, 1>());
  });
}
void max_pool2d_backward(const Array& dx, const Array& dy, const Array& indices, const PoolParams& p) {
  if (dx.count == 0) return;
  const Axis rows(dx.size(2), dy.size(2), p, 0), columns(dx.size(3), dy.size(3), p, 1);
  dispatch_float("max_pool2d", dx.dtype, [&]<class T>() {
    auto launch = [&]<int n>(std::integral_constant<int, n>) {
      const Pixels pixels(dx, n);
      launch_each("max_pool2d", pixels.count, {&dx}, Gather<T, n>{Image(dx), Image(dy), Image(indices), pixels, rows, columns});
    };
    if (channels_together<T>({&dx, &dy, &indices}) > 1)
      launch(std::integral_constant<int, kItemsOf<T>>());
    else
      launch(std::integral_constant<int, 1>());
  });
}
void take_pixels(const Array& y, const Array& x, const Array& indices) {
  if (y.count == 0) return;
  dispatch_size(y.dtype, [&]<class T>() {
    launch_each("max_pool2d", y.count, {&x}, Take<T>{Image(y), Image(x), Image(indices), Pixels(y), Divider(uint32_t(x.size(3)))});
  });
}

}  // namespace gradus::cuda
