// Adam and its relatives: steps scaled by running means of the gradient and its square.
#pragma once
#include "gradus/optim/optimizer.h"

namespace gradus::optim {

struct AdamOptions {
  double lr = 1e-3;
  Betas betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;  // added to the gradient
  bool amsgrad = false;     // divide by the largest mean square so far
  bool maximize = false;
};
/// Kingma and Ba: Adam, a method for stochastic optimization (2015). AMSGrad: Reddi, Kale, Kumar (2018).
class Adam : public OptimizerWith<AdamOptions> {
 public:
  GRADUS_OPTIMIZER(Adam)
 public:
  double* momentum(size_t group) override { return &options_.at(group).betas.first; }
};

struct AdamWOptions {
  double lr = 1e-3;
  Betas betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 1e-2;  // taken from the parameter itself, times lr
  bool amsgrad = false;
  bool maximize = false;
};
/// Loshchilov and Hutter: Decoupled weight decay regularization (2019).
class AdamW : public OptimizerWith<AdamWOptions> {
 public:
  GRADUS_OPTIMIZER(AdamW)
 public:
  double* momentum(size_t group) override { return &options_.at(group).betas.first; }
};

struct AdamaxOptions {
  double lr = 2e-3;
  Betas betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
  bool maximize = false;
};
/// Adam with the largest instead of the mean square; from the same paper.
class Adamax : public OptimizerWith<AdamaxOptions> {
 public:
  GRADUS_OPTIMIZER(Adamax)
 public:
  double* momentum(size_t group) override { return &options_.at(group).betas.first; }
};

struct NAdamOptions {
  double lr = 2e-3;
  Betas betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum_decay = 4e-3;
  bool decoupled_weight_decay = false;
  bool maximize = false;
};
/// Dozat: Incorporating Nesterov momentum into Adam (2016).
class NAdam : public OptimizerWith<NAdamOptions> {
 public:
  GRADUS_OPTIMIZER(NAdam)
 public:
  double* momentum(size_t group) override { return &options_.at(group).betas.first; }

 private:
  const char* number_name() const override { return "mu_product"; }
  double initial_number() const override { return 1; }
};

struct RAdamOptions {
  double lr = 1e-3;
  Betas betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
  bool decoupled_weight_decay = false;
  bool maximize = false;
};
/// Liu et al.: On the variance of the adaptive learning rate and beyond (2020).
class RAdam : public OptimizerWith<RAdamOptions> {
 public:
  GRADUS_OPTIMIZER(RAdam)
 public:
  double* momentum(size_t group) override { return &options_.at(group).betas.first; }
};

}  // namespace gradus::optim
