#include "gradus/optim/scheduler.h"

#include <algorithm>
#include <cmath>

#include "gradus/core/capture.h"

namespace gradus::optim {
namespace {

constexpr double kPi = 3.14159265358979323846;

[[noreturn]] void refuse(const char* scheduler, const std::string& what) { throw ValueError(std::string(scheduler) + ": " + what); }
void check_positive(const char* scheduler, const char* what, int64_t n) {
  if (n < 1) refuse(scheduler, std::string(what) + " is " + std::to_string(n) + "; it must be at least 1");
}
double half_cosine(double from, double to, double part) { return to + (from - to) * (1 + std::cos(kPi * part)) / 2; }

}  // namespace

Scheduler::Scheduler(Optimizer& optimizer, Schedule schedule) : optimizer_(optimizer), schedule_(std::move(schedule)) {
  for (size_t g = 0; g < optimizer.group_count(); ++g) base_.push_back(optimizer.lr(g));
  if (schedule_) Scheduler::apply();
}
Scheduler::~Scheduler() = default;
void Scheduler::set_steps(int64_t steps) {
  refuse_to_capture("Scheduler::step", "sets rates, which replays would not do");
  if (steps < 0) refuse("set_steps", std::to_string(steps) + " steps");
  steps_ = steps;
  apply();
}
void Scheduler::apply() {
  for (size_t g = 0; g < base_.size(); ++g) optimizer_.set_lr(schedule_(steps_, base_[g]), g);
}

Schedule StepLR::checked(const StepLROptions& o) {
  check_positive("StepLR", "step_size", o.step_size);
  return [o](int64_t t, double base) { return base * std::pow(o.gamma, double(t / o.step_size)); };
}
Schedule MultiStepLR::checked(const MultiStepLROptions& o) {
  return [o](int64_t t, double base) {
    auto passed = std::count_if(o.milestones.begin(), o.milestones.end(), [t](int64_t m) { return m <= t; });
    return base * std::pow(o.gamma, double(passed));
  };
}
Schedule ConstantLR::checked(const ConstantLROptions& o) {
  if (!(o.factor >= 0 && o.factor <= 1))
    refuse("ConstantLR", "factor is " + std::to_string(o.factor) + "; it must be between 0 and 1");
  return [o](int64_t t, double base) { return t < o.total_iters ? base * o.factor : base; };
}
Schedule LinearLR::checked(const LinearLROptions& o) {
  check_positive("LinearLR", "total_iters", o.total_iters);
  if (!(o.start_factor > 0 && o.start_factor <= 1 && o.end_factor >= 0 && o.end_factor <= 1))
    refuse("LinearLR",
           "factors " + std::to_string(o.start_factor) + " and " + std::to_string(o.end_factor) + " must be between 0 and 1");
  return [o](int64_t t, double base) {
    double part = double(std::min(t, o.total_iters)) / double(o.total_iters);
    return base * (o.start_factor + (o.end_factor - o.start_factor) * part);
  };
}
Schedule ExponentialLR::checked(const ExponentialLROptions& o) {
  return [o](int64_t t, double base) { return base * std::pow(o.gamma, double(t)); };
}
Schedule PolynomialLR::checked(const PolynomialLROptions& o) {
  check_positive("PolynomialLR", "total_iters", o.total_iters);
  return [o](int64_t t, double base) {
    return base * std::pow(1 - double(std::min(t, o.total_iters)) / double(o.total_iters), o.power);
  };
}
Schedule CosineAnnealingLR::checked(const CosineAnnealingLROptions& o) {
  check_positive("CosineAnnealingLR", "T_max", o.T_max);
  return [o](int64_t t, double base) { return half_cosine(base, o.eta_min, double(t) / double(o.T_max)); };
}
Schedule CosineAnnealingWarmRestarts::checked(const CosineAnnealingWarmRestartsOptions& o) {
  check_positive("CosineAnnealingWarmRestarts", "T_0", o.T_0);
  check_positive("CosineAnnealingWarmRestarts", "T_mult", o.T_mult);
  return [o](int64_t t, double base) {
    int64_t period = o.T_0;
    if (o.T_mult == 1) t %= period;
    while (t >= period) t -= period, period *= o.T_mult;
    return half_cosine(base, o.eta_min, double(t) / double(period));
  };
}
Schedule CyclicLR::checked(const CyclicLROptions& o) {
  check_positive("CyclicLR", "step_size_up", o.step_size_up);
  if (o.step_size_down < 0) refuse("CyclicLR", "step_size_down is " + std::to_string(o.step_size_down));
  return [o](int64_t t, double) {
    int64_t down = o.step_size_down ? o.step_size_down : o.step_size_up, period = o.step_size_up + down;
    int64_t cycle = t / period, at = t % period;
    double height = at <= o.step_size_up ? double(at) / double(o.step_size_up) : 1 - double(at - o.step_size_up) / double(down);
    double scale = o.mode == Cycle::triangular    ? 1
                   : o.mode == Cycle::triangular2 ? std::pow(0.5, double(cycle))
                                                  : std::pow(o.gamma, double(t));
    return o.base_lr + (o.max_lr - o.base_lr) * height * scale;
  };
}

OneCycleLR::OneCycleLR(Optimizer& optimizer, const OneCycleLROptions& o) : Scheduler(optimizer, nullptr), options_(o) {
  check_positive("OneCycleLR", "total_steps", o.total_steps);
  if (!(o.pct_start >= 0 && o.pct_start <= 1))
    refuse("OneCycleLR", "pct_start is " + std::to_string(o.pct_start) + ", not between 0 and 1");
  for (size_t g = 0; g < optimizer.group_count() && o.cycle_momentum; ++g)
    if (!optimizer.momentum(g)) refuse("OneCycleLR", "the optimizer has no momentum; pass .cycle_momentum = false");
  OneCycleLR::apply();
}
void OneCycleLR::apply() {
  const OneCycleLROptions& o = options_;
  if (steps_ >= o.total_steps)
    refuse("OneCycleLR", "step " + std::to_string(steps_) + " of a cycle of " + std::to_string(o.total_steps));
  double first = o.max_lr / o.div_factor, last = first / o.final_div_factor, total = double(o.total_steps), t = double(steps_);
  struct Phase {
    double end, lr_from, lr_to, momentum_from, momentum_to;
  };
  double m = o.base_momentum, M = o.max_momentum;
  Phase up{o.pct_start * total - 1, first, o.max_lr, M, m};
  Phase phases[3] = {up, {total - 1, o.max_lr, last, m, M}, {total - 1, last, last, M, M}};
  if (o.three_phase) phases[1] = {2 * o.pct_start * total - 2, o.max_lr, first, m, M}, phases[2] = {total - 1, first, last, M, M};
  double begin = 0;
  for (const Phase& p : phases) {
    if (t > p.end && &p != &phases[2]) {
      begin = p.end;
      continue;
    }
    double part = p.end > begin ? (t - begin) / (p.end - begin) : 1;
    auto between = [&](double from, double to) {
      return o.anneal == Anneal::cosine ? half_cosine(from, to, part) : from + (to - from) * part;
    };
    for (size_t g = 0; g < base_.size(); ++g) {
      optimizer_.set_lr(between(p.lr_from, p.lr_to), g);
      if (o.cycle_momentum) *optimizer_.momentum(g) = between(p.momentum_from, p.momentum_to);
    }
    return;
  }
}

SequentialLR::SequentialLR(Optimizer& optimizer, std::vector<Stage> stages)
    : Scheduler(optimizer, [stages](int64_t t, double base) {
        if (stages.empty() || stages[0].from != 0) refuse("SequentialLR", "the first stage must begin at step 0");
        size_t k = 0;
        for (; k + 1 < stages.size() && stages[k + 1].from <= t; ++k)
          if (stages[k + 1].from <= stages[k].from) refuse("SequentialLR", "stages must begin one after the other");
        return stages[k].schedule(t - stages[k].from, base);
      }) {}

ReduceLROnPlateau::ReduceLROnPlateau(Optimizer& optimizer, const ReduceLROnPlateauOptions& o)
    : optimizer_(optimizer), options_(o), best_(o.maximize ? -HUGE_VAL : HUGE_VAL) {
  if (!(o.factor > 0 && o.factor < 1))
    refuse("ReduceLROnPlateau", "factor is " + std::to_string(o.factor) + ", not between 0 and 1");
}
void ReduceLROnPlateau::step(double metric) {
  const ReduceLROnPlateauOptions& o = options_;
  double sign = o.maximize ? -1 : 1, margin = o.relative_threshold ? o.threshold * std::abs(best_) : o.threshold;
  bool better = std::isinf(best_) ? sign * metric < sign * best_ : sign * metric < sign * best_ - margin;
  if (better)
    best_ = metric, bad_ = 0;
  else
    ++bad_;
  if (cooling_ > 0) --cooling_, bad_ = 0;
  if (bad_ <= o.patience) return;
  for (size_t g = 0; g < optimizer_.group_count(); ++g) {
    double now = optimizer_.lr(g), next = std::max(now * o.factor, o.min_lr);
    if (now - next > o.eps) optimizer_.set_lr(next, g);
  }
  cooling_ = o.cooldown, bad_ = 0;
}

}  // namespace gradus::optim
