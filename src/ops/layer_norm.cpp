#include "gradus/ops/elementwise.h"
#include "gradus/ops/norm.h"
#include "gradus/ops/reduce.h"
#include "gradus/ops/view.h"
#include "src/autograd/engine.h"
#include "src/ops/norm.h"

namespace gradus {
namespace {

/// What backward needs; mean is undefined for the root mean square.
struct LayerNormRule {
  const char* op;
  Saved x, weight;
  AnyTensor mean, rstd;
  DType bias_dtype;
  int axes;  // normalised ones
  double eps;

  void operator()(const AnyTensor& g, AnyTensor* grads) const { is_grad_enabled() ? composed(g, grads) : fused(g, grads); }

  void fused(const AnyTensor& g, AnyTensor* grads) const {
    AnyTensor w = weight(), in = dense(x()), v = dense(g), dx, dweight, dbias;
    Shape shape(in.shape().end() - axes, axes);
    DType sums = rstd.dtype();
    // Before a residual branch the gradient past it is there already: it is added to while this one is computed.
    AnyTensor gathered = wanted(0) ? gathered_for(0) : AnyTensor();
    if (wanted(0)) dx = gathered ? gathered : empty(in.shape(), in.dtype(), in.device());
    if (wanted(1)) dweight = empty(shape, sums, in.device());
    if (wanted(2)) dbias = empty(shape, sums, in.device());
    AnyTensor scale = as_parameter(w, in);
    kernel(op, &KernelTable::layer_norm_backward, in)(array(dx), array(dweight), array(dbias), array(v), array(in), array(mean),
                                                      array(rstd), array(scale), gathered.defined());
    if (!gathered) grads[0] = std::move(dx);
    grads[1] = as_gradient(dweight, w);
    if (dbias) grads[2] = to(dbias, bias_dtype);
  }

  void composed(const AnyTensor& g, AnyTensor* grads) const {
    AnyTensor in = x(), w = weight();
    Axes last = std::vector<int64_t>(size_t(axes));
    for (int d = 0; d < axes; ++d) last.list[d] = d - axes;
    auto average = [&](const AnyTensor& t) { return gradus::mean(t, last, true); };
    AnyTensor d = mean ? in - average(in) : in, r = rsqrt(average(d * d) + eps), h = d * r;
    if (wanted(0)) {
      AnyTensor v = w ? g * to(w, g.dtype()) : g;
      grads[0] = r * ((mean ? v - average(v) : v) - h * average(v * h));
    }
    if (wanted(1)) grads[1] = to(g * h, w.dtype());  // summed over the rows by whoever takes it
    if (wanted(2)) grads[2] = to(g, bias_dtype);
  }
};

/// The norm of x, or of the sum of x and a residual, which is recorded as an op of its own.
std::pair<AnyTensor, AnyTensor> forward(const char* op, const AnyTensor& x, const AnyTensor& residual, const Shape& shape,
                                        const AnyTensor& weight, const AnyTensor& bias, double eps, bool center) {
  check_float(op, x);
  int axes = shape.rank, kept = x.dim() - axes;
  if (axes == 0) fail<ShapeError>(op, ": normalized_shape is empty; name at least the last size of x");
  if (kept < 0 || !(Shape(x.shape().begin() + kept, axes) == shape))
    fail<ShapeError>(op, ": x has shape ", x.shape(), ", which does not end in normalized_shape ", shape);
  check_parameter(op, "weight", weight, shape, x);
  check_parameter(op, "bias", bias, shape, x);
  AnyTensor in = dense(x), y = empty(in.shape(), in.dtype(), in.device()), sum, other;
  if (residual) {
    check_residual_fits(op, x, residual);
    other = dense(residual), sum = empty_like(y);
  }
  Shape rows(x.shape().begin(), kept);
  AnyTensor rstd = empty(rows, accumulate_dtype(x.dtype()), x.device()), mean;
  if (center) mean = empty_like(rstd);
  AnyTensor w = as_parameter(weight, x), b = as_parameter(bias, x);
  kernel(op, &KernelTable::layer_norm, in)(array(y), array(mean), array(rstd), array(sum), array(in), array(other), array(w),
                                           array(b), eps);
  if (sum) record("add", sum, {&x, &residual}, AddRule());
  const AnyTensor& of = sum ? sum : x;
  record(op, y, {&of, &weight, &bias},
         LayerNormRule{op, Saved(of), Saved(weight), mean, rstd, bias ? bias.dtype() : x.dtype(), axes, eps});
  return {std::move(sum), std::move(y)};
}

double rms_epsilon(const char* op, const AnyTensor& x, std::optional<double> eps) {
  check_float(op, x);
  constexpr double kEpsilon[] = {0x1p-23, 0x1p-52, 0x1p-10, 0x1p-7};  // float, double, half, bfloat16
  return eps ? *eps : kEpsilon[int(x.dtype())];
}

}  // namespace

AnyTensor layer_norm(const AnyTensor& x, const Shape& normalized_shape, const AnyTensor& weight, const AnyTensor& bias,
                     double eps) {
  return forward("layer_norm", x, {}, normalized_shape, weight, bias, eps, true).second;
}

std::pair<AnyTensor, AnyTensor> add_layer_norm(const AnyTensor& x, const AnyTensor& residual, const Shape& normalized_shape,
                                               const AnyTensor& weight, const AnyTensor& bias, double eps) {
  check_residual("add_layer_norm", residual);
  return forward("add_layer_norm", x, residual, normalized_shape, weight, bias, eps, true);
}

AnyTensor rms_norm(const AnyTensor& x, const Shape& normalized_shape, const AnyTensor& weight, std::optional<double> eps) {
  return forward("rms_norm", x, {}, normalized_shape, weight, {}, rms_epsilon("rms_norm", x, eps), false).second;
}

std::pair<AnyTensor, AnyTensor> add_rms_norm(const AnyTensor& x, const AnyTensor& residual, const Shape& normalized_shape,
                                             const AnyTensor& weight, std::optional<double> eps) {
  check_residual("add_rms_norm", residual);
  return forward("add_rms_norm", x, residual, normalized_shape, weight, {}, rms_epsilon("add_rms_norm", x, eps), false);
}

}  // namespace gradus
