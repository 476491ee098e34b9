#include "gradus/optim/adam.h"

#include <cmath>

#include "src/optim/bodies.h"

namespace gradus::optim {

GRADUS_OPTIMIZER_BODIES(Adam)
GRADUS_OPTIMIZER_BODIES(AdamW)
GRADUS_OPTIMIZER_BODIES(Adamax)
GRADUS_OPTIMIZER_BODIES(NAdam)
GRADUS_OPTIMIZER_BODIES(RAdam)

namespace {

template <class O> double sign_of(const O& o) { return o.maximize ? -1 : 1; }
double correction(double beta, int64_t steps) { return 1 - std::pow(beta, double(steps)); }

/// Adam and AdamW differ in where the decay goes.
template <class O> update::adam adam_rates(const O& o, int64_t steps, double decay, double shrink) {
  return {.sign = sign_of(o),
          .decay = decay,
          .shrink = shrink,
          .mix1 = 1 - o.betas.first,
          .keep2 = o.betas.second,
          .mix2 = 1 - o.betas.second,
          .scale = 1 / std::sqrt(correction(o.betas.second, steps)),
          .eps = o.eps,
          .lr = o.lr / correction(o.betas.first, steps)};
}
template <class Slot> void add_adam(Updates& updates, const update::adam& r, bool amsgrad, Slot& slot, const Gradient& g) {
  if (!amsgrad) return updates.add(slot.parameter, g, {slot.state[0], slot.state[1]}, r);
  updates.add(slot.parameter, g, {slot.state[0], slot.state[1], slot.state[2]},
              update::amsgrad{r.sign, r.decay, r.shrink, r.mix1, r.keep2, r.mix2, r.scale, r.eps, r.lr});
}
constexpr const char* kStates[] = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"};
constexpr const char* kAdamaxStates[] = {"exp_avg", "exp_inf"};
std::span<const char* const> adam_states(bool amsgrad) { return {kStates, amsgrad ? 3u : 2u}; }

}  // namespace

#define GRADUS_CHECK(Name)                                                                        \
  void Name::check() const {                                                                      \
    for (const auto& o : options_) {                                                              \
      check_rate("lr", o.lr), check_rate("eps", o.eps);                                           \
      check_rate("betas.first", o.betas.first, 1), check_rate("betas.second", o.betas.second, 1); \
      check_rate("weight_decay", o.weight_decay);                                                 \
    }                                                                                             \
  }
GRADUS_CHECK(Adam)
GRADUS_CHECK(AdamW)
GRADUS_CHECK(Adamax)
GRADUS_CHECK(NAdam)
GRADUS_CHECK(RAdam)
#undef GRADUS_CHECK

Optimizer::Names Adam::state_names(size_t group) const { return adam_states(options_[group].amsgrad); }
void Adam::update(size_t group, Slot& slot, const Gradient& g) {
  const AdamOptions& o = options_[group];
  add_adam(updates_, adam_rates(o, slot.steps, o.weight_decay, 1), o.amsgrad, slot, g);
}

Optimizer::Names AdamW::state_names(size_t group) const { return adam_states(options_[group].amsgrad); }
void AdamW::update(size_t group, Slot& slot, const Gradient& g) {
  const AdamWOptions& o = options_[group];
  add_adam(updates_, adam_rates(o, slot.steps, 0, 1 - o.lr * o.weight_decay), o.amsgrad, slot, g);
}

Optimizer::Names Adamax::state_names(size_t) const { return kAdamaxStates; }
void Adamax::update(size_t group, Slot& slot, const Gradient& g) {
  const AdamaxOptions& o = options_[group];
  updates_.add(slot.parameter, g, {slot.state[0], slot.state[1]},
               update::adamax{.sign = sign_of(o),
                              .decay = o.weight_decay,
                              .mix1 = 1 - o.betas.first,
                              .keep2 = o.betas.second,
                              .eps = o.eps,
                              .lr = o.lr / correction(o.betas.first, slot.steps)});
}

Optimizer::Names NAdam::state_names(size_t) const { return adam_states(false); }
void NAdam::update(size_t group, Slot& slot, const Gradient& g) {
  const NAdamOptions& o = options_[group];
  auto mu_at = [&](int64_t step) { return o.betas.first * (1 - 0.5 * std::pow(0.96, double(step) * o.momentum_decay)); };
  double mu = mu_at(slot.steps), next = mu_at(slot.steps + 1);
  slot.number *= mu;  // the product of all so far
  bool decoupled = o.decoupled_weight_decay;
  updates_.add(slot.parameter, g, {slot.state[0], slot.state[1]},
               update::nadam{.sign = sign_of(o),
                             .decay = decoupled ? 0 : o.weight_decay,
                             .shrink = decoupled ? 1 - o.lr * o.weight_decay : 1,
                             .mix1 = 1 - o.betas.first,
                             .keep2 = o.betas.second,
                             .mix2 = 1 - o.betas.second,
                             .scale = 1 / std::sqrt(correction(o.betas.second, slot.steps)),
                             .eps = o.eps,
                             .now = o.lr * (1 - mu) / (1 - slot.number),
                             .next = o.lr * next / (1 - slot.number * next)});
}

Optimizer::Names RAdam::state_names(size_t) const { return adam_states(false); }
void RAdam::update(size_t group, Slot& slot, const Gradient& g) {
  const RAdamOptions& o = options_[group];
  double steps = double(slot.steps), beta2 = o.betas.second;
  double correction1 = correction(o.betas.first, slot.steps), correction2 = correction(beta2, slot.steps);
  // The length of the mean square's memory; only where it is long enough is the variance known and used.
  double rho_inf = 2 / (1 - beta2) - 1, rho = rho_inf - 2 * steps * std::pow(beta2, steps) / correction2;
  bool known = rho > 5;
  double rectified =
      known ? std::sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)) * std::sqrt(correction2) : 0;
  bool decoupled = o.decoupled_weight_decay;
  updates_.add(slot.parameter, g, {slot.state[0], slot.state[1]},
               update::radam{.sign = sign_of(o),
                             .decay = decoupled ? 0 : o.weight_decay,
                             .shrink = decoupled ? 1 - o.lr * o.weight_decay : 1,
                             .mix1 = 1 - o.betas.first,
                             .keep2 = beta2,
                             .mix2 = 1 - beta2,
                             .eps = o.eps,
                             .plain = known ? 0 : o.lr / correction1,
                             .adaptive = o.lr / correction1 * rectified});
}

}  // namespace gradus::optim
