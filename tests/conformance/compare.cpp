#include "tests/conformance/compare.h"

#include <cmath>

namespace conformance {

using namespace gradus;

Tolerance for_dtype(Tolerance t, DType dtype) {
  double last_place = dtype == DType::float16 ? 0x1p-10 : dtype == DType::bfloat16 ? 0x1p-7 : 0;
  return {std::max(t.relative, last_place), std::max(t.absolute, last_place)};
}

std::string difference(const AnyTensor& got, const AnyTensor& wanted, Tolerance tolerance) {
  if (!got.defined()) return "nothing came";
  if (!wanted.defined()) return "the recording has no tensor";
  if (got.device() != default_device()) return "it is on " + to_string(got.device());
  if (got.dtype() != wanted.dtype()) return std::string("dtype ") + name(got.dtype()) + " instead of " + name(wanted.dtype());
  if (!(got.shape() == wanted.shape())) return "shape " + to_string(got.shape()) + " instead of " + to_string(wanted.shape());
  NoGrad no_grad;
  int64_t wrong = 0, first = -1;
  double a = 0, b = 0;
  auto differs = [&](int64_t i, double x, double y) {
    if (wrong++ == 0) first = i, a = x, b = y;
  };
  if (is_float(got.dtype())) {
    tolerance = for_dtype(tolerance, got.dtype());
    std::vector<double> x = Tensor<double>(got.detach().to(DType::float64)).vector();
    std::vector<double> y = Tensor<double>(wanted.to(DType::float64)).vector();
    for (size_t i = 0; i < x.size(); ++i) {
      if (std::isnan(x[i]) && std::isnan(y[i])) continue;
      if (x[i] == y[i] || std::abs(x[i] - y[i]) <= tolerance.absolute + tolerance.relative * std::abs(y[i])) continue;
      differs(int64_t(i), x[i], y[i]);
    }
  } else {
    std::vector<int64_t> x = Tensor<int64_t>(got.to(DType::int64)).vector(), y = Tensor<int64_t>(wanted.to(DType::int64)).vector();
    for (size_t i = 0; i < x.size(); ++i)
      if (x[i] != y[i]) differs(int64_t(i), double(x[i]), double(y[i]));
  }
  if (!wrong) return "";
  char text[160];
  std::snprintf(text, sizeof text, "%lld of %lld differ; the first, element %lld, is %.9g instead of %.9g", (long long)wrong,
                (long long)got.numel(), (long long)first, a, b);
  return text;
}

}  // namespace conformance
