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
struct List {
  const int64_t *first, *index;
  const double* weight;
};

template <class T> struct Resample {
  Image y, x;
  Pixels pixels;  // of y
  List rows, columns;
  __device__ void operator()(int64_t i) const {
    using A = accumulate_t<T>;
    const Pixels::Place p = pixels(i);
    const T* from = x.plane<T>(p.n, p.c);
    A sum = 0;
    for (int64_t r = rows.first[p.h]; r < rows.first[p.h + 1]; ++r)
      for (int64_t s = columns.first[p.w]; s < columns.first[p.w + 1]; ++s)
        sum += A(rows.weight[r] * columns.weight[s]) * widen(from[x.at(rows.index[r], columns.index[s])]);
    y.plane<T>(p.n, p.c)[y.at(p.h, p.w)] = narrow<T>(sum);
  }
};

/// Both lists side by side.
void resample(const char* op, const Array& y, const Array& x, const Terms& rows, const Terms& columns) {
  std::vector<int64_t> words;
  auto put = [&](const Terms& t) {
    words.insert(words.end(), t.first, t.first + t.outputs + 1);
    words.insert(words.end(), t.index, t.index + t.count);
    words.resize(words.size() + size_t(t.count));
    std::memcpy(words.data() + words.size() - t.count, t.weight, size_t(t.count) * sizeof(double));
  };
  put(rows), put(columns);
  Scratch there(words.size() * sizeof(int64_t));
  const int64_t* at = there.as<int64_t>();
  put_words(there.as<void>(), words.data(), words.size() * sizeof(int64_t));  // a recorded copy would read `words` in each replay
  auto list = [&](const Terms& t) {
    const int64_t *first = at, *index = first + t.outputs + 1, *weight = index + t.count;
    at = weight + t.count;
    return List{first, index, reinterpret_cast<const double*>(weight)};
  };
  const List by_row = list(rows), by_column = list(columns);
  dispatch_float(op, y.dtype, [&]<class T>() {
    launch_each(op, y.count, {&x}, Resample<T>{Image(y), Image(x), Pixels(y), by_row, by_column});
  });
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
