// The Transformer of Vaswani et al.: Attention Is All You Need (2017), with PyTorch's names and defaults.
#pragma once
#include "gradus/nn/attention.h"
#include "gradus/nn/container.h"
#include "gradus/nn/dropout.h"
#include "gradus/nn/norm.h"

namespace gradus::nn {

enum class FeedforwardActivation { relu, gelu };
struct TransformerLayerOptions {
  int64_t d_model, nhead;
  int64_t dim_feedforward = 2048;
  double dropout = 0.1;
  FeedforwardActivation activation = FeedforwardActivation::relu;
  double layer_norm_eps = 1e-5;
  bool batch_first = false;  // (batch, time, d_model); else (time, batch, d_model)
  bool norm_first = false;   // norms before attention and feedforward; else after they were added
  bool bias = true;
};
/// Masks as MultiheadAttention has them: bool, true for what is left out, or added to the scores.
struct EncoderMasks {
  AnyTensor mask = {};              // (time, time)
  AnyTensor key_padding_mask = {};  // (batch, time)
  bool is_causal = false;
};
struct DecoderMasks {
  AnyTensor mask = {}, memory_mask = {};  // (time, time), (time, memory's time)
  AnyTensor key_padding_mask = {}, memory_key_padding_mask = {};
  bool is_causal = false;  // position i of the target looks at 0 to i
};

/// Attention of a sequence to itself, then a feedforward net, each added to what goes in, with a norm.
class TransformerEncoderLayer : public Module {
 public:
  explicit TransformerEncoderLayer(const TransformerLayerOptions& options);
  MultiheadAttention self_attn;
  Linear linear1, linear2;
  LayerNorm norm1, norm2;
  Dropout dropout, dropout1, dropout2;
  GRADUS_MEMBERS(self_attn, linear1, dropout, linear2, norm1, norm2, dropout1, dropout2)

  AnyTensor forward(const AnyTensor& x, const EncoderMasks& masks = {}) const;
  template <class T> Tensor<T> forward(const Tensor<T>& x, const EncoderMasks& masks = {}) const {
    const AnyTensor& untyped = x;
    return Tensor<T>(forward(untyped, masks));
  }
  template <class X> auto operator()(const X& x, const EncoderMasks& masks) const { return detail::call(*this, x, masks); }

 private:
  TransformerLayerOptions options_;
};

/// The same with attention to a memory, which an encoder gives, in between.
class TransformerDecoderLayer : public Module {
 public:
  explicit TransformerDecoderLayer(const TransformerLayerOptions& options);
  MultiheadAttention self_attn, multihead_attn;
  Linear linear1, linear2;
  LayerNorm norm1, norm2, norm3;
  Dropout dropout, dropout1, dropout2, dropout3;
  GRADUS_MEMBERS(self_attn, multihead_attn, linear1, dropout, linear2, norm1, norm2, norm3, dropout1, dropout2, dropout3)

  AnyTensor forward(const AnyTensor& x, const AnyTensor& memory, const DecoderMasks& masks = {}) const;
  template <class T> Tensor<T> forward(const Tensor<T>& x, const Tensor<T>& memory, const DecoderMasks& masks = {}) const {
    const AnyTensor& untyped = x;
    return Tensor<T>(forward(untyped, memory, masks));
  }
  template <class X, class Y> auto operator()(const X& x, const Y& memory, const DecoderMasks& masks) const {
    return detail::call(*this, x, memory, masks);
  }

 private:
  TransformerLayerOptions options_;
};

/// Layers one after the other, and a norm behind them unless it is left out: "layers.0.linear1.weight", "norm.weight".
class TransformerEncoder : public Module {
 public:
  TransformerEncoder(const TransformerLayerOptions& options, int64_t layers, bool norm = false);
  ModuleList<TransformerEncoderLayer> layers;
  std::optional<LayerNorm> norm;
  GRADUS_MEMBERS(layers, norm)

  AnyTensor forward(AnyTensor x, const EncoderMasks& masks = {}) const;
  template <class T> Tensor<T> forward(const Tensor<T>& x, const EncoderMasks& masks = {}) const {
    const AnyTensor& untyped = x;
    return Tensor<T>(forward(untyped, masks));
  }
  template <class X> auto operator()(const X& x, const EncoderMasks& masks) const { return detail::call(*this, x, masks); }
};
class TransformerDecoder : public Module {
 public:
  TransformerDecoder(const TransformerLayerOptions& options, int64_t layers, bool norm = false);
  ModuleList<TransformerDecoderLayer> layers;
  std::optional<LayerNorm> norm;
  GRADUS_MEMBERS(layers, norm)

  AnyTensor forward(AnyTensor x, const AnyTensor& memory, const DecoderMasks& masks = {}) const;
  template <class T> Tensor<T> forward(const Tensor<T>& x, const Tensor<T>& memory, const DecoderMasks& masks = {}) const {
    const AnyTensor& untyped = x;
    return Tensor<T>(forward(untyped, memory, masks));
  }
  template <class X, class Y> auto operator()(const X& x, const Y& memory, const DecoderMasks& masks) const {
    return detail::call(*this, x, memory, masks);
  }
};

struct TransformerOptions {
  int64_t d_model = 512, nhead = 8;
  int64_t num_encoder_layers = 6, num_decoder_layers = 6;
  int64_t dim_feedforward = 2048;
  double dropout = 0.1;
  FeedforwardActivation activation = FeedforwardActivation::relu;
  double layer_norm_eps = 1e-5;
  bool batch_first = false, norm_first = false, bias = true;
};
/// An encoder of the source, whose result is the memory of a decoder of the target, each with a norm at its end.
///   nn::Transformer net({.d_model = 128, .nhead = 4, .batch_first = true});
///   Tensor<float> y = net(source, target, {}, {.is_causal = true});
class Transformer : public Module {
 public:
  explicit Transformer(const TransformerOptions& options = {});
  TransformerEncoder encoder;
  TransformerDecoder decoder;
  GRADUS_MEMBERS(encoder, decoder)

  AnyTensor forward(const AnyTensor& source, const AnyTensor& target, const EncoderMasks& source_masks = {},
                    const DecoderMasks& target_masks = {}) const {
    return decoder(target, encoder(source, source_masks), target_masks);
  }
  template <class T> Tensor<T> forward(const Tensor<T>& source, const Tensor<T>& target, const EncoderMasks& source_masks = {},
                                       const DecoderMasks& target_masks = {}) const {
    const AnyTensor& untyped = source;
    return Tensor<T>(forward(untyped, target, source_masks, target_masks));
  }
  template <class X, class Y>
  auto operator()(const X& source, const Y& target, const EncoderMasks& source_masks, const DecoderMasks& target_masks) const {
    return detail::call(*this, source, target, source_masks, target_masks);
  }
};

}  // namespace gradus::nn
