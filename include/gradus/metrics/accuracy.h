// The share of right answers.
#pragma once
#include <optional>

#include "gradus/core/tensor.h"

namespace gradus::metrics {

struct AccuracyOptions {
  int64_t top_k = 1;                         // an answer is right if the target is among the k largest logits
  std::optional<int64_t> ignore_index = {};  // targets of this class do not count
};

/// Gathers over batches: update() with each, compute() at the end. Of equal logits the first class is the larger one, and a target whose logit is NaN is never right.
///   metrics::Accuracy accuracy;
///   for (auto [x, y] : test) accuracy.update(net(x), y);
///   accuracy.compute();   // 0.9132
class Accuracy {
 public:
  Accuracy(const AccuracyOptions& options = {});
  /// logits (N, classes) of a floating type, target (N) of int64. Throws ShapeError, DTypeError, IndexError.
  void update(const AnyTensor& logits, const AnyTensor& target);
  /// In [0, 1]. Throws ValueError before the first update.
  double compute() const;
  int64_t count() const { return count_; }
  void reset() { right_ = count_ = 0; }

 private:
  AccuracyOptions options_;
  int64_t right_ = 0, count_ = 0;
};

}  // namespace gradus::metrics
