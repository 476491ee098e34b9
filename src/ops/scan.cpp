#include "src/ops/scan.h"

#include <algorithm>
#include <cmath>

#include "gradus/ops/create.h"
#include "gradus/ops/elementwise.h"
#include "gradus/ops/reduce.h"
#include "gradus/ops/view.h"
#include "src/ops/op.h"

namespace gradus {
namespace {

/// x[i - 1] in the place of x[i] along an axis, or x[i + 1] if backwards; 0 where there is none.
AnyTensor shifted(const AnyTensor& x, int axis, bool backwards) {
  int64_t n = x.shape()[axis];
  if (n == 0) return x;
  AnyTensor part = backwards ? slice(x, axis, 1, n) : slice(x, axis, 0, n - 1);
  return slice_backward(part, x.shape(), axis, backwards ? 0 : 1, 1);
}

/// 1 for the first element of each line, or the last if backwards; 0 elsewhere.
AnyTensor unit(const AnyTensor& x, int axis, bool backwards) {
  NoGrad no_grad;
  AnyTensor y = zeros(x.shape(), x.dtype(), x.device());
  int64_t n = x.shape()[axis];
  if (n > 0) slice(y, axis, backwards ? n - 1 : 0, backwards ? n : 1).fill_(1);
  return y;
}

/// The product of the elements before each, or after it.
AnyTensor product_of_earlier(const AnyTensor& x, int axis, bool backwards) {
  return scan_linear(x, unit(x, axis, backwards), axis, backwards, true);
}

AnyTensor run_scan(const char* op, Scan kind, const AnyTensor& x, int axis, bool backwards) {
  AnyTensor in = dense(x), y = empty(x.shape(), is_float(x.dtype()) ? x.dtype() : DType::int64, x.device());
  kernel(op, &KernelTable::scan, x)(array(y), array(in), axis, kind, backwards);
  return y;
}

AnyTensor sum_so_far(const AnyTensor& x, int axis, bool backwards) {
  AnyTensor y = run_scan("cumsum", Scan::sum, x, axis, backwards);
  if (is_float(x.dtype()))
    record("cumsum", y, {&x},
           [axis, backwards](const AnyTensor& g, AnyTensor* grads) { grads[0] = sum_so_far(g, axis, !backwards); });
  return y;
}

AnyTensor logsumexp_so_far(const AnyTensor& x, int axis, bool backwards) {
  AnyTensor y = run_scan("logcumsumexp", Scan::logsumexp, x, axis, backwards);
  record("logcumsumexp", y, {&x}, [axis, backwards, sx = Saved(x), sy = Saved::output(y)](const AnyTensor& g, AnyTensor* grads) {
    // dx[i] = sum of g[k] exp(x[i] - y[k]) over the k from i on. The sum is taken in logarithms, the two signs apart.
    AnyTensor x = sx(), y = sy();
    y = where(y == -HUGE_VAL, 0, y);  // nothing but zeros up to there: x[i] makes the term 0
    auto part = [&](const AnyTensor& h) {
      AnyTensor logarithm = where(h > 0, log(where(h > 0, h, 1)), -HUGE_VAL);
      return exp(logsumexp_so_far(logarithm - y, axis, !backwards) + x);
    };
    grads[0] = part(g) - part(-g);
  });
  return y;
}

int checked_axis(const char* op, const AnyTensor& x, int64_t axis) {
  check_defined(op, x);
  return axis_of(op, axis, x.dim());
}

}  // namespace

AnyTensor scan_linear(const AnyTensor& a, const AnyTensor& b, int axis, bool backwards, bool late) {
  AnyTensor factors = dense(a), terms = dense(b), y = empty(b.shape(), b.dtype(), b.device());
  kernel("cumprod", &KernelTable::scan_linear, b)(array(y), array(factors), array(terms), axis, backwards, late);
  record("cumprod", y, {&a, &b}, [=, sa = Saved(a), sy = Saved::output(y)](const AnyTensor& g, AnyTensor* grads) {
    AnyTensor db = scan_linear(sa(), g, axis, !backwards, !late);
    if (wanted(0)) grads[0] = late ? shifted(db, axis, !backwards) * sy() : db * shifted(sy(), axis, backwards);
    if (wanted(1)) grads[1] = db;
  });
  return y;
}

AnyTensor product_of_others(const AnyTensor& x, const Axes& axes) {
  if (x.dim() == 0) return ones_like(x);
  // The axes, put last and seen as one.
  AxisSet set = axes_of("prod", axes, x.dim());
  Shape order, back;
  for (bool reduced : {false, true})
    for (int d = 0; d < x.dim(); ++d)
      if (set.has[d] == reduced) order.push_back(d);
  back = order;
  for (int d = 0; d < x.dim(); ++d) back[int(order[d])] = d;
  AnyTensor permuted = permute(x, order), lines = flatten(permuted, x.dim() - set.count, -1);
  int last = lines.dim() - 1;
  AnyTensor others = product_of_earlier(lines, last, false) * product_of_earlier(lines, last, true);
  return permute(reshape(others, permuted.shape()), back);
}

AnyTensor cumsum(const AnyTensor& x, int64_t axis) {
  int d = checked_axis("cumsum", x, axis);
  return sum_so_far(x, d, false);
}

AnyTensor cumprod(const AnyTensor& x, int64_t axis) {
  int d = checked_axis("cumprod", x, axis);
  AnyTensor y = run_scan("cumprod", Scan::prod, x, d, false);
  if (is_float(x.dtype()))
    record("cumprod", y, {&x}, [d, sx = Saved(x)](const AnyTensor& g, AnyTensor* grads) {
      AnyTensor x = sx();
      if (x.dim() == 0) return void(grads[0] = g);
      // With y[i] = x[i] y[i - 1]: what reaches y[i] is g[i] + x[i + 1] times what reaches y[i + 1].
      grads[0] = scan_linear(x, g, d, true, true) * product_of_earlier(x, d, false);
    });
  return y;
}

AnyTensor logcumsumexp(const AnyTensor& x, int64_t axis) {
  check_float("logcumsumexp", x);
  int d = checked_axis("logcumsumexp", x, axis);
  return in_float([d](const AnyTensor& x) { return logsumexp_so_far(x, d, false); }, x);  // the gradient reads the result
}

AnyTensor diff(const AnyTensor& x, int64_t n, int64_t axis) {
  int d = checked_axis("diff", x, axis);
  if (x.dim() == 0) fail<ShapeError>("diff: a scalar has no neighbours");
  if (n < 0) fail<ValueError>("diff: n is ", n, "; it is how many times differences are taken");
  AnyTensor y = x;
  for (; n > 0; --n) {
    AnyTensor later = slice(y, d, 1, y.shape()[d]), earlier = slice(y, d, 0, later.shape()[d]);
    y = x.dtype() == DType::boolean ? logical_xor(later, earlier) : later - earlier;
  }
  return y;
}

// ------------------------------------------------------------------ areas
namespace {

/// The area between each sample and the next.
AnyTensor strips(const char* op, const AnyTensor& y, int axis) {
  if (y.dim() == 0) fail<ShapeError>(op, ": a scalar has no samples along an axis");
  int64_t n = y.shape()[axis];
  return (slice(y, axis, 1, n) + slice(y, axis, 0, std::max<int64_t>(n - 1, 0))) * 0.5;
}
AnyTensor strips(const char* op, const AnyTensor& y, const AnyTensor& x, int axis) {
  check_same(op, y, x);
  AnyTensor heights = strips(op, y, axis);
  if (x.dim() == 0 || x.shape()[x.dim() == 1 ? 0 : axis - y.dim() + x.dim()] != y.shape()[axis])
    fail<ShapeError>(op, ": places of shape ", x.shape(), " for axis ", axis, " of ", y.shape(), "; there must be as many");
  if (x.dim() > 1) return heights * diff(x, 1, axis - y.dim());
  Shape line;
  for (int d = axis; d < y.dim(); ++d) line.push_back(d == axis ? -1 : 1);
  return heights * reshape(diff(x), line);
}

}  // namespace

AnyTensor trapezoid(const AnyTensor& y, Scalar dx, int64_t axis) {
  check_float("trapezoid", y);
  int d = checked_axis("trapezoid", y, axis);
  return sum(strips("trapezoid", y, d), d) * dx;
}
AnyTensor trapezoid(const AnyTensor& y, const AnyTensor& x, int64_t axis) {
  check_float("trapezoid", y);
  int d = checked_axis("trapezoid", y, axis);
  return sum(strips("trapezoid", y, x, d), d);
}
AnyTensor cumulative_trapezoid(const AnyTensor& y, Scalar dx, int64_t axis) {
  check_float("cumulative_trapezoid", y);
  int d = checked_axis("cumulative_trapezoid", y, axis);
  return cumsum(strips("cumulative_trapezoid", y, d) * dx, d);
}
AnyTensor cumulative_trapezoid(const AnyTensor& y, const AnyTensor& x, int64_t axis) {
  check_float("cumulative_trapezoid", y);
  int d = checked_axis("cumulative_trapezoid", y, axis);
  return cumsum(strips("cumulative_trapezoid", y, x, d), d);
}

}  // namespace gradus
