#include "gradus/nn/norm.h"

#include "gradus/autograd/mode.h"
#include "gradus/ops/create.h"
#include "gradus/ops/elementwise.h"
#include "gradus/ops/view.h"
#include "src/nn/uniform.h"

namespace gradus::nn {
namespace {

/// A norm's kernel reads float parameters beside half activations; any other mixture is cast.
bool fits(const AnyTensor& p, const AnyTensor& x) {
  return !p.defined() || p.dtype() == x.dtype() || (is_half(x.dtype()) && p.dtype() == DType::float32);
}
AnyTensor beside(const Parameter& p, const AnyTensor& x) { return fits(p, x) ? AnyTensor(p) : p.as(x.dtype()); }

Parameter ones_of(const Shape& shape) { return Parameter(ones(shape, DType::float32)); }
Parameter zeros_of(const Shape& shape) { return Parameter(zeros(shape, DType::float32)); }

/// Running statistics in a dtype that goes with x; written back where that is not their own.
class Running {
 public:
  Running(const Buffer& held, const AnyTensor& x) : held_(held), used_(fits(held, x) ? AnyTensor(held) : held.to(x.dtype())) {}
  const AnyTensor& tensor() const { return used_; }
  void moved() {
    if (held_.defined() && !used_.is_same(held_)) held_.copy_(used_);
  }

