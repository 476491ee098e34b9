// Layers that are matrix products.
#pragma once
#include "gradus/nn/layer.h"
#include "gradus/ops/matmul.h"

namespace gradus::nn {

struct LinearOptions {
  bool bias = true;
};
/// x W' + b over the last axis: (..., in) gives (..., out). weight is (out, in), bias (out); both begin uniform in
/// [-1 / sqrt(in), 1 / sqrt(in)].
///   nn::Linear fc(784, 10);
class Linear : public Module {
 public:
  Linear(int64_t in, int64_t out, const LinearOptions& options = {});
  Parameter weight, bias;
  GRADUS_MEMBERS(weight, bias)

  AnyTensor forward(const AnyTensor& x) const { return linear(x, weight.as(x), bias.as(x)); }
  GRADUS_TYPED_FORWARD
};

/// y[k] = a' W[k] b + bias[k]: (..., in1) and (..., in2) give (..., out). weight is (out, in1, in2).
class Bilinear : public Module {
 public:
  Bilinear(int64_t in1, int64_t in2, int64_t out, const LinearOptions& options = {});
  Parameter weight, bias;
  GRADUS_MEMBERS(weight, bias)

  AnyTensor forward(const AnyTensor& a, const AnyTensor& b) const;
  template <class T> Tensor<T> forward(const Tensor<T>& a, const Tensor<T>& b) const {
    return Tensor<T>(forward(static_cast<const AnyTensor&>(a), static_cast<const AnyTensor&>(b)));
  }
};

}  // namespace gradus::nn
