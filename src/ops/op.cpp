#include "src/ops/op.h"

namespace gradus {

void check_same(const char* op, const AnyTensor& a, const AnyTensor& b) {
  check_defined(op, a), check_defined(op, b);
  if (a.dtype() != b.dtype()) fail<DTypeError>(op, ": dtypes ", a.dtype(), " and ", b.dtype(), " differ; cast one with to()");
  if (a.device() != b.device()) fail<DeviceError>(op, ": tensors on ", a.device(), " and ", b.device(), "; move one with to()");
}

void check_float(const char* op, const AnyTensor& x) {
  check_defined(op, x);
  if (!is_float(x.dtype())) fail<DTypeError>(op, ": needs a floating point tensor, got ", x.dtype(), "; cast with to<float>()");
}

void check_dtype(const char* op, const char* what, const AnyTensor& x, DType wanted) {
  check_defined(op, x);
  if (x.dtype() != wanted) fail<DTypeError>(op, ": ", what, " is ", x.dtype(), ", not ", wanted, "; cast with to()");
}

void check_rank(const char* op, const char* what, const AnyTensor& x, int rank) {
  check_defined(op, x);
  if (x.dim() != rank)
    fail<ShapeError>(op, ": ", what, " has shape ", x.shape(), "; ", rank, rank == 1 ? " dimension is" : " dimensions are",
                     " needed");
}

int axis_of(const char* op, int64_t axis, int rank) {
  int64_t n = rank ? rank : 1;
  if (axis < -n || axis >= n)
    fail<ShapeError>(op, ": axis ", axis, " is out of range for ", rank, " dimensions; valid are ", -n, " to ", n - 1);
  return int(axis < 0 ? axis + n : axis);
}

AxisSet axes_of(const char* op, const Axes& axes, int rank) {
  AxisSet set;
  if (axes.all || axes.list.rank == 0) {
    for (int d = 0; d < rank; ++d) set.has[d] = true;
    set.count = rank;
    return set;
  }
  for (int64_t axis : axes.list) {
    int d = axis_of(op, axis, rank);
    if (set.has[d]) fail<ShapeError>(op, ": axis ", axis, " is named twice in ", axes.list);
    set.has[d] = true, ++set.count;
  }
  return set;
}

Shape reduced_shape(const Shape& shape, const AxisSet& axes, bool keepdim) {
  Shape out;
  for (int d = 0; d < shape.rank; ++d) {
    if (!axes.has[d])
      out.size[out.rank++] = shape.size[d];
    else if (keepdim)
      out.size[out.rank++] = 1;
  }
  return out;
}

void record_without_gradient(const char* op, AnyTensor& output, const Inputs& inputs) {
  record(op, output, inputs, [op](const AnyTensor&, AnyTensor*) {
    fail<GraphError>(op, ": has no gradient; give it what detach() returns, or call it under NoGrad");
  });
}

AnyTensor dense(const AnyTensor& x) {
  if (x.is_contiguous()) return x;
  NoGrad no_grad;
  return x.contiguous();
}

AnyTensor laid_out_as(const AnyTensor& x, const AnyTensor& like) {
  if (x.is_contiguous() ? like.is_contiguous() : x.stride() == like.stride()) return x;
  AnyTensor y = empty_like(like, x.dtype());
  if (x.numel() > 0) kernel("copy", &KernelTable::copy, x)(array(y), array(x));
  return y;
}

}  // namespace gradus
