#include "gradus/ops/interpolate.h"

#include <cmath>

#include "gradus/ops/pool.h"
#include "gradus/ops/view.h"
#include "src/ops/layout.h"

namespace gradus {

namespace {

AnyTensor adjoint(const AnyTensor& g, const Shape& shape, const InterpolateParams& p);

AnyTensor resize(const AnyTensor& x, const Shape& shape, const InterpolateParams& p) {
  AnyTensor y = image_like(x, shape, x.dtype());
  kernel("interpolate", &KernelTable::interpolate2d, x)(array(y), array(x), p);
  record("interpolate", y, {&x}, [p, from = x.shape()](const AnyTensor& g, AnyTensor* grads) { grads[0] = adjoint(g, from, p); });
  return y;
}

AnyTensor adjoint(const AnyTensor& g, const Shape& shape, const InterpolateParams& p) {
  AnyTensor dx = image_like(g, shape, g.dtype());
  kernel("interpolate", &KernelTable::interpolate2d_backward, g)(array(dx), array(g), p);
  record("interpolate", dx, {&g}, [p, to = g.shape()](const AnyTensor& v, AnyTensor* grads) { grads[0] = resize(v, to, p); });
  return dx;
}

}  // namespace

AnyTensor interpolate(const AnyTensor& x, const InterpolateOptions& o) {
  check_float("interpolate", x);
  if (x.dim() != 3 && x.dim() != 4) fail<ShapeError>("interpolate: input ", x.shape(), ": (N, C, L) or (N, C, H, W) is needed");
  bool row = x.dim() == 3;
  AnyTensor in = row ? x.unsqueeze(2) : x;
  bool by_size = o.size != Pair(0), by_scale = o.scale_factor.height != 0 || o.scale_factor.width != 0;
  if (by_size == by_scale)
    fail<ValueError>("interpolate: give one of size and scale_factor, ", by_size ? "not both" : "neither was given");
  if (by_scale && !(o.scale_factor.height > 0 && o.scale_factor.width > 0))
    fail<ValueError>("interpolate: scale_factor ", o.scale_factor.height, ", ", o.scale_factor.width, " must be positive");
  bool smooth = o.mode == InterpolateMode::linear || o.mode == InterpolateMode::bicubic;
  if (o.align_corners && !smooth) fail<ValueError>("interpolate: align_corners has a meaning for linear and bicubic only");
  if (row && o.mode == InterpolateMode::bicubic) fail<ValueError>("interpolate: bicubic needs (N, C, H, W), got ", x.shape());
  auto scaled = [](int64_t n, double s) { return int64_t(std::floor(double(n) * s)); };
  Pair size = by_size ? o.size : Pair(scaled(in.size(2), o.scale_factor.height), scaled(in.size(3), o.scale_factor.width));
  if (row) size.height = 1;
  if (size.height < 1 || size.width < 1 || in.size(2) < 1 || in.size(3) < 1)
    fail<ShapeError>("interpolate: ", x.shape(), " to ", size.height, " x ", size.width, ": sizes must be positive");
  AnyTensor y;
  if (o.mode == InterpolateMode::area) {
    y = adaptive_avg_pool2d(in, size);
  } else {
    constexpr Interpolation modes[] = {Interpolation::nearest, Interpolation::nearest_exact, Interpolation::bilinear,
                                       Interpolation::bicubic};
    InterpolateParams p{modes[int(o.mode)], o.align_corners, {0, 0}};
    if (by_scale) p.scale[0] = row ? 1 : o.scale_factor.height, p.scale[1] = o.scale_factor.width;
    y = resize(in, {in.size(0), in.size(1), size.height, size.width}, p);
  }
  return row ? y.squeeze(2) : y;
}

}  // namespace gradus
