#include "gradus/metrics/confusion_matrix.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "src/metrics/answers.h"

namespace gradus::metrics {
namespace {

constexpr const char* kWho = "ConfusionMatrix";
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

double share(int64_t part, int64_t whole) { return whole ? double(part) / double(whole) : kNone; }

std::string left(const std::string& s, size_t width) { return s + std::string(width - std::min(width, s.size()), ' '); }
std::string right(const std::string& s, size_t width) { return std::string(width - std::min(width, s.size()), ' ') + s; }
std::string figure(double x) {
  if (std::isnan(x)) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.4f", x);
  return text;
}

}  // namespace

ConfusionMatrix::ConfusionMatrix(int64_t classes, std::vector<std::string> names) : classes_(classes), names_(std::move(names)) {
  if (classes < 1 || classes > 1 << 15)
    throw ValueError("ConfusionMatrix: " + std::to_string(classes) + " classes; 1 to 32768 can be");
  if (names_.empty())
    for (int64_t c = 0; c < classes; ++c) names_.push_back(std::to_string(c));
  if (int64_t(names_.size()) != classes)
    throw ValueError("ConfusionMatrix: " + std::to_string(names_.size()) + " names for " + std::to_string(classes) + " classes");
  counts_.resize(size_t(classes * classes));
}

void ConfusionMatrix::reset() { std::fill(counts_.begin(), counts_.end(), 0); }

void ConfusionMatrix::update(const AnyTensor& predicted, const AnyTensor& target) {
  Tensor<int64_t> guess;
  if (predicted.defined() && predicted.dtype() == DType::int64) {
    guess = detail::classes_of(kWho, "predicted", predicted, predicted.dim() ? predicted.shape()[0] : 0);
  } else {
    const detail::Logits x = detail::logits_of(kWho, predicted);
    if (x.classes != classes_)
      throw ShapeError("ConfusionMatrix: logits of shape " + to_string(predicted.shape()) + " for " + std::to_string(classes_) +
                       " classes");
    guess = Tensor<int64_t>(empty({x.rows}, DType::int64, kCPU));
    for (int64_t i = 0; i < x.rows; ++i) guess.data()[i] = x.best(i);
  }
  const Tensor<int64_t> truth = detail::classes_of(kWho, "target", target, guess.numel());
  for (int64_t i = 0; i < guess.numel(); ++i) {
    if (const int64_t c = truth.data()[i]; c < 0 || c >= classes_) detail::fail_class(kWho, "target", c, i, classes_);
    if (const int64_t c = guess.data()[i]; c < 0 || c >= classes_) detail::fail_class(kWho, "predicted", c, i, classes_);
  }
  for (int64_t i = 0; i < guess.numel(); ++i) ++counts_[size_t(truth.data()[i] * classes_ + guess.data()[i])];
}

int64_t ConfusionMatrix::count(int64_t target, int64_t predicted) const {
  for (int64_t c : {target, predicted})
    if (c < 0 || c >= classes_)
      throw IndexError("ConfusionMatrix: class " + std::to_string(c) + " is outside [0, " + std::to_string(classes_) + ")");
  return counts_[size_t(target * classes_ + predicted)];
}
Tensor<int64_t> ConfusionMatrix::counts() const { return Tensor<int64_t>(std::span<const int64_t>(counts_), {classes_, classes_}); }

int64_t ConfusionMatrix::row(int64_t c) const {
  int64_t sum = 0;
  for (int64_t k = 0; k < classes_; ++k) sum += count(c, k);
  return sum;
}
int64_t ConfusionMatrix::column(int64_t c) const {
  int64_t sum = 0;
  for (int64_t k = 0; k < classes_; ++k) sum += count(k, c);
  return sum;
}

double ConfusionMatrix::accuracy() const {
  int64_t right = 0, all = 0;
  for (int64_t c = 0; c < classes_; ++c) right += count(c, c), all += row(c);
  return share(right, all);
}
double ConfusionMatrix::precision(int64_t c) const { return share(count(c, c), column(c)); }
double ConfusionMatrix::recall(int64_t c) const { return share(count(c, c), row(c)); }
double ConfusionMatrix::f1(int64_t c) const { return share(2 * count(c, c), row(c) + column(c)); }

std::string ConfusionMatrix::report() const {
  size_t width = 5;
  for (const std::string& name : names_) width = std::max(width, name.size());
  auto line = [&](const std::string& name, const std::string& p, const std::string& r, const std::string& f, const std::string& n) {
    return left(name, width) + right(p, 11) + right(r, 9) + right(f, 9) + right(n, 9) + "\n";
  };
  std::string text = line("class", "precision", "recall", "F1", "count");
  double sums[3] = {}, all = 0;
  int64_t known[3] = {};
  for (int64_t c = 0; c < classes_; ++c) {
    const double figures[3] = {precision(c), recall(c), f1(c)};
    for (int k = 0; k < 3; ++k)
      if (!std::isnan(figures[k])) sums[k] += figures[k], ++known[k];
    all += double(row(c));
    text += line(names_[size_t(c)], figure(figures[0]), figure(figures[1]), figure(figures[2]), std::to_string(row(c)));
  }
  auto mean = [&](int k) { return figure(known[k] ? sums[k] / double(known[k]) : kNone); };
  return text + line("mean", mean(0), mean(1), mean(2), std::to_string(int64_t(all)));
}

std::string ConfusionMatrix::table() const {
  size_t names = 0, width = 1;
  for (const std::string& name : names_) names = std::max(names, name.size());
  for (int64_t n : counts_) width = std::max(width, std::to_string(n).size());
  width = std::max(width, std::to_string(classes_ - 1).size());
  std::string text = left("", names);
  for (int64_t c = 0; c < classes_; ++c) text += " " + right(std::to_string(c), width);
  text += "   <- predicted\n";
  for (int64_t c = 0; c < classes_; ++c) {
    text += left(names_[size_t(c)], names);
    for (int64_t k = 0; k < classes_; ++k) text += " " + right(std::to_string(count(c, k)), width);
    text += "\n";
  }
  return text;
}

}  // namespace gradus::metrics
