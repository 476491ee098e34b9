// Normalisations. Half types compute in float, and their parameters may be stored in float. Weights and biases may be undefined.
#pragma once
#include <optional>
#include <utility>

#include "gradus/core/tensor.h"

namespace gradus {

/// (x - mean) / sqrt(var + eps) * weight + bias over the last axes, whose sizes are normalized_shape, the shape of weight and bias. The
/// variance is the biased one. Ba, Kiros, Hinton: Layer Normalization (2016). Throws ShapeError where sizes differ.
///   AnyTensor y = layer_norm(x, {128}, weight, bias);   // each of x's last rows by itself
AnyTensor layer_norm(const AnyTensor& x, const Shape& normalized_shape, const AnyTensor& weight = {}, const AnyTensor& bias = {},
                     double eps = 1e-5);
/// x / sqrt(mean(x * x) + eps) * weight over the last axes. Without eps, the smallest step above 1 of x's dtype. Zhang, Sennrich: Root
/// Mean Square Layer Normalization (2019).
AnyTensor rms_norm(const AnyTensor& x, const Shape& normalized_shape, const AnyTensor& weight = {},
                   std::optional<double> eps = std::nullopt);
/// {x + residual, layer_norm(x + residual, ...)} in one pass over memory, as the blocks of a transformer need them. Throws ShapeError
/// where the shapes of x and residual differ.
///   std::tie(stream, y) = add_layer_norm(branch, stream, {128}, weight, bias);
std::pair<AnyTensor, AnyTensor> add_layer_norm(const AnyTensor& x, const AnyTensor& residual, const Shape& normalized_shape,
                                               const AnyTensor& weight = {}, const AnyTensor& bias = {}, double eps = 1e-5);
/// {x + residual, rms_norm(x + residual, ...)}, in the same way.
std::pair<AnyTensor, AnyTensor> add_rms_norm(const AnyTensor& x, const AnyTensor& residual, const Shape& normalized_shape,
                                             const AnyTensor& weight = {}, std::optional<double> eps = std::nullopt);

struct BatchNormOptions {
  bool training = false;  // statistics of this batch, which then move the running ones; else the running ones
  double momentum = 0.1;  // the weight of this batch in the running statistics; 1 / (batches so far) makes them plain averages
  double eps = 1e-5;
};
/// (x - mean) / sqrt(var + eps) * weight + bias for each channel of (N, C, ...). The running variance gathers the unbiased one. Running
/// statistics may be undefined in training. Ioffe, Szegedy: Batch Normalization (2015). Throws ValueError for training on one value a
/// channel.
///   AnyTensor y = batch_norm(x, running_mean, running_var, weight, bias, {.training = true});
AnyTensor batch_norm(const AnyTensor& x, const AnyTensor& running_mean, const AnyTensor& running_var, const AnyTensor& weight = {},
                     const AnyTensor& bias = {}, const BatchNormOptions& options = {});
/// relu(batch_norm(x, ...) + residual) without passes of their own for the sum and relu: of half types it is rounded once. Without a residual
/// (undefined), relu(batch_norm(x, ...)). NaN passes, and so does its gradient. Throws as batch_norm does, and ShapeError where the shapes
/// of x and residual differ.
///   AnyTensor y = batch_norm_relu(x, shortcut, running_mean, running_var, weight, bias, {.training = true});
AnyTensor batch_norm_relu(const AnyTensor& x, const AnyTensor& residual, const AnyTensor& running_mean,
                          const AnyTensor& running_var, const AnyTensor& weight = {}, const AnyTensor& bias = {},
                          const BatchNormOptions& options = {});
/// As layer_norm over each of `groups` groups of neighbouring channels of (N, C, ...), with a weight and a bias for each channel. Wu, He:
/// Group Normalization (2018). Throws ShapeError unless groups divides C.
AnyTensor group_norm(const AnyTensor& x, int64_t groups, const AnyTensor& weight = {}, const AnyTensor& bias = {},
                     double eps = 1e-5);
/// {x + residual, group_norm(x + residual, ...)}: the sum is made in the pass that takes the statistics. Throws ShapeError where the shapes
/// of x and residual differ.
std::pair<AnyTensor, AnyTensor> add_group_norm(const AnyTensor& x, const AnyTensor& residual, int64_t groups,
                                               const AnyTensor& weight = {}, const AnyTensor& bias = {}, double eps = 1e-5);

struct InstanceNormOptions {
  bool use_input_stats = true;  // else the running statistics
  double momentum = 0.1;
  double eps = 1e-5;
};
/// Each channel of each example of (N, C, ...) by itself. Running statistics, where given, gather the averages over the examples.
AnyTensor instance_norm(const AnyTensor& x, const AnyTensor& running_mean = {}, const AnyTensor& running_var = {},
                        const AnyTensor& weight = {}, const AnyTensor& bias = {}, const InstanceNormOptions& options = {});

struct LocalResponseNormOptions {
  int64_t size = 5;  // channels that are averaged
  double alpha = 1e-4, beta = 0.75, k = 1;
};
/// x / (k + alpha * average)^beta, where the average is of x * x over `size` neighbouring channels of (N, C, ...), zeros beyond the ends.
AnyTensor local_response_norm(const AnyTensor& x, const LocalResponseNormOptions& options = {});

struct NormalizeOptions {
  double p = 2;
  int64_t axis = 1;
  double eps = 1e-12;
};
/// x / max(norm, eps) with the p-norm along axis.
AnyTensor normalize(const AnyTensor& x, const NormalizeOptions& options = {});

// Typed. Parameters stay AnyTensor, since those of half types may be float.
#define GRADUS_TYPED_NORM(name, parameters, arguments) \
  template <class T> Tensor<T> name parameters { return Tensor<T>(name arguments); }
#define GRADUS_X static_cast<const AnyTensor&>(x)
GRADUS_TYPED_NORM(layer_norm,
                  (const Tensor<T>& x, const Shape& normalized_shape, const AnyTensor& weight = {}, const AnyTensor& bias = {},
                   double eps = 1e-5),
                  (GRADUS_X, normalized_shape, weight, bias, eps))
GRADUS_TYPED_NORM(rms_norm,
                  (const Tensor<T>& x, const Shape& normalized_shape, const AnyTensor& weight = {},
                   std::optional<double> eps = std::nullopt),
                  (GRADUS_X, normalized_shape, weight, eps))
template <class T> std::pair<Tensor<T>, Tensor<T>> add_layer_norm(const Tensor<T>& x, const Tensor<T>& residual,
                                                                  const Shape& normalized_shape, const AnyTensor& weight = {},
                                                                  const AnyTensor& bias = {}, double eps = 1e-5) {
  auto [sum, y] = add_layer_norm(GRADUS_X, static_cast<const AnyTensor&>(residual), normalized_shape, weight, bias, eps);
  return {Tensor<T>(sum), Tensor<T>(y)};
}
template <class T> std::pair<Tensor<T>, Tensor<T>> add_rms_norm(const Tensor<T>& x, const Tensor<T>& residual,
                                                                const Shape& normalized_shape, const AnyTensor& weight = {},
                                                                std::optional<double> eps = std::nullopt) {
  auto [sum, y] = add_rms_norm(GRADUS_X, static_cast<const AnyTensor&>(residual), normalized_shape, weight, eps);
  return {Tensor<T>(sum), Tensor<T>(y)};
}
template <class T> std::pair<Tensor<T>, Tensor<T>> add_group_norm(const Tensor<T>& x, const Tensor<T>& residual, int64_t groups,
                                                                  const AnyTensor& weight = {}, const AnyTensor& bias = {},
                                                                  double eps = 1e-5) {
  auto [sum, y] = add_group_norm(GRADUS_X, static_cast<const AnyTensor&>(residual), groups, weight, bias, eps);
  return {Tensor<T>(sum), Tensor<T>(y)};
}
template <class T, class U>
void add_group_norm(const Tensor<T>&, const Tensor<U>&, int64_t, const AnyTensor& = {}, const AnyTensor& = {}, double = 0) = delete;
template <class T, class U> void add_layer_norm(const Tensor<T>&, const Tensor<U>&, const Shape&, const AnyTensor& = {},
                                                const AnyTensor& = {}, double = 0) = delete;
template <class T, class U>
void add_rms_norm(const Tensor<T>&, const Tensor<U>&, const Shape&, const AnyTensor& = {}, std::optional<double> = {}) = delete;
GRADUS_TYPED_NORM(batch_norm,
                  (const Tensor<T>& x, const AnyTensor& running_mean, const AnyTensor& running_var, const AnyTensor& weight = {},
                   const AnyTensor& bias = {}, const BatchNormOptions& options = {}),
                  (GRADUS_X, running_mean, running_var, weight, bias, options))
GRADUS_TYPED_NORM(batch_norm_relu,
                  (const Tensor<T>& x, const Tensor<T>& residual, const AnyTensor& running_mean, const AnyTensor& running_var,
                   const AnyTensor& weight = {}, const AnyTensor& bias = {}, const BatchNormOptions& options = {}),
                  (GRADUS_X, static_cast<const AnyTensor&>(residual), running_mean, running_var, weight, bias, options))
template <class T, class U> Tensor<T> batch_norm_relu(const Tensor<T>&, const Tensor<U>&, const AnyTensor&, const AnyTensor&,
                                                      const AnyTensor& = {}, const AnyTensor& = {},
                                                      const BatchNormOptions& = {}) = delete;
GRADUS_TYPED_NORM(group_norm,
                  (const Tensor<T>& x, int64_t groups, const AnyTensor& weight = {}, const AnyTensor& bias = {}, double eps = 1e-5),
                  (GRADUS_X, groups, weight, bias, eps))
GRADUS_TYPED_NORM(instance_norm,
                  (const Tensor<T>& x, const AnyTensor& running_mean = {}, const AnyTensor& running_var = {},
                   const AnyTensor& weight = {}, const AnyTensor& bias = {}, const InstanceNormOptions& options = {}),
                  (GRADUS_X, running_mean, running_var, weight, bias, options))
GRADUS_TYPED_NORM(local_response_norm, (const Tensor<T>& x, const LocalResponseNormOptions& options = {}), (GRADUS_X, options))
GRADUS_TYPED_NORM(normalize, (const Tensor<T>& x, const NormalizeOptions& options = {}), (GRADUS_X, options))
#undef GRADUS_X
#undef GRADUS_TYPED_NORM

}  // namespace gradus
