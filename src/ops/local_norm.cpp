// Normalisations written with other ops.
#include <algorithm>
#include <cmath>

#include "gradus/ops/elementwise.h"
#include "gradus/ops/norm.h"
#include "gradus/ops/reduce.h"
#include "gradus/ops/view.h"
#include "src/ops/norm.h"

namespace gradus {

AnyTensor local_response_norm(const AnyTensor& x, const LocalResponseNormOptions& o) {
  check_float("local_response_norm", x);
  if (x.dim() < 2) fail<ShapeError>("local_response_norm: x has shape ", x.shape(), "; (N, C, ...) is needed");
  if (o.size < 1) fail<ValueError>("local_response_norm: size ", o.size, " of the neighbourhood; at least 1 is needed");
  AnyTensor squares = square(x), total = squares;
  int64_t channels = x.shape()[1];
  for (int64_t k = -(o.size / 2); k <= (o.size - 1) / 2; ++k) {  // channel c gathers channel c + k
    int64_t n = channels - std::abs(k);
    if (k == 0 || n <= 0) continue;
    int64_t from = std::max<int64_t>(k, 0), at = std::max<int64_t>(-k, 0);
    total = total + slice_backward(narrow(squares, 1, from, n), x.shape(), 1, at, 1);
  }
  return x / pow(total * (o.alpha / double(o.size)) + o.k, o.beta);
}

AnyTensor normalize(const AnyTensor& x, const NormalizeOptions& o) {
  check_float("normalize", x);
  int axis = axis_of("normalize", o.axis, x.dim());
  if (!(o.p > 0) || std::isinf(o.p)) fail<ValueError>("normalize: p is ", o.p, "; a positive finite number is needed");
  // The bound stands under the root, where a row of zeros has a slope; in float, where eps^p is more than nothing.
  AnyTensor wide = to(x, accumulate_dtype(x.dtype()));
  AnyTensor powers = sum(o.p == 2 ? square(wide) : pow(abs(wide), o.p), axis, true);
  AnyTensor least = clamp_min(powers, std::max(std::pow(o.eps, o.p), 1e-38));
  return to(wide / (o.p == 2 ? sqrt(least) : pow(least, 1 / o.p)), x.dtype());
}

}  // namespace gradus
