// The greatest and the least.
#include "gradus/ops/create.h"
#include "gradus/ops/elementwise.h"
#include "gradus/ops/gather.h"
#include "gradus/ops/reduce.h"
#include "gradus/ops/view.h"
#include "src/ops/reduction.h"

namespace gradus {
namespace {

AnyTensor extreme(const char* op, ReduceKind kind, const AnyTensor& x, const Axes& axes, bool keepdim) {
  Reduced over(op, x, axes, keepdim);
  check_not_empty(op, x, over);
  AnyTensor y = reduced(op, kind, x, over, x.dtype());
  if (!is_float(x.dtype())) return y;
  record(op, y, {&x}, [over, sx = Saved(x), sy = Saved::output(y)](const AnyTensor& g, AnyTensor* grads) {
    AnyTensor share, x = sx();
    {
      NoGrad no_grad;  // who is the greatest does not change
      share = ((x == over.spread(sy())) | isnan(x)).to(g.dtype());
      share = share / sum(share, over.list(), true);
    }
    grads[0] = share * over.spread(g);
  });
  return y;
}

AnyValuesIndices extreme_along(const char* op, bool greatest, const AnyTensor& x, int64_t axis, bool keepdim, bool values = true) {
  check_defined(op, x);
  int d = axis_of(op, axis, x.dim());
  Reduced over(op, x, x.dim() ? Axes(d) : Axes(), keepdim);
  check_not_empty(op, x, over);
  AnyValuesIndices y;
  y.indices = empty(over.shape, DType::int64, x.device());
  if (values) y.values = empty(over.shape, x.dtype(), x.device());
  kernel(op, &KernelTable::extreme, x)(array(y.values), Reshaped(y.indices, over.kept), array(x), greatest);
  if (values && is_float(x.dtype()))
    record(op, y.values, {&x}, [over, d, index = Saved(y.indices), from = x.shape()](const AnyTensor& g, AnyTensor* grads) {
      grads[0] = scatter_add(zeros(from, g.dtype(), g.device()), d, over.spread(index()), over.spread(g));
    });
  return y;
}

AnyTensor arg_extreme(const char* op, bool greatest, const AnyTensor& x, std::optional<int64_t> axis, bool keepdim) {
  check_defined(op, x);
  if (axis) return extreme_along(op, greatest, x, *axis, keepdim, false).indices;
  NoGrad no_grad;
  AnyTensor index = extreme_along(op, greatest, reshape(x, {-1}), 0, false, false).indices;
  return keepdim ? reshape(index, Reduced(op, x, {}, true).kept) : index;
}

}  // namespace

AnyTensor amax(const AnyTensor& x, const Axes& axes, bool keepdim) { return extreme("amax", ReduceKind::max, x, axes, keepdim); }
AnyTensor amin(const AnyTensor& x, const Axes& axes, bool keepdim) { return extreme("amin", ReduceKind::min, x, axes, keepdim); }
AnyMinMax aminmax(const AnyTensor& x, const Axes& axes, bool keepdim) {
  return {extreme("aminmax", ReduceKind::min, x, axes, keepdim), extreme("aminmax", ReduceKind::max, x, axes, keepdim)};
}
AnyTensor max(const AnyTensor& x) { return extreme("max", ReduceKind::max, x, {}, false); }
AnyTensor min(const AnyTensor& x) { return extreme("min", ReduceKind::min, x, {}, false); }
AnyValuesIndices max(const AnyTensor& x, int64_t axis, bool keepdim) { return extreme_along("max", true, x, axis, keepdim); }
AnyValuesIndices min(const AnyTensor& x, int64_t axis, bool keepdim) { return extreme_along("min", false, x, axis, keepdim); }
AnyTensor argmax(const AnyTensor& x, std::optional<int64_t> axis, bool keepdim) {
  return arg_extreme("argmax", true, x, axis, keepdim);
}
AnyTensor argmin(const AnyTensor& x, std::optional<int64_t> axis, bool keepdim) {
  return arg_extreme("argmin", false, x, axis, keepdim);
}

}  // namespace gradus
