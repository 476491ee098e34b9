// Attention.
#pragma once
#include <optional>

#include "gradus/core/random.h"
#include "gradus/core/tensor.h"

namespace gradus {

struct AttentionOptions {
  AnyTensor mask =
      {};  // broadcasts to (..., queries, keys): bool, true where a query may look; or of q's dtype, added to the scores
  bool is_causal = false;                      // query i looks at keys 0 to i
  double dropout_p = 0;                        // of the weights
  std::optional<double> scale = std::nullopt;  // of the scores; 1 / sqrt(size) where not given
};
/// softmax(q k' * scale + mask) v: (..., queries, size), (..., keys, size) and (..., keys, value size) give (..., queries, value size);
/// outer axes broadcast. The scores are never held at once. A query that may look at nothing gives zeros. Vaswani et al.: Attention Is
/// All You Need (2017).
///   Tensor<float> y = scaled_dot_product_attention(q, k, v, {.is_causal = true});   // (batch, heads, time, size)
AnyTensor scaled_dot_product_attention(const AnyTensor& q, const AnyTensor& k, const AnyTensor& v,
                                       const AttentionOptions& options = {}, Generator& g = default_generator());

template <class T> Tensor<T> scaled_dot_product_attention(const Tensor<T>& q, const Tensor<T>& k, const Tensor<T>& v,
                                                          const AttentionOptions& options = {},
                                                          Generator& g = default_generator()) {
  return Tensor<T>(scaled_dot_product_attention(static_cast<const AnyTensor&>(q), static_cast<const AnyTensor&>(k),
                                                static_cast<const AnyTensor&>(v), options, g));
}

}  // namespace gradus
