// Which class is taken for which.
#pragma once
#include <string>
#include <vector>

#include "gradus/core/tensor.h"

namespace gradus::metrics {

/// Counts by true class (row) and predicted class (column), and what follows from them.
class ConfusionMatrix {
 public:
  /// `names` may be empty; otherwise one per class. Throws ValueError.
  explicit ConfusionMatrix(int64_t classes, std::vector<std::string> names = {});
  /// predicted: logits (N, classes) of a floating type, or classes (N) of int64; target (N) of int64. Throws ShapeError, DTypeError,
  /// IndexError; then nothing was counted.
  void update(const AnyTensor& predicted, const AnyTensor& target);
  void reset();

  int64_t classes() const { return classes_; }
  int64_t count(int64_t target, int64_t predicted) const;
  Tensor<int64_t> counts() const;  // (classes, classes)
  double accuracy() const;
  // A class that was never predicted has no precision, one that never occurred no recall: NaN.
  double precision(int64_t c) const;
  double recall(int64_t c) const;
  double f1(int64_t c) const;
  /// A table of precision, recall, F1 and count per class, with their means.
  std::string report() const;
  /// The counts, a row per true class.
  std::string table() const;

 private:
  int64_t row(int64_t c) const;
  int64_t column(int64_t c) const;
  int64_t classes_;
  std::vector<std::string> names_;
  std::vector<int64_t> counts_;
};
}  // namespace gradus::metrics
