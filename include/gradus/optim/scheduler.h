// Learning rates that change from step to step.
//
//   optim::CosineAnnealingLR scheduler(optimizer, {.T_max = epochs});
//   for (...) { train(); scheduler.step(); }
//
// A schedule is a function of the number of steps and the rate that a group began with: a run that resumes sets the number and is there.
#pragma once
#include <functional>

#include "gradus/optim/optimizer.h"

namespace gradus::optim {

/// The rate after `step` calls of step() for a group that began with `base`.
using Schedule = std::function<double(int64_t step, double base)>;

/// Sets the rates of an optimizer, which must outlive it and stay where it is: those of step 0 when it is made, the next ones with
/// every step().
class Scheduler {
 public:
  Scheduler(Optimizer& optimizer, Schedule schedule);
  virtual ~Scheduler();
  void step() { set_steps(steps_ + 1); }
  int64_t steps() const { return steps_; }
  /// Jumps to where so many calls of step() would have led.
  void set_steps(int64_t steps);

 protected:
  virtual void apply();
  Optimizer& optimizer_;
  std::vector<double> base_;  // of each group
  int64_t steps_ = 0;

 private:
  Schedule schedule_;
};

/// base * f(step).
class LambdaLR : public Scheduler {
 public:
  LambdaLR(Optimizer& optimizer, std::function<double(int64_t)> f)
      : Scheduler(optimizer, [f = std::move(f)](int64_t step, double base) { return base * f(step); }) {}
};

#define GRADUS_SCHEDULER(Name)                                                                           \
  class Name : public Scheduler {                                                                        \
   public:                                                                                               \
    Name(Optimizer& optimizer, const Name##Options& options) : Scheduler(optimizer, checked(options)) {} \
    static Schedule checked(const Name##Options& options);                                               \
  };

/// times gamma every step_size steps.
struct StepLROptions {
  int64_t step_size = 1;
  double gamma = 0.1;
};
GRADUS_SCHEDULER(StepLR)

/// times gamma at each milestone.
struct MultiStepLROptions {
  std::vector<int64_t> milestones;
  double gamma = 0.1;
};
GRADUS_SCHEDULER(MultiStepLR)

/// times factor for total_iters steps, then the base.
struct ConstantLROptions {
  double factor = 1.0 / 3;
  int64_t total_iters = 5;
};
GRADUS_SCHEDULER(ConstantLR)

/// From start_factor to end_factor in total_iters steps: a warm-up.
struct LinearLROptions {
  double start_factor = 1.0 / 3, end_factor = 1;
  int64_t total_iters = 5;
};
GRADUS_SCHEDULER(LinearLR)

/// times gamma every step.
struct ExponentialLROptions {
  double gamma = 0.9;
};
GRADUS_SCHEDULER(ExponentialLR)

/// To zero in total_iters steps as (1 - step / total_iters) ^ power.
struct PolynomialLROptions {
  int64_t total_iters = 5;
  double power = 1;
};
GRADUS_SCHEDULER(PolynomialLR)

/// Half a cosine from the base to eta_min in T_max steps; after that back up, as PyTorch has it.
struct CosineAnnealingLROptions {
  int64_t T_max = 1;
  double eta_min = 0;
};
GRADUS_SCHEDULER(CosineAnnealingLR)

/// The same that starts again after T_0 steps, then after T_0 * T_mult, ... (Loshchilov and Hutter: SGDR, 2017).
struct CosineAnnealingWarmRestartsOptions {
  int64_t T_0 = 1, T_mult = 1;
  double eta_min = 0;
};
GRADUS_SCHEDULER(CosineAnnealingWarmRestarts)

/// Up from base_lr to max_lr and down again (Smith, 2017). exp_range: the height shrinks with gamma; triangular2: it halves each cycle.
enum class Cycle { triangular, triangular2, exp_range };
struct CyclicLROptions {
  double base_lr = 1e-3, max_lr = 1e-2;
  int64_t step_size_up = 2000, step_size_down = 0;  // 0: as up
  Cycle mode = Cycle::triangular;
  double gamma = 1;
};
GRADUS_SCHEDULER(CyclicLR)
#undef GRADUS_SCHEDULER

/// Warm up to max_lr, then down to almost nothing, while the momentum goes the other way (Smith and Topin, 2018).
enum class Anneal { cosine, linear };
struct OneCycleLROptions {
  double max_lr = 0.1;
  int64_t total_steps = 1;
  double pct_start = 0.3;  // of the steps spent going up
  Anneal anneal = Anneal::cosine;
  bool cycle_momentum = true;
  double base_momentum = 0.85, max_momentum = 0.95;
  double div_factor = 25, final_div_factor = 1e4;  // max_lr / the first rate; the first / the last
  bool three_phase = false;                        // down as fast as up, then on to the end
};
class OneCycleLR : public Scheduler {
 public:
  OneCycleLR(Optimizer& optimizer, const OneCycleLROptions& options);

 protected:
  void apply() override;

 private:
  OneCycleLROptions options_;
};

/// One schedule after the other: each counts its own steps from where it begins.
struct Stage {
  int64_t from = 0;
  Schedule schedule;
};
///   optim::SequentialLR scheduler(optimizer, {{0, optim::LinearLR::checked({.start_factor = 0.1, .total_iters = 5})},
///                                             {5, optim::CosineAnnealingLR::checked({.T_max = 95})}});
class SequentialLR : public Scheduler {
 public:
  SequentialLR(Optimizer& optimizer, std::vector<Stage> stages);
};

/// times factor when a metric has not got better for `patience` steps.
struct ReduceLROnPlateauOptions {
  bool maximize = false;  // better is larger
  double factor = 0.1;
  int64_t patience = 10;
  double threshold = 1e-4;         // what counts as better
  bool relative_threshold = true;  // threshold times the best, or threshold itself
  int64_t cooldown = 0;            // steps after a reduction that are not judged
  double min_lr = 0;
  double eps = 1e-8;  // smaller changes of the rate are not made
};
class ReduceLROnPlateau {
 public:
  ReduceLROnPlateau(Optimizer& optimizer, const ReduceLROnPlateauOptions& options = {});
  void step(double metric);

 private:
  Optimizer& optimizer_;
  ReduceLROnPlateauOptions options_;
  double best_;
  int64_t bad_ = 0, cooling_ = 0;
};

}  // namespace gradus::optim
