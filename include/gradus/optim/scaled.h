// Optimizers that look at whole parameters: at norms, directions, rows and columns. They are written with ops, in several passes.
#pragma once
#include "gradus/optim/optimizer.h"

namespace gradus::optim {

struct NAdamWOptions {
  double lr = 1e-3;
  Betas betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 1e-2;  // taken from the parameter itself, times lr
  bool maximize = false;
};
/// AdamW with Nesterov's look ahead in the mean. Dozat (2016); in this form Dahl et al.: Benchmarking neural network training algorithms
/// (2023).
class NAdamW : public OptimizerWith<NAdamWOptions> {
 public:
  GRADUS_OPTIMIZER(NAdamW)
};

struct LambOptions {
  double lr = 1e-3;
  Betas betas = {0.9, 0.999};
  double eps = 1e-6;
  double weight_decay = 1e-2;  // added to the step before it is scaled
  double max_grad_norm = 1;    // of all gradients together; what is longer is scaled down. 0: nothing is
  bool trust_clip = false;     // steps are scaled down only
  bool always_adapt = false;   // scale steps without weight decay too
  bool maximize = false;
};
/// Adam's step, scaled to the norm of the parameter. You et al.: Large batch optimization for deep learning (2020).
class Lamb : public OptimizerWith<LambOptions> {
 public:
  GRADUS_OPTIMIZER(Lamb)
  void begin_step() override;
  double shrink_ = 1;  // of all gradients in this step
};

struct AdanOptions {
  double lr = 1e-3;
  double beta1 = 0.98, beta2 = 0.92, beta3 = 0.99;  // of the gradient, its change, and the square of both together
  double eps = 1e-8;
  double weight_decay = 0;
  bool no_prox = false;  // decay before the step, as AdamW does; else after it, by a division
  bool maximize = false;
};
/// Xie et al.: Adan, adaptive Nesterov momentum algorithm (2022).
class Adan : public OptimizerWith<AdanOptions> {
 public:
  GRADUS_OPTIMIZER(Adan)
};

struct AdamPOptions {
  double lr = 1e-3;
  Betas betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
  double delta = 0.1;     // how nearly at right angles to its gradient a weight must stand to count as free of scale
  double wd_ratio = 0.1;  // of the decay of such weights
  bool nesterov = false;
  bool maximize = false;
};
/// Adam without steps along weights whose scale has no effect, as before a norm. Heo et al.: AdamP (2021).
class AdamP : public OptimizerWith<AdamPOptions> {
 public:
  GRADUS_OPTIMIZER(AdamP)
};

struct AdafactorOptions {
  double lr = 1e-2;
  double beta2_decay = -0.8;
  double eps1 = 0, eps2 = 1e-3;  // of squared gradients (0: the dtype's step above 1), of the parameter's size
  double d = 1;                  // steps longer than this, by their root mean square, are scaled down
  double weight_decay = 0;
  bool maximize = false;
};
/// Keeps of a matrix of mean squares the sums of its rows and columns. Shazeer, Stern: Adafactor (2018).
class Adafactor : public OptimizerWith<AdafactorOptions> {
 public:
  GRADUS_OPTIMIZER(Adafactor)
  Shape state_shape(size_t group, size_t state, const AnyTensor& parameter) const override;
};

struct MuonOptions {
  double lr = 1e-3;
  double weight_decay = 0.1;
  double momentum = 0.95;
  bool nesterov = true;
  double a = 3.4445, b = -4.775, c = 2.0315;  // of the polynomial a x + b x^3 + c x^5 that is iterated
  double eps = 1e-7;
  int64_t ns_steps = 5;
  bool match_rms_adamw = false;  // scale steps to the size of AdamW's; else by the shape alone
  bool maximize = false;
};
/// Steps along the orthogonal matrix nearest to the momentum, by Newton and Schulz's iteration in bfloat16. For matrices: biases, tables
/// and outputs belong to another optimizer. Jordan et al.: Muon (2024).
class Muon : public OptimizerWith<MuonOptions> {
 public:
  GRADUS_OPTIMIZER(Muon)
 public:
  double* momentum(size_t group) override { return &options_.at(group).momentum; }
};

}  // namespace gradus::optim
