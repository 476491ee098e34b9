// Averages over windows and interpolation, with their adjoints. All are the same map: an output pixel is a weighted sum of input pixels,
// and the weights are products of one for the row and one for the column. Only the lists of weights differ.
#include "kernels/cpu/isa/planes.h"
#include "kernels/cpu/resample_terms.h"
#include "kernels/dispatch.h"
#include "kernels/params.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {
namespace {

constexpr int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

template <class T, class N> GRADUS_FN void resample_pixel(const T* x, const Planes2d& from, const Terms& rows, const Terms& columns,
                                                          int64_t r, int64_t s, T* to) {
  using F = accumulate_t<T>;
  N sum = N(F(0));
  for (int64_t i = rows.first[r]; i < rows.first[r + 1]; ++i) {
    const T* row = x + rows.index[i] * from.per_row;
    for (int64_t j = columns.first[s]; j < columns.first[s + 1]; ++j)
      sum = sum + N(F(rows.weight[i] * columns.weight[j])) * load_as<N>(row + columns.index[j] * from.per_pixel);
  }
  store_as<N>(to, sum);
}

template <class T> void resample(const Array& y, const Array& x, const Terms& rows, const Terms& columns) {
  bool together = channels_adjacent(y, x);
  const Planes2d to(y, together), from(x, together);
  constexpr int L = sizeof(Packet<T>) / sizeof(accumulate_t<T>);
  int64_t terms = (rows.count / most(1, rows.outputs) + 1) * (columns.count / most(1, columns.outputs) + 1);
  parallel_for(to.walks * to.height, kParallel / (to.width * to.inner * terms + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; ++at) {
      int64_t walk = at / to.height, r = at % to.height;
      const T* source = x.as<T>() + from.walk(walk);
      T* row = y.as<T>() + to.walk(walk) + r * to.per_row;
      for (int64_t s = 0; s < to.width; ++s) {
        int64_t c = 0;
        for (; c + L <= to.inner; c += L)
          resample_pixel<T, Packet<T>>(source + c, from, rows, columns, r, s, row + s * to.per_pixel + c);
        for (; c < to.inner; ++c) resample_pixel<T, Single<T>>(source + c, from, rows, columns, r, s, row + s * to.per_pixel + c);
      }
    }
  });
}

void resample(const char* op, const Array& y, const Array& x, const Terms& rows, const Terms& columns) {
  dispatch_float(op, y.dtype, [&]<class T>() { resample<T>(y, x, rows, columns); });
}

/// y from x, or with `adjoint` x, as a gradient, from y. `fill(terms, size of x, axis)` makes an axis' terms.
template <class Room, class Fill>
void resample_by(const char* op, const Array& y, const Array& x, bool adjoint, Room room, Fill fill) {
  if (adjoint ? x.count == 0 : y.count == 0) return;
  Terms rows(y.size(2), room(2)), columns(y.size(3), room(3));
  fill(rows, x.size(2), 0), fill(columns, x.size(3), 1);
  if (!adjoint) return resample(op, y, x, rows, columns);
  Terms by_row({}, rows, x.size(2)), by_column({}, columns, x.size(3));
  resample(op, x, y, by_row, by_column);
}

void avg_pool(const Array& y, const Array& x, bool adjoint, const PoolParams& p) {
  resample_by(
      "avg_pool2d", y, x, adjoint, [&](int d) { return average_room(x.size(d), y.size(d), p, d - 2); },
      [&](Terms& terms, int64_t in, int axis) { average(terms, in, p, axis); });
}
void interpolate(const Array& y, const Array& x, bool adjoint, const InterpolateParams& p) {
  resample_by(
      "interpolate", y, x, adjoint, [&](int d) { return 4 * y.size(d); },
      [&](Terms& terms, int64_t in, int axis) { interpolation(terms, in, p, axis); });
}

}  // namespace

void avg_pool2d(const Array& y, const Array& x, const PoolParams& p) { avg_pool(y, x, false, p); }
void avg_pool2d_backward(const Array& dx, const Array& dy, const PoolParams& p) { avg_pool(dy, dx, true, p); }
void interpolate2d(const Array& y, const Array& x, const InterpolateParams& p) { interpolate(y, x, false, p); }
void interpolate2d_backward(const Array& dx, const Array& dy, const InterpolateParams& p) { interpolate(dy, dx, true, p); }

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
