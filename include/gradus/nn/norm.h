// Normalisations. Their parameters begin as ones and zeros; with half types they are read as they are stored, since the kernels compute in
// float.
#pragma once
#include <optional>
#include <utility>

#include "gradus/nn/layer.h"
#include "gradus/ops/norm.h"

namespace gradus::nn {

struct BatchNormOptions {
  double eps = 1e-5;
  std::optional<double> momentum = 0.1;  // the weight of a new batch; without one, plain averages over all batches
  bool affine = true;                    // weight and bias
  bool track_running_stats = true;       // for eval; without them, eval takes the statistics of its batch too
};
/// (x - mean) / sqrt(var + eps) * weight + bias for each channel. In training the statistics are those of the batch, which move the
/// running ones; in eval the running ones.
class BatchNorm : public Module {
 public:
  Parameter weight, bias;
  Buffer running_mean, running_var, num_batches_tracked;
  GRADUS_MEMBERS(weight, bias, running_mean, running_var, num_batches_tracked)

  AnyTensor forward(const AnyTensor& x) const;
  GRADUS_TYPED_FORWARD
  /// relu of the norm, and of the norm + residual, without passes of their own: return bn2.relu(conv2(y), x) ends a residual block.
  AnyTensor relu(const AnyTensor& x) const;
  AnyTensor relu(const AnyTensor& x, const AnyTensor& residual) const;
  template <class T> Tensor<T> relu(const Tensor<T>& x) const { return Tensor<T>(relu(static_cast<const AnyTensor&>(x))); }
  template <class T> Tensor<T> relu(const Tensor<T>& x, const Tensor<T>& residual) const {
    return Tensor<T>(relu(static_cast<const AnyTensor&>(x), static_cast<const AnyTensor&>(residual)));
  }

 protected:
  BatchNorm(const char* name, int64_t channels, int least_rank, int most_rank, const BatchNormOptions& options);

 private:
  AnyTensor normalise(const AnyTensor& x, bool rectified, const AnyTensor& residual) const;
  const char* name_;
  int least_rank_, most_rank_;
  BatchNormOptions options_;
};
/// Of (N, C) or (N, C, L).
class BatchNorm1d : public BatchNorm {
 public:
  explicit BatchNorm1d(int64_t channels, const BatchNormOptions& options = {})
      : BatchNorm("BatchNorm1d", channels, 2, 3, options) {}
};
/// Of (N, C, H, W).
class BatchNorm2d : public BatchNorm {
 public:
  explicit BatchNorm2d(int64_t channels, const BatchNormOptions& options = {})
      : BatchNorm("BatchNorm2d", channels, 4, 4, options) {}
};
/// Of (N, C, D, H, W).
class BatchNorm3d : public BatchNorm {
 public:
  explicit BatchNorm3d(int64_t channels, const BatchNormOptions& options = {})
      : BatchNorm("BatchNorm3d", channels, 5, 5, options) {}
};

struct InstanceNormOptions {
  double eps = 1e-5;
  double momentum = 0.1;
  bool affine = false;
  bool track_running_stats = false;
};
/// Each channel of each example by itself. An example may come alone, without N.
class InstanceNorm : public Module {
 public:
  Parameter weight, bias;
  Buffer running_mean, running_var, num_batches_tracked;
  GRADUS_MEMBERS(weight, bias, running_mean, running_var, num_batches_tracked)

  AnyTensor forward(const AnyTensor& x) const;
  GRADUS_TYPED_FORWARD

 protected:
  InstanceNorm(const char* name, int64_t channels, int rank, const InstanceNormOptions& options);

