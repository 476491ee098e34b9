#include "gradus/ops/softmax.h"

#include "gradus/ops/elementwise.h"
#include "gradus/ops/reduce.h"
#include "gradus/ops/view.h"
#include "src/ops/op.h"

namespace gradus {
namespace {

AnyTensor fused_backward(const char* op, const AnyTensor& g, const AnyTensor& y, int axis, bool log) {
  AnyTensor p = y.impl()->dense ? y : dense(y), v = laid_out_as(g, p), dx = empty_like(p);
  kernel(op, &KernelTable::softmax_backward, p)(array(dx), array(v), array(p), axis, log);
  return dx;
}
void check_backward(const char* op, const AnyTensor& g, const AnyTensor& y) {
  check_float(op, y), check_same(op, g, y);
  if (!(g.shape() == y.shape())) fail<ShapeError>(op, ": gradient of shape ", g.shape(), " for an output of ", y.shape());
}

AnyTensor forward(const char* op, const AnyTensor& x, int64_t axis, bool log) {
  check_float(op, x);
  int d = axis_of(op, axis, x.dim());
  AnyTensor in = x.impl()->dense ? x : dense(x), y = empty_like(in);
  kernel(op, &KernelTable::softmax, in)(array(y), array(in), d, log);
  record(op, y, {&x}, [y = Saved::output(y), d, log](const AnyTensor& g, AnyTensor* grads) {
    grads[0] = log ? log_softmax_backward(g, y(), d) : softmax_backward(g, y(), d);
  });
  return y;
}

}  // namespace

AnyTensor softmax(const AnyTensor& x, int64_t axis) { return forward("softmax", x, axis, false); }
AnyTensor log_softmax(const AnyTensor& x, int64_t axis) { return forward("log_softmax", x, axis, true); }
AnyTensor softmin(const AnyTensor& x, int64_t axis) {
  check_float("softmin", x);
  return forward("softmin", neg(x), axis, false);
}

AnyTensor softmax_backward(const AnyTensor& g, const AnyTensor& y, int64_t axis) {
  check_backward("softmax_backward", g, y);
  int d = axis_of("softmax_backward", axis, y.dim());
  if (!is_grad_enabled()) return fused_backward("softmax_backward", g, y, d, false);
  return y * (g - sum(g * y, d, true));
}
AnyTensor log_softmax_backward(const AnyTensor& g, const AnyTensor& y, int64_t axis) {
  check_backward("log_softmax_backward", g, y);
  int d = axis_of("log_softmax_backward", axis, y.dim());
  if (!is_grad_enabled()) return fused_backward("log_softmax_backward", g, y, d, true);
  return g - exp(y) * sum(g, d, true);
}

}  // namespace gradus
