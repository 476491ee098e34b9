#include "src/ops/norm.h"

#include "gradus/ops/elementwise.h"

namespace gradus {

void check_parameter(const char* op, const char* what, const AnyTensor& w, const Shape& shape, const AnyTensor& x) {
  if (!w.defined()) return;
  if (w.device() != x.device())
    fail<DeviceError>(op, ": x is on ", x.device(), ", ", what, " on ", w.device(), "; move one with to()");
  if (w.dtype() != x.dtype() && w.dtype() != accumulate_dtype(x.dtype()))
    fail<DTypeError>(op, ": ", what, " is ", w.dtype(), " for a tensor of ", x.dtype(), "; cast one with to()");
  if (!(w.shape() == shape)) fail<ShapeError>(op, ": ", what, " has shape ", w.shape(), ", not ", shape);
}

AnyTensor as_parameter(const AnyTensor& w, const AnyTensor& x) {
  if (!w.defined()) return w;
  NoGrad no_grad;
  return dense(to(w, accumulate_dtype(x.dtype())));
}

AnyTensor as_gradient(const AnyTensor& g, const AnyTensor& w) { return g.defined() && w.defined() ? to(g, w.dtype()) : g; }

void check_residual(const char* op, const AnyTensor& residual) {
  if (!residual) fail<ValueError>(op, ": residual is undefined");
}
void check_residual_fits(const char* op, const AnyTensor& x, const AnyTensor& residual) {
  check_same(op, x, residual);
  if (!(residual.shape() == x.shape()))
    fail<ShapeError>(op, ": x has shape ", x.shape(), ", residual ", residual.shape(), "; expand() the smaller one");
}

}  // namespace gradus
