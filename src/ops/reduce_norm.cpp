// Spread, norms, and the logarithm of a sum of exponentials.
#include <algorithm>
#include <cmath>

#include "gradus/ops/create.h"
#include "gradus/ops/elementwise.h"
#include "gradus/ops/reduce.h"
#include "gradus/ops/view.h"
#include "src/ops/reduction.h"

namespace gradus {
namespace {

AnyTensor spread_about_mean(const char* op, ReduceKind kind, const AnyTensor& x, const Axes& axes, bool keepdim,
                            double correction) {
  check_float(op, x);
  Reduced over(op, x, axes, keepdim);
  AnyTensor center = reduced(op, ReduceKind::mean, x, over, accumulate_dtype(x.dtype()));
  AnyTensor y = reduced(op, kind, x, over, x.dtype(), correction, center);
  record(op, y, {&x}, [over, kind, correction, center, sx = Saved(x), sy = Saved::output(y)](const AnyTensor& g, AnyTensor* grads) {
    AnyTensor x = sx(), y = sy();
    // What a gradient of the gradient is wanted of is the mean as an op.
    AnyTensor about = is_grad_enabled() ? mean(x, over.list(), true) : over.spread(center).to(x.dtype());
    double n = std::max(0.0, double(over.depth) - correction);
    AnyTensor slope = kind == ReduceKind::var ? g * (2 / n) : where(y == 0, 0, g / (where(y == 0, 1, y) * n));
    grads[0] = over.spread(slope) * (x - about);
  });
  return y;
}

AnyTensor norm_gradient(const AnyTensor& x, const AnyTensor& y, const AnyTensor& g, double p, const Reduced& over) {
  if (p == 0) return zeros_like(x);
  if (p == 1) return sign(x) * g;
  AnyTensor positive = where(y == 0, 1, y);  // where the norm is zero, so is x
  if (p == 2) return x * (g / positive);
  if (std::isinf(p)) {
    AnyTensor share;
    {
      NoGrad no_grad;
      share = ((abs(x) == y) | isnan(x)).to(g.dtype());
      share = share / sum(share, over.list(), true);
    }
    return sign(x) * share * g;
  }
  AnyTensor magnitude = abs(x);
  if (p < 2) magnitude = where(x == 0, 1, magnitude);  // 0 to a negative power; the sign makes it 0 again
  AnyTensor scale = g * pow(positive, 1 - p);
  if (p < 0) scale = where(y == 0, 0, scale);  // an element is zero, and holds the norm there whatever the others do
  return sign(x) * pow(magnitude, p - 1) * scale;
}

}  // namespace

AnyTensor var(const AnyTensor& x, const Axes& axes, bool keepdim, double correction) {
  return spread_about_mean("var", ReduceKind::var, x, axes, keepdim, correction);
}
AnyTensor std(const AnyTensor& x, const Axes& axes, bool keepdim, double correction) {
  return spread_about_mean("std", ReduceKind::std, x, axes, keepdim, correction);
}
AnyVarMean var_mean(const AnyTensor& x, const Axes& axes, bool keepdim, double correction) {
  return {spread_about_mean("var_mean", ReduceKind::var, x, axes, keepdim, correction), mean(x, axes, keepdim)};
}

AnyTensor norm(const AnyTensor& x, Scalar power, const Axes& axes, bool keepdim) {
  check_float("norm", x);
  const double p = power;
  Reduced over("norm", x, axes, keepdim);
  if (p < 0 || std::isinf(p)) check_not_empty("norm", x, over);
  if (std::isnan(p)) fail<ValueError>("norm: p is NaN; use a number or an infinity");
  AnyTensor y;
  if (p == 0)
    y = reduced("norm", ReduceKind::count_nonzero, x, over, DType::int64).to(x.dtype());
  else
    y = reduced("norm",
                !std::isinf(p) ? ReduceKind::norm
                : p > 0        ? ReduceKind::max_abs
                               : ReduceKind::min_abs,
                x, over, x.dtype(), p);
  record("norm", y, {&x}, [over, p, sx = Saved(x), sy = Saved::output(y)](const AnyTensor& g, AnyTensor* grads) {
    grads[0] = norm_gradient(sx(), over.spread(sy()), over.spread(g), p, over);
  });
  return y;
}

AnyTensor logsumexp(const AnyTensor& x, const Axes& axes, bool keepdim) {
  check_float("logsumexp", x);
  Reduced over("logsumexp", x, axes, keepdim);
  if (over.depth == 0) return full(over.shape, -HUGE_VAL, x.dtype(), x.device());
  AnyTensor greatest = reduced("logsumexp", ReduceKind::max, x, over, accumulate_dtype(x.dtype()));
  AnyTensor y = reduced("logsumexp", ReduceKind::logsumexp, x, over, x.dtype(), 0, greatest);
  record("logsumexp", y, {&x}, [over, sx = Saved(x), sy = Saved::output(y)](const AnyTensor& g, AnyTensor* grads) {
    AnyTensor y = sy();
    grads[0] = exp(sx() - over.spread(where(y == -HUGE_VAL, 0, y))) * over.spread(g);
  });
  return y;
}

}  // namespace gradus
