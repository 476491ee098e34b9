// What all optimizers have: groups of parameters with options of their own, states beside each parameter, one fused step for all.
//
//   optim::AdamW optimizer(net.parameters(), {.lr = 1e-3});
//   ...
//   optimizer.zero_grad();
//   loss.backward();
//   optimizer.step();
#pragma once
#include <span>

#include "gradus/core/named_tensor.h"
#include "gradus/ops/update.h"

namespace gradus::optim {

/// An optimizer holds tensors, not modules: the module may move, and change its dtype or device.
class Optimizer {
 public:
  virtual ~Optimizer();
  Optimizer(Optimizer&&) = default;
  Optimizer& operator=(Optimizer&&) = default;

  /// Drops the gradients of all parameters.
  void zero_grad();
  /// Takes one step with the gradients that are there; parameters without one stay as they are, and so do their states.
  void step();

  size_t group_count() const { return groups_.size(); }
  const std::vector<AnyTensor>& parameters(size_t group) const { return groups_.at(group); }
  double lr(size_t group = 0) const;
  void set_lr(double lr, size_t group);
  /// For all groups.
  void set_lr(double lr);
  /// The momentum, or the first of the betas, of a group; null for an optimizer without one.
  virtual double* momentum(size_t) { return nullptr; }

  /// What a run needs to go on as if it had never stopped: states and counts of steps by the parameter's number ("state.0.exp_avg"), and
  /// what schedulers change ("groups.0.lr"). Handles, not copies.
  NamedTensors state() const;
  /// Puts such a state in place. Throws ValueError for names that this optimizer does not know, ShapeError where shapes differ; then
  /// nothing has changed.
  void load_state(const NamedTensors& state);

 protected:
  static constexpr int kMaxStates = 4;
  using Names = std::span<const char* const>;
  /// A parameter and what belongs to it.
  struct Slot {
    AnyTensor parameter;
    int64_t steps = 0;            // taken with this parameter
    double number = 0;            // whatever an optimizer counts besides; saved as number_name()
    AnyTensor state[kMaxStates];  // made at the first step
  };
  Optimizer(const char* name, std::vector<std::vector<AnyTensor>> groups);
  /// Before the first parameter of a step.
  virtual void begin_step() {}
  /// Adds the step of one parameter to updates_, or takes it at once; its state is there, slot.steps counts this step already.
  virtual void update(size_t group, Slot& slot, const Gradient& gradient) = 0;
  /// The names of the states that a parameter of this group has, as PyTorch calls them.
  virtual Names state_names(size_t group) const = 0;
  /// The shape of a state: the parameter's own unless said otherwise.
  virtual Shape state_shape(size_t group, size_t state, const AnyTensor& parameter) const;
  /// What a state is at first.
  virtual double initial(size_t group, size_t state) const;
  virtual const char* number_name() const { return nullptr; }
  virtual double initial_number() const { return 0; }
  virtual double& learning_rate(size_t group) = 0;
  [[noreturn]] void refuse(const std::string& what) const;                      // ValueError, with the optimizer's name
  void check_rate(const char* what, double value, double below = 1e300) const;  // [0, below)

  Updates updates_;

 private:
  struct Counted {  // where a slot stood
    size_t group, index;
    int64_t steps;
    double number;
  };
  void prepare(size_t group, Slot& slot);
  void put_back(const Counted& before);
  AnyTensor new_state(size_t group, size_t state, const AnyTensor& parameter, double value = 0) const;
  const char* name_;
  std::vector<std::vector<AnyTensor>> groups_;
  std::vector<std::vector<Slot>> slots_;
};

/// Parameters that share options.
template <class Options> struct Group {
  std::vector<AnyTensor> parameters;
  Options options = {};
};

/// An optimizer whose groups have options of one type.
template <class O> class OptimizerWith : public Optimizer {
 public:
  using Options = O;
  using Group = optim::Group<O>;
  Options& options(size_t group = 0) { return options_.at(group); }
  const Options& options(size_t group = 0) const { return options_.at(group); }

 protected:
  OptimizerWith(const char* name, std::vector<AnyTensor> parameters, const Options& options)
      : Optimizer(name, {std::move(parameters)}), options_{options} {}
  OptimizerWith(const char* name, const std::vector<Group>& groups) : Optimizer(name, lists(groups)) {
    for (const Group& g : groups) options_.push_back(g.options);
  }
  double& learning_rate(size_t group) override { return options_[group].lr; }
  std::vector<Options> options_;

 private:
  static std::vector<std::vector<AnyTensor>> lists(const std::vector<Group>& groups) {
    std::vector<std::vector<AnyTensor>> lists;
    for (const Group& g : groups) lists.push_back(g.parameters);
    return lists;
  }
};

struct Betas {
  double first = 0.9, second = 0.999;
};

/// Declares an optimizer's constructors, its destructor and what it overrides; Name##Options are its options. The bodies are in the .cpp
/// (GRADUS_OPTIMIZER_BODIES): here, everything below them would be compiled wherever the header is included.
#define GRADUS_OPTIMIZER(Name)                                                   \
  explicit Name(std::vector<AnyTensor> parameters, const Name##Options& o = {}); \
  explicit Name(const std::vector<Group>& groups);                               \
  Name(Name&&) = default;                                                        \
  Name& operator=(Name&&) = default;                                             \
  ~Name() override;                                                              \
                                                                                 \
 protected:                                                                      \
  void update(size_t group, Slot& slot, const Gradient& gradient) override;      \
  Names state_names(size_t group) const override;                                \
                                                                                 \
 private:                                                                        \
  void check() const;

}  // namespace gradus::optim
