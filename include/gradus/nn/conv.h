// Convolutions. Images are (N, C, H, W), rows (N, C, L); one without N is taken as one of a batch of one.
#pragma once
#include "gradus/nn/layer.h"
#include "gradus/ops/conv.h"

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
/// weight is (out, in / groups, kernel height, kernel width), bias (out); both begin uniform in [-b, b] with b = 1 / sqrt of the number
/// of inputs that an output sees.
///   nn::Conv2d conv({.in = 1, .out = 32, .kernel = 3, .padding = 1});
class Conv2d : public Module {
 public:
  explicit Conv2d(const Conv2dOptions& options);
  Parameter weight, bias;
  GRADUS_MEMBERS(weight, bias)

  AnyTensor forward(const AnyTensor& x) const { return conv2d(x, weight.as(x), bias.as(x), options_); }
  GRADUS_TYPED_FORWARD

 private:
  gradus::Conv2dOptions options_;
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
class Conv1d : public Module {
 public:
  explicit Conv1d(const Conv1dOptions& options);
  Parameter weight, bias;
  GRADUS_MEMBERS(weight, bias)

  AnyTensor forward(const AnyTensor& x) const { return conv1d(x, weight.as(x), bias.as(x), options_); }
  GRADUS_TYPED_FORWARD

 private:
  gradus::Conv1dOptions options_;
};

struct ConvTranspose2dOptions {
  int64_t in, out;
  Pair kernel;
  Pair stride = 1, padding = 0, output_padding = 0;
  int64_t groups = 1;
  bool bias = true;
  Pair dilation = 1;
};
/// weight is (in, out / groups, kernel height, kernel width).
class ConvTranspose2d : public Module {
 public:
  explicit ConvTranspose2d(const ConvTranspose2dOptions& options);
  Parameter weight, bias;
  GRADUS_MEMBERS(weight, bias)

  AnyTensor forward(const AnyTensor& x) const { return conv_transpose2d(x, weight.as(x), bias.as(x), options_); }
  GRADUS_TYPED_FORWARD

 private:
  gradus::ConvTranspose2dOptions options_;
};

struct ConvTranspose1dOptions {
  int64_t in, out;
  int64_t kernel;
  int64_t stride = 1, padding = 0, output_padding = 0;
  int64_t groups = 1;
  bool bias = true;
  int64_t dilation = 1;
};
class ConvTranspose1d : public Module {
 public:
  explicit ConvTranspose1d(const ConvTranspose1dOptions& options);
  Parameter weight, bias;
  GRADUS_MEMBERS(weight, bias)

  AnyTensor forward(const AnyTensor& x) const { return conv_transpose1d(x, weight.as(x), bias.as(x), options_); }
  GRADUS_TYPED_FORWARD

 private:
  gradus::ConvTranspose1dOptions options_;
};

}  // namespace gradus::nn
