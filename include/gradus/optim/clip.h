// Gradients kept within bounds, between backward() and step().
#pragma once
#include "gradus/core/any_tensor.h"

namespace gradus::optim {

struct ClipOptions {
  double norm_type = 2;  // infinity: the largest element
  bool error_if_nonfinite = false;
};
/// Scales the gradients of all parameters by one factor so that their norm, taken as one vector, is at most max_norm. Returns the norm
/// before. Throws ValueError for a norm that is no number where that is asked for.
double clip_grad_norm_(const std::vector<AnyTensor>& parameters, double max_norm, const ClipOptions& options = {});
/// Cuts every element of the gradients to [-value, value].
void clip_grad_value_(const std::vector<AnyTensor>& parameters, double value);

}  // namespace gradus::optim
