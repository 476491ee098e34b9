// Attention with several heads.
#pragma once
#include "gradus/nn/linear.h"

namespace gradus::nn {

struct MultiheadAttentionOptions {
  int64_t embed_dim, num_heads;
  double dropout = 0;          // of the weights, in training
  bool bias = true;            // of the four projections
  bool add_bias_kv = false;    // one learned key and value behind those given
  bool add_zero_attn = false;  // one key and value of zeros behind those
  int64_t kdim = 0, vdim = 0;  // of keys and values; 0: embed_dim
  bool batch_first = false;    // (batch, time, width); else (time, batch, width)
};
struct AttentionCallOptions {
  AnyTensor key_padding_mask = {};  // (batch, keys): bool, true for keys that are left out; or added to the scores
  AnyTensor attn_mask = {};         // (queries, keys) or (batch * heads, queries, keys), in the same way
  bool is_causal = false;           // query i looks at keys 0 to i
  bool need_weights = false;        // costs the matrix of scores
  bool average_attn_weights = true;
};
template <class X = AnyTensor> struct AttentionOutput {
  X output;   // as the query, embed_dim wide
  X weights;  // (batch, queries, keys), or (batch, heads, queries, keys); undefined unless asked for
};
/// Vaswani et al.: Attention Is All You Need (2017). Parameters are PyTorch's: in_proj_weight (or q_proj_weight, k_proj_weight,
/// v_proj_weight where widths differ), in_proj_bias, bias_k, bias_v, out_proj.weight, out_proj.bias. A batch of one may come without its
/// axis. In masks of bool, true means "left out", as in PyTorch's module (its function, and ours, have it the other way round).
///   nn::MultiheadAttention attention({.embed_dim = 128, .num_heads = 4, .batch_first = true});
///   Tensor<float> y = attention(x, x, x, {.is_causal = true}).output;
class MultiheadAttention : public Module {
 public:
  explicit MultiheadAttention(const MultiheadAttentionOptions& options);
  Parameter in_proj_weight, q_proj_weight, k_proj_weight, v_proj_weight, in_proj_bias, bias_k, bias_v;
  Linear out_proj;
  GRADUS_MEMBERS(in_proj_weight, q_proj_weight, k_proj_weight, v_proj_weight, in_proj_bias, bias_k, bias_v, out_proj)

  AttentionOutput<> forward(const AnyTensor& query, const AnyTensor& key, const AnyTensor& value,
                            const AttentionCallOptions& options = {}) const;
  template <class T> AttentionOutput<Tensor<T>> forward(const Tensor<T>& query, const Tensor<T>& key, const Tensor<T>& value,
                                                        const AttentionCallOptions& options = {}) const {
    const AnyTensor& untyped = query;
    auto [output, weights] = forward(untyped, key, value, options);
    return {Tensor<T>(output), Tensor<T>(weights)};
  }
  template <class T, class U, class V>
  requires(!std::is_same_v<T, U> || !std::is_same_v<T, V>) void forward(const Tensor<T>&, const Tensor<U>&, const Tensor<V>&,
                                                                        const AttentionCallOptions& = {}) const = delete;
  /// A braced list has no type for operator() to pass on.
  template <class X, class Y, class Z>
  auto operator()(const X& query, const Y& key, const Z& value, const AttentionCallOptions& options) const {
    return detail::call(*this, query, key, value, options);
  }

 private:
  MultiheadAttentionOptions options_;
};

}  // namespace gradus::nn
