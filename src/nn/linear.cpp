#include "gradus/nn/linear.h"

#include <cmath>

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
  return bilinear(a, b, weight.as(a), bias.as(a));
}

}  // namespace gradus::nn
