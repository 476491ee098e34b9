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
GRADUS_LOSS(MultiMarginLoss, MultiMarginOptions, multi_margin_loss)
GRADUS_LOSS(MultiLabelMarginLoss, LossOptions, multilabel_margin_loss)
GRADUS_LOSS(MultiLabelSoftMarginLoss, MultiLabelSoftMarginOptions, multilabel_soft_margin_loss)
#undef GRADUS_LOSS

/// Of three tensors; what they are, the function says.
#define GRADUS_LOSS_OF_THREE(Name, Options, standard, function)                                                                \
  class Name : public Module {                                                                                                 \
   public:                                                                                                                     \
    explicit Name(const Options& options = standard) : options(options) {}                                                     \
    Options options;                                                                                                           \
    GRADUS_MEMBERS()                                                                                                           \
    AnyTensor forward(const AnyTensor& a, const AnyTensor& b, const AnyTensor& c) const { return function(a, b, c, options); } \
  };
GRADUS_LOSS_OF_THREE(MarginRankingLoss, MarginOptions, {.margin = 0}, margin_ranking_loss)
GRADUS_LOSS_OF_THREE(CosineEmbeddingLoss, MarginOptions, {.margin = 0}, cosine_embedding_loss)
GRADUS_LOSS_OF_THREE(TripletMarginLoss, TripletMarginOptions, {}, triplet_margin_loss)
/// Of a normal distribution whose mean and variance are predicted.
GRADUS_LOSS_OF_THREE(GaussianNLLLoss, GaussianNllLossOptions, {}, gaussian_nll_loss)
#undef GRADUS_LOSS_OF_THREE

}  // namespace gradus::nn
