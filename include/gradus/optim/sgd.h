// Stochastic gradient descent.
#pragma once
#include "gradus/optim/optimizer.h"

namespace gradus::optim {

struct SGDOptions {
  double lr = 1e-3;
  double momentum = 0;
  double dampening = 0;
  double weight_decay = 0;
  bool nesterov = false;
  bool maximize = false;
};
/// p -= lr * g, with momentum v = momentum * v + (1 - dampening) * g in the place of g (Polyak 1964; Nesterov's as in Sutskever et al. 2013).
class SGD : public OptimizerWith<SGDOptions> {
 public:
  GRADUS_OPTIMIZER(SGD)
 public:
  double* momentum(size_t group) override { return &options_.at(group).momentum; }
};

}  // namespace gradus::optim
