// What losses have in common.
#pragma once
#include "gradus/loss/loss.h"
#include "gradus/ops/elementwise.h"
#include "gradus/ops/reduce.h"
#include "src/ops/op.h"

namespace gradus {

inline AnyTensor reduced(const AnyTensor& losses, Reduction reduction) {
  return reduction == Reduction::none ? losses : reduction == Reduction::sum ? sum(losses) : mean(losses);
}

/// x and target of one floating point dtype and of one shape: a broadcast here is nearly always a mistake.
inline void check_pair(const char* op, const AnyTensor& x, const AnyTensor& target) {
  check_float(op, x);
  check_same(op, x, target);
  if (!(x.shape() == target.shape()))
    fail<ShapeError>(op, ": the prediction has shape ", x.shape(), ", the target ", target.shape(),
                     "; reshape or expand one of them");
}

}  // namespace gradus
