// The gradient of select(), which an op that takes several selections of one tensor may look at.
#pragma once
#include "gradus/autograd/node.h"

namespace gradus {

struct SelectRule {
  Shape from;
  int axis;
  int64_t index;
  void operator()(const AnyTensor& g, AnyTensor* grads) const;
};
using SelectNode = detail::RuleNode<SelectRule, false>;

}  // namespace gradus
