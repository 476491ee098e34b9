#include "kernels/cpu/resample_terms.h"

#include <cmath>

namespace gradus::cpu {
namespace {
constexpr int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
}  // namespace

Terms::Terms(int64_t outputs, int64_t room)
    : outputs(outputs),
      memory((outputs + 1 + 2 * room) * 8),
      first(memory.as<int64_t>()),
      index(first + outputs + 1),
      weight(memory.as<double>() + outputs + 1 + room) {
  first[0] = 0;
}
Terms::Terms(Transposed, const Terms& o, int64_t inputs) : Terms(inputs, o.count) {
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
void Terms::add(int64_t i, double w) { index[count] = i, weight[count++] = w; }
void Terms::next(int64_t o) { first[o + 1] = count; }

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

}  // namespace gradus::cpu
