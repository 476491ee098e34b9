// Batch, group and instance normalisation: one statistic for each channel of the batch, or for each group of channels of an example. Behind
// one of a batch may go relu, of the norm or of its sum with a residual.
#include "gradus/ops/create.h"
#include "gradus/ops/elementwise.h"
#include "gradus/ops/norm.h"
#include "gradus/ops/reduce.h"
#include "gradus/ops/view.h"
#include "src/autograd/engine.h"
#include "src/ops/norm.h"

namespace gradus {
namespace {

/// x itself where it is row-major or channels last, else a row-major copy.
AnyTensor by_channels(const AnyTensor& x) {
  if (x.is_contiguous()) return x;
  const Shape &shape = x.shape(), &stride = x.stride();
  bool last = stride[1] == 1;
  int64_t step = shape[1];
  for (int d = shape.rank - 1; d >= 0; --d) {
    if (d == 1) continue;
    last = last && (shape[d] == 1 || stride[d] == step);
    step *= shape[d];
  }
  return last ? x : dense(x);
}

/// (C) as (1, C, 1, ...), so that it broadcasts to x.
AnyTensor along_channels(const AnyTensor& w, int rank) {
  Shape shape;
  for (int d = 0; d < rank; ++d) shape.push_back(d == 1 ? w.numel() : 1);
  return reshape(w, shape);
}
Axes all_but_channels(int rank) {
  std::vector<int64_t> axes;
  for (int d = 0; d < rank; ++d)
    if (d != 1) axes.push_back(d);
  return axes;
}

struct ChannelNormRule {
  const char* op;
  Saved x, weight;
  AnyTensor mean, rstd;
  DType bias_dtype;
  int64_t groups;  // 0 for a batch
  bool fixed;      // the statistics do not depend on x
  double eps;
  bool rectified = false;
  Saved bias = {}, y = {};  // rectified: y where something was added, else the bias, which tells y from x

  void operator()(const AnyTensor& g, AnyTensor* grads) const { is_grad_enabled() ? composed(g, grads) : fused(g, grads); }

  void fused(const AnyTensor& g, AnyTensor* grads) const {
    const bool alone = owned_alone(g);
    AnyTensor w = weight(), in = by_channels(x()), result = y(), v = laid_out_as(g, in), dx, dweight, dbias, passed;
    Shape channels{in.shape()[1]};
    // Before a residual branch the gradient past it is there already: it is added to while this one is computed.
    AnyTensor gathered = wanted(0) && in.is_contiguous() ? gathered_for(0) : AnyTensor();
    if (wanted(0)) dx = gathered ? gathered : empty_like(in);
    if (wanted(1)) dweight = empty(channels, rstd.dtype(), in.device());
    if (wanted(2)) dbias = empty(channels, rstd.dtype(), in.device());
    // What passes relu takes the place of what arrives, unless somebody else holds that.
    if (result) passed = alone || !v.is_same(g) ? v : empty_like(in);
    AnyTensor scale = as_parameter(w, in), shift = as_parameter(bias(), in);
    kernel(op, &KernelTable::channel_norm_backward, in)(array(dx), array(dweight), array(dbias), array(passed), array(v), array(in),
                                                        array(result), array(mean), array(rstd), array(scale), array(shift), groups,
                                                        fixed, gathered.defined(), rectified);
    if (!gathered) grads[0] = std::move(dx);
    grads[1] = as_gradient(dweight, w);
    if (dbias) grads[2] = to(dbias, bias_dtype);
    if (passed && wanted(3)) grads[3] = std::move(passed);
  }

  /// Of the gradient what passes relu, by the kernel's own judgement.
  AnyTensor passed(const AnyTensor& g) const {
    AnyTensor open;
    {
      NoGrad no_grad;
      AnyTensor in = by_channels(x()), scale = as_parameter(weight(), in), shift = as_parameter(bias(), in);
      open = laid_out_as(ones(in.shape(), in.dtype(), in.device()), in);
      kernel(op, &KernelTable::channel_norm_backward, in)({}, {}, {}, array(open), array(open), array(in), array(y()), array(mean),
                                                          array(rstd), array(scale), array(shift), groups, fixed, false, true);
    }
    return where(open > 0, g, 0);
  }

  /// Averages over the elements of each statistic, which broadcast to x.
  AnyTensor average(const AnyTensor& t) const {
    if (!groups) return gradus::mean(t, all_but_channels(t.dim()), true);
    const Shape& shape = t.shape();
    int64_t depth = shape[1] / groups;
    for (int d = 2; d < shape.rank; ++d) depth *= shape[d];
    AnyTensor of_groups = gradus::mean(reshape(t, {shape[0], groups, depth}), 2, true);
    AnyTensor of_channels = reshape(expand(of_groups, {shape[0], groups, shape[1] / groups}), {shape[0], shape[1]});
    Shape broadcast = of_channels.shape();
    while (broadcast.rank < shape.rank) broadcast.push_back(1);
    return reshape(of_channels, broadcast);
  }

