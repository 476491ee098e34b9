// Convolutions. Images are (N, C, H, W), rows (N, C, L), volumes (N, C, D, H, W); one without N is taken as one of a batch of one.
#pragma once
#include "gradus/nn/layer.h"
#include "gradus/ops/conv.h"
#include "gradus/ops/volume.h"

namespace gradus::nn {

struct Conv2dOptions {
  int64_t in, out;  // channels
  Pair kernel;
  Pair stride = 1;
  Padding padding = 0;  // zeros at each side, or "same"
  Pair dilation = 1;
  int64_t groups = 1;
  bool bias = true;
};
struct Conv1dOptions {
  int64_t in, out;
  int64_t kernel;
  int64_t stride = 1;
  Padding padding = 0;
  int64_t dilation = 1;
  int64_t groups = 1;
  bool bias = true;
};
struct Conv3dOptions {
  int64_t in, out;
  Triple kernel;
  Triple stride = 1, padding = 0;
  bool same = false;  // as many zeros as keep the size, in place of padding
  Triple dilation = 1;
  int64_t groups = 1;
  bool bias = true;
};
struct ConvTranspose2dOptions {
  int64_t in, out;
  Pair kernel;
  Pair stride = 1, padding = 0, output_padding = 0;
  int64_t groups = 1;
  bool bias = true;
  Pair dilation = 1;
};
struct ConvTranspose1dOptions {
  int64_t in, out;
  int64_t kernel;
  int64_t stride = 1, padding = 0, output_padding = 0;
  int64_t groups = 1;
  bool bias = true;
  int64_t dilation = 1;
};
struct ConvTranspose3dOptions {
  int64_t in, out;
  Triple kernel;
  Triple stride = 1, padding = 0, output_padding = 0;
  int64_t groups = 1;
  bool bias = true;
  Triple dilation = 1;
};

#define GRADUS_CONV(Name, function)                                                                         \
  class Name : public Module {                                                                              \
   public:                                                                                                  \
    explicit Name(const Name##Options& options);                                                            \
    Parameter weight, bias;                                                                                 \
    GRADUS_MEMBERS(weight, bias)                                                                            \
    AnyTensor forward(const AnyTensor& x) const { return function(x, weight.as(x), bias.as(x), options_); } \
    GRADUS_TYPED_FORWARD                                                                                    \
                                                                                                            \
   private:                                                                                                 \
    gradus::Name##Options options_;                                                                         \
  };
/// weight is (out, in / groups, kernel height, kernel width), bias (out); both begin uniform in [-b, b] with b = 1 / sqrt of the number
/// of inputs that an output sees.
///   nn::Conv2d conv({.in = 1, .out = 32, .kernel = 3, .padding = 1});
GRADUS_CONV(Conv2d, conv2d)
GRADUS_CONV(Conv1d, conv1d)
GRADUS_CONV(Conv3d, conv3d)
/// weight is (in, out / groups, kernel height, kernel width).
GRADUS_CONV(ConvTranspose2d, conv_transpose2d)
GRADUS_CONV(ConvTranspose1d, conv_transpose1d)
GRADUS_CONV(ConvTranspose3d, conv_transpose3d)
#undef GRADUS_CONV

}  // namespace gradus::nn
