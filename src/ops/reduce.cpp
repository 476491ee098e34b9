#include "gradus/ops/reduce.h"

#include "gradus/ops/elementwise.h"
#include "gradus/ops/view.h"
#include "src/ops/op.h"

namespace gradus {

AnyTensor sum(const AnyTensor& x, const Axes& over, bool keepdim) {
  check_defined("sum", x);
  AxisSet axes = axes_of("sum", over, x.dim());
  Shape kept = reduced_shape(x.shape(), axes, true);
  AnyTensor in = is_float(x.dtype()) ? x : to(x, DType::int64);
  AnyTensor y = empty(kept, in.dtype(), x.device());
  kernel("sum", &KernelTable::sum, in)(array(y), array(in));
  if (!keepdim) y = view(y, reduced_shape(x.shape(), axes, false));
  if (is_float(x.dtype()))
    record("sum", y, {&x},
           [kept, from = x.shape()](const AnyTensor& g, AnyTensor* grads) { grads[0] = expand(reshape(g, kept), from); });
  return y;
}

AnyTensor mean(const AnyTensor& x, const Axes& over, bool keepdim) {
  check_float("mean", x);
  AnyTensor total = sum(x, over, keepdim);
  return mul_scalar(total, double(total.numel()) / double(x.numel()));
}

}  // namespace gradus