  void composed(const AnyTensor& arrived, AnyTensor* grads) const {
    AnyTensor g = rectified ? passed(arrived) : arrived, in = x(), w = weight(), h, r;
    if (fixed) {
      r = along_channels(to(rstd, in.dtype()), in.dim());
      h = (in - along_channels(to(mean, in.dtype()), in.dim())) * r;
    } else {
      AnyTensor d = in - average(in);
      r = rsqrt(average(d * d) + eps);
      h = d * r;
    }
    Axes others = all_but_channels(in.dim());
    if (wanted(0)) {
      AnyTensor v = w ? g * along_channels(to(w, g.dtype()), in.dim()) : g;
      grads[0] = fixed ? r * v : r * (v - average(v) - h * average(v * h));
    }
    if (wanted(1)) grads[1] = to(sum(g * h, others), w.dtype());
    if (wanted(2)) grads[2] = to(sum(g, others), bias_dtype);
    if (y() && wanted(3)) grads[3] = g;
  }
};

void check_channels(const char* op, const AnyTensor& x, const AnyTensor& weight, const AnyTensor& bias) {
  check_float(op, x);
  if (x.dim() < 2) fail<ShapeError>(op, ": x has shape ", x.shape(), "; (N, C, ...) is needed");
  check_parameter(op, "weight", weight, {x.shape()[1]}, x);
  check_parameter(op, "bias", bias, {x.shape()[1]}, x);
}

void check_groups(const char* op, const AnyTensor& x, int64_t groups, const AnyTensor& weight, const AnyTensor& bias) {
  check_channels(op, x, weight, bias);
  if (groups < 1 || x.shape()[1] % groups != 0)
    fail<ShapeError>(op, ": ", x.shape()[1], " channels do not form ", groups, " equal groups");
}

/// After a kernel has written `used`, which as_parameter made of `running`.
void moved(AnyTensor running, const AnyTensor& used) {
  if (!running.defined()) return;
  if (!used.is_same(running)) kernel("batch_norm", &KernelTable::copy, running)(array(running), array(used));
  written_in_place(running);
}

/// What stands behind a norm: nothing, or relu of its sum with `past`, which may be undefined.
struct Behind {
  bool rectified = false;
  AnyTensor past = {};
};

void record_norm(AnyTensor& y, const AnyTensor& x, const AnyTensor& weight, const AnyTensor& bias, const Behind& behind,
                 ChannelNormRule rule) {
  rule.rectified = behind.rectified;
  if (behind.past) {
    rule.y = Saved::output(y);
    return record(rule.op, y, {&x, &weight, &bias, &behind.past}, std::move(rule));
  }
  if (behind.rectified) rule.bias = Saved(bias);
  record(rule.op, y, {&x, &weight, &bias}, std::move(rule));
}

/// The norm of x, or of the sum of x and a residual, which is recorded as an op of its own.
std::pair<AnyTensor, AnyTensor> normalise(const char* op, const AnyTensor& x, const AnyTensor& residual, const AnyTensor& weight,
                                          const AnyTensor& bias, int64_t groups, double eps, const AnyTensor& running_mean = {},
                                          const AnyTensor& running_var = {}, double momentum = 0, const Behind& behind = {}) {
  AnyTensor in = by_channels(x), y = empty_like(in), sum, other, past;
  if (residual) other = laid_out_as(residual, in), sum = empty_like(in);
  if (behind.past) past = laid_out_as(behind.past, in);
  AnyTensor mean = empty({groups ? x.shape()[0] * groups : x.shape()[1]}, accumulate_dtype(x.dtype()), x.device());
  AnyTensor rstd = empty_like(mean), w = as_parameter(weight, x), b = as_parameter(bias, x);
  AnyTensor rm = as_parameter(running_mean, x), rv = as_parameter(running_var, x);
  kernel(op, &KernelTable::channel_norm, in)(array(y), array(mean), array(rstd), array(rm), array(rv), array(sum), array(in),
                                             array(other), array(past), array(w), array(b), groups, eps, momentum,
                                             behind.rectified);
  moved(running_mean, rm), moved(running_var, rv);
  if (sum) record("add", sum, {&x, &residual}, AddRule());
  const AnyTensor& of = sum ? sum : x;
  record_norm(y, of, weight, bias, behind,
              {op, Saved(of), Saved(weight), mean, rstd, bias ? bias.dtype() : x.dtype(), groups, false, eps});
  return {std::move(sum), std::move(y)};
}

AnyTensor normalise_fixed(const char* op, const AnyTensor& x, const AnyTensor& mean, const AnyTensor& var, const AnyTensor& weight,
                          const AnyTensor& bias, double eps, const Behind& behind = {}) {
  AnyTensor in = by_channels(x), y = empty_like(in), m = as_parameter(mean, x), v = as_parameter(var, x), past;
  if (behind.past) past = laid_out_as(behind.past, in);
  AnyTensor rstd = empty_like(m), w = as_parameter(weight, x), b = as_parameter(bias, x);
  kernel(op, &KernelTable::channel_norm_fixed, in)(array(y), array(rstd), array(in), array(past), array(m), array(v), array(w),
                                                   array(b), eps, behind.rectified);
  if (is_grad_enabled() && m.is_same(mean)) m = mean.detach().clone();  // training may move it before backward comes
  record_norm(y, x, weight, bias, behind, {op, Saved(x), Saved(weight), m, rstd, bias ? bias.dtype() : x.dtype(), 0, true, eps});
  return y;
}

AnyTensor normalise_batch(const char* op, const AnyTensor& x, const AnyTensor& running_mean, const AnyTensor& running_var,
                          const AnyTensor& weight, const AnyTensor& bias, const BatchNormOptions& options,
                          const Behind& behind = {}) {
  check_channels(op, x, weight, bias);
  if (behind.past) check_residual_fits(op, x, behind.past);
  check_parameter(op, "running_mean", running_mean, {x.shape()[1]}, x);
  check_parameter(op, "running_var", running_var, {x.shape()[1]}, x);
  if (!options.training) {
    if (!running_mean || !running_var) fail<ValueError>(op, ": running_mean and running_var are needed unless in training");
    return normalise_fixed(op, x, running_mean, running_var, weight, bias, options.eps, behind);
  }
  if (x.numel() <= x.shape()[1])
    fail<ValueError>(op, ": x has shape ", x.shape(), ", at most one value a channel: no variance to train on; use a larger batch");
  return normalise(op, x, {}, weight, bias, 0, options.eps, running_mean, running_var, options.momentum, behind).second;
}

}  // namespace

AnyTensor batch_norm(const AnyTensor& x, const AnyTensor& running_mean, const AnyTensor& running_var, const AnyTensor& weight,
                     const AnyTensor& bias, const BatchNormOptions& options) {
  return normalise_batch("batch_norm", x, running_mean, running_var, weight, bias, options);
}

AnyTensor batch_norm_relu(const AnyTensor& x, const AnyTensor& residual, const AnyTensor& running_mean,
                          const AnyTensor& running_var, const AnyTensor& weight, const AnyTensor& bias,
                          const BatchNormOptions& options) {
  return normalise_batch("batch_norm_relu", x, running_mean, running_var, weight, bias, options, {true, residual});
}

AnyTensor group_norm(const AnyTensor& x, int64_t groups, const AnyTensor& weight, const AnyTensor& bias, double eps) {
  check_groups("group_norm", x, groups, weight, bias);
  return normalise("group_norm", x, {}, weight, bias, groups, eps).second;
}

std::pair<AnyTensor, AnyTensor> add_group_norm(const AnyTensor& x, const AnyTensor& residual, int64_t groups,
                                               const AnyTensor& weight, const AnyTensor& bias, double eps) {
  constexpr const char* op = "add_group_norm";
  check_residual(op, residual);
  check_groups(op, x, groups, weight, bias);
  check_residual_fits(op, x, residual);
  return normalise(op, x, residual, weight, bias, groups, eps);
}

AnyTensor instance_norm(const AnyTensor& x, const AnyTensor& running_mean, const AnyTensor& running_var, const AnyTensor& weight,
                        const AnyTensor& bias, const InstanceNormOptions& options) {
  constexpr const char* op = "instance_norm";
  check_channels(op, x, weight, bias);
  int64_t channels = x.shape()[1];
  check_parameter(op, "running_mean", running_mean, {channels}, x);
  check_parameter(op, "running_var", running_var, {channels}, x);
  if (!options.use_input_stats) {
    if (!running_mean || !running_var) fail<ValueError>(op, ": running_mean and running_var are needed without use_input_stats");
    return normalise_fixed(op, x, running_mean, running_var, weight, bias, options.eps);
  }
  if (channels > 0 && x.numel() <= x.shape()[0] * channels)
    fail<ValueError>(op, ": x has shape ", x.shape(), ", at most one value a channel: no variance");
  if ((running_mean || running_var) && x.numel() > 0) {
    NoGrad no_grad;
    int64_t n = x.numel() / (x.shape()[0] * channels);
    AnyTensor rows = to(reshape(x, {x.shape()[0], channels, n}), accumulate_dtype(x.dtype()));
    AnyTensor middle = gradus::mean(rows, 2, true), var = sum(square(rows - middle), 2) / double(n - 1);
    auto move = [&](AnyTensor running, const AnyTensor& now) {
      if (running)
        running.copy_(to(running * (1 - options.momentum) + to(now, running.dtype()) * options.momentum, running.dtype()));
    };
    move(running_mean, gradus::mean(reshape(middle, {x.shape()[0], channels}), 0));
    move(running_var, gradus::mean(var, 0));
  }
  return normalise(op, x, {}, weight, bias, channels ? channels : 1, options.eps).second;
}

}  // namespace gradus
