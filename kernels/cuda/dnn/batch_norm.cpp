// Batch norms in training. cuDNN writes the mean and 1 / sqrt(var + eps), which is what our own gradient saves; running statistics are moved
// by a kernel of ours from those, so that they are of the unbiased variance whatever cuDNN holds them to be of. Its engines read channels
// that come last, several at a time, without looking at whether they do. Batch norms by given statistics are one reading and one writing
// for anybody, and stay ours; so do those with relu behind them, whose gradient works out again what our own forward kernel wrote, to the bit.
#include <optional>

#include "kernels/cuda/dnn/dnn.h"
#include "kernels/cuda/dnn/plans.h"
#include "kernels/cuda/dnn/tasks.h"

namespace gradus::cuda {

void move_running(const Array& running_mean, const Array& running_var, const Array& mean, const Array& rstd, int64_t per_channel,
                  double eps, double momentum);
void channel_norm(const Array& y, const Array& mean, const Array& rstd, const Array& running_mean, const Array& running_var,
                  const Array& sum, const Array& x, const Array& residual, const Array& past, const Array& weight,
                  const Array& bias, int64_t groups, double eps, double momentum, bool rectified);
void channel_norm_backward(const Array& dx, const Array& dweight, const Array& dbias, const Array& dpast, const Array& g,
                           const Array& x, const Array& y, const Array& mean, const Array& rstd, const Array& weight,
                           const Array& bias, int64_t groups, bool fixed, bool accumulate, bool rectified);

namespace dnn {
namespace {

bool normalise(const Array& y, const Array& mean, const Array& rstd, const Array& running_mean, const Array& running_var,
               const Array& x, const Array& weight, const Array& bias, double eps, double momentum) {
  Task task{};
  if (!weight || !bias || !batch_norm_task(task, Job::batch_norm, x, eps)) return false;
  for (const Array* a : {&y, &mean, &rstd, &x, &weight, &bias})
    if (!aligned(a->data)) return false;
  const Run run(task);
  void* const data[kMostTaskOperands] = {x.data, y.data, weight.data, bias.data, mean.data, rstd.data};
  if (!run || !run(data)) return false;
  if (running_mean || running_var) move_running(running_mean, running_var, mean, rstd, x.count / x.size(1), eps, momentum);
  return true;
}

/// A channel's gradients, or room for those that nobody wants: cuDNN writes both.
class ChannelGradient {
 public:
  ChannelGradient(const Array& x, int64_t channels) : data_(x.data) {
    if (!x) data_ = scratch_.emplace(size_t(channels) * sizeof(float)).as<void>();
  }
  void* data() const { return data_; }

 private:
  std::optional<Scratch> scratch_;
  void* data_;
};

bool gradient(const Array& dx, const Array& dweight, const Array& dbias, const Array& g, const Array& x, const Array& mean,
              const Array& rstd, const Array& weight) {
  Task task{};
  if (!dx || !weight || !batch_norm_task(task, Job::batch_norm_gradient, x, 0)) return false;
  for (const Array* a : {&dx, &dweight, &dbias, &g, &x, &mean, &rstd, &weight})
    if (!aligned(a->data)) return false;
  const Run run(task);
  if (!run) return false;
  const ChannelGradient scale(dweight, x.size(1)), shift(dbias, x.size(1));
  void* const data[kMostTaskOperands] = {x.data,    g.data,  weight.data,  nullptr,     mean.data,
                                         rstd.data, dx.data, scale.data(), shift.data()};
  return run(data);
}

}  // namespace

bool batch_norm_task(Task& task, Job job, const Array& x, double eps) {
  // Three passes over 8 MB of a half type take a GPU of 3 TB/s 8 us, which is what our four launches take too. Below that launches count, of
  // which cuDNN has as many with the one for running statistics, and its plan is compiled first: for a second or two.
  constexpr int64_t kLeast = int64_t(1) << 22;
  if (x.dtype == DType::float64 || x.count < kLeast || x.count > INT32_MAX) return false;
  const int64_t n = x.size(0), c = x.size(1), pixels = x.count / (n * c);
  if ((x.contiguous && pixels > 1 && c > 1) || c * item_size(x.dtype) % 16 != 0) return false;
  const int64_t width = x.rank == 4 ? x.size(3) : 1, height = pixels / width;
  task.job = job, task.dtype = int64_t(x.dtype), task.eps = eps;
  const Layout elements{{n, c, height, width}, {pixels * c, 1, width * c, c}}, channels{{1, c, 1, 1}, {c, 1, c, c}};
  Layout* to = task.operand;
  to[kInput] = to[kNormed] = elements;
  to[kScale] = to[kMean] = to[kRstd] = channels;
  if (job == Job::batch_norm) to[kShift] = channels;
  if (job == Job::batch_norm_gradient) to[kInputGradient] = elements, to[kScaleGradient] = to[kShiftGradient] = channels;
  return true;
}

void channel_norm(const Array& y, const Array& mean, const Array& rstd, const Array& running_mean, const Array& running_var,
                  const Array& sum, const Array& x, const Array& residual, const Array& past, const Array& weight,
                  const Array& bias, int64_t groups, double eps, double momentum, bool rectified) {
  const bool done = !groups && !residual && !rectified && where_memory_allows([&] {
    return normalise(y, mean, rstd, running_mean, running_var, x, weight, bias, eps, momentum);
  });
  if (!done)
    cuda::channel_norm(y, mean, rstd, running_mean, running_var, sum, x, residual, past, weight, bias, groups, eps, momentum,
                       rectified);
}

void channel_norm_backward(const Array& dx, const Array& dweight, const Array& dbias, const Array& dpast, const Array& g,
                           const Array& x, const Array& y, const Array& mean, const Array& rstd, const Array& weight,
                           const Array& bias, int64_t groups, bool fixed, bool accumulate, bool rectified) {
  const bool done = !groups && !fixed && !accumulate && !rectified &&
                    where_memory_allows([&] { return gradient(dx, dweight, dbias, g, x, mean, rstd, weight); });
  if (!done)
    cuda::channel_norm_backward(dx, dweight, dbias, dpast, g, x, y, mean, rstd, weight, bias, groups, fixed, accumulate, rectified);
}

}  // namespace dnn
}  // namespace gradus::cuda
