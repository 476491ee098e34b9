#include "gradus/optim/sgd.h"

#include "src/optim/bodies.h"

namespace gradus::optim {

GRADUS_OPTIMIZER_BODIES(SGD)

void SGD::check() const {
  for (const SGDOptions& o : options_) {
    check_rate("lr", o.lr), check_rate("momentum", o.momentum), check_rate("weight_decay", o.weight_decay);
    if (o.nesterov && (o.momentum <= 0 || o.dampening != 0)) refuse("nesterov needs a momentum and no dampening");
  }
}
Optimizer::Names SGD::state_names(size_t group) const {
  static constexpr const char* kNames[] = {"momentum_buffer"};
  return {kNames, options_[group].momentum == 0 ? 0u : 1u};
}
void SGD::update(size_t group, Slot& slot, const Gradient& g) {
  const SGDOptions& o = options_[group];
  double sign = o.maximize ? -1 : 1;
  if (o.momentum == 0 && o.weight_decay == 0) return updates_.add(slot.parameter, g, {}, update::descent{.lr = sign * o.lr});
  if (o.momentum == 0) return updates_.add(slot.parameter, g, {}, update::sgd{.sign = sign, .decay = o.weight_decay, .lr = o.lr});
  bool first = slot.steps == 1;  // the velocity begins as the whole gradient
  updates_.add(slot.parameter, g, {slot.state[0]},
               update::momentum{.sign = sign,
                                .decay = o.weight_decay,
                                .keep = o.momentum,
                                .mix = first ? 1 : 1 - o.dampening,
                                .ahead = o.nesterov ? 1.0 : 0.0,
                                .follow = o.nesterov ? o.momentum : 1,
                                .lr = o.lr});
}

}  // namespace gradus::optim
