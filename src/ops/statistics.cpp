#include "gradus/ops/statistics.h"

#include <algorithm>

#include "gradus/ops/create.h"
#include "gradus/ops/gather.h"
#include "gradus/ops/matmul.h"
#include "gradus/ops/shape_ops.h"
#include "gradus/ops/sort.h"
#include "gradus/ops/view.h"
#include "src/ops/op.h"

namespace gradus {

AnyStdMean std_mean(const AnyTensor& x, const Axes& axes, bool keepdim, double correction) {
  check_float("std_mean", x);
  axes_of("std_mean", axes, x.dim());
  return {std(x, axes, keepdim, correction), mean(x, axes, keepdim)};
}

AnyTensor cov(const AnyTensor& x, const CovOptions& o) {
  check_float("cov", x);
  if (x.dim() > 2) fail<ShapeError>("cov: x has shape ", x.shape(), "; (variables, observations) is needed");
  const AnyTensor rows = x.dim() == 2 ? x : reshape(x, {1, -1});
  const int64_t n = rows.shape()[1];
  AnyTensor w;  // of each observation
  auto weigh = [&](const char* what, const AnyTensor& given) {
    if (given.dim() != 1 || given.numel() != n)
      fail<ShapeError>("cov: ", what, " has shape ", given.shape(), "; one for each of ", n, " observations is needed");
    AnyTensor own = to(given, x.dtype());
    w = w ? w * own : own;
  };
  if (o.fweights) {
    if (is_float(o.fweights.dtype())) fail<DTypeError>("cov: fweights is ", o.fweights.dtype(), "; integers are needed");
    weigh("fweights", o.fweights);
  }
  if (o.aweights) check_same("cov", x, o.aweights), weigh("aweights", o.aweights);
  AnyTensor y;
  if (!w) {
    AnyTensor centred = rows - mean(rows, 1, true);
    y = matmul(centred, centred.t()) / std::max(0.0, double(n - o.correction));
  } else {
    AnyTensor total = sum(w), centred = rows - sum(rows * w, 1, true) / total;
    // With weights of its own, an observation takes part of the correction that is in proportion.
    AnyTensor lost = o.aweights && o.correction != 0 ? double(o.correction) * sum(w * to(o.aweights, x.dtype())) / total
                                                     : full({}, double(o.correction), x.dtype(), x.device());
    y = matmul(centred * w, centred.t()) / clamp_min(total - lost, 0);
  }
  return y.numel() == 1 ? reshape(y, {}) : y;
}

AnyTensor corrcoef(const AnyTensor& x) {
  check_float("corrcoef", x);
  AnyTensor c = cov(x);
  if (c.dim() == 0) return c / c;
  AnyTensor deviations = sqrt(diagonal(c));
  return clamp(c / deviations.unsqueeze(1) / deviations, -1, 1);
}

namespace {

AnyTensor quantile_of(const char* op, const AnyTensor& x, const AnyTensor& q, const QuantileOptions& o, bool skip_nan) {
  check_float(op, x), check_same(op, x, q);
  if (q.dim() > 1) fail<ShapeError>(op, ": q has shape ", q.shape(), "; a number or a vector is needed");
  {
    NoGrad no_grad;
    if (q.numel() && !(amin(q).item() >= 0 && amax(q).item() <= 1)) fail<ValueError>(op, ": q must be between 0 and 1");
  }
  if (is_half(x.dtype()))  // in which places could not be counted
    return to(quantile_of(op, to(x, DType::float32), to(q, DType::float32), o, skip_nan), x.dtype());
  const bool along = o.axis && x.dim() > 0;
  const int d = along ? axis_of(op, *o.axis, x.dim()) : 0;
  if (o.axis && !along) axis_of(op, *o.axis, 0);
  AnyTensor lines = along ? movedim(x, d, -1) : reshape(x, {-1});  // (..., n)
  const int64_t n = lines.size(-1);
  if (n == 0) fail<ValueError>(op, ": x of shape ", x.shape(), " has no elements to choose from");
  AnyTensor sorted = sort(lines, -1).values, shares = reshape(q, {-1});
  AnyTensor last, has_nan;  // (..., 1): the place of the last element that counts, or the first
  {
    NoGrad no_grad;
    AnyTensor numbers = sum(to(lines == lines, DType::int64), -1, true);
    AnyTensor plain = full(numbers.shape(), n - 1, DType::int64, x.device());
    last = to(skip_nan ? clamp_min(numbers - 1, 0) : plain, x.dtype());
    has_nan = numbers < n;
  }
  if (!skip_nan) shares = where(has_nan, 1, shares);  // NaN stands last
  AnyTensor place = shares * last;                    // (..., shares)
  switch (o.interpolation) {
    case Quantile::lower: place = floor(place); break;
    case Quantile::higher: place = ceil(place); break;
    case Quantile::nearest: place = round(place); break;
    default: break;
  }
  AnyTensor below = floor(place.detach()), above = ceil(place.detach());
  AnyTensor low = gather(sorted, -1, to(below, DType::int64));
  AnyTensor y = low;
  if (o.interpolation == Quantile::linear || o.interpolation == Quantile::midpoint) {
    AnyTensor high = gather(sorted, -1, to(above, DType::int64));
    AnyTensor part = o.interpolation == Quantile::linear ? place - below : full_like(below, 0.5);
    y = low + (high - low) * part;
  }
  // (..., shares): the new axis goes first, and the old one stays with size 1 where it is kept.
  y = movedim(y, -1, 0);
  if (o.keepdim) {
    if (along) {
      y = unsqueeze(y, d + 1);
    } else {
      Shape shape{y.shape()[0]};
      for (int k = 0; k < x.dim(); ++k) shape.push_back(1);
      y = reshape(y, shape);
    }
  }
  return q.dim() == 0 ? select(y, 0, 0) : y;
}

}  // namespace

AnyTensor quantile(const AnyTensor& x, const AnyTensor& q, const QuantileOptions& o) {
  return quantile_of("quantile", x, q, o, false);
}
AnyTensor nanquantile(const AnyTensor& x, const AnyTensor& q, const QuantileOptions& o) {
  return quantile_of("nanquantile", x, q, o, true);
}
AnyTensor quantile(const AnyTensor& x, double q, const QuantileOptions& o) {
  check_float("quantile", x);
  return quantile(x, full({}, q, x.dtype(), x.device()), o);
}
AnyTensor nanquantile(const AnyTensor& x, double q, const QuantileOptions& o) {
  check_float("nanquantile", x);
  return nanquantile(x, full({}, q, x.dtype(), x.device()), o);
}

}  // namespace gradus
