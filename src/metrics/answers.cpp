#include "src/metrics/answers.h"

#include <cmath>

#include "gradus/autograd/mode.h"

namespace gradus::metrics::detail {

int64_t Logits::rank(int64_t row, int64_t c) const {
  const double mine = at(row, c);
  int64_t before = 0;
  for (int64_t k = 0; k < classes; ++k) {
    const double other = at(row, k);
    before += k != c && (!(other <= mine) || (other == mine && k < c));
  }
  return before;
}

int64_t Logits::best(int64_t row) const {
  int64_t best = 0;
  for (int64_t k = 1; k < classes; ++k)
    if (const double a = at(row, k), b = at(row, best); a > b || (std::isnan(a) && !std::isnan(b))) best = k;
  return best;
}

Logits logits_of(const char* who, const AnyTensor& x) {
  const std::string at = std::string(who) + ": logits ";
  if (!x.defined()) throw ValueError(at + "are undefined");
  if (x.dim() != 2) throw ShapeError(at + "have shape " + to_string(x.shape()) + ", not (samples, classes)");
  if (!is_float(x.dtype())) throw DTypeError(at + "are " + name(x.dtype()) + ", not floating point");
  NoGrad no_grad;
  AnyTensor values = x.detach().to(kCPU);
  if (is_half(values.dtype())) values = values.to(DType::float32);
  return {values.contiguous(), x.shape()[0], x.shape()[1]};
}

Tensor<int64_t> classes_of(const char* who, const char* what, const AnyTensor& x, int64_t rows) {
  const std::string at = std::string(who) + ": " + what + " ";
  if (!x.defined()) throw ValueError(at + "is undefined");
  if (x.dtype() != DType::int64) throw DTypeError(at + "is " + name(x.dtype()) + "; did you mean " + what + ".to<int64_t>()?");
  if (!(x.shape() == Shape{rows}))
    throw ShapeError(at + "has shape " + to_string(x.shape()) + ", the predictions are for " + to_string(Shape{rows}));
  return Tensor<int64_t>(x.to(kCPU).contiguous());
}

void fail_class(const char* who, const char* what, int64_t c, int64_t at, int64_t classes) {
  throw IndexError(std::string(who) + ": " + what + " " + std::to_string(c) + " at index " + std::to_string(at) +
                   " is outside [0, " + std::to_string(classes) + ")");
}

}  // namespace gradus::metrics::detail
