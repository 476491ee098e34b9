// Rows of a learned table by number.
#pragma once
#include <optional>

#include "gradus/nn/layer.h"
#include "gradus/ops/embedding.h"

namespace gradus::nn {

/// Integers of any shape give (..., width). weight is (classes, width) and begins normal; the row padding_idx begins as zeros and learns
/// nothing. Activations begin here, so their type is said where it is not float: tokens.forward<bfloat16>(ids).
///   nn::Embedding tokens(65, 128);
class Embedding : public Module {
 public:
  Embedding(int64_t classes, int64_t width, const EmbeddingOptions& options = {});
  Parameter weight;
  GRADUS_MEMBERS(weight)

  /// In the dtype of the weight.
  AnyTensor forward(const AnyTensor& index) const { return embedding(index, weight, options_); }
  template <class T = float> Tensor<T> forward(const Tensor<int64_t>& index) const {
    return Tensor<T>(embedding(index, weight.as(dtype_of<T>), options_));
  }

 private:
  EmbeddingOptions options_;
};

}  // namespace gradus::nn
