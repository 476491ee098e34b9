// Changes of shape as modules, for Sequential.
#pragma once
#include "gradus/nn/layer.h"
#include "gradus/ops/view.h"

namespace gradus::nn {

/// The axes start..end as one; all but the first where nothing else is said.
class Flatten : public Module {
 public:
  explicit Flatten(int64_t start = 1, int64_t end = -1) : start(start), end(end) {}
  int64_t start, end;
  GRADUS_MEMBERS()
  AnyTensor forward(const AnyTensor& x) const { return flatten(x, start, end); }
  GRADUS_TYPED_FORWARD
};

/// One axis as several: nn::Unflatten(1, {8, 4, 4}).
class Unflatten : public Module {
 public:
  Unflatten(int64_t axis, const Shape& sizes) : axis(axis), sizes(sizes) {}
  int64_t axis;
  Shape sizes;
  GRADUS_MEMBERS()
  AnyTensor forward(const AnyTensor& x) const { return unflatten(x, axis, sizes); }
  GRADUS_TYPED_FORWARD
};

}  // namespace gradus::nn
