// Steps divided by the size of the gradients so far.
#pragma once
#include "gradus/optim/optimizer.h"

namespace gradus::optim {

struct RMSpropOptions {
  double lr = 1e-2;
  double alpha = 0.99;  // of the mean square
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum = 0;
  bool centered = false;  // divide by the deviation instead
  bool maximize = false;
};
/// Hinton's lecture 6e (2012); centered: Graves (2013).
class RMSprop : public OptimizerWith<RMSpropOptions> {
 public:
  GRADUS_OPTIMIZER(RMSprop)
 public:
  double* momentum(size_t group) override { return &options_.at(group).momentum; }
};

struct AdagradOptions {
  double lr = 1e-2;
  double lr_decay = 0;
  double weight_decay = 0;
  double initial_accumulator_value = 0;
  double eps = 1e-10;
  bool maximize = false;
};
/// Duchi, Hazan, Singer (2011).
class Adagrad : public OptimizerWith<AdagradOptions> {
 public:
  GRADUS_OPTIMIZER(Adagrad)

  double initial(size_t group, size_t) const override { return options_[group].initial_accumulator_value; }
};

struct AdadeltaOptions {
  double lr = 1;
  double rho = 0.9;
  double eps = 1e-6;
  double weight_decay = 0;
  bool maximize = false;
};
/// Zeiler (2012).
class Adadelta : public OptimizerWith<AdadeltaOptions> {
 public:
  GRADUS_OPTIMIZER(Adadelta)
};

}  // namespace gradus::optim
