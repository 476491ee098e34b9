// Losses that are a few elementwise ops.
#include "src/ops/losses.h"

#include <cmath>

#include "gradus/ops/create.h"

namespace gradus {

AnyTensor mse_loss(const AnyTensor& x, const AnyTensor& target, const LossOptions& o) {
  check_pair("mse_loss", x, target);
  return reduced(square(x - target), o.reduction);
}

AnyTensor l1_loss(const AnyTensor& x, const AnyTensor& target, const LossOptions& o) {
  check_pair("l1_loss", x, target);
  return reduced(abs(x - target), o.reduction);
}

namespace {
/// d^2 / 2 up to `bound` on both sides, from there on its tangents; divided by `by`. Nowhere is infinity multiplied with 0.
AnyTensor half_square(const AnyTensor& d, double bound, double by) {
  AnyTensor bent = clamp(d, -bound, bound);
  return bent / by * (d - bent * 0.5);
}
}  // namespace

AnyTensor smooth_l1_loss(const AnyTensor& x, const AnyTensor& target, const SmoothL1LossOptions& o) {
  check_pair("smooth_l1_loss", x, target);
  if (o.beta < 0) fail<ValueError>("smooth_l1_loss: beta ", o.beta, " is negative");
  if (o.beta == 0) return l1_loss(x, target, {o.reduction});
  return reduced(in_float([&](const auto& x, const auto& t) { return half_square(x - t, o.beta, o.beta); }, x, target),
                 o.reduction);
}

AnyTensor huber_loss(const AnyTensor& x, const AnyTensor& target, const HuberLossOptions& o) {
  check_pair("huber_loss", x, target);
  if (!(o.delta > 0)) fail<ValueError>("huber_loss: delta ", o.delta, " is not positive");
  return reduced(in_float([&](const auto& x, const auto& t) { return half_square(x - t, o.delta, 1); }, x, target), o.reduction);
}

namespace {

constexpr double kLeastLog = -100, kLeastSpread = 1e-12;  // what keeps both orders finite at 0 and at 1

/// The slope (x - t) / (x (1 - x)) of the binary cross entropy, of which there is a slope again.
AnyTensor binary_slope(const AnyTensor& x, const AnyTensor& target) {
  AnyTensor y;
  {
    NoGrad no_grad;
    y = (x - target) / clamp_min((1 - x) * x, kLeastSpread);
  }
  record("binary_cross_entropy", y, {&x, &target}, [sx = Saved(x), st = Saved(target)](const AnyTensor& g, AnyTensor* grads) {
    AnyTensor x = sx(), t = st();
    if (wanted(0)) grads[0] = g * (x * x - 2 * x * t + t) / square((x + kLeastSpread) * (1 - x + kLeastSpread));
    if (wanted(1)) grads[1] = -g / clamp_min((1 - x) * x, kLeastSpread);
  });
  return y;
}

AnyTensor binary_losses(const AnyTensor& x, const AnyTensor& target) {
  auto yes = [](const AnyTensor& x) { return clamp_min(log(x), kLeastLog); };
  auto no = [](const AnyTensor& x) { return clamp_min(log1p(-x), kLeastLog); };
  AnyTensor y;
  {
    NoGrad no_grad;
    y = (target - 1) * no(x) - target * yes(x);
  }
  record("binary_cross_entropy", y, {&x, &target}, [=, sx = Saved(x), st = Saved(target)](const AnyTensor& g, AnyTensor* grads) {
    if (wanted(0)) grads[0] = g * binary_slope(sx(), st());
    if (wanted(1)) grads[1] = g * (no(sx()) - yes(sx()));
  });
  return y;
}

}  // namespace

AnyTensor binary_cross_entropy(const AnyTensor& x, const AnyTensor& target, const BinaryCrossEntropyOptions& o) {
  check_pair("binary_cross_entropy", x, target);
  if (o.weight) check_same("binary_cross_entropy", x, o.weight);
  if (is_half(x.dtype())) {  // in which x (1 - x) could not be told from 0
    BinaryCrossEntropyOptions wide = o;
    if (o.weight) wide.weight = to(o.weight, DType::float32);
    return to(binary_cross_entropy(to(x, DType::float32), to(target, DType::float32), wide), x.dtype());
  }
  AnyTensor losses = binary_losses(x, target);
  if (o.weight.defined()) losses = losses * o.weight;
  return reduced(losses, o.reduction);
}

AnyTensor binary_cross_entropy_with_logits(const AnyTensor& x, const AnyTensor& target,
                                           const BinaryCrossEntropyWithLogitsOptions& o) {
  check_pair("binary_cross_entropy_with_logits", x, target);
  // log(sigmoid(x)) = logsigmoid(x), log(1 - sigmoid(x)) = logsigmoid(x) - x.
  AnyTensor positive = o.pos_weight.defined() ? target * o.pos_weight : target;
  AnyTensor losses = (1 - target) * x - (positive + (1 - target)) * logsigmoid(x);
  if (o.weight.defined()) losses = losses * o.weight;
  return reduced(losses, o.reduction);
}

AnyTensor kl_div(const AnyTensor& x, const AnyTensor& target, const KlDivOptions& o) {
  check_pair("kl_div", x, target);
  AnyTensor losses;
  if (o.log_target) {
    losses = exp(target) * (target - x);
  } else {
    // 0 * log(0) is 0, and has no gradient.
    AnyTensor zero = target == 0, safe = where(zero, 1, target);
    losses = where(zero, 0, target * log(safe)) - target * x;
  }
  if (!o.batchmean) return reduced(losses, o.reduction);
  if (x.dim() == 0) fail<ShapeError>("kl_div: batchmean needs a batch axis, and this is a scalar; use Reduction::sum");
  return sum(losses) / double(x.shape()[0]);
}

AnyTensor soft_margin_loss(const AnyTensor& x, const AnyTensor& target, const LossOptions& o) {
  check_pair("soft_margin_loss", x, target);
  return reduced(neg(logsigmoid(target * x)), o.reduction);
}

AnyTensor hinge_embedding_loss(const AnyTensor& x, const AnyTensor& target, const MarginOptions& o) {
  check_pair("hinge_embedding_loss", x, target);
  AnyTensor zeros = zeros_like(x.detach());
  return reduced(where(eq(target, 1), zeros, clamp_min(o.margin - x, 0)) + where(eq(target, -1), zeros, x), o.reduction);
}

AnyTensor margin_ranking_loss(const AnyTensor& a, const AnyTensor& b, const AnyTensor& target, const MarginOptions& o) {
  check_float("margin_ranking_loss", a);
  check_same("margin_ranking_loss", a, b), check_same("margin_ranking_loss", a, target);
  return reduced(clamp_min(-target * (a - b) + o.margin, 0), o.reduction);
}

AnyTensor poisson_nll_loss(const AnyTensor& x, const AnyTensor& target, const PoissonNllLossOptions& o) {
  check_pair("poisson_nll_loss", x, target);
  AnyTensor losses = o.log_input ? exp(x) - target * x : x - target * log(x + o.eps);
  if (o.full) {
    AnyTensor large = target > 1, safe = where(large, target, 2);
    losses = losses + where(large, safe * log(safe) - safe + 0.5 * log(safe * (2 * M_PI)), 0);
  }
  return reduced(losses, o.reduction);
}

AnyTensor gaussian_nll_loss(const AnyTensor& x, const AnyTensor& target, const AnyTensor& variance,
                            const GaussianNllLossOptions& o) {
  check_float("gaussian_nll_loss", x);
  check_same("gaussian_nll_loss", x, target), check_same("gaussian_nll_loss", x, variance);
  AnyTensor v = variance;
  if (!(v.shape() == x.shape()) && v.dim() == x.dim() - 1) v = v.unsqueeze(-1);
  for (const AnyTensor* other : {&target, static_cast<const AnyTensor*>(&v)}) {
    bool fits = other->dim() == x.dim();
    for (int d = 0; fits && d < x.dim(); ++d) {
      int64_t n = other->shape()[d], wanted = x.shape()[d];
      fits = n == wanted || n == 1 || (wanted == 1 && other == &target);
    }
    if (!fits)
      fail<ShapeError>("gaussian_nll_loss: the prediction has shape ", x.shape(), ", the ",
                       other == &target ? "target " : "variance ", other->shape(),
                       "; sizes must be equal or 1, and a variance may lack the last axis");
  }
  {
    NoGrad no_grad;
    if (any(v < 0).item() != 0) fail<ValueError>("gaussian_nll_loss: the variance has negative elements");
  }
  v = v + (clamp_min(v, o.eps) - v).detach();  // the clamp does not stop the gradient
  AnyTensor losses = 0.5 * (log(v) + square(x - target) / v);
  if (o.full) losses = losses + 0.5 * std::log(2 * M_PI);
  return reduced(losses, o.reduction);
}

}  // namespace gradus
