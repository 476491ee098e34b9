#include "gradus/ops/dropout.h"

#include <cmath>

#include "gradus/core/random.h"
#include "gradus/ops/create.h"
#include "gradus/ops/elementwise.h"
#include "gradus/ops/view.h"
#include "src/ops/dropout.h"

namespace gradus {
namespace {

AnyTensor laid_out(const AnyTensor& x, const Shape& stride) {
  if (x.stride() == stride) return x;
  AnyTensor y = empty_strided(x.shape(), stride, x.dtype(), x.device());
  if (x.numel() > 0) kernel("dropout", &KernelTable::copy, x)(array(y), array(x));
  return y;
}

bool leaves_as_is(const char* op, const AnyTensor& x, double p, bool training) {
  check_float(op, x);
  if (!(p >= 0 && p <= 1)) fail<ValueError>(op, ": probability ", p, " is outside [0, 1]");
  return !training || p == 0;
}

/// The mask of whole channels, 0 or 1 / (1 - p), with axes of size 1 where x has others.
AnyTensor channel_mask(const AnyTensor& x, int channel_axis, double p, Generator& g) {
  Shape shape(x.shape().begin(), size_t(channel_axis) + 1);
  AnyTensor mask = dropout(ones(shape, x.dtype(), x.device()), p, true, g);
  while (shape.rank < x.dim()) shape.push_back(1);
  return view(mask, shape);
}
AnyTensor channels(const char* op, const AnyTensor& x, int axes, double p, bool training, Generator& g) {
  if (leaves_as_is(op, x, p, training)) return x;
  if (x.dim() != axes + 1 && x.dim() != axes + 2)
    fail<ShapeError>(op, ": x has shape ", x.shape(), "; ", axes + 1, " or ", axes + 2, " dimensions are needed");
  return x * channel_mask(x, x.dim() - axes - 1, p, g);
}

/// keep is 0 or 1 / (1 - p), and broadcasts.
AnyTensor alpha(const AnyTensor& x, const AnyTensor& keep, double p) {
  constexpr double kFloor = -1.7580993408473766;  // -selu's scale times its alpha
  if (p == 1) return x * 0;
  double a = 1 / std::sqrt((1 - p) * (1 + p * kFloor * kFloor));
  AnyTensor mask = keep * (1 - p);
  return x * (mask * a) + ((1 - mask) * (a * kFloor) - a * kFloor * p);
}

}  // namespace

Draw take_words(Generator& g, int64_t n) { return draw_blocks(g, uint64_t((n + 3) / 4)); }

AnyTensor dropped(const AnyTensor& x, Draw draw, double p, const Shape& stride) {
  AnyTensor in = laid_out(x, stride), y = empty_strided(x.shape(), stride, x.dtype(), x.device());
  if (x.numel() > 0) kernel("dropout", &KernelTable::dropout, in)(array(y), array(in), draw, p);
  record("dropout", y, {&x}, [draw, p, stride](const AnyTensor& g, AnyTensor* grads) { grads[0] = dropped(g, draw, p, stride); });
  return y;
}

AnyTensor dropout(const AnyTensor& x, double p, bool training, Generator& g) {
  if (leaves_as_is("dropout", x, p, training)) return x;
  Draw draw = take_words(g, x.numel());
  return dropped(x, draw, p, x.impl()->dense ? x.stride() : dense(x).stride());
}

AnyTensor dropout1d(const AnyTensor& x, double p, bool training, Generator& g) {
  return channels("dropout1d", x, 1, p, training, g);
}
AnyTensor dropout2d(const AnyTensor& x, double p, bool training, Generator& g) {
  return channels("dropout2d", x, 2, p, training, g);
}
AnyTensor dropout3d(const AnyTensor& x, double p, bool training, Generator& g) {
  return channels("dropout3d", x, 3, p, training, g);
}

AnyTensor alpha_dropout(const AnyTensor& x, double p, bool training, Generator& g) {
  if (leaves_as_is("alpha_dropout", x, p, training)) return x;
  return alpha(x, dropout(ones_like(x), p, true, g), p);
}
AnyTensor feature_alpha_dropout(const AnyTensor& x, double p, bool training, Generator& g) {
  if (leaves_as_is("feature_alpha_dropout", x, p, training)) return x;
  if (x.dim() < 2) fail<ShapeError>("feature_alpha_dropout: x has shape ", x.shape(), "; (N, C, ...) is needed");
  return alpha(x, channel_mask(x, 1, p, g), p);
}

}  // namespace gradus
