// Sums, products and counts.
#include "gradus/ops/reduce.h"

#include "gradus/ops/elementwise.h"
#include "gradus/ops/view.h"
#include "src/ops/reduction.h"
#include "src/ops/scan.h"

namespace gradus {

AnyTensor Reduced::spread(const AnyTensor& g) const { return g.shape() == kept ? g : reshape(g, kept); }

Axes Reduced::list() const {
  Axes all_axes;
  if (kept.rank == 0 || axes.count == kept.rank) return all_axes;
  all_axes.all = false;
  for (int d = 0; d < kept.rank; ++d)
    if (axes.has[d]) all_axes.list.push_back(d);
  return all_axes;
}

AnyTensor reduced(const char* op, ReduceKind kind, const AnyTensor& x, const Reduced& over, DType dtype, double p,
                  const AnyTensor& center) {
  AnyTensor y = empty(over.shape, dtype, x.device());
  Array about = center ? array(center) : Array();
  kernel(op, &KernelTable::reduce, x)(Reshaped(y, over.kept), array(x), about, kind, p);
  return y;
}

void check_not_empty(const char* op, const AnyTensor& x, const Reduced& over) {
  if (over.depth > 0 || over.kept.numel() == 0) return;
  fail<ValueError>(op, ": x of shape ", x.shape(), " has no elements to choose from; reduce over axes that are not empty");
}

namespace {
DType sum_type(DType t) { return is_float(t) ? t : DType::int64; }
}  // namespace

AnyTensor sum(const AnyTensor& x, const Axes& axes, bool keepdim) {
  Reduced over("sum", x, axes, keepdim);
  AnyTensor y = empty(over.shape, sum_type(x.dtype()), x.device());
  kernel("sum", &KernelTable::sum, x)(Reshaped(y, over.kept), array(x));
  if (is_float(x.dtype()))
    record("sum", y, {&x},
           [over, from = x.shape()](const AnyTensor& g, AnyTensor* grads) { grads[0] = expand(over.spread(g), from); });
  return y;
}

AnyTensor mean(const AnyTensor& x, const Axes& axes, bool keepdim) {
  check_float("mean", x);
  Reduced over("mean", x, axes, keepdim);
  AnyTensor y = reduced("mean", ReduceKind::mean, x, over, x.dtype());
  record("mean", y, {&x}, [over, from = x.shape()](const AnyTensor& g, AnyTensor* grads) {
    grads[0] = expand(over.spread(g * (1 / double(over.depth))), from);
  });
  return y;
}

AnyTensor prod(const AnyTensor& x, const Axes& axes, bool keepdim) {
  Reduced over("prod", x, axes, keepdim);
  AnyTensor y = reduced("prod", ReduceKind::prod, x, over, sum_type(x.dtype()));
  if (!is_float(x.dtype())) return y;
  record("prod", y, {&x}, [over, sx = Saved(x), sy = Saved::output(y)](const AnyTensor& g, AnyTensor* grads) {
    AnyTensor x = sx();
    bool no_zero;
    {
      NoGrad no_grad;
      no_zero = all(x).item() != 0;
    }
    grads[0] = no_zero ? over.spread(g * sy()) / x : over.spread(g) * product_of_others(x, over.list());
  });
  return y;
}

AnyTensor nansum(const AnyTensor& x, const Axes& axes, bool keepdim) {
  check_float("nansum", x);
  Reduced over("nansum", x, axes, keepdim);
  AnyTensor y = reduced("nansum", ReduceKind::nansum, x, over, x.dtype());
  record("nansum", y, {&x},
         [over, sx = Saved(x)](const AnyTensor& g, AnyTensor* grads) { grads[0] = where(isnan(sx()), 0, over.spread(g)); });
  return y;
}

AnyTensor nanmean(const AnyTensor& x, const Axes& axes, bool keepdim) {
  check_float("nanmean", x);
  axes_of("nanmean", axes, x.dim());
  return nansum(x, axes, keepdim) / count_nonzero(x == x, axes, keepdim).to(x.dtype());
}

AnyTensor count_nonzero(const AnyTensor& x, const Axes& axes, bool keepdim) {
  return reduced("count_nonzero", ReduceKind::count_nonzero, x, Reduced("count_nonzero", x, axes, keepdim), DType::int64);
}
AnyTensor all(const AnyTensor& x, const Axes& axes, bool keepdim) {
  return reduced("all", ReduceKind::all, x, Reduced("all", x, axes, keepdim), DType::boolean);
}
AnyTensor any(const AnyTensor& x, const Axes& axes, bool keepdim) {
  return reduced("any", ReduceKind::any, x, Reduced("any", x, axes, keepdim), DType::boolean);
}

}  // namespace gradus
