// Losses. Each compares a prediction with a target of the same dtype and shape (but for classes) and gives one number, or one a sample.
#pragma once
#include "gradus/core/tensor.h"

namespace gradus {

/// What becomes of the losses of the elements: kept apart, averaged, or added.
enum class Reduction { none, mean, sum };

struct CrossEntropyOptions {
  AnyTensor weight = {};        // (C): how much each class counts; the mean is divided by the weights of the targets
  int64_t ignore_index = -100;  // targets of this value count for nothing
  Reduction reduction = Reduction::mean;
  double label_smoothing = 0;  // in [0, 1]: this part of the target is spread evenly over the classes
};
/// -log softmax(logits)[target], for logits of (C), (N, C) or (N, C, d1, ...). The target is int64 class numbers of (), (N) or
/// (N, d1, ...), or probabilities of the logits' dtype and shape. Reads the logits once forward and once backward; only once where they are
/// handed over, as net(x) is here, whose gradient then takes their place. Throws IndexError for a class outside [0, C).
///   Tensor<float> loss = cross_entropy(net(x), y, {.label_smoothing = 0.1});
AnyTensor cross_entropy(AnyTensor logits, const AnyTensor& target, const CrossEntropyOptions& options = {});
/// The same for classes, with the loss of half types in float, in which it is summed, while the logits stay as they are:
///   Tensor<float> loss = cross_entropy<float>(net(x.to<bfloat16>()), y);
AnyTensor cross_entropy_in_float(AnyTensor logits, const AnyTensor& target, const CrossEntropyOptions& options = {});

struct NllLossOptions {
  AnyTensor weight = {};
  int64_t ignore_index = -100;
  Reduction reduction = Reduction::mean;
};
/// -x[target] for log-probabilities x, shaped as for cross_entropy; classes only.
AnyTensor nll_loss(const AnyTensor& log_probabilities, const AnyTensor& target, const NllLossOptions& options = {});

struct LossOptions {
  Reduction reduction = Reduction::mean;
};
/// (x - target)^2.
AnyTensor mse_loss(const AnyTensor& x, const AnyTensor& target, const LossOptions& options = {});
/// |x - target|.
AnyTensor l1_loss(const AnyTensor& x, const AnyTensor& target, const LossOptions& options = {});

struct SmoothL1LossOptions {
  double beta = 1;
  Reduction reduction = Reduction::mean;
};
/// (x - target)^2 / (2 beta) where |x - target| < beta, else |x - target| - beta / 2. Girshick: Fast R-CNN (2015).
AnyTensor smooth_l1_loss(const AnyTensor& x, const AnyTensor& target, const SmoothL1LossOptions& options = {});
struct HuberLossOptions {
  double delta = 1;
  Reduction reduction = Reduction::mean;
};
/// (x - target)^2 / 2 where |x - target| < delta, else delta * (|x - target| - delta / 2).
AnyTensor huber_loss(const AnyTensor& x, const AnyTensor& target, const HuberLossOptions& options = {});

struct BinaryCrossEntropyOptions {
  AnyTensor weight = {};  // of each element; broadcasts
  Reduction reduction = Reduction::mean;
};
/// -(t log x + (1 - t) log(1 - x)) for probabilities x; a logarithm counts for -100 at the least, and in the gradient x (1 - x) for
/// 1e-12, so that both are finite at 0 and 1. binary_cross_entropy_with_logits needs neither.
AnyTensor binary_cross_entropy(const AnyTensor& x, const AnyTensor& target, const BinaryCrossEntropyOptions& options = {});
struct BinaryCrossEntropyWithLogitsOptions {
  AnyTensor weight = {};
  AnyTensor pos_weight = {};  // of the positive part of each class; broadcasts
  Reduction reduction = Reduction::mean;
};
/// The same for logits, without the loss of digits.
AnyTensor binary_cross_entropy_with_logits(const AnyTensor& x, const AnyTensor& target,
                                           const BinaryCrossEntropyWithLogitsOptions& options = {});

struct KlDivOptions {
  bool log_target = false;  // the target is given as logarithms
  bool batchmean = false;   // the sum over the number of rows: the divergence as it is defined
  Reduction reduction = Reduction::mean;
};
/// target * (log target - x) for log-probabilities x.
AnyTensor kl_div(const AnyTensor& x, const AnyTensor& target, const KlDivOptions& options = {});

/// log(1 + exp(-target * x)), target of 1 and -1.
AnyTensor soft_margin_loss(const AnyTensor& x, const AnyTensor& target, const LossOptions& options = {});
struct MarginOptions {
  double margin = 1;
  Reduction reduction = Reduction::mean;
};
/// x where target is 1, max(0, margin - x) where it is -1.
AnyTensor hinge_embedding_loss(const AnyTensor& x, const AnyTensor& target, const MarginOptions& options = {});
/// max(0, -target * (a - b) + margin).
AnyTensor margin_ranking_loss(const AnyTensor& a, const AnyTensor& b, const AnyTensor& target,
                              const MarginOptions& options = {.margin = 0});
struct PoissonNllLossOptions {
  bool log_input = true;  // x is the logarithm of the rate
  bool full = false;      // with Stirling's term
  double eps = 1e-8;
  Reduction reduction = Reduction::mean;
};
AnyTensor poisson_nll_loss(const AnyTensor& x, const AnyTensor& target, const PoissonNllLossOptions& options = {});
struct GaussianNllLossOptions {
  bool full = false;  // with the constant term
  double eps = 1e-6;  // the least variance; what is below counts as this, without a gradient
  Reduction reduction = Reduction::mean;
};
/// (log(variance) + (x - target)^2 / variance) / 2. The target may have sizes of 1 where x has not, or the other way round; the
/// variance sizes of 1, or no last axis. Throws ValueError for a negative variance.
AnyTensor gaussian_nll_loss(const AnyTensor& x, const AnyTensor& target, const AnyTensor& variance,
                            const GaussianNllLossOptions& options = {});

/// 1 - cos(a, b) where target is 1, max(0, cos(a, b) - margin) where it is -1, for vectors along the last axis: (N, d) and (N) give (N), (d)
/// and () one number.
AnyTensor cosine_embedding_loss(const AnyTensor& a, const AnyTensor& b, const AnyTensor& target,
                                const MarginOptions& options = {.margin = 0});
struct TripletMarginOptions {
  double margin = 1;
  double p = 2;       // of the norm
  double eps = 1e-6;  // added to each difference
  bool swap = false;  // the negative one's distance is from whichever of the other two is nearer
  Reduction reduction = Reduction::mean;
};
/// max(0, |anchor - positive| - |anchor - negative| + margin), along the last axis. Balntas et al.: Learning local feature descriptors with
/// triplets and shallow convolutional neural networks (2016).
AnyTensor triplet_margin_loss(const AnyTensor& anchor, const AnyTensor& positive, const AnyTensor& negative,
                              const TripletMarginOptions& options = {});
struct MultiMarginOptions {
  int64_t p = 1;  // 1 or 2
  double margin = 1;
  AnyTensor weight = {};  // of each class
  Reduction reduction = Reduction::mean;
};
/// The sum over the other classes c of max(0, margin - x[target] + x[c])^p, divided by the number of classes: (N, C) and int64 (N), or (C)
/// and (). Throws IndexError for a class outside [0, C).
AnyTensor multi_margin_loss(const AnyTensor& x, const AnyTensor& target, const MultiMarginOptions& options = {});
/// The same for several classes a row: the sum over classes t that are a target and classes c that are none of max(0, 1 - x[t] + x[c]),
/// divided by the number of classes. The target is int64, shaped as x: classes, and after the first -1 anything.
AnyTensor multilabel_margin_loss(const AnyTensor& x, const AnyTensor& target, const LossOptions& options = {});
struct MultiLabelSoftMarginOptions {
  AnyTensor weight = {};  // of each class; broadcasts
  Reduction reduction = Reduction::mean;
};
/// The binary cross entropy of logits with targets of 0 and 1, averaged over the last axis: (N, C) give (N).
AnyTensor multilabel_soft_margin_loss(const AnyTensor& x, const AnyTensor& target, const MultiLabelSoftMarginOptions& options = {});

template <class T> Tensor<T> cross_entropy(Tensor<T> x, const Tensor<int64_t>& target, const CrossEntropyOptions& options = {}) {
  return Tensor<T>(cross_entropy(static_cast<AnyTensor&&>(x), static_cast<const AnyTensor&>(target), options));
}
template <class R, class T>
requires(std::is_same_v<R, float> && (std::is_same_v<T, half> || std::is_same_v<T, bfloat16>)) Tensor<R> cross_entropy(
    Tensor<T> x, const Tensor<int64_t>& target, const CrossEntropyOptions& options = {}) {
  return Tensor<R>(cross_entropy_in_float(static_cast<AnyTensor&&>(x), target, options));
}
template <class T>
requires(!std::is_same_v<T, int64_t>) Tensor<T> cross_entropy(const Tensor<T>& x, const Tensor<T>& target,
                                                              const CrossEntropyOptions& options = {}) {
  return Tensor<T>(cross_entropy(static_cast<const AnyTensor&>(x), static_cast<const AnyTensor&>(target), options));
}
template <class T>
Tensor<T> multi_margin_loss(const Tensor<T>& x, const Tensor<int64_t>& target, const MultiMarginOptions& options = {}) {
  return Tensor<T>(multi_margin_loss(static_cast<const AnyTensor&>(x), static_cast<const AnyTensor&>(target), options));
}
template <class T>
Tensor<T> multilabel_margin_loss(const Tensor<T>& x, const Tensor<int64_t>& target, const LossOptions& options = {}) {
  return Tensor<T>(multilabel_margin_loss(static_cast<const AnyTensor&>(x), static_cast<const AnyTensor&>(target), options));
}
template <class T> Tensor<T> nll_loss(const Tensor<T>& x, const Tensor<int64_t>& target, const NllLossOptions& options = {}) {
  return Tensor<T>(nll_loss(static_cast<const AnyTensor&>(x), static_cast<const AnyTensor&>(target), options));
}
#define GRADUS_TYPED_LOSS(name, Options)                                                                        \
  template <class T> Tensor<T> name(const Tensor<T>& x, const Tensor<T>& target, const Options& options = {}) { \
    return Tensor<T>(name(static_cast<const AnyTensor&>(x), static_cast<const AnyTensor&>(target), options));   \
  }                                                                                                             \
  template <class T, class U>                                                                                   \
  requires(!std::is_same_v<T, U>) void name(const Tensor<T>&, const Tensor<U>&, const Options& = {}) = delete;
GRADUS_TYPED_LOSS(mse_loss, LossOptions)
GRADUS_TYPED_LOSS(l1_loss, LossOptions)
GRADUS_TYPED_LOSS(smooth_l1_loss, SmoothL1LossOptions)
GRADUS_TYPED_LOSS(huber_loss, HuberLossOptions)
GRADUS_TYPED_LOSS(binary_cross_entropy, BinaryCrossEntropyOptions)
GRADUS_TYPED_LOSS(binary_cross_entropy_with_logits, BinaryCrossEntropyWithLogitsOptions)
GRADUS_TYPED_LOSS(kl_div, KlDivOptions)
GRADUS_TYPED_LOSS(soft_margin_loss, LossOptions)
GRADUS_TYPED_LOSS(hinge_embedding_loss, MarginOptions)
GRADUS_TYPED_LOSS(poisson_nll_loss, PoissonNllLossOptions)
GRADUS_TYPED_LOSS(multilabel_soft_margin_loss, MultiLabelSoftMarginOptions)
#undef GRADUS_TYPED_LOSS

}  // namespace gradus
