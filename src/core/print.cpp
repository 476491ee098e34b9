#include "gradus/core/print.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ostream>
#include <vector>

#include "gradus/autograd/mode.h"
#include "gradus/core/tensor.h"
#include "kernels/dispatch.h"
#include "src/core/message.h"

namespace gradus {
namespace {

/// Which indices of each axis are shown; a gap is marked by -1.
std::vector<std::vector<int64_t>> shown_indices(const AnyTensor& x, const PrintOptions& o) {
  std::vector<std::vector<int64_t>> shown;
  bool cut = x.numel() > o.summarise;
  for (int64_t n : x.shape()) {
    auto& axis = shown.emplace_back();
    for (int64_t i = 0; i < n; ++i) {
      if (cut && n > 2 * o.edge && i == o.edge) axis.push_back(-1), i = n - o.edge;
      axis.push_back(i);
    }
  }
  return shown;
}

std::string formatted(const char* format, int precision, double v) {
  char buffer[400];  // the largest double has 309 digits before its point
  std::snprintf(buffer, sizeof buffer, format, precision, v);
  return buffer;
}

/// The shown elements as texts of one style, which depends on all of them.
std::vector<std::string> texts_of(const std::vector<double>& values, const PrintOptions& o) {
  double largest = 0, smallest = HUGE_VAL;
  bool whole = true;
  for (double v : values) {
    if (!std::isfinite(v)) continue;
    whole = whole && v == std::trunc(v);
    if (v != 0) largest = std::max(largest, std::abs(v)), smallest = std::min(smallest, std::abs(v));
  }
  bool scientific = largest >= 1e8 || (!whole && largest > 0 && (largest / smallest > 1e4 || smallest < 1e-4));
  std::vector<std::string> texts;
  for (double v : values) {
    if (std::isnan(v))
      texts.push_back("nan");
    else if (std::isinf(v))
      texts.push_back(v < 0 ? "-inf" : "inf");
    else if (scientific)
      texts.push_back(formatted("%.*e", o.precision, v));
    else if (whole)
      texts.push_back(formatted("%.*f", 0, v) + ".");
    else
      texts.push_back(formatted("%.*f", o.precision, v));
  }
  return texts;
}

class Printer {
 public:
  Printer(const AnyTensor& tensor, const PrintOptions& options)
      : x_(tensor.device() == kCPU ? tensor : tensor.to(kCPU)), o_(options), shown_(shown_indices(x_, options)) {
    dispatch_all("to_string", x_.dtype(), [&]<class T>() {
      std::vector<T> elements;
      if constexpr (!std::is_same_v<T, bool>) {
        collect(0, 0, [&](int64_t offset) { elements.push_back(static_cast<const T*>(x_.raw_data())[offset]); });
      }
      if constexpr (std::is_same_v<T, bool>)
        collect(0, 0, [&](int64_t i) { texts_.push_back(static_cast<const bool*>(x_.raw_data())[i] ? "true" : "false"); });
      else if constexpr (std::is_integral_v<T>)
        for (T v : elements) texts_.push_back(std::to_string(v));
      else
        texts_ = texts_of({elements.begin(), elements.end()}, o_);
    });
    for (const std::string& t : texts_) column_ = std::max(column_, t.size());
  }

  std::string text() {
    if (x_.numel() == 0) return "[]";
    print(0);
    return std::move(out_);
  }

 private:
  template <class F> void collect(int d, int64_t offset, F&& take) {
    if (d == x_.dim()) return take(offset);
    for (int64_t i : shown_[size_t(d)])
      if (i >= 0) collect(d + 1, offset + i * x_.stride()[d], take);
  }

  void print(int d) {
    if (d == x_.dim()) {  // numbers are aligned at their right ends
      const std::string& t = texts_[next_++];
      if (d > 0) out_.append(column_ - t.size(), ' ');
      out_ += t;
      return;
    }
    out_ += '[';
    bool last_axis = d + 1 == x_.dim();
    size_t room = size_t(std::max(o_.width - x_.dim(), 1)), per_line = std::max<size_t>(1, room / (column_ + 2)), on_line = 0;
    bool first = true;
    for (int64_t i : shown_[size_t(d)]) {
      if (!first) {
        out_ += ',';
        bool wraps = last_axis && on_line == per_line;
        if (wraps) on_line = 0;
        if (!last_axis)  // an empty line between matrices, two between what holds matrices
          out_ += std::string(size_t(x_.dim() - d - 1), '\n') + std::string(size_t(d) + 1, ' ');
        else
          out_ += wraps ? "\n" + std::string(size_t(d) + 1, ' ') : " ";
      }
      first = false;
      ++on_line;
      if (i < 0)
        out_ += "...";
      else
        print(d + 1);
    }
    out_ += ']';
  }

  AnyTensor x_;
  PrintOptions o_;
  std::vector<std::vector<int64_t>> shown_;
  std::vector<std::string> texts_;  // of the shown elements, in row-major order
  size_t column_ = 0, next_ = 0;
  std::string out_;
};

}  // namespace

std::string to_string(const AnyTensor& x, const PrintOptions& options) {
  if (!x.defined()) return "undefined tensor";
  NoGrad no_grad;
  std::string text = Printer(x.detach(), options).text(), more;
  if (x.dim() > 0) more = std::string(name(x.dtype())) + " " + to_string(x.shape());
  if (x.device() != kCPU) more += (more.empty() ? "" : ", ") + to_string(x.device());
  if (x.requires_grad()) more += more.empty() ? "requires_grad" : ", requires_grad";
  return more.empty() ? text : text + "  " + more;
}

std::ostream& operator<<(std::ostream& out, const AnyTensor& x) { return out << to_string(x); }
std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << to_string(shape); }
std::ostream& operator<<(std::ostream& out, DType dtype) { return out << name(dtype); }
std::ostream& operator<<(std::ostream& out, Device device) { return out << to_string(device); }

}  // namespace gradus
