#include "gradus/nn/attention.h"

#include <cmath>

#include "gradus/nn/init.h"
#include "gradus/ops/attention.h"
#include "gradus/ops/create.h"
#include "gradus/ops/dropout.h"
#include "gradus/ops/elementwise.h"
#include "gradus/ops/reduce.h"
#include "gradus/ops/shape_ops.h"
#include "gradus/ops/softmax.h"
#include "gradus/ops/view.h"
#include "src/nn/uniform.h"

namespace gradus::nn {
namespace {

constexpr const char* kName = "MultiheadAttention";

Parameter glorot(const Shape& shape) {
  Parameter p(empty(shape, DType::float32));
  init::xavier_uniform_(p);
  return p;
}

/// A mask as numbers that are added to the scores: a bool one forbids where it is true.
AnyTensor added(const char* what, const AnyTensor& mask, DType dtype) {
  if (mask.dtype() == DType::boolean) return where(mask, -HUGE_VAL, zeros(mask.shape(), dtype, mask.device()));
  if (!is_float(mask.dtype()))
    throw DTypeError(std::string(kName) + ": " + what + " is " + name(mask.dtype()) + ", not bool or floating point");
  return to(mask, dtype);
}

/// `extra` columns of zeros behind the last axis: keys that the module adds may always be looked at.
AnyTensor widened(const AnyTensor& mask, int64_t extra) {
  if (extra == 0) return mask;
  Shape shape = mask.shape();
  shape[-1] = extra;
  return cat({mask, zeros(shape, mask.dtype(), mask.device())}, -1);
}

[[noreturn]] void wrong_shape(const char* what, const AnyTensor& x, const std::string& wanted) {
  throw ShapeError(std::string(kName) + ": " + what + " has shape " + to_string(x.shape()) + "; " + wanted + " is needed");
}

}  // namespace

MultiheadAttention::MultiheadAttention(const MultiheadAttentionOptions& o)
    : out_proj(o.embed_dim, o.embed_dim, {.bias = o.bias}), options_(o) {
  check_size(kName, "num_heads", o.num_heads);
  int64_t e = o.embed_dim;
  if (e % o.num_heads != 0)
    throw ValueError(std::string(kName) + ": " + std::to_string(o.num_heads) +
                     " heads do not divide embed_dim = " + std::to_string(e));
  if (!options_.kdim) options_.kdim = e;
  if (!options_.vdim) options_.vdim = e;
  if (options_.kdim == e && options_.vdim == e)
    in_proj_weight = glorot({3 * e, e});
  else
    q_proj_weight = glorot({e, e}), k_proj_weight = glorot({e, options_.kdim}), v_proj_weight = glorot({e, options_.vdim});
  if (o.bias) {
    in_proj_bias = Parameter(zeros({3 * e}, DType::float32));
    init::zeros_(out_proj.bias);
  }
  if (o.add_bias_kv)
    for (Parameter* p : {&bias_k, &bias_v}) {
      *p = Parameter(empty({1, 1, e}, DType::float32));
      init::xavier_normal_(*p);
    }
}

AttentionOutput<> MultiheadAttention::forward(const AnyTensor& query, const AnyTensor& key, const AnyTensor& value,
                                              const AttentionCallOptions& call) const {
  const int64_t e = options_.embed_dim, heads = options_.num_heads, size = e / heads;
  for (const AnyTensor* x : {&query, &key, &value}) check_defined(kName, *x);
  const DType dtype = query.dtype();
  const bool alone = query.dim() == 2;
  auto batched = [&](const char* what, const AnyTensor& x, int64_t width) {  // as (batch, time, width)
    if (x.dim() != (alone ? 2 : 3) || x.size(-1) != width)
      wrong_shape(what, x,
                  std::string(alone                  ? "(time, "
                              : options_.batch_first ? "(batch, time, "
                                                     : "(time, batch, ") +
                      std::to_string(width) + ")");
    return alone ? unsqueeze(x, 0) : options_.batch_first ? x : transpose(x, 0, 1);
  };
  AnyTensor q = batched("query", query, e), k = batched("key", key, options_.kdim), v = batched("value", value, options_.vdim);
  const int64_t n = q.size(0), queries = q.size(1);
  if (k.size(0) != n || v.size(0) != n || k.size(1) != v.size(1))
    wrong_shape("value", value, "that of a key of " + to_string(key.shape()) + " for a query of " + to_string(query.shape()));

  AnyTensor bias = in_proj_bias.as(dtype);
  auto part = [&](int64_t i, const Parameter& own) {
    return own.defined() ? own.as(dtype) : narrow(in_proj_weight.as(dtype), 0, i * e, e);
  };
  auto bias_part = [&](int64_t i) { return bias.defined() ? narrow(bias, 0, i * e, e) : AnyTensor(); };
  if (in_proj_weight.defined() && query.is_same(key) && query.is_same(value)) {  // one product for all three
    AnyTensor all = linear(q, in_proj_weight.as(dtype), bias);
    q = narrow(all, -1, 0, e), k = narrow(all, -1, e, e), v = narrow(all, -1, 2 * e, e);
  } else {
    q = linear(q, part(0, q_proj_weight), bias_part(0));
    k = linear(k, part(1, k_proj_weight), bias_part(1));
    v = linear(v, part(2, v_proj_weight), bias_part(2));
  }

  int64_t keys = k.size(1), extra = 0;
  const int64_t given = keys;
  if (bias_k.defined()) {
    k = cat({k, expand(bias_k.as(dtype), {n, 1, e})}, 1), v = cat({v, expand(bias_v.as(dtype), {n, 1, e})}, 1);
    ++extra;
  }
  if (options_.add_zero_attn) {
    AnyTensor none = zeros({n, 1, e}, dtype, q.device());
    k = cat({k, none}, 1), v = cat({v, none}, 1);
    ++extra;
  }
  keys += extra;
  auto by_heads = [&](const AnyTensor& x, int64_t time) { return transpose(reshape(x, {n, time, heads, size}), 1, 2); };
  q = by_heads(q, queries), k = by_heads(k, keys), v = by_heads(v, keys);  // (batch, heads, time, size)

  AnyTensor mask;  // added to (batch, heads, queries, keys)
  auto join = [&](const AnyTensor& more) { mask = mask.defined() ? mask + more : more; };
  if (call.attn_mask.defined()) {
    AnyTensor m = added("attn_mask", call.attn_mask, dtype);
    bool each = m.dim() == 3 && m.size(0) == n * heads;
    if (!(each || m.dim() == 2) || m.size(-2) != queries || m.size(-1) != given)
      wrong_shape("attn_mask", m, "(" + std::to_string(queries) + ", " + std::to_string(given) + "), or one for each head,");
    join(widened(each ? reshape(m, {n, heads, queries, given}) : m, extra));
  }
  if (call.key_padding_mask.defined()) {
    AnyTensor m = added("key_padding_mask", call.key_padding_mask, dtype);
    if (m.numel() != n * given) wrong_shape("key_padding_mask", m, "(" + std::to_string(n) + ", " + std::to_string(given) + ")");
    join(widened(reshape(m, {n, 1, 1, given}), extra));
  }
  bool causal = call.is_causal;
  if (causal && (mask.defined() || extra || call.need_weights)) {  // beside another mask, as numbers
    AnyTensor later =
        arange(0, given, 1, DType::int64, q.device()) > reshape(arange(0, queries, 1, DType::int64, q.device()), {queries, 1});
    join(widened(added("", later, dtype), extra));
    causal = false;
  }

  double p = training() ? options_.dropout : 0;
  AttentionOutput<> result;
  AnyTensor y;
  if (call.need_weights) {
    AnyTensor scores = matmul(q * (1 / std::sqrt(double(size))), transpose(k, -2, -1));
    AnyTensor weights = dropout(softmax(mask.defined() ? scores + mask : scores, -1), p, p > 0);
    y = matmul(weights, v);
    result.weights = call.average_attn_weights ? mean(weights, 1) : weights;
    if (alone) result.weights = squeeze(result.weights, 0);
  } else {
    y = scaled_dot_product_attention(q, k, v, {.mask = mask, .is_causal = causal, .dropout_p = p});
  }
  y = out_proj(reshape(transpose(y, 1, 2), {n, queries, e}));
  result.output = alone ? squeeze(y, 0) : options_.batch_first ? y : transpose(y, 0, 1);
  return result;
}

}  // namespace gradus::nn
