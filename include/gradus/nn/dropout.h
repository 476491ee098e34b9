// Dropout: in training some elements become zero and the rest are scaled up; in eval nothing happens.
#pragma once
#include "gradus/nn/layer.h"
#include "gradus/ops/dropout.h"

namespace gradus::nn {

namespace detail {
/// Throws ValueError, with the module's name, for p outside [0, 1].
void check_dropout(const char* module, double p);
}  // namespace detail

/// nn::Dropout(0.25) drops a quarter. Throws ValueError for p outside [0, 1].
#define GRADUS_DROPOUT(Name, function)                                                 \
  class Name : public Module {                                                         \
   public:                                                                             \
    explicit Name(double p = 0.5) : p(p) { detail::check_dropout(#Name, p); }          \
    double p;                                                                          \
    GRADUS_MEMBERS()                                                                   \
    AnyTensor forward(const AnyTensor& x) const { return function(x, p, training()); } \
    GRADUS_TYPED_FORWARD                                                               \
  };
GRADUS_DROPOUT(Dropout, dropout)
/// Whole channels.
GRADUS_DROPOUT(Dropout1d, dropout1d)
GRADUS_DROPOUT(Dropout2d, dropout2d)
GRADUS_DROPOUT(Dropout3d, dropout3d)
/// For networks of SELU: keeps mean and variance.
GRADUS_DROPOUT(AlphaDropout, alpha_dropout)
GRADUS_DROPOUT(FeatureAlphaDropout, feature_alpha_dropout)
#undef GRADUS_DROPOUT

}  // namespace gradus::nn
