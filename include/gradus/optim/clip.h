// Gradients kept within bounds, between backward() and step().
#pragma once
#include "gradus/core/any_tensor.h"

namespace gradus::optim {

struct ClipOptions {
  double norm_type = 2;  // infinity: the largest element
  bool error_if_nonfinite = false;
};
/// The norm that gradients had. Nobody waits for a device until it is read as a number.
class GradNorm {
 public:
  GradNorm(double known) : known_(known) {}
  explicit GradNorm(AnyTensor value) : value_(std::move(value)) {}
  operator double() const { return value_.defined() ? value_.item() : known_; }

 private:
  AnyTensor value_;  // a scalar on the device
  double known_ = 0;
};

/// Scales the gradients of all parameters by one factor so that their norm, taken as one vector, is at most max_norm. Returns the norm
/// before. Throws ValueError for a norm that is no number where that is asked for; then a device is waited for.
GradNorm clip_grad_norm_(const std::vector<AnyTensor>& parameters, double max_norm, const ClipOptions& options = {});
/// Cuts every element of the gradients to [-value, value].
void clip_grad_value_(const std::vector<AnyTensor>& parameters, double value);

}  // namespace gradus::optim