 private:
  const char* name_;
  int rank_;
  InstanceNormOptions options_;
};
/// Of (N, C, L).
class InstanceNorm1d : public InstanceNorm {
 public:
  explicit InstanceNorm1d(int64_t channels, const InstanceNormOptions& options = {})
      : InstanceNorm("InstanceNorm1d", channels, 3, options) {}
};
/// Of (N, C, H, W).
class InstanceNorm2d : public InstanceNorm {
 public:
  explicit InstanceNorm2d(int64_t channels, const InstanceNormOptions& options = {})
      : InstanceNorm("InstanceNorm2d", channels, 4, options) {}
};
/// Of (N, C, D, H, W).
class InstanceNorm3d : public InstanceNorm {
 public:
  explicit InstanceNorm3d(int64_t channels, const InstanceNormOptions& options = {})
      : InstanceNorm("InstanceNorm3d", channels, 5, options) {}
};

struct LayerNormOptions {
  double eps = 1e-5;
  bool affine = true;  // a weight, and a bias unless that is off
  bool bias = true;
};
/// Over the last axes, whose sizes are given: nn::LayerNorm(128).
class LayerNorm : public Module {
 public:
  explicit LayerNorm(int64_t size, const LayerNormOptions& options = {}) : LayerNorm(Shape{size}, options) {}
  explicit LayerNorm(const Shape& sizes, const LayerNormOptions& options = {});
  Parameter weight, bias;
  GRADUS_MEMBERS(weight, bias)

  AnyTensor forward(const AnyTensor& x) const;
  GRADUS_TYPED_FORWARD
  /// {x + residual, the norm of that} in one pass: for the next branch of a residual stream.
  std::pair<AnyTensor, AnyTensor> add(const AnyTensor& x, const AnyTensor& residual) const;
  template <class T> std::pair<Tensor<T>, Tensor<T>> add(const Tensor<T>& x, const Tensor<T>& residual) const {
    auto [sum, y] = add(static_cast<const AnyTensor&>(x), static_cast<const AnyTensor&>(residual));
    return {Tensor<T>(sum), Tensor<T>(y)};
  }

 private:
  Shape sizes_;
  double eps_;
};

struct RMSNormOptions {
  std::optional<double> eps;  // without one, the smallest step above 1 of the input's dtype
  bool affine = true;
};
/// x / sqrt(mean(x * x) + eps) * weight over the last axes.
class RMSNorm : public Module {
 public:
  explicit RMSNorm(int64_t size, const RMSNormOptions& options = {}) : RMSNorm(Shape{size}, options) {}
  explicit RMSNorm(const Shape& sizes, const RMSNormOptions& options = {});
  Parameter weight;
  GRADUS_MEMBERS(weight)

  AnyTensor forward(const AnyTensor& x) const;
  GRADUS_TYPED_FORWARD
  /// {x + residual, the norm of that} in one pass: for the next branch of a residual stream.
  std::pair<AnyTensor, AnyTensor> add(const AnyTensor& x, const AnyTensor& residual) const;
  template <class T> std::pair<Tensor<T>, Tensor<T>> add(const Tensor<T>& x, const Tensor<T>& residual) const {
    auto [sum, y] = add(static_cast<const AnyTensor&>(x), static_cast<const AnyTensor&>(residual));
    return {Tensor<T>(sum), Tensor<T>(y)};
  }

 private:
  Shape sizes_;
  std::optional<double> eps_;
};

struct GroupNormOptions {
  int64_t groups, channels;
  double eps = 1e-5;
  bool affine = true;
};
/// Over groups of channels of (N, C, ...): nn::GroupNorm({.groups = 8, .channels = 64}).
class GroupNorm : public Module {
 public:
  explicit GroupNorm(const GroupNormOptions& options);
  Parameter weight, bias;
  GRADUS_MEMBERS(weight, bias)

  AnyTensor forward(const AnyTensor& x) const;
  GRADUS_TYPED_FORWARD
  /// {x + residual, the norm of that}, without a pass for the sum.
  std::pair<AnyTensor, AnyTensor> add(const AnyTensor& x, const AnyTensor& residual) const;
  template <class T> std::pair<Tensor<T>, Tensor<T>> add(const Tensor<T>& x, const Tensor<T>& residual) const {
    auto [sum, y] = add(static_cast<const AnyTensor&>(x), static_cast<const AnyTensor&>(residual));
    return {Tensor<T>(sum), Tensor<T>(y)};
  }

 private:
  void check(const AnyTensor& x) const;
  GroupNormOptions options_;
};

/// x / (k + alpha * average of squares over neighbouring channels)^beta.
class LocalResponseNorm : public Module {
 public:
  explicit LocalResponseNorm(const LocalResponseNormOptions& options = {}) : options(options) {}
  LocalResponseNormOptions options;
  GRADUS_MEMBERS()

  AnyTensor forward(const AnyTensor& x) const { return local_response_norm(x, options); }
  GRADUS_TYPED_FORWARD
};

}  // namespace gradus::nn
