#include "gradus/nn/activation.h"

#include "gradus/ops/create.h"
#include "gradus/ops/view.h"
#include "src/nn/uniform.h"

namespace gradus::nn {

AnyTensor GLU::forward(const AnyTensor& x) const {
  check_defined("GLU", x);
  int64_t n = x.size(axis);
  if (n % 2 != 0)
    throw ShapeError("GLU: axis " + std::to_string(axis) + " of shape " + to_string(x.shape()) +
                     " has an odd size and cannot be halved");
  return narrow(x, axis, 0, n / 2) * sigmoid(narrow(x, axis, n / 2, n / 2));
}

PReLU::PReLU(const PReLUOptions& o) {
  check_size("PReLU", "channels", o.channels);
  weight = Parameter(full({o.channels}, o.init, DType::float32));
}
AnyTensor PReLU::forward(const AnyTensor& x) const {
  check_defined("PReLU", x);
  AnyTensor slope = weight.as(x);
  if (weight.numel() == 1) return prelu_rows(x, reshape(slope, {}));  // x may be a scalar
  int64_t channels = x.dim() > 1 ? x.size(1) : -1;
  if (channels != weight.numel())
    throw ShapeError("PReLU: has " + std::to_string(weight.numel()) + " slopes, one a channel, and got shape " +
                     to_string(x.shape()));
  Shape shape;
  for (int d = 1; d < x.dim(); ++d) shape.push_back(d == 1 ? channels : 1);
  return prelu_rows(x, reshape(slope, shape));
}

}  // namespace gradus::nn
