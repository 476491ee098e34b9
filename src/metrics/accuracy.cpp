#include "gradus/metrics/accuracy.h"

#include "src/metrics/answers.h"

namespace gradus::metrics {

Accuracy::Accuracy(const AccuracyOptions& options) : options_(options) {
  if (options.top_k < 1) throw ValueError("Accuracy: top_k is " + std::to_string(options.top_k) + "; at least 1 is needed");
}

void Accuracy::update(const AnyTensor& logits, const AnyTensor& target) {
  const detail::Logits x = detail::logits_of("Accuracy", logits);
  const Tensor<int64_t> y = detail::classes_of("Accuracy", "target", target, x.rows);
  int64_t right = 0, count = 0;
  for (int64_t i = 0; i < x.rows; ++i) {
    const int64_t c = y.data()[i];
    if (c == options_.ignore_index) continue;
    if (c < 0 || c >= x.classes) detail::fail_class("Accuracy", "target", c, i, x.classes);
    ++count;
    const bool is_number = x.at(i, c) == x.at(i, c);
    right += is_number && x.rank(i, c) < options_.top_k;
  }
  right_ += right, count_ += count;
}

double Accuracy::compute() const {
  if (count_ == 0) throw ValueError("Accuracy: compute() before any update()");
  return double(right_) / double(count_);
}

}  // namespace gradus::metrics
