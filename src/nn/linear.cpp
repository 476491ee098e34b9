#include "gradus/nn/linear.h"

#include <cmath>

#include "gradus/ops/elementwise.h"
#include "gradus/ops/reduce.h"
#include "gradus/ops/view.h"
#include "src/nn/uniform.h"

namespace gradus::nn {

Linear::Linear(int64_t in, int64_t out, const LinearOptions& o) {
  check_size("Linear", "in", in), check_size("Linear", "out", out);
  double bound = 1 / std::sqrt(double(in));
  weight = uniform_parameter({out, in}, bound);
  if (o.bias) bias = uniform_parameter({out}, bound);
}

Bilinear::Bilinear(int64_t in1, int64_t in2, int64_t out, const LinearOptions& o) {
  check_size("Bilinear", "in1", in1), check_size("Bilinear", "in2", in2), check_size("Bilinear", "out", out);
  double bound = 1 / std::sqrt(double(in1));
  weight = uniform_parameter({out, in1, in2}, bound);
  if (o.bias) bias = uniform_parameter({out}, bound);
}
AnyTensor Bilinear::forward(const AnyTensor& a, const AnyTensor& b) const {
  check_defined("Bilinear", a), check_defined("Bilinear", b);
  int64_t out = weight.size(0), in1 = weight.size(1), in2 = weight.size(2);
  if (a.dim() < 1 || b.dim() < 1 || a.size(-1) != in1 || b.size(-1) != in2)
    throw ShapeError("Bilinear: got " + to_string(a.shape()) + " and " + to_string(b.shape()) + "; the last sizes must be " +
                     std::to_string(in1) + " and " + std::to_string(in2));
  Shape rows = a.shape();
  rows.push_back(1);  // (..., in1, 1): b stands once for each output
  // b W[k]': for every output the vector that a is multiplied with.
  AnyTensor w = reshape(weight.as(a), {out * in1, in2});
  AnyTensor wb = unflatten(linear(b, w), -1, {out, in1});   // (..., out, in1)
  AnyTensor y = squeeze(matmul(wb, unsqueeze(a, -1)), -1);  // (..., out)
  return bias.defined() ? y + bias.as(a) : y;
}

}  // namespace gradus::nn
