// Activations as modules, for Sequential and for members; in a forward of one's own the functions do as well.
#pragma once
#include "gradus/nn/layer.h"
#include "gradus/ops/elementwise.h"
#include "gradus/ops/softmax.h"

namespace gradus::nn {

#define GRADUS_ACTIVATION(Name, function)                            \
  class Name : public Module {                                       \
   public:                                                           \
    GRADUS_MEMBERS()                                                 \
    AnyTensor forward(const AnyTensor& x) const { return function; } \
    GRADUS_TYPED_FORWARD                                             \
  };
/// With one parameter, which is given plainly or left at its default: nn::LeakyReLU(0.2).
#define GRADUS_ACTIVATION1(Name, parameter, standard, function)          \
  class Name : public Module {                                           \
   public:                                                               \
    explicit Name(double parameter = standard) : parameter(parameter) {} \
    double parameter;                                                    \
    GRADUS_MEMBERS()                                                     \
    AnyTensor forward(const AnyTensor& x) const { return function; }     \
    GRADUS_TYPED_FORWARD                                                 \
  };
/// With options: nn::Softplus({.beta = 2}).
#define GRADUS_ACTIVATION_OPTIONS(Name, function)                          \
  class Name : public Module {                                             \
   public:                                                                 \
    explicit Name(const Name##Options& options = {}) : options(options) {} \
    Name##Options options;                                                 \
    GRADUS_MEMBERS()                                                       \
    AnyTensor forward(const AnyTensor& x) const { return function; }       \
    GRADUS_TYPED_FORWARD                                                   \
  };

GRADUS_ACTIVATION(Identity, x)
GRADUS_ACTIVATION(ReLU, relu(x))
GRADUS_ACTIVATION(ReLU6, relu6(x))
GRADUS_ACTIVATION(SELU, selu(x))
GRADUS_ACTIVATION(SiLU, silu(x))
GRADUS_ACTIVATION(Mish, mish(x))
GRADUS_ACTIVATION(Hardswish, hardswish(x))
GRADUS_ACTIVATION(Hardsigmoid, hardsigmoid(x))
GRADUS_ACTIVATION(Sigmoid, sigmoid(x))
GRADUS_ACTIVATION(LogSigmoid, logsigmoid(x))
GRADUS_ACTIVATION(Softsign, softsign(x))
GRADUS_ACTIVATION(Tanh, tanh(x))
GRADUS_ACTIVATION(Tanhshrink, x - tanh(x))
GRADUS_ACTIVATION1(LeakyReLU, negative_slope, 0.01, leaky_relu(x, negative_slope))
GRADUS_ACTIVATION1(ELU, alpha, 1.0, elu(x, alpha))
GRADUS_ACTIVATION1(CELU, alpha, 1.0, celu(x, alpha))
GRADUS_ACTIVATION1(Hardshrink, lambda, 0.5, hardshrink(x, lambda))
GRADUS_ACTIVATION1(Softshrink, lambda, 0.5, softshrink(x, lambda))

enum class Gelu { exact, tanh };
struct GELUOptions {
  Gelu approximate = Gelu::exact;  // tanh: cheaper, right to three digits
};
GRADUS_ACTIVATION_OPTIONS(GELU, options.approximate == Gelu::tanh ? gelu_tanh(x) : gelu(x))

struct SoftplusOptions {
  double beta = 1, threshold = 20;  // linear where x * beta is above the threshold
};
GRADUS_ACTIVATION_OPTIONS(Softplus, softplus(x, options.beta, options.threshold))

struct HardtanhOptions {
  double min = -1, max = 1;
};
GRADUS_ACTIVATION_OPTIONS(Hardtanh, hardtanh(x, options.min, options.max))

struct ThresholdOptions {
  double threshold = 0, value = 0;
};
/// x where it is above the threshold, else value.
GRADUS_ACTIVATION_OPTIONS(Threshold, gradus::threshold(x, options.threshold, options.value))

#define GRADUS_ACTIVATION_AXIS(Name, function)                       \
  class Name : public Module {                                       \
   public:                                                           \
    explicit Name(int64_t axis) : axis(axis) {}                      \
    int64_t axis;                                                    \
    GRADUS_MEMBERS()                                                 \
    AnyTensor forward(const AnyTensor& x) const { return function; } \
    GRADUS_TYPED_FORWARD                                             \
  };
/// Along an axis, which must be said: nn::Softmax(-1).
GRADUS_ACTIVATION_AXIS(Softmax, softmax(x, axis))
GRADUS_ACTIVATION_AXIS(LogSoftmax, log_softmax(x, axis))
GRADUS_ACTIVATION_AXIS(Softmin, softmin(x, axis))
/// Over the channels of an image.
GRADUS_ACTIVATION(Softmax2d, softmax(x, -3))

/// The first half of an axis times the sigmoid of the second. Dauphin et al. (2017).
class GLU : public Module {
 public:
  explicit GLU(int64_t axis = -1) : axis(axis) {}
  int64_t axis;
  GRADUS_MEMBERS()
  AnyTensor forward(const AnyTensor& x) const;
  GRADUS_TYPED_FORWARD
};

struct PReLUOptions {
  int64_t channels = 1;  // one slope for all, or one for each channel (axis 1)
  double init = 0.25;
};
/// x where it is positive, else x times a slope that is learned. He et al. (2015).
class PReLU : public Module {
 public:
  explicit PReLU(const PReLUOptions& options = {});
  Parameter weight;
  GRADUS_MEMBERS(weight)
  AnyTensor forward(const AnyTensor& x) const;
  GRADUS_TYPED_FORWARD
};

#undef GRADUS_ACTIVATION
#undef GRADUS_ACTIVATION1
#undef GRADUS_ACTIVATION_OPTIONS
#undef GRADUS_ACTIVATION_AXIS

}  // namespace gradus::nn
