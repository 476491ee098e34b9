// Rows of a table by number.
#pragma once
#include <optional>

#include "gradus/core/tensor.h"

namespace gradus {

struct EmbeddingOptions {
  std::optional<int64_t> padding_idx = std::nullopt;  // a row that gets no gradient; negative counts from the end
};
/// The rows of weight (classes, width) that index, an integer tensor of any shape, names: (..., width). Throws IndexError with the first
/// index outside and its place.
///   Tensor<float> x = embedding(tokens, weight);   // (batch, time) and (vocabulary, 128) give (batch, time, 128)
AnyTensor embedding(const AnyTensor& index, const AnyTensor& weight, const EmbeddingOptions& options = {});

enum class BagMode { sum, mean, max };
struct EmbeddingBagOptions {
  BagMode mode = BagMode::mean;
  AnyTensor offsets = {};                             // with a vector of indices: where each bag begins
  AnyTensor per_sample_weights = {};                  // for sums: a factor for each index
  std::optional<int64_t> padding_idx = std::nullopt;  // left out of the bags
};
/// The sum, mean or maximum of the rows that each bag names: (bags, width). A bag is a row of a matrix of indices, or a stretch of a
/// vector of them. An empty bag gives zeros.
AnyTensor embedding_bag(const AnyTensor& index, const AnyTensor& weight, const EmbeddingBagOptions& options = {});

template <class T> Tensor<T> embedding(const AnyTensor& index, const Tensor<T>& weight, const EmbeddingOptions& options = {}) {
  return Tensor<T>(embedding(index, static_cast<const AnyTensor&>(weight), options));
}
template <class T>
Tensor<T> embedding_bag(const AnyTensor& index, const Tensor<T>& weight, const EmbeddingBagOptions& options = {}) {
  return Tensor<T>(embedding_bag(index, static_cast<const AnyTensor&>(weight), options));
}

}  // namespace gradus
