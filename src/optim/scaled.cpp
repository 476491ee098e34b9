#include "gradus/optim/scaled.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "gradus/ops/create.h"
#include "gradus/ops/elementwise.h"
#include "gradus/ops/matmul.h"
#include "gradus/ops/reduce.h"
#include "gradus/ops/view.h"
#include "src/optim/bodies.h"

namespace gradus::optim {

GRADUS_OPTIMIZER_BODIES(NAdamW)
GRADUS_OPTIMIZER_BODIES(Lamb)
GRADUS_OPTIMIZER_BODIES(Adan)
GRADUS_OPTIMIZER_BODIES(AdamP)
GRADUS_OPTIMIZER_BODIES(Adafactor)
GRADUS_OPTIMIZER_BODIES(Muon)

namespace {

double correction(double beta, int64_t steps) { return 1 - std::pow(beta, double(steps)); }
double length(const AnyTensor& x) { return norm(x).item(); }

/// A parameter and its gradient in the dtype that states are in.
struct Wide {
  AnyTensor p, g;
  Wide(const AnyTensor& parameter, const AnyTensor& gradient, bool maximize) {
    DType dtype = is_half(parameter.dtype()) ? DType::float32 : parameter.dtype();
    p = to(parameter.detach(), dtype), g = to(gradient.detach(), dtype);
    if (maximize) g = -g;
  }
};
/// The running means of the gradient and its square.
void average(AnyTensor& mean, AnyTensor& square_mean, const AnyTensor& g, const Betas& betas) {
  mean.copy_(mean * betas.first + g * (1 - betas.first));
  square_mean.copy_(square_mean * betas.second + square(g) * (1 - betas.second));
}
AnyTensor divisor(const AnyTensor& square_mean, double beta, int64_t steps, double eps) {
  return sqrt(square_mean) / std::sqrt(correction(beta, steps)) + eps;
}
constexpr const char* kMeans[] = {"exp_avg", "exp_avg_sq"};

}  // namespace

// ---- NAdamW
void NAdamW::check() const {
  for (const NAdamWOptions& o : options_) {
    check_rate("lr", o.lr), check_rate("eps", o.eps), check_rate("weight_decay", o.weight_decay);
    check_rate("betas.first", o.betas.first, 1), check_rate("betas.second", o.betas.second, 1);
  }
}
Optimizer::Names NAdamW::state_names(size_t) const { return kMeans; }
void NAdamW::update(size_t group, Slot& slot, const Gradient& gradient) {
  const NAdamWOptions& o = options_[group];
  Wide w(slot.parameter, gradient, o.maximize);
  average(slot.state[0], slot.state[1], w.g, o.betas);
  AnyTensor ahead = slot.state[0] * o.betas.first + w.g * (1 - o.betas.first);
  AnyTensor step = ahead / divisor(slot.state[1], o.betas.second, slot.steps, o.eps);
  slot.parameter.copy_(w.p * (1 - o.lr * o.weight_decay) - step * (o.lr / correction(o.betas.first, slot.steps)));
}

// ---- LAMB
void Lamb::check() const {
  for (const LambOptions& o : options_) {
    check_rate("lr", o.lr), check_rate("eps", o.eps), check_rate("weight_decay", o.weight_decay);
    check_rate("max_grad_norm", o.max_grad_norm);
    check_rate("betas.first", o.betas.first, 1), check_rate("betas.second", o.betas.second, 1);
  }
}
Optimizer::Names Lamb::state_names(size_t) const { return kMeans; }
void Lamb::begin_step() {
  const double most = options_[0].max_grad_norm;
  shrink_ = 1;
  if (most == 0) return;
  double total = 0;
  for (size_t g = 0; g < group_count(); ++g)
    for (const AnyTensor& p : parameters(g))
      if (AnyTensor gradient = p.requires_grad() ? p.grad() : AnyTensor()) {
        double size = length(gradient);
        total += size * size;
      }
  shrink_ = 1 / std::max(1.0, std::sqrt(total) / most);
}
void Lamb::update(size_t group, Slot& slot, const Gradient& gradient) {
  const LambOptions& o = options_[group];
  Wide w(slot.parameter, gradient, o.maximize);
  average(slot.state[0], slot.state[1], w.g * shrink_, o.betas);
  AnyTensor step =
      slot.state[0] / correction(o.betas.first, slot.steps) / divisor(slot.state[1], o.betas.second, slot.steps, o.eps);
  if (o.weight_decay != 0) step = step + w.p * o.weight_decay;
  double trust = 1;
  if (o.weight_decay != 0 || o.always_adapt) {
    double of_parameter = length(w.p), of_step = length(step);
    if (of_parameter > 0 && of_step > 0) trust = of_parameter / of_step;
    if (o.trust_clip) trust = std::min(trust, 1.0);
  }
  slot.parameter.copy_(w.p - step * (o.lr * trust));
}

// ---- Adan
void Adan::check() const {
  for (const AdanOptions& o : options_) {
    check_rate("lr", o.lr), check_rate("eps", o.eps), check_rate("weight_decay", o.weight_decay);
    check_rate("beta1", o.beta1, 1), check_rate("beta2", o.beta2, 1), check_rate("beta3", o.beta3, 1);
  }
}
Optimizer::Names Adan::state_names(size_t) const {
  static constexpr const char* kNames[] = {"exp_avg", "exp_avg_sq", "exp_avg_diff", "pre_grad"};
  return kNames;
}
void Adan::update(size_t group, Slot& slot, const Gradient& gradient) {
  const AdanOptions& o = options_[group];
  Wide w(slot.parameter, gradient, o.maximize);
  AnyTensor &mean = slot.state[0], &squares = slot.state[1], &changes = slot.state[2], &last = slot.state[3];
  AnyTensor change = slot.steps == 1 ? zeros_like(w.g) : w.g - last;
  mean.copy_(mean * o.beta1 + w.g * (1 - o.beta1));
  changes.copy_(changes * o.beta2 + change * (1 - o.beta2));
  squares.copy_(squares * o.beta3 + square(w.g + change * o.beta2) * (1 - o.beta3));
  last.copy_(w.g);
  AnyTensor step =
      (mean * (o.lr / correction(o.beta1, slot.steps)) + changes * (o.lr * o.beta2 / correction(o.beta2, slot.steps))) /
      divisor(squares, o.beta3, slot.steps, o.eps);
  const double decay = o.lr * o.weight_decay;
  slot.parameter.copy_(o.no_prox ? w.p * (1 - decay) - step : (w.p - step) / (1 + decay));
}

// ---- AdamP
void AdamP::check() const {
  for (const AdamPOptions& o : options_) {
    check_rate("lr", o.lr), check_rate("eps", o.eps), check_rate("weight_decay", o.weight_decay);
    check_rate("delta", o.delta), check_rate("wd_ratio", o.wd_ratio);
    check_rate("betas.first", o.betas.first, 1), check_rate("betas.second", o.betas.second, 1);
  }
}
Optimizer::Names AdamP::state_names(size_t) const { return kMeans; }
void AdamP::update(size_t group, Slot& slot, const Gradient& gradient) {
  const AdamPOptions& o = options_[group];
  Wide w(slot.parameter, gradient, o.maximize);
  average(slot.state[0], slot.state[1], w.g, o.betas);
  AnyTensor ahead = o.nesterov ? slot.state[0] * o.betas.first + w.g * (1 - o.betas.first) : slot.state[0];
  AnyTensor step = ahead / divisor(slot.state[1], o.betas.second, slot.steps, o.eps);
  double ratio = 1;
  // First each output of a layer by itself, then the layer as a whole.
  for (bool each : {true, false}) {
    if (w.p.dim() < 2) break;
    auto rows = [&](const AnyTensor& x) { return each ? reshape(x, {x.size(0), -1}) : reshape(x, {1, -1}); };
    AnyTensor p = rows(w.p), g = rows(w.g);
    AnyTensor size = norm(p, 2, 1, true), lengths = clamp_min(size, o.eps) * clamp_min(norm(g, 2, 1, true), o.eps);
    double cosine = amax(abs(sum(p * g, 1, true) / lengths)).item();
    if (!(cosine < o.delta / std::sqrt(double(p.size(1))))) continue;
    AnyTensor direction = p / (size + o.eps), along = rows(step);
    step = reshape(along - direction * sum(direction * along, 1, true), step.shape());
    ratio = o.wd_ratio;
    break;
  }
  slot.parameter.copy_(w.p * (1 - o.lr * o.weight_decay * ratio) - step * (o.lr / correction(o.betas.first, slot.steps)));
}

// ---- Adafactor
void Adafactor::check() const {
  for (const AdafactorOptions& o : options_) {
    check_rate("lr", o.lr), check_rate("eps1", o.eps1), check_rate("eps2", o.eps2), check_rate("weight_decay", o.weight_decay);
    check_rate("d", o.d), check_rate("-beta2_decay", -o.beta2_decay);
    if (o.d == 0) refuse("d is 0; it is what steps are scaled down to");
  }
}
Optimizer::Names Adafactor::state_names(size_t) const {
  static constexpr const char* kNames[] = {"row_var", "col_var", "variance"};
  return kNames;
}
Shape Adafactor::state_shape(size_t, size_t state, const AnyTensor& p) const {
  Shape shape = p.shape();
  if ((p.dim() > 1) == (state == 2)) return {0};  // the other kind's
  if (state < 2) shape[state == 0 ? -1 : -2] = 1;
  return shape;
}
void Adafactor::update(size_t group, Slot& slot, const Gradient& gradient) {
  const AdafactorOptions& o = options_[group];
  Wide w(slot.parameter, gradient, o.maximize);
  const double fresh = std::pow(double(slot.steps), o.beta2_decay), rate = std::min(o.lr, 1 / std::sqrt(double(slot.steps)));
  const double scale = std::max(o.eps2, length(w.p) / std::sqrt(double(w.p.numel()))) * rate;
  const double least = o.eps1 > 0                      ? o.eps1
                       : w.p.dtype() == DType::float64 ? std::numeric_limits<double>::epsilon()
                                                       : double(std::numeric_limits<float>::epsilon());
  auto follow = [&](AnyTensor& state, const AnyTensor& now) { state.copy_(state + (now - state) * fresh); };
  AnyTensor variance, squares = square(w.g);
  if (w.p.dim() > 1) {
    follow(slot.state[0], mean(squares, -1, true));
    follow(slot.state[1], mean(squares, -2, true));
    variance = matmul(slot.state[0], slot.state[1]) / clamp_min(mean(slot.state[0], -2, true), least);
  } else {
    follow(slot.state[2], squares);
    variance = slot.state[2];
  }
  AnyTensor step = w.g * rsqrt(clamp_min(variance, least * least));
  const double size = length(step) / (std::sqrt(double(w.p.numel())) * o.d);
  slot.parameter.copy_(w.p * (1 - o.lr * o.weight_decay) - step * (scale / std::max(1.0, size)));
}

// ---- Muon
void Muon::check() const {
  for (const MuonOptions& o : options_) {
    check_rate("lr", o.lr), check_rate("eps", o.eps), check_rate("weight_decay", o.weight_decay),
        check_rate("momentum", o.momentum);
    if (o.ns_steps < 0) refuse("ns_steps is " + std::to_string(o.ns_steps) + "; it must be 0 or more");
  }
  for (size_t g = 0; g < group_count(); ++g)
    for (const AnyTensor& p : parameters(g))
      if (p.dim() != 2) refuse("a parameter has shape " + to_string(p.shape()) + "; matrices are needed, others belong to AdamW");
}
Optimizer::Names Muon::state_names(size_t) const {
  static constexpr const char* kNames[] = {"momentum_buffer"};
  return kNames;
}
void Muon::update(size_t group, Slot& slot, const Gradient& gradient) {
  const MuonOptions& o = options_[group];
  Wide w(slot.parameter, gradient, o.maximize);
  AnyTensor& velocity = slot.state[0];
  velocity.copy_(velocity + (w.g - velocity) * (1 - o.momentum));
  AnyTensor aim = o.nesterov ? w.g + (velocity - w.g) * o.momentum : velocity;
  const double rows = double(w.p.size(0)), columns = double(w.p.size(1));
  const bool tall = rows > columns;
  AnyTensor x = to(tall ? aim.t() : aim, DType::bfloat16);
  x = x / clamp_min(norm(x), o.eps);
  for (int64_t k = 0; k < o.ns_steps; ++k) {
    AnyTensor gram = matmul(x, x.t());
    x = addmm(x, addmm(gram, gram, gram, {.beta = o.b, .alpha = o.c}), x, {.beta = o.a});
  }
  if (tall) x = x.t();
  const double scale = o.match_rms_adamw ? 0.2 * std::sqrt(std::max(rows, columns)) : std::sqrt(std::max(1.0, rows / columns));
  slot.parameter.copy_(w.p * (1 - o.lr * o.weight_decay) - to(x, w.p.dtype()) * (o.lr * scale));
}

}  // namespace gradus::optim
