// The mean of a figure over batches.
#pragma once
#include <cstdint>

namespace gradus::metrics {

/// A weighted mean: update(loss.item(), batch_size). NaN before the first update.
class MeanMetric {
 public:
  void update(double value, double weight = 1) { sum_ += value * weight, weight_ += weight; }
  double compute() const { return sum_ / weight_; }
  void reset() { sum_ = weight_ = 0; }

 private:
  double sum_ = 0, weight_ = 0;
};

}  // namespace gradus::metrics
