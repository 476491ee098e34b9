#include "gradus/nn/transformer.h"

#include "gradus/nn/init.h"
#include "gradus/ops/elementwise.h"

namespace gradus::nn {
namespace {

MultiheadAttentionOptions attention_of(const TransformerLayerOptions& o) {
  return {.embed_dim = o.d_model, .num_heads = o.nhead, .dropout = o.dropout, .bias = o.bias, .batch_first = o.batch_first};
}
LayerNorm norm_of(const TransformerLayerOptions& o) { return LayerNorm(o.d_model, {.eps = o.layer_norm_eps, .bias = o.bias}); }

/// x with f of it added, and a norm before or after.
template <class F> AnyTensor added(const AnyTensor& x, const LayerNorm& norm, bool norm_first, F f) {
  return norm_first ? x + f(norm(x)) : norm.add(f(x), x).second;
}
template <class Layer> AnyTensor feedforward(const Layer& layer, const AnyTensor& x, FeedforwardActivation activation) {
  AnyTensor h = layer.linear1(x);
  return layer.linear2(layer.dropout(activation == FeedforwardActivation::relu ? relu(h) : gelu(h)));
}

TransformerLayerOptions layer_of(const TransformerOptions& o) {
  return {.d_model = o.d_model,
          .nhead = o.nhead,
          .dim_feedforward = o.dim_feedforward,
          .dropout = o.dropout,
          .activation = o.activation,
          .layer_norm_eps = o.layer_norm_eps,
          .batch_first = o.batch_first,
          .norm_first = o.norm_first,
          .bias = o.bias};
}

}  // namespace

TransformerEncoderLayer::TransformerEncoderLayer(const TransformerLayerOptions& o)
    : self_attn(attention_of(o)),
      linear1(o.d_model, o.dim_feedforward, {.bias = o.bias}),
      linear2(o.dim_feedforward, o.d_model, {.bias = o.bias}),
      norm1(norm_of(o)),
      norm2(norm_of(o)),
      dropout(o.dropout),
      dropout1(o.dropout),
      dropout2(o.dropout),
      options_(o) {}
AnyTensor TransformerEncoderLayer::forward(const AnyTensor& x, const EncoderMasks& m) const {
  const AttentionCallOptions call{.key_padding_mask = m.key_padding_mask, .attn_mask = m.mask, .is_causal = m.is_causal};
  AnyTensor y = added(x, norm1, options_.norm_first, [&](const AnyTensor& x) { return dropout1(self_attn(x, x, x, call).output); });
  return added(y, norm2, options_.norm_first,
               [&](const AnyTensor& y) { return dropout2(feedforward(*this, y, options_.activation)); });
}

TransformerDecoderLayer::TransformerDecoderLayer(const TransformerLayerOptions& o)
    : self_attn(attention_of(o)),
      multihead_attn(attention_of(o)),
      linear1(o.d_model, o.dim_feedforward, {.bias = o.bias}),
      linear2(o.dim_feedforward, o.d_model, {.bias = o.bias}),
      norm1(norm_of(o)),
      norm2(norm_of(o)),
      norm3(norm_of(o)),
      dropout(o.dropout),
      dropout1(o.dropout),
      dropout2(o.dropout),
      dropout3(o.dropout),
      options_(o) {}
AnyTensor TransformerDecoderLayer::forward(const AnyTensor& x, const AnyTensor& memory, const DecoderMasks& m) const {
  const AttentionCallOptions own{.key_padding_mask = m.key_padding_mask, .attn_mask = m.mask, .is_causal = m.is_causal},
      other{.key_padding_mask = m.memory_key_padding_mask, .attn_mask = m.memory_mask};
  const bool first = options_.norm_first;
  AnyTensor y = added(x, norm1, first, [&](const AnyTensor& x) { return dropout1(self_attn(x, x, x, own).output); });
  y = added(y, norm2, first, [&](const AnyTensor& y) { return dropout2(multihead_attn(y, memory, memory, other).output); });
  return added(y, norm3, first, [&](const AnyTensor& y) { return dropout3(feedforward(*this, y, options_.activation)); });
}

TransformerEncoder::TransformerEncoder(const TransformerLayerOptions& o, int64_t count, bool with_norm) {
  for (int64_t i = 0; i < count; ++i) layers.emplace_back(o);
  if (with_norm) norm.emplace(norm_of(o));
}
AnyTensor TransformerEncoder::forward(AnyTensor x, const EncoderMasks& masks) const {
  for (const TransformerEncoderLayer& layer : layers) x = layer(x, masks);
  return norm ? (*norm)(x) : x;
}

TransformerDecoder::TransformerDecoder(const TransformerLayerOptions& o, int64_t count, bool with_norm) {
  for (int64_t i = 0; i < count; ++i) layers.emplace_back(o);
  if (with_norm) norm.emplace(norm_of(o));
}
AnyTensor TransformerDecoder::forward(AnyTensor x, const AnyTensor& memory, const DecoderMasks& masks) const {
  for (const TransformerDecoderLayer& layer : layers) x = layer(x, memory, masks);
  return norm ? (*norm)(x) : x;
}

Transformer::Transformer(const TransformerOptions& o)
    : encoder(layer_of(o), o.num_encoder_layers, true), decoder(layer_of(o), o.num_decoder_layers, true) {
  for (AnyTensor p : parameters())
    if (p.dim() > 1) init::xavier_uniform_(p);
}

}  // namespace gradus::nn
