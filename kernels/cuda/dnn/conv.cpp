// Convolutions. Images lie as cuDNN likes them best, (N, H, W, C); weights do not, so they are copied into (O, H, W, C) where that is
// another order.
#include <optional>

#include "gradus/core/precision.h"
#include "kernels/cuda/dnn/dnn.h"
#include "kernels/cuda/dnn/plans.h"
#include "kernels/cuda/dnn/tasks.h"

namespace gradus::cuda {

void copy(const Array& y, const Array& x);
void conv2d(const Array& y, const Array& x, const Array& w, const Array& bias, const ConvParams& p);
void conv2d_backward_input(const Array& dx, const Array& dy, const Array& w, const ConvParams& p);
void conv2d_backward_weight(const Array& dw, const Array& dbias, const Array& dy, const Array& x, const ConvParams& p);

namespace dnn {
namespace {

Layout channels_last(int64_t n, int64_t c, int64_t h, int64_t w) { return {{n, c, h, w}, {h * w * c, 1, w * c, c}}; }
Layout channels_last(const Array& x) { return channels_last(x.size(0), x.size(1), x.size(2), x.size(3)); }

/// Weights, or room for their gradient, as cuDNN wants them: the array's own memory where that is the same.
class Weights {
 public:
  explicit Weights(const Array& w) : layout_(channels_last(w)), w_(w) {
    if (w.size(1) > 1 && w.size(2) * w.size(3) > 1) scratch_.emplace(size_t(w.count) * item_size(w.dtype));
  }
  void* data() const { return scratch_ ? scratch_->as<void>() : w_.data; }
  void take() const {
    if (scratch_) copy(in_scratch(), w_);
  }
  void give_back() const {
    if (scratch_) copy(w_, in_scratch());
  }

 private:
  Array in_scratch() const { return {scratch_->as<void>(), w_.dtype, false, 4, w_.count, layout_.size, layout_.stride}; }
  Layout layout_;
  const Array& w_;
  std::optional<Scratch> scratch_;
};

bool convolve(const Array& y, const Array& x, const Array& w, const Array& bias, const ConvParams& p) {
  Task task{};
  if (!convolution_task(task, Job::convolution, x, w, y, bias, p)) return false;
  if (!aligned(y.data) || !aligned(x.data) || !aligned(w.data) || !aligned(bias.data)) return false;
  const Run run(task);
  if (!run) return false;
  const Weights weights(w);
  weights.take();
  void* const data[kMostTaskOperands] = {x.data, weights.data(), y.data, bias.data};
  return run(data);
}

bool input_gradient(const Array& dx, const Array& dy, const Array& w, const ConvParams& p) {
  Task task{};
  if (!convolution_task(task, Job::input_gradient, dx, w, dy, {}, p)) return false;
  if (!aligned(dx.data) || !aligned(dy.data) || !aligned(w.data)) return false;
  const Run run(task);
  if (!run) return false;
  const Weights weights(w);
  weights.take();
  void* const data[kMostTaskOperands] = {dx.data, weights.data(), dy.data};
  return run(data);
}

bool weight_gradient(const Array& dw, const Array& dy, const Array& x, const ConvParams& p) {
  Task task{};
  if (!convolution_task(task, Job::weight_gradient, x, dw, dy, {}, p)) return false;
  if (!aligned(dw.data) || !aligned(dy.data) || !aligned(x.data)) return false;
  const Run run(task);
  if (!run) return false;
  const Weights weights(dw);
  void* const data[kMostTaskOperands] = {x.data, weights.data(), dy.data};
  if (!run(data)) return false;
  weights.give_back();
  return true;
}

}  // namespace

bool convolution_task(Task& task, Job job, const Array& x, const Array& w, const Array& y, const Array& bias, const ConvParams& p) {
  if (x.dtype == DType::float64 || x.count == 0 || w.count == 0 || y.count == 0) return false;
  for (const Array* a : {&x, &w, &y})
    if (a->count > INT32_MAX) return false;
  task.job = job, task.dtype = int64_t(x.dtype);
  task.tensor_cores = x.dtype != DType::float32 || float32_matmul_precision() != Float32Precision::highest;
  for (int d = 0; d < 2; ++d) task.stride[d] = p.stride[d], task.padding[d] = p.padding[d], task.dilation[d] = p.dilation[d];
  task.operand[kX] = channels_last(x), task.operand[kW] = channels_last(w), task.operand[kY] = channels_last(y);
  if (bias) task.operand[kBias] = channels_last(1, bias.count, 1, 1);
  return true;
}

void conv2d(const Array& y, const Array& x, const Array& w, const Array& bias, const ConvParams& p) {
  if (!where_memory_allows([&] { return convolve(y, x, w, bias, p); })) cuda::conv2d(y, x, w, bias, p);
}
void conv2d_backward_input(const Array& dx, const Array& dy, const Array& w, const ConvParams& p) {
  if (!where_memory_allows([&] { return input_gradient(dx, dy, w, p); })) cuda::conv2d_backward_input(dx, dy, w, p);
}
void conv2d_backward_weight(const Array& dw, const Array& dbias, const Array& dy, const Array& x, const ConvParams& p) {
  const bool done = where_memory_allows([&] { return weight_gradient(dw, dy, x, p); });
  if (!done || dbias) cuda::conv2d_backward_weight(done ? Array{} : dw, dbias, dy, x, p);
}

}  // namespace dnn
}  // namespace gradus::cuda
