#include "gradus/ops/lp_pool.h"

#include "gradus/ops/pool.h"
#include "src/ops/op.h"

namespace gradus {
namespace {

AnyTensor root_of(const AnyTensor& means, double p, int64_t elements) {
  AnyTensor sums = means * double(elements), none = sums == 0;
  return where(none, 0, pow(where(none, 1, sums), 1 / p));
}
AnyTensor powers(const char* op, const AnyTensor& x, double p) {
  check_float(op, x);
  if (p == 0) fail<ValueError>(op, ": p is 0, of which there is no root");
  return pow(x, p);
}

}  // namespace

AnyTensor lp_pool1d(const AnyTensor& x, const LPPool1dOptions& o) {
  return root_of(avg_pool1d(powers("lp_pool1d", x, o.p), {.kernel = o.kernel, .stride = o.stride, .ceil_mode = o.ceil_mode}), o.p,
                 o.kernel);
}
AnyTensor lp_pool2d(const AnyTensor& x, const LPPool2dOptions& o) {
  return root_of(avg_pool2d(powers("lp_pool2d", x, o.p), {.kernel = o.kernel, .stride = o.stride, .ceil_mode = o.ceil_mode}), o.p,
                 o.kernel.height * o.kernel.width);
}
AnyTensor lp_pool3d(const AnyTensor& x, const LPPool3dOptions& o) {
  return root_of(avg_pool3d(powers("lp_pool3d", x, o.p), {.kernel = o.kernel, .stride = o.stride, .ceil_mode = o.ceil_mode}), o.p,
                 o.kernel.depth * o.kernel.height * o.kernel.width);
}

}  // namespace gradus
