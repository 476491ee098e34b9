// Averages, signs and single steps.
#pragma once
#include "gradus/optim/optimizer.h"

namespace gradus::optim {

struct ASGDOptions {
  double lr = 1e-2;
  double lambd = 1e-4;
  double alpha = 0.75;
  double t0 = 1e6;  // the step from which parameters are averaged
  double weight_decay = 0;
  bool maximize = false;
};
/// Polyak and Juditsky: Acceleration of stochastic approximation by averaging (1992). average() is what to evaluate with.
class ASGD : public OptimizerWith<ASGDOptions> {
 public:
  GRADUS_OPTIMIZER(ASGD)
};

struct RpropOptions {
  double lr = 1e-2;  // the first step's size
  double eta_minus = 0.5, eta_plus = 1.2;
  double step_min = 1e-6, step_max = 50;
  bool maximize = false;
};
/// Riedmiller and Braun (1993): for gradients of the whole data, of which only signs count.
class Rprop : public OptimizerWith<RpropOptions> {
 public:
  GRADUS_OPTIMIZER(Rprop)

  double initial(size_t group, size_t state) const override { return state == 1 ? options_[group].lr : 0; }
};

struct LionOptions {
  double lr = 1e-4;
  Betas betas = {0.9, 0.99};
  double weight_decay = 0;  // taken from the parameter itself, times lr
  bool maximize = false;
};
/// Chen et al.: Symbolic discovery of optimization algorithms (2023).
class Lion : public OptimizerWith<LionOptions> {
 public:
  GRADUS_OPTIMIZER(Lion)
 public:
  double* momentum(size_t group) override { return &options_.at(group).betas.first; }
};

}  // namespace gradus::optim
