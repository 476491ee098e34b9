// Averages over windows and interpolation, with their adjoints. All are the same map: an output pixel is a weighted sum of input pixels,
// and the weights are products of one for the row and one for the column. Only the lists of weights differ.
#include <cmath>

#include "kernels/cpu/isa/planes.h"
#include "kernels/cpu/scratch.h"
#include "kernels/dispatch.h"
#include "kernels/params.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {
namespace {

constexpr int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/// For each output along an axis, the inputs that it is made of: terms [first[o], first[o + 1]).
struct Terms {
  int64_t outputs, count = 0;
  Scratch memory;
  int64_t *first, *index;
  double* weight;
  Terms(int64_t outputs, int64_t room)
      : outputs(outputs),
        memory((outputs + 1 + 2 * room) * 8),
        first(memory.as<int64_t>()),
        index(first + outputs + 1),
        weight(memory.as<double>() + outputs + 1 + room) {
    first[0] = 0;
  }
  void add(int64_t i, double w) { index[count] = i, weight[count++] = w; }
  void next(int64_t o) { first[o + 1] = count; }
  /// The adjoint of `o`: inputs and outputs change places. The terms of an input stand in the order of the outputs.
  struct Transposed {};
  Terms(Transposed, const Terms& o, int64_t inputs) : Terms(inputs, o.count) {
    count = o.count;
    for (int64_t i = 0; i <= inputs; ++i) first[i] = 0;
    for (int64_t k = 0; k < count; ++k) ++first[o.index[k]];
    for (int64_t i = 1; i <= inputs; ++i) first[i] += first[i - 1];  // the end of each list, which is filled from there
    for (int64_t out = o.outputs - 1; out >= 0; --out)
      for (int64_t k = o.first[out + 1] - 1; k >= o.first[out]; --k) {
        int64_t at = --first[o.index[k]];
        index[at] = out, weight[at] = o.weight[k];
      }
  }
};

// ---- the map ----------------------------------------------------------------------------------------------------------------------

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

// ---- averages ---------------------------------------------------------------------------------------------------------------------

int64_t average_room(int64_t in, int64_t out, const PoolParams& p, int axis) {
  return p.adaptive ? in + 2 * out : out * least(p.kernel[axis], in);
}
void average(Terms& terms, int64_t in, const PoolParams& p, int axis) {
  const int64_t out = terms.outputs, kernel = p.kernel[axis];
  for (int64_t o = 0; o < out; ++o) {
    int64_t begin = o * in / most(out, 1), end = ((o + 1) * in + out - 1) / out, size = end - begin;
    if (!p.adaptive) {
      begin = o * p.stride[axis] - p.padding[axis], end = least(begin + kernel, in + p.padding[axis]), size = end - begin;
      begin = most(begin, 0), end = least(end, in);
      if (!p.count_include_pad) size = end - begin;
      if (p.divisor) size = axis == 0 ? p.divisor : 1;
    }
    for (int64_t i = begin; i < end; ++i) terms.add(i, 1.0 / double(size));
    terms.next(o);
  }
}

// ---- interpolation ----------------------------------------------------------------------------------------------------------------

/// Where output o lies among the inputs. The arithmetic is the field's, in float for nearest: a network that was trained with it
/// expects the same pixels.
void interpolation(Terms& terms, int64_t in, const InterpolateParams& p, int axis) {
  const int64_t out = terms.outputs;
  double scale = p.scale[axis] > 0 ? 1 / p.scale[axis] : double(in) / double(out);
  if (p.align_corners) scale = out > 1 ? double(in - 1) / double(out - 1) : 0;
  auto clamped = [in](int64_t i) { return i < 0 ? int64_t(0) : least(i, in - 1); };
  for (int64_t o = 0; o < out; ++o) {
    if (p.mode == Interpolation::nearest || p.mode == Interpolation::nearest_exact) {
      float place = (float(o) + (p.mode == Interpolation::nearest ? 0.f : 0.5f)) * float(scale);
      terms.add(clamped(int64_t(place)), 1);
    } else {
      double place = p.align_corners ? double(o) * scale : (double(o) + 0.5) * scale - 0.5;
      if (p.mode == Interpolation::bilinear) {
        if (place < 0) place = 0;
        int64_t low = clamped(int64_t(place)), high = clamped(low + 1);
        double part = place - double(low);
        if (part > 1) part = 1;
        terms.add(low, 1 - part);
        if (part > 0) terms.add(high, part);
      } else {  // cubic convolution (Keys, 1981) with the field's a = -0.75
        constexpr double a = -0.75;
        double low = __builtin_floor(place), t = place - low;
        auto near = [](double d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
        auto far = [](double d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
        const double weights[] = {far(t + 1), near(t), near(1 - t), far(2 - t)};
        for (int k = 0; k < 4; ++k) terms.add(clamped(int64_t(low) - 1 + k), weights[k]);
      }
    }
    terms.next(o);
  }
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
