#include "gradus/optim/more.h"

#include <cmath>

#include "src/optim/bodies.h"

namespace gradus::optim {

GRADUS_OPTIMIZER_BODIES(ASGD)
GRADUS_OPTIMIZER_BODIES(Rprop)
GRADUS_OPTIMIZER_BODIES(Lion)

void ASGD::check() const {
  for (const ASGDOptions& o : options_) {
    check_rate("lr", o.lr), check_rate("lambd", o.lambd), check_rate("alpha", o.alpha);
    check_rate("t0", o.t0), check_rate("weight_decay", o.weight_decay);
  }
}
Optimizer::Names ASGD::state_names(size_t) const {
  static constexpr const char* kNames[] = {"ax"};
  return kNames;
}
void ASGD::update(size_t group, Slot& slot, const Gradient& g) {
  const ASGDOptions& o = options_[group];
  double before = double(slot.steps - 1);  // the rates are those that the step before this one set
  double eta = before == 0 ? o.lr : o.lr / std::pow(1 + o.lambd * o.lr * before, o.alpha);
  double mu = 1 / std::fmax(1, before - o.t0);
  updates_.add(
      slot.parameter, g, {slot.state[0]},
      update::asgd{.sign = o.maximize ? -1.0 : 1.0, .decay = o.weight_decay, .shrink = 1 - o.lambd * eta, .mix = mu, .lr = eta});
}

void Rprop::check() const {
  for (const RpropOptions& o : options_) {
    check_rate("lr", o.lr), check_rate("step_min", o.step_min);
    if (!(0 < o.eta_minus && o.eta_minus < 1 && 1 < o.eta_plus))
      refuse("eta_minus must be between 0 and 1, eta_plus above 1; got " + std::to_string(o.eta_minus) + " and " +
             std::to_string(o.eta_plus));
    if (!(o.step_min <= o.step_max)) refuse("step_min is larger than step_max");
  }
}
Optimizer::Names Rprop::state_names(size_t) const {
  static constexpr const char* kNames[] = {"prev", "step_size"};
  return kNames;
}
void Rprop::update(size_t group, Slot& slot, const Gradient& g) {
  const RpropOptions& o = options_[group];
  updates_.add(
      slot.parameter, g, {slot.state[0], slot.state[1]},
      update::rprop{
          .sign = o.maximize ? -1.0 : 1.0, .up = o.eta_plus, .down = o.eta_minus, .least = o.step_min, .most = o.step_max});
}

void Lion::check() const {
  for (const LionOptions& o : options_) {
    check_rate("lr", o.lr), check_rate("weight_decay", o.weight_decay);
    check_rate("betas.first", o.betas.first, 1), check_rate("betas.second", o.betas.second, 1);
  }
}
Optimizer::Names Lion::state_names(size_t) const {
  static constexpr const char* kNames[] = {"exp_avg"};
  return kNames;
}
void Lion::update(size_t group, Slot& slot, const Gradient& g) {
  const LionOptions& o = options_[group];
  updates_.add(slot.parameter, g, {slot.state[0]},
               update::lion{.sign = o.maximize ? -1.0 : 1.0,
                            .shrink = 1 - o.lr * o.weight_decay,
                            .mix1 = 1 - o.betas.first,
                            .mix2 = 1 - o.betas.second,
                            .lr = o.lr});
}

}  // namespace gradus::optim
