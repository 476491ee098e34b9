#include "gradus/optim/clip.h"

#include <cmath>

#include "gradus/autograd/mode.h"
#include "gradus/core/tensor.h"
#include "gradus/ops/elementwise.h"
#include "gradus/ops/reduce.h"
#include "gradus/ops/shape_ops.h"
#include "gradus/ops/update.h"

namespace gradus::optim {
namespace {
std::vector<AnyTensor> gradients_of(const std::vector<AnyTensor>& parameters) {
  std::vector<AnyTensor> gradients;
  for (const AnyTensor& p : parameters)
    if (AnyTensor g = p.requires_grad() ? p.grad() : AnyTensor()) gradients.push_back(g.detach());
  return gradients;
}

double length_of(const std::vector<AnyTensor>& gradients, double p) {
  if (p == 2) return std::sqrt(sum_of_squares(gradients).item());
  double total = 0;
  for (const AnyTensor& g : gradients) {
    if (g.numel() == 0) continue;
    AnyTensor x = is_half(g.dtype()) ? to(g, DType::float32) : g;
    const double part = (std::isinf(p) ? norm(x, p) : sum(pow(abs(x), p))).item();
    if (!std::isinf(p)) total += part;
    if (std::isinf(p) && (part > total || std::isnan(part))) total = part;
  }
  return std::isinf(p) ? total : std::pow(total, 1 / p);
}
/// The same on the device of the first gradient.
AnyTensor length_there(const std::vector<AnyTensor>& gradients, double p) {
  const Device first = gradients.front().device();
  bool together = true;
  for (const AnyTensor& g : gradients) together = together && g.device() == first;
  if (p == 2 && together) return sqrt(sum_of_squares(gradients));
  std::vector<AnyTensor> parts;
  for (const AnyTensor& g : gradients)
    parts.push_back(to(norm(is_half(g.dtype()) ? to(g, DType::float32) : g, p), DType::float64).to(first));
  return norm(stack(parts), p);
}

void check_finite(bool wanted, double norm) {
  if (wanted && !std::isfinite(norm)) throw ValueError("clip_grad_norm_: the norm of the gradients is " + std::to_string(norm));
}

/// The host works out the factor, and multiplies nothing that need not be.
double clip_here(std::vector<AnyTensor>& gradients, double max_norm, const ClipOptions& o) {
  const double total = length_of(gradients, o.norm_type);
  check_finite(o.error_if_nonfinite, total);
  const double factor = max_norm / (total + 1e-6);
  if (factor < 1 || std::isnan(factor))
    for (AnyTensor& g : gradients) mul_scalar_(g, factor);
  return total;
}

/// The devices work it out, and nobody waits for them. The norm is where the first gradient is.
AnyTensor clip_there(std::vector<AnyTensor>& gradients, double max_norm, const ClipOptions& o) {
  AnyTensor total = length_there(gradients, o.norm_type);
  if (o.error_if_nonfinite) check_finite(true, total.item());
  AnyTensor factor = clamp_max(max_norm / (total + 1e-6), 1);
  Updates updates;
  for (const AnyTensor& g : gradients) updates.scale(g, factor.to(g.device()));
  updates.run();
  return total;
}

}  // namespace

GradNorm clip_grad_norm_(const std::vector<AnyTensor>& parameters, double max_norm, const ClipOptions& o) {
  if (!(max_norm >= 0)) throw ValueError("clip_grad_norm_: max_norm is " + std::to_string(max_norm));
  if (!(o.norm_type > 0))
    throw ValueError("clip_grad_norm_: norm_type is " + std::to_string(o.norm_type) + "; it must be positive");
  NoGrad no_grad;
  std::vector<AnyTensor> gradients = gradients_of(parameters);
  bool here = true;
  for (const AnyTensor& g : gradients) here = here && g.device() == kCPU;
  if (here) return clip_here(gradients, max_norm, o);
  return GradNorm(clip_there(gradients, max_norm, o));
}

void clip_grad_value_(const std::vector<AnyTensor>& parameters, double value) {
  if (!(value >= 0)) throw ValueError("clip_grad_value_: value is " + std::to_string(value));
  NoGrad no_grad;
  for (AnyTensor& g : gradients_of(parameters)) clamp_(g, -value, value);
}

}  // namespace gradus::optim
