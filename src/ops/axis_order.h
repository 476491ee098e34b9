// New tensors in the order of axes that another one has in memory.
#pragma once
#include "src/ops/op.h"

namespace gradus {

/// Uninitialised, of another shape but as many axes: channels last stays so.
inline AnyTensor empty_in_order_of(const AnyTensor& like, const Shape& shape) {
  const Impl& from = *like.impl();
  if (from.contiguous || !from.dense || shape.rank != from.shape.rank) return empty(shape, from.dtype, like.device());
  int order[Shape::kMaxRank];  // axes, largest stride first
  for (int d = 0; d < shape.rank; ++d) {
    int at = d;
    for (; at > 0 && from.stride.size[order[at - 1]] < from.stride.size[d]; --at) order[at] = order[at - 1];
    order[at] = d;
  }
  Shape stride = shape;
  int64_t step = 1;
  shape.numel();  // throws for sizes that make no sense
  for (int k = shape.rank - 1; k >= 0; --k) stride.size[order[k]] = step, step *= shape.size[order[k]];
  return empty_strided(shape, stride, from.dtype, like.device());
}

}  // namespace gradus
