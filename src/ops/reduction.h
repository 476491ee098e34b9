// What reductions share: the axes they run over, and the result as its kernel wants it.
#pragma once
#include "src/ops/op.h"

namespace gradus {

struct Reduced {
  AxisSet axes;
  Shape kept;         // the result's shape with the reduced axes, of size 1
  Shape shape;        // the result's shape
  int64_t depth = 1;  // how many elements make one result

  Reduced(const char* op, const AnyTensor& x, const Axes& over, bool keepdim)
      : axes((check_defined(op, x), axes_of(op, over, x.dim()))),
        kept(reduced_shape(x.shape(), axes, true)),
        shape(keepdim ? kept : reduced_shape(x.shape(), axes, false)) {
    for (int d = 0; d < x.dim(); ++d)
      if (axes.has[d]) depth *= x.shape()[d];
  }
  /// A gradient of the result, to be broadcast against x.
  AnyTensor spread(const AnyTensor& g) const;
  Axes list() const;
};

/// y, which is row-major, under another shape of as many elements.
class Reshaped {
 public:
  Reshaped(const AnyTensor& y, const Shape& shape) : shape_(shape), array_(array(y)) {
    int64_t step = 1;
    for (int d = shape.rank - 1; d >= 0; --d) stride_[d] = step, step *= shape.size[d];
    array_.rank = shape.rank, array_.shape = shape_.size, array_.stride = stride_;
  }
  operator const Array&() const { return array_; }

 private:
  Shape shape_;
  int64_t stride_[Shape::kMaxRank];
  Array array_;
};

/// Runs the kernel `kind` over x. No graph. center: shaped as the result, of the accumulator's type.
AnyTensor reduced(const char* op, ReduceKind kind, const AnyTensor& x, const Reduced& over, DType dtype, double p = 0,
                  const AnyTensor& center = {});
/// Throws ValueError where results would be made of nothing.
void check_not_empty(const char* op, const AnyTensor& x, const Reduced& over);

}  // namespace gradus
