// Losses as modules: their options are those of the functions (gradus/loss/loss.h), which do as well. A weight
// of classes belongs to the options: it is no part of the module's state, and to() leaves it where it is.
#pragma once
#include "gradus/loss/loss.h"
#include "gradus/nn/layer.h"

namespace gradus::nn {

/// nn::MSELoss loss; loss(x, target).
#define GRADUS_LOSS(Name, Options, function)                                                                      \
  class Name : public Module {                                                                                    \
   public:                                                                                                        \
    explicit Name(const Options& options = {}) : options(options) {}                                              \
    Options options;                                                                                              \
    GRADUS_MEMBERS()                                                                                              \
    AnyTensor forward(const AnyTensor& x, const AnyTensor& target) const { return function(x, target, options); } \
    template <class T, class U> Tensor<T> forward(const Tensor<T>& x, const Tensor<U>& target) const {            \
      return Tensor<T>(function(x, target, options));                                                             \
    }                                                                                                             \
  };
GRADUS_LOSS(CrossEntropyLoss, CrossEntropyOptions, cross_entropy)
GRADUS_LOSS(NLLLoss, NllLossOptions, nll_loss)
GRADUS_LOSS(MSELoss, LossOptions, mse_loss)
GRADUS_LOSS(L1Loss, LossOptions, l1_loss)
GRADUS_LOSS(SmoothL1Loss, SmoothL1LossOptions, smooth_l1_loss)
GRADUS_LOSS(HuberLoss, HuberLossOptions, huber_loss)
GRADUS_LOSS(BCELoss, BinaryCrossEntropyOptions, binary_cross_entropy)
GRADUS_LOSS(BCEWithLogitsLoss, BinaryCrossEntropyWithLogitsOptions, binary_cross_entropy_with_logits)
GRADUS_LOSS(KLDivLoss, KlDivOptions, kl_div)
GRADUS_LOSS(SoftMarginLoss, LossOptions, soft_margin_loss)
GRADUS_LOSS(HingeEmbeddingLoss, MarginOptions, hinge_embedding_loss)
GRADUS_LOSS(PoissonNLLLoss, PoissonNllLossOptions, poisson_nll_loss)
#undef GRADUS_LOSS

/// max(0, -target * (a - b) + margin).
class MarginRankingLoss : public Module {
 public:
  explicit MarginRankingLoss(const MarginOptions& options = {.margin = 0}) : options(options) {}
  MarginOptions options;
  GRADUS_MEMBERS()
  AnyTensor forward(const AnyTensor& a, const AnyTensor& b, const AnyTensor& target) const {
    return margin_ranking_loss(a, b, target, options);
  }
};

/// Of a normal distribution whose mean and variance are predicted.
class GaussianNLLLoss : public Module {
 public:
  explicit GaussianNLLLoss(const GaussianNllLossOptions& options = {}) : options(options) {}
  GaussianNllLossOptions options;
  GRADUS_MEMBERS()
  AnyTensor forward(const AnyTensor& x, const AnyTensor& target, const AnyTensor& variance) const {
    return gaussian_nll_loss(x, target, variance, options);
  }
};

}  // namespace gradus::nn
