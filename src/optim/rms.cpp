#include "gradus/optim/rms.h"

#include "src/optim/bodies.h"

namespace gradus::optim {

GRADUS_OPTIMIZER_BODIES(RMSprop)
GRADUS_OPTIMIZER_BODIES(Adagrad)
GRADUS_OPTIMIZER_BODIES(Adadelta)

void RMSprop::check() const {
  for (const RMSpropOptions& o : options_) {
    check_rate("lr", o.lr), check_rate("eps", o.eps), check_rate("momentum", o.momentum);
    check_rate("weight_decay", o.weight_decay), check_rate("alpha", o.alpha);
  }
}
Optimizer::Names RMSprop::state_names(size_t group) const {
  static constexpr const char* kNames[] = {"square_avg", "grad_avg", "momentum_buffer"};
  return {kNames, !options_[group].centered && options_[group].momentum == 0 ? 1u : 3u};
}
void RMSprop::update(size_t group, Slot& slot, const Gradient& g) {
  const RMSpropOptions& o = options_[group];
  double sign = o.maximize ? -1 : 1;
  if (!o.centered && o.momentum == 0)
    return updates_.add(
        slot.parameter, g, {slot.state[0]},
        update::rmsprop{.sign = sign, .decay = o.weight_decay, .keep = o.alpha, .mix = 1 - o.alpha, .eps = o.eps, .lr = o.lr});
  updates_.add(slot.parameter, g, {slot.state[0], slot.state[1], slot.state[2]},
               update::rmsprop_centered{.sign = sign,
                                        .decay = o.weight_decay,
                                        .keep = o.alpha,
                                        .mix = 1 - o.alpha,
                                        .centered = o.centered ? 1.0 : 0.0,
                                        .momentum = o.momentum,
                                        .eps = o.eps,
                                        .lr = o.lr});
}

void Adagrad::check() const {
  for (const AdagradOptions& o : options_) {
    check_rate("lr", o.lr), check_rate("lr_decay", o.lr_decay), check_rate("eps", o.eps);
    check_rate("weight_decay", o.weight_decay), check_rate("initial_accumulator_value", o.initial_accumulator_value);
  }
}
Optimizer::Names Adagrad::state_names(size_t) const {
  static constexpr const char* kNames[] = {"sum"};
  return kNames;
}
void Adagrad::update(size_t group, Slot& slot, const Gradient& g) {
  const AdagradOptions& o = options_[group];
  updates_.add(slot.parameter, g, {slot.state[0]},
               update::adagrad{.sign = o.maximize ? -1.0 : 1.0,
                               .decay = o.weight_decay,
                               .eps = o.eps,
                               .lr = o.lr / (1 + double(slot.steps - 1) * o.lr_decay)});
}

void Adadelta::check() const {
  for (const AdadeltaOptions& o : options_) {
    check_rate("lr", o.lr), check_rate("eps", o.eps), check_rate("weight_decay", o.weight_decay);
    check_rate("rho", o.rho, 1.0000001);
  }
}
Optimizer::Names Adadelta::state_names(size_t) const {
  static constexpr const char* kNames[] = {"square_avg", "acc_delta"};
  return kNames;
}
void Adadelta::update(size_t group, Slot& slot, const Gradient& g) {
  const AdadeltaOptions& o = options_[group];
  updates_.add(
      slot.parameter, g, {slot.state[0], slot.state[1]},
      update::adadelta{
          .sign = o.maximize ? -1.0 : 1.0, .decay = o.weight_decay, .keep = o.rho, .mix = 1 - o.rho, .eps = o.eps, .lr = o.lr});
}

}  // namespace gradus::optim
