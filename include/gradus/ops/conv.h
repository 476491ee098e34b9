// Convolutions (as in the whole field: correlations). Shapes are (N, C, H, W); in memory results lie as (N, H, W, C), which is what the
// kernels are fastest with: a chain of convolutions, norms and activations never changes the order. An image without N is taken as one of
// a batch of one. Half types are summed in float.
#pragma once
#include "gradus/ops/elementwise.h"
#include "gradus/ops/window.h"

namespace gradus {

struct Conv1dOptions {
  int64_t stride = 1;
  Padding padding = 0;
  int64_t dilation = 1;  // distance between the taps of the kernel
  int64_t groups = 1;    // blocks of channels that do not see each other
};
struct Conv2dOptions {
  Pair stride = 1;
  Padding padding = 0;
  Pair dilation = 1;
  int64_t groups = 1;
};
struct ConvTranspose1dOptions {
  int64_t stride = 1, padding = 0;
  int64_t output_padding = 0;  // added to the size of the result at one side: a stride leaves it open
  int64_t groups = 1, dilation = 1;
};
struct ConvTranspose2dOptions {
  Pair stride = 1, padding = 0;
  Pair output_padding = 0;
  int64_t groups = 1;
  Pair dilation = 1;
};

/// (N, in, H, W) with a weight of (out, in / groups, kernel height, kernel width) and a bias of (out), which may be undefined, gives
/// (N, out, H', W') with H' = (H + 2 padding - dilation (kernel - 1) - 1) / stride + 1. Throws ShapeError.
///     AnyTensor y = conv2d(x, weight, bias, {.stride = 2, .padding = 1});
AnyTensor conv2d(const AnyTensor& x, const AnyTensor& weight, const AnyTensor& bias = {}, const Conv2dOptions& options = {});
/// The same over one axis: (N, in, L) with (out, in / groups, kernel).
AnyTensor conv1d(const AnyTensor& x, const AnyTensor& weight, const AnyTensor& bias = {}, const Conv1dOptions& options = {});

/// The transpose of conv2d as a linear map of its image: (N, in, H, W) with a weight of (in, out / groups, kernel height, kernel width)
/// gives (N, out, H', W') with H' = (H - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1.
AnyTensor conv_transpose2d(const AnyTensor& x, const AnyTensor& weight, const AnyTensor& bias = {},
                           const ConvTranspose2dOptions& options = {});
AnyTensor conv_transpose1d(const AnyTensor& x, const AnyTensor& weight, const AnyTensor& bias = {},
                           const ConvTranspose1dOptions& options = {});

/// The gradient of conv2d's image of shape `image`, given that of its result. Differentiable, as is the next.
AnyTensor conv2d_backward_input(const Shape& image, const AnyTensor& g, const AnyTensor& weight, const Conv2dOptions& options = {});
/// The gradient of conv2d's weight of shape `weight`.
AnyTensor conv2d_backward_weight(const Shape& weight, const AnyTensor& g, const AnyTensor& x, const Conv2dOptions& options = {});

#define GRADUS_TYPED_CONV(name, Options)                                                                                 \
  template <class T>                                                                                                     \
  Tensor<T> name(const Tensor<T>& x, const Tensor<T>& weight, const Tensor<T>& bias = {}, const Options& options = {}) { \
    return Tensor<T>(name(untyped(x), untyped(weight), untyped(bias), options));                                         \
  }                                                                                                                      \
  template <class T, class U>                                                                                            \
  requires(!std::is_same_v<T, U>) void name(const Tensor<T>&, const Tensor<U>&) = delete;
GRADUS_TYPED_CONV(conv2d, Conv2dOptions)
GRADUS_TYPED_CONV(conv1d, Conv1dOptions)
GRADUS_TYPED_CONV(conv_transpose2d, ConvTranspose2dOptions)
GRADUS_TYPED_CONV(conv_transpose1d, ConvTranspose1dOptions)
#undef GRADUS_TYPED_CONV

}  // namespace gradus
