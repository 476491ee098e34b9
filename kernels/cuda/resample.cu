// Averages over windows and interpolation, with their adjoints. All are the same map: an output pixel is a weighted sum of input pixels,
// and the weights are products of one for the row and one for the column. The lists of weights are made on the host, as for the CPU.
#include <cstring>
#include <vector>

#include "kernels/cpu/resample_terms.h"
#include "kernels/cuda/image.cuh"
#include "kernels/cuda/put.h"
#include "kernels/cuda/scratch.h"
#include "kernels/dispatch.h"

namespace gradus::cuda {
namespace {

using cpu::Terms;

/// Terms [first[o], first[o + 1]) of output o.
template <class A> struct List {
  const int32_t *first, *index;
  const A* weight;
};

template <class T, int n> struct Resample {
  using A = accumulate_t<T>;
  Image y, x;
  Pixels pixels;  // of y
  List<A> rows, columns;
  __device__ void operator()(int64_t i) const {
    constexpr int kTaps = 4;  // of a row, which are under way at once
    const Pixels::Place p = pixels(i);
    const T* from = x.plane<T>(p.n, p.c);
    const int32_t bottom = rows.first[p.h + 1], left = columns.first[p.w], right = columns.first[p.w + 1];
    A sum[n] = {};
    for (int32_t r = rows.first[p.h]; r < bottom; ++r) {
      const T* row = from + x.at(rows.index[r], 0);
      const A down = rows.weight[r];
      for (int32_t s = left; s < right; s += kTaps) {
        T v[kTaps][n];
        A by[kTaps];
#pragma unroll
        for (int t = 0; t < kTaps; ++t)
          if (s + t < right) load_items(v[t], row + x.at(0, columns.index[s + t])), by[t] = down * columns.weight[s + t];
#pragma unroll
        for (int t = 0; t < kTaps; ++t) {
          if (s + t >= right) continue;
#pragma unroll
          for (int j = 0; j < n; ++j) sum[j] += by[t] * widen(v[t][j]);
        }
      }
    }
    T result[n];
#pragma unroll
    for (int j = 0; j < n; ++j) result[j] = narrow<T>(sum[j]);
    store_items(y.plane<T>(p.n, p.c) + y.at(p.h, p.w), result);
  }
};

/// Both lists side by side: places as 32 bits, weights in the type of the sums.
template <class T> void resample_in(const char* op, const Array& y, const Array& x, const Terms& rows, const Terms& columns) {
  using A = accumulate_t<T>;
  auto words_of = [](size_t bytes) { return (bytes + 7) / 8; };
  std::vector<int64_t> words;
  auto put = [&](auto one, const auto* from, int64_t count) {
    using To = decltype(one);
    const size_t begin = words.size();
    words.resize(begin + words_of(size_t(count) * sizeof(To)));
    for (int64_t i = 0; i < count; ++i) {
      const To value = To(from[i]);
      std::memcpy(reinterpret_cast<char*>(words.data() + begin) + size_t(i) * sizeof(To), &value, sizeof value);
    }
  };
  for (const Terms* t : {&rows, &columns})
    put(int32_t(), t->first, t->outputs + 1), put(int32_t(), t->index, t->count), put(A(), t->weight, t->count);
  Scratch there(words.size() * sizeof(int64_t));
  const int64_t* at = there.as<int64_t>();
  put_words(there.as<void>(), words.data(), words.size() * sizeof(int64_t));  // a recorded copy would read `words` in each replay
  auto list = [&](const Terms& t) {
    const int64_t *first = at, *index = first + words_of(size_t(t.outputs + 1) * 4),
                  *weight = index + words_of(size_t(t.count) * 4);
    at = weight + words_of(size_t(t.count) * sizeof(A));
    return List<A>{reinterpret_cast<const int32_t*>(first), reinterpret_cast<const int32_t*>(index),
                   reinterpret_cast<const A*>(weight)};
  };
  const List<A> by_row = list(rows), by_column = list(columns);
  auto launch = [&]<int n>(std::integral_constant<int, n>) {
    const Pixels pixels(y, n);
    launch_each(op, pixels.count, {&x}, Resample<T, n>{Image(y), Image(x), pixels, by_row, by_column});
  };
  if (channels_together<T>({&y, &x}) > 1)
    launch(std::integral_constant<int, kItemsOf<T>>());
  else
    launch(std::integral_constant<int, 1>());
}
void resample(const char* op, const Array& y, const Array& x, const Terms& rows, const Terms& columns) {
  dispatch_float(op, y.dtype, [&]<class T>() { resample_in<T>(op, y, x, rows, columns); });
}

/// y from x, or with `adjoint` x, as a gradient, from y. `fill(terms, size of x, axis)` makes an axis' terms.
template <class Room, class Fill>
void resample_by(const char* op, const Array& y, const Array& x, bool adjoint, Room room, Fill fill) {
  if (adjoint ? x.count == 0 : y.count == 0) return;
  Terms rows(y.size(2), room(2)), columns(y.size(3), room(3));
  fill(rows, x.size(2), 0), fill(columns, x.size(3), 1);
  if (!adjoint) return resample(op, y, x, rows, columns);
  resample(op, x, y, Terms({}, rows, x.size(2)), Terms({}, columns, x.size(3)));
}
void avg_pool(const Array& y, const Array& x, bool adjoint, const PoolParams& p) {
  resample_by(
      "avg_pool2d", y, x, adjoint, [&](int d) { return cpu::average_room(x.size(d), y.size(d), p, d - 2); },
      [&](Terms& terms, int64_t in, int axis) { cpu::average(terms, in, p, axis); });
}
void interpolate(const Array& y, const Array& x, bool adjoint, const InterpolateParams& p) {
  resample_by(
      "interpolate", y, x, adjoint, [&](int d) { return 4 * y.size(d); },
      [&](Terms& terms, int64_t in, int axis) { cpu::interpolation(terms, in, p, axis); });
}

}  // namespace

void avg_pool2d(const Array& y, const Array& x, const PoolParams& p) { avg_pool(y, x, false, p); }
void avg_pool2d_backward(const Array& dx, const Array& dy, const PoolParams& p) { avg_pool(dy, dx, true, p); }
void interpolate2d(const Array& y, const Array& x, const InterpolateParams& p) { interpolate(y, x, false, p); }
void interpolate2d_backward(const Array& dx, const Array& dy, const InterpolateParams& p) { interpolate(dy, dx, true, p); }

}  // namespace gradus::cuda
