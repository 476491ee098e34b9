// The two layers that follow attention in a transformer's block.
#pragma once
#include "gradus/nn/linear.h"

namespace gradus::nn {

/// c_proj(gelu_tanh(c_fc(x))) as one op, feed_forward, over the last axis: (..., width) gives (..., width), with `hidden` numbers between.
/// The layers are called and begin as GPT-2's and PyTorch's do; only their parameters take part, so hooks on them see nothing.
///   nn::FeedForward mlp(768, 4 * 768);
class FeedForward : public Module {
 public:
  FeedForward(int64_t width, int64_t hidden, const LinearOptions& options = {})
      : c_fc(width, hidden, options), c_proj(hidden, width, options) {}
  Linear c_fc, c_proj;
  GRADUS_MEMBERS(c_fc, c_proj)

  AnyTensor forward(const AnyTensor& x) const {
    return feed_forward(x, c_fc.weight.as(x), c_fc.bias.as(x), c_proj.weight.as(x), c_proj.bias.as(x));
  }
  GRADUS_TYPED_FORWARD
};

}  // namespace gradus::nn
