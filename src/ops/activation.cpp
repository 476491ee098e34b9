#include "gradus/ops/activation.h"

#include "gradus/ops/elementwise.h"
#include "gradus/ops/random.h"
#include "gradus/ops/view.h"
#include "src/ops/op.h"

namespace gradus {

AnyTensor glu(const AnyTensor& x, int64_t axis) {
  check_float("glu", x);
  int d = axis_of("glu", axis, x.dim());
  if (x.dim() == 0 || x.shape()[d] % 2 != 0) fail<ShapeError>("glu: axis ", axis, " of ", x.shape(), " has no two halves");
  int64_t half = x.shape()[d] / 2;
  return narrow(x, d, 0, half) * sigmoid(narrow(x, d, half, half));
}

AnyTensor tanhshrink(const AnyTensor& x) {
  check_float("tanhshrink", x);
  return x - tanh(x);
}

AnyTensor prelu(const AnyTensor& x, const AnyTensor& weight) {
  check_float("prelu", x), check_same("prelu", x, weight);
  if (weight.numel() == 1) return prelu_rows(x, reshape(weight, {}));
  if (weight.dim() != 1 || x.dim() < 2 || weight.numel() != x.shape()[1])
    fail<ShapeError>("prelu: weight of shape ", weight.shape(), " for x of shape ", x.shape(),
                     "; one element, or one a channel, is needed");
  Shape shape;
  for (int d = 0; d < x.dim(); ++d) shape.push_back(d == 1 ? weight.numel() : 1);
  return prelu_rows(x, reshape(weight, shape));
}

AnyTensor rrelu(const AnyTensor& x, double lower, double upper, bool training, Generator& g) {
  check_float("rrelu", x);
  if (!(lower <= upper)) fail<ValueError>("rrelu: lower ", lower, " is above upper ", upper);
  if (!training) return leaky_relu(x, (lower + upper) / 2);
  return where(x < 0, x * uniform(x.shape(), lower, upper, x.dtype(), g, x.device()), x);
}

}  // namespace gradus
