#include "gradus/optim/clip.h"

#include <cmath>

#include "gradus/autograd/mode.h"
#include "gradus/core/tensor.h"
#include "gradus/ops/elementwise.h"
#include "gradus/ops/reduce.h"
#include "gradus/ops/shape_ops.h"

namespace gradus::optim {
namespace {
std::vector<AnyTensor> gradients_of(const std::vector<AnyTensor>& parameters) {
  std::vector<AnyTensor> gradients;
  for (const AnyTensor& p : parameters)
    if (AnyTensor g = p.requires_grad() ? p.grad() : AnyTensor()) gradients.push_back(g.detach());
  return gradients;
}
}  // namespace

double clip_grad_norm_(const std::vector<AnyTensor>& parameters, double max_norm, const ClipOptions& o) {
  if (!(max_norm >= 0)) throw ValueError("clip_grad_norm_: max_norm is " + std::to_string(max_norm));
  if (!(o.norm_type > 0))
    throw ValueError("clip_grad_norm_: norm_type is " + std::to_string(o.norm_type) + "; it must be positive");
  NoGrad no_grad;
  std::vector<AnyTensor> gradients = gradients_of(parameters);
  const bool largest = std::isinf(o.norm_type);
  std::vector<AnyTensor> parts;  // brought together where the first one is, so that a device is waited for once and not by gradient
  for (const AnyTensor& g : gradients) {
    if (g.numel() == 0) continue;
    AnyTensor x = is_half(g.dtype()) ? to(g, DType::float32) : g;
    AnyTensor part = largest ? norm(x, o.norm_type) : o.norm_type == 2 ? sum(square(x)) : sum(pow(abs(x), o.norm_type));
    part = to(part, DType::float64);
    parts.push_back(parts.empty() ? part : part.to(parts.front().device()));
  }
  double total = 0;
  if (!parts.empty())
    for (double v : Tensor<double>(stack(parts)).vector()) total = !largest ? total + v : v > total || std::isnan(v) ? v : total;
  if (!largest) total = o.norm_type == 2 ? std::sqrt(total) : std::pow(total, 1 / o.norm_type);
  if (o.error_if_nonfinite && !std::isfinite(total))
    throw ValueError("clip_grad_norm_: the norm of the gradients is " + std::to_string(total));
  double factor = max_norm / (total + 1e-6);
  if (factor < 1 || std::isnan(factor))
    for (AnyTensor& g : gradients) mul_scalar_(g, factor);
  return total;
}

void clip_grad_value_(const std::vector<AnyTensor>& parameters, double value) {
  if (!(value >= 0)) throw ValueError("clip_grad_value_: value is " + std::to_string(value));
  NoGrad no_grad;
  for (AnyTensor& g : gradients_of(parameters)) clamp_(g, -value, value);
}

}  // namespace gradus::optim
