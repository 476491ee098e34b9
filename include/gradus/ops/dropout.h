// Dropout. Which elements stay is a function of the generator's seed and an element's place in memory, so backward makes the mask again
// and nothing is stored. Outside training, x itself.
#pragma once
#include "gradus/core/random.h"
#include "gradus/core/tensor.h"

namespace gradus {

/// Each element is 0 with probability p, else x / (1 - p). Srivastava et al.: Dropout (2014). Throws ValueError for p outside [0, 1].
AnyTensor dropout(const AnyTensor& x, double p = 0.5, bool training = true, Generator& g = default_generator());
/// Whole channels of (N, C, L) or (C, L), of (N, C, H, W) or (C, H, W), of (N, C, D, H, W) or (C, D, H, W).
AnyTensor dropout1d(const AnyTensor& x, double p = 0.5, bool training = true, Generator& g = default_generator());
AnyTensor dropout2d(const AnyTensor& x, double p = 0.5, bool training = true, Generator& g = default_generator());
AnyTensor dropout3d(const AnyTensor& x, double p = 0.5, bool training = true, Generator& g = default_generator());
/// Keeps mean 0 and variance 1 where x has them and comes from selu: what is dropped becomes selu's lower bound. Klambauer et al.:
/// Self-Normalizing Neural Networks (2017).
AnyTensor alpha_dropout(const AnyTensor& x, double p = 0.5, bool training = true, Generator& g = default_generator());
/// alpha_dropout of whole channels of (N, C, ...).
AnyTensor feature_alpha_dropout(const AnyTensor& x, double p = 0.5, bool training = true, Generator& g = default_generator());

#define GRADUS_TYPED_DROPOUT(name)                                                                                \
  template <class T>                                                                                              \
  Tensor<T> name(const Tensor<T>& x, double p = 0.5, bool training = true, Generator & g = default_generator()) { \
    return Tensor<T>(name(static_cast<const AnyTensor&>(x), p, training, g));                                     \
  }
GRADUS_TYPED_DROPOUT(dropout)
GRADUS_TYPED_DROPOUT(dropout1d)
GRADUS_TYPED_DROPOUT(dropout2d)
GRADUS_TYPED_DROPOUT(dropout3d)
GRADUS_TYPED_DROPOUT(alpha_dropout)
GRADUS_TYPED_DROPOUT(feature_alpha_dropout)
#undef GRADUS_TYPED_DROPOUT

}  // namespace gradus