 private:
  AnyTensor held_, used_;
};

void check_sizes(const char* layer, const Shape& sizes) {
  if (sizes.rank == 0) throw ValueError(std::string(layer) + ": got no sizes to normalize over");
  for (int64_t n : sizes) check_size(layer, "a size", n);
}
void make(int64_t channels, bool affine, bool tracked, Parameter& weight, Parameter& bias, Buffer& mean, Buffer& var,
          Buffer& batches) {
  if (affine) weight = ones_of({channels}), bias = zeros_of({channels});
  if (!tracked) return;
  mean = Buffer(zeros({channels}, DType::float32));
  var = Buffer(ones({channels}, DType::float32));
  batches = Buffer(zeros({}, DType::int64));
}
[[noreturn]] void wrong_rank(const char* name, const AnyTensor& x, int least, int most) {
  throw ShapeError(std::string(name) + ": got shape " + to_string(x.shape()) + "; " + std::to_string(least) +
                   (most > least ? " or " + std::to_string(most) : "") + " dimensions are needed, channels second");
}

}  // namespace

BatchNorm::BatchNorm(const char* name, int64_t channels, int least_rank, int most_rank, const BatchNormOptions& o)
    : name_(name), least_rank_(least_rank), most_rank_(most_rank), options_(o) {
  check_size(name, "channels", channels);
  make(channels, o.affine, o.track_running_stats, weight, bias, running_mean, running_var, num_batches_tracked);
}
AnyTensor BatchNorm::forward(const AnyTensor& x) const { return normalise(x, false, {}); }
AnyTensor BatchNorm::relu(const AnyTensor& x) const { return normalise(x, true, {}); }
AnyTensor BatchNorm::relu(const AnyTensor& x, const AnyTensor& residual) const {
  check_defined(name_, residual);
  return normalise(x, true, residual);
}
AnyTensor BatchNorm::normalise(const AnyTensor& x, bool rectified, const AnyTensor& residual) const {
  check_defined(name_, x);
  if (x.dim() < least_rank_ || x.dim() > most_rank_) wrong_rank(name_, x, least_rank_, most_rank_);
  auto norm = [&](const AnyTensor& mean, const AnyTensor& var, const gradus::BatchNormOptions& options) {
    AnyTensor w = beside(weight, x), b = beside(bias, x);
    return rectified ? batch_norm_relu(x, residual, mean, var, w, b, options) : batch_norm(x, mean, var, w, b, options);
  };
  bool batch_statistics = training() || !running_mean.defined();
  double momentum = options_.momentum.value_or(0);
  if (training() && num_batches_tracked.defined()) {
    AnyTensor count = num_batches_tracked;
    add_scalar_(count, 1);
    if (!options_.momentum) momentum = 1 / count.item();
  }
  if (x.numel() == 0) {  // nothing to normalize, and nothing to learn from
    AnyTensor none = zeros({x.size(1)}, x.dtype(), x.device());
    return norm(none, ones_like(none), {.eps = options_.eps});
  }
  Running mean(running_mean, x), var(running_var, x);
  AnyTensor y = norm(mean.tensor(), var.tensor(), {.training = batch_statistics, .momentum = momentum, .eps = options_.eps});
  if (batch_statistics) {
    NoGrad no_grad;
    mean.moved(), var.moved();
  }
  return y;
}

InstanceNorm::InstanceNorm(const char* name, int64_t channels, int rank, const InstanceNormOptions& o)
    : name_(name), rank_(rank), options_(o) {
  check_size(name, "channels", channels);
  make(channels, o.affine, o.track_running_stats, weight, bias, running_mean, running_var, num_batches_tracked);
}
AnyTensor InstanceNorm::forward(const AnyTensor& x) const {
  check_defined(name_, x);
  if (x.dim() != rank_ && x.dim() != rank_ - 1) wrong_rank(name_, x, rank_ - 1, rank_);
  bool own_statistics = training() || !running_mean.defined();
  if (training() && num_batches_tracked.defined()) {
    AnyTensor count = num_batches_tracked;
    add_scalar_(count, 1);
  }
  Running mean(running_mean, x), var(running_var, x);
  bool alone = x.dim() == rank_ - 1;
  AnyTensor y = instance_norm(alone ? unsqueeze(x, 0) : x, mean.tensor(), var.tensor(), beside(weight, x), beside(bias, x),
                              {.use_input_stats = own_statistics, .momentum = options_.momentum, .eps = options_.eps});
  if (own_statistics) {
    NoGrad no_grad;
    mean.moved(), var.moved();
  }
  return alone ? squeeze(y, 0) : y;
}

LayerNorm::LayerNorm(const Shape& sizes, const LayerNormOptions& o) : sizes_(sizes), eps_(o.eps) {
  check_sizes("LayerNorm", sizes);
  if (o.affine) weight = ones_of(sizes);
  if (o.affine && o.bias) bias = zeros_of(sizes);
}
AnyTensor LayerNorm::forward(const AnyTensor& x) const {
  check_defined("LayerNorm", x);
  return layer_norm(x, sizes_, beside(weight, x), beside(bias, x), eps_);
}
std::pair<AnyTensor, AnyTensor> LayerNorm::add(const AnyTensor& x, const AnyTensor& residual) const {
  check_defined("LayerNorm", x);
  return add_layer_norm(x, residual, sizes_, beside(weight, x), beside(bias, x), eps_);
}

RMSNorm::RMSNorm(const Shape& sizes, const RMSNormOptions& o) : sizes_(sizes), eps_(o.eps) {
  check_sizes("RMSNorm", sizes);
  if (o.affine) weight = ones_of(sizes);
}
AnyTensor RMSNorm::forward(const AnyTensor& x) const {
  check_defined("RMSNorm", x);
  return rms_norm(x, sizes_, beside(weight, x), eps_);
}
std::pair<AnyTensor, AnyTensor> RMSNorm::add(const AnyTensor& x, const AnyTensor& residual) const {
  check_defined("RMSNorm", x);
  return add_rms_norm(x, residual, sizes_, beside(weight, x), eps_);
}

GroupNorm::GroupNorm(const GroupNormOptions& o) : options_(o) {
  check_size("GroupNorm", "groups", o.groups), check_size("GroupNorm", "channels", o.channels);
  if (o.channels % o.groups != 0)
    throw ValueError("GroupNorm: " + std::to_string(o.groups) + " groups do not divide " + std::to_string(o.channels) +
                     " channels");
  if (o.affine) weight = ones_of({o.channels}), bias = zeros_of({o.channels});
}
void GroupNorm::check(const AnyTensor& x) const {
  check_defined("GroupNorm", x);
  if (x.dim() < 2 || x.size(1) != options_.channels)
    throw ShapeError("GroupNorm: got shape " + to_string(x.shape()) + "; (N, " + std::to_string(options_.channels) +
                     ", ...) is needed");
}
AnyTensor GroupNorm::forward(const AnyTensor& x) const {
  check(x);
  return group_norm(x, options_.groups, beside(weight, x), beside(bias, x), options_.eps);
}
std::pair<AnyTensor, AnyTensor> GroupNorm::add(const AnyTensor& x, const AnyTensor& residual) const {
  check(x);
  return add_group_norm(x, residual, options_.groups, beside(weight, x), beside(bias, x), options_.eps);
}

}  // namespace gradus::nn
