// For ops in place that are written as the op out of place and a copy.
#pragma once
#include "src/ops/op.h"

namespace gradus {

/// Throws where elements of x share memory: what is written to one would show in another.
inline void check_no_overlap(const char* op, const AnyTensor& x) {
  for (int d = 0; d < x.dim(); ++d)
    if (x.stride()[d] == 0 && x.shape()[d] > 1)
      fail<ValueError>(op, "_: x of shape ", x.shape(), " is expanded, so elements share memory; clone() it first");
}

/// x takes the values of y and its place in the graph. Call check_in_place(op, x) before y is computed.
inline AnyTensor& take_over(const char* op, AnyTensor& x, const AnyTensor& y) {
  check_no_overlap(op, x);
  if (!(y.shape() == x.shape()))
    fail<ShapeError>(op, "_: the result has shape ", y.shape(), ", x, which is written in place, has ", x.shape());
  if (x.numel() > 0) kernel(op, &KernelTable::copy, x)(array(x), array(y));
  bool recorded = is_grad_enabled() && y.requires_grad();
  written_in_place(x, recorded);
  if (is_grad_enabled()) x.impl()->node = y.impl()->node, x.impl()->slot = y.impl()->slot;
  return x;
}

}  // namespace gradus
