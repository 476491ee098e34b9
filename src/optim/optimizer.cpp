#include "gradus/optim/optimizer.h"

#include <unordered_map>
#include <unordered_set>

#include "gradus/autograd/mode.h"
#include "gradus/core/capture.h"
#include "gradus/ops/create.h"

namespace gradus::optim {

Optimizer::Optimizer(const char* name, std::vector<std::vector<AnyTensor>> groups) : name_(name), groups_(std::move(groups)) {
  std::unordered_set<const Impl*> seen;
  size_t count = 0;
  for (auto& group : groups_) {
    slots_.emplace_back();
    for (const AnyTensor& p : group) {
      std::string which = "parameter " + std::to_string(count++);
      if (!p.defined()) refuse(which + " is undefined");
      if (!is_float(p.dtype()))
        throw DTypeError(name_ + (": " + which) + " is " + gradus::name(p.dtype()) + ", not floating point");
      if (!p.is_leaf()) throw GraphError(name_ + (": " + which) + " was made by an op; only leaves can be optimized");
      if (!seen.insert(p.impl()).second) refuse(which + " is given twice");
      slots_.back().emplace_back().parameter = p;
    }
  }
  if (count == 0) refuse("got no parameters; is the module's GRADUS_MEMBERS empty?");
}

Optimizer::~Optimizer() = default;

void Optimizer::zero_grad() {
  for (auto& group : groups_)
    for (const AnyTensor& p : group)
      if (p.requires_grad()) p.set_grad({});
}

double Optimizer::initial(size_t, size_t) const { return 0; }
Shape Optimizer::state_shape(size_t, size_t, const AnyTensor& parameter) const { return parameter.shape(); }
AnyTensor Optimizer::new_state(size_t group, size_t state, const AnyTensor& p, double value) const {
  Shape shape = state_shape(group, state, p);
  if (shape == p.shape()) return state_like(p, value);
  return full(shape, value, is_half(p.dtype()) ? DType::float32 : p.dtype(), p.device());
}

/// States are made at the first step, and follow a parameter whose dtype, device or layout has changed since.
void Optimizer::prepare(size_t group, Slot& slot) {
  const AnyTensor& p = slot.parameter;
  size_t count = state_names(group).size();
  for (size_t k = 0; k < count; ++k) {
    AnyTensor& s = slot.state[k];
    if (!s.defined()) {
      refuse_to_capture(
          name_, "makes its states, which every replay would make anew (each parameter needs a gradient in the step before)");
      s = new_state(group, k, p, initial(group, k));
      continue;
    }
    DType wanted = is_half(p.dtype()) ? DType::float32 : p.dtype();
    bool fits = s.dtype() == wanted && s.device() == p.device() && (s.stride() == p.stride() || !(s.shape() == p.shape()));
    if (fits) continue;
    refuse_to_capture(name_, "makes its states anew for a parameter that has changed");
    AnyTensor fresh = new_state(group, k, p);
    fresh.copy_(s.to(p.device()));
    s = fresh;
  }
}

void Optimizer::step() {
  NoGrad no_grad;
  const bool recording = is_recording();
  std::vector<Counted> counted;  // before a recorded step
  try {
    begin_step();
    for (size_t g = 0; g < slots_.size(); ++g)
      for (size_t i = 0; i < slots_[g].size(); ++i) {
        Slot& slot = slots_[g][i];
        Gradient gradient = Gradient::of(slot.parameter);
        if (!gradient.defined()) continue;
        if (recording) counted.push_back({g, i, slot.steps, slot.number});
        prepare(g, slot);
        if (slot.steps++ == 0) slot.number = initial_number();
        update(g, slot, gradient);
        if (recording && updates_.size() != counted.size())
          refuse_to_capture(name_, "works out its steps with several ops, whose numbers would stay as they are in every replay");
      }
  } catch (...) {
    updates_.clear();
    for (const Counted& c : counted) put_back(c);
    throw;
  }
  if (!recording) return updates_.run();
  on_replay(
      [this, counted, renew = updates_.record()] {
        updates_.begin_renewal();
        try {
          begin_step();
          for (const Counted& c : counted) {
            Slot& slot = slots_[c.group][c.index];
            ++slot.steps;
            update(c.group, slot, AnyTensor());
          }
          renew();
        } catch (...) {
          updates_.clear();
          throw;
        }
      },
      [this, counted] {
        for (const Counted& c : counted) put_back(c);
      });
}

/// As the slot was.
void Optimizer::put_back(const Counted& c) {
  Slot& slot = slots_[c.group][c.index];
  slot.steps = c.steps, slot.number = c.number;
}

double Optimizer::lr(size_t group) const {
  if (group >= slots_.size()) refuse("there is no group " + std::to_string(group));
  return const_cast<Optimizer*>(this)->learning_rate(group);
}
void Optimizer::set_lr(double lr, size_t group) {
  check_rate("lr", lr);
  if (group >= slots_.size()) refuse("there is no group " + std::to_string(group));
  learning_rate(group) = lr;
}
void Optimizer::set_lr(double lr) {
  for (size_t g = 0; g < slots_.size(); ++g) set_lr(lr, g);
}

NamedTensors Optimizer::state() const {
  NamedTensors list;
  size_t index = 0;
  auto& self = const_cast<Optimizer&>(*this);
  for (size_t g = 0; g < slots_.size(); ++g) {
    std::string prefix = "groups." + std::to_string(g) + ".";
    list.push_back({prefix + "lr", full({}, lr(g), DType::float64, kCPU)});
    if (double* momentum = self.momentum(g)) list.push_back({prefix + "momentum", full({}, *momentum, DType::float64, kCPU)});
    Names names = state_names(g);
    for (const Slot& slot : slots_[g]) {
      prefix = "state." + std::to_string(index++) + ".";
      if (slot.steps == 0) continue;
      list.push_back({prefix + "step", full({}, slot.steps, DType::int64, kCPU)});
      if (number_name()) list.push_back({prefix + number_name(), full({}, slot.number, DType::float64, kCPU)});
      for (size_t k = 0; k < names.size(); ++k) list.push_back({prefix + names[k], slot.state[k]});
    }
  }
  return list;
}

void Optimizer::load_state(const NamedTensors& state) {
  std::unordered_map<std::string, AnyTensor> given;
  for (const NamedTensor& t : state) given.emplace(t.name, t.tensor);
  // Everything is read and checked first.
  auto take = [&](const std::string& name) -> AnyTensor {
    auto found = given.find(name);
    if (found == given.end()) refuse("the state has no " + name + "; was it saved by another optimizer, or with other options?");
    AnyTensor x = std::move(found->second);
    given.erase(found);
    if (!x.defined()) refuse("the state's " + name + " is undefined");
    return x;
  };
  auto number = [&](const std::string& name) {
    AnyTensor x = take(name);
    if (x.numel() != 1) throw ShapeError(name_ + (": " + name) + " has shape " + to_string(x.shape()) + ", not one element");
    return x.item();
  };
  NoGrad no_grad;
  std::vector<std::pair<double*, double>> rates;
  std::vector<std::vector<Slot>> slots;
  size_t index = 0;
  for (size_t g = 0; g < slots_.size(); ++g) {
    std::string prefix = "groups." + std::to_string(g) + ".";
    rates.push_back({&learning_rate(g), number(prefix + "lr")});
    if (double* m = momentum(g)) rates.push_back({m, number(prefix + "momentum")});
    Names names = state_names(g);
    slots.emplace_back();
    for (const Slot& now : slots_[g]) {
      Slot& slot = slots.back().emplace_back();
      slot.parameter = now.parameter;
      prefix = "state." + std::to_string(index++) + ".";
      if (!given.count(prefix + "step")) continue;  // it has taken no step yet
      slot.steps = int64_t(number(prefix + "step"));
      if (number_name()) slot.number = number(prefix + number_name());
      for (size_t k = 0; k < names.size(); ++k) {
        AnyTensor x = take(prefix + names[k]);
        slot.state[k] = new_state(g, k, slot.parameter);
        if (!(x.shape() == slot.state[k].shape()))
          throw ShapeError(name_ + (": " + prefix) + names[k] + " has shape " + to_string(x.shape()) + ", the parameter " +
                           to_string(slot.parameter.shape()));
        slot.state[k].copy_(x.to(slot.parameter.device()));
      }
    }
  }
  if (!given.empty()) refuse("the state has " + given.begin()->first + ", which this optimizer does not know");
  for (auto& [to, value] : rates) *to = value;
  slots_ = std::move(slots);
}

void Optimizer::refuse(const std::string& what) const { throw ValueError(name_ + (": " + what)); }
void Optimizer::check_rate(const char* what, double value, double below) const {
  if (!(value >= 0 && value < below))
    refuse(std::string(what) + " is " + std::to_string(value) +
           (below < 1e300 ? "; it must be at least 0 and below " + std::to_string(below) : "; it must be 0 or more"));
}

}  // namespace gradus::optim
