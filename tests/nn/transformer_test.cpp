// Transformers: what a layer computes, what masks hide, names, gradients.
#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

AnyTensor input(const Shape& shape, uint64_t seed = 7) { return draw(shape, -1, 1, seed, DType::float32); }

}  // namespace

DEVICE_TEST(Transformer, LayersAreTheirParts) {
  AnyTensor x = input({2, 5, 8}), memory = input({2, 4, 8}, 5);
  for (bool norm_first : {false, true}) {
    nn::TransformerLayerOptions o{
        .d_model = 8, .nhead = 2, .dim_feedforward = 16, .dropout = 0, .batch_first = true, .norm_first = norm_first};
    nn::TransformerEncoderLayer e(o);
    auto around = [&](const AnyTensor& x, const nn::LayerNorm& norm, auto f) {
      return norm_first ? x + f(norm(x)) : norm(x + f(x));
    };
    auto attend = [](const nn::MultiheadAttention& a, const AnyTensor& q, const AnyTensor& k) { return a(q, k, k).output; };
    AnyTensor y = around(x, e.norm1, [&](const AnyTensor& x) { return attend(e.self_attn, x, x); });
    y = around(y, e.norm2, [&](const AnyTensor& y) { return e.linear2(relu(e.linear1(y))); });
    EXPECT_LT(distance(e(x), y), 1e-6);

    o.activation = nn::FeedforwardActivation::gelu;
    nn::TransformerDecoderLayer d(o);
    y = around(x, d.norm1, [&](const AnyTensor& x) { return attend(d.self_attn, x, x); });
    y = around(y, d.norm2, [&](const AnyTensor& y) { return attend(d.multihead_attn, y, memory); });
    y = around(y, d.norm3, [&](const AnyTensor& y) { return d.linear2(gelu(d.linear1(y))); });
    EXPECT_LT(distance(d(x, memory), y), 1e-6);
  }
}

TEST(Transformer, WhatTypedTensorsGiveIsTyped) {
  const nn::TransformerLayerOptions o{.d_model = 8, .nhead = 2, .dim_feedforward = 16, .dropout = 0, .batch_first = true};
  const Tensor<float> x = randn<float>({2, 5, 8}), memory = randn<float>({2, 4, 8});
  const AnyTensor untyped = x;
  nn::TransformerEncoder encoder(o, 2);
  Tensor<float> y = encoder(x), causal = encoder(x, {.is_causal = true});
  EXPECT_EQ(distance(y, encoder(untyped)), 0);
  EXPECT_EQ(distance(causal, encoder(untyped, {.is_causal = true})), 0);
  nn::TransformerDecoder decoder(o, 1);
  Tensor<float> z = decoder(x, memory), masked = decoder(x, memory, {.is_causal = true});
  EXPECT_EQ(distance(z, decoder(untyped, memory)), 0);
  EXPECT_EQ(distance(masked, decoder(untyped, memory, {.is_causal = true})), 0);
  nn::Transformer net(
      {.d_model = 8, .nhead = 2, .num_encoder_layers = 1, .num_decoder_layers = 1, .dropout = 0, .batch_first = true});
  Tensor<float> both = net(memory, x), hidden = net(memory, x, {}, {.is_causal = true});
  EXPECT_EQ(distance(both, net(AnyTensor(memory), untyped)), 0);
  EXPECT_EQ(distance(hidden, net(AnyTensor(memory), untyped, {}, {.is_causal = true})), 0);
}

DEVICE_TEST(Transformer, NamesArePyTorchs) {
  nn::Transformer net({.d_model = 8, .nhead = 2, .num_encoder_layers = 1, .num_decoder_layers = 1, .dim_feedforward = 16});
  std::vector<std::string> names;
  auto add = [&](const std::string& prefix, std::vector<std::string> list) {
    for (const std::string& name : list) names.push_back(prefix + name);
  };
  std::vector<std::string> attention{"in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"};
  add("encoder.layers.0.self_attn.", attention);
  add("encoder.layers.0.", {"linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias", "norm1.weight", "norm1.bias",
                            "norm2.weight", "norm2.bias"});
  add("encoder.", {"norm.weight", "norm.bias"});
  add("decoder.layers.0.self_attn.", attention);
  add("decoder.layers.0.multihead_attn.", attention);
  add("decoder.layers.0.", {"linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias", "norm1.weight", "norm1.bias",
                            "norm2.weight", "norm2.bias", "norm3.weight", "norm3.bias"});
  add("decoder.", {"norm.weight", "norm.bias"});
  EXPECT_EQ(net.names(), names);
  for (auto& [name, p] : net.named_parameters()) {
    if (p.dim() < 2) continue;
    double bound = std::sqrt(6.0 / double(p.size(0) + p.size(1)));
    EXPECT_LE(amax(abs(p.detach())).item(), bound) << name;
    EXPECT_GT(amax(abs(p.detach())).item(), bound * 0.8) << name;
  }
  nn::Transformer copy = net;
  net.eval(), copy.eval();
  AnyTensor source = input({5, 2, 8}), target = input({3, 2, 8}, 5);
  EXPECT_EQ(distance(copy(source, target), net(source, target)), 0);
  EXPECT_EQ(to_string(net(source, target).shape()), "[3, 2, 8]");
}

DEVICE_TEST(Transformer, MasksHideWhatTheySay) {
  nn::Transformer net(
      {.d_model = 8, .nhead = 2, .num_encoder_layers = 2, .num_decoder_layers = 2, .dim_feedforward = 16, .batch_first = true});
  net.eval();
  AnyTensor source = input({2, 5, 8}), target = input({2, 4, 8}, 5), other = target.clone(), noise = source.clone();
  other.select(1, 3).copy_(input({2, 8}, 9)), noise.select(1, 4).copy_(input({2, 8}, 9));
  AnyTensor y = net(source, target, {}, {.is_causal = true}), changed = net(source, other, {}, {.is_causal = true});
  EXPECT_LT(distance(narrow(changed, 1, 0, 3), narrow(y, 1, 0, 3)), 1e-6) << "the past does not see what comes";
  EXPECT_GT(distance(narrow(changed, 1, 3, 1), narrow(y, 1, 3, 1)), 1e-3);
  EXPECT_GT(distance(narrow(net(source, other), 1, 0, 3), narrow(net(source, target), 1, 0, 3)), 1e-3);
  AnyTensor padding = Tensor<bool>{{false, false, false, false, true}, {false, false, false, false, true}};
  nn::EncoderMasks hide{.key_padding_mask = padding};
  nn::DecoderMasks hide_memory{.memory_key_padding_mask = padding};
  EXPECT_LT(distance(net(noise, target, hide, hide_memory), net(source, target, hide, hide_memory)), 1e-6);
  EXPECT_GT(distance(net(noise, target), net(source, target)), 1e-3);
}

DEVICE_TEST(Transformer, GradientsAndDropout) {
  nn::TransformerDecoderLayer layer(
      {.d_model = 4, .nhead = 2, .dim_feedforward = 3, .dropout = 0, .activation = nn::FeedforwardActivation::gelu});
  layer.to(DType::float64);
  AnyTensor x = draw({2, 1, 4}).requires_grad_(), memory = draw({3, 1, 4}, -1, 1, 5).requires_grad_();
  EXPECT_EQ(gradcheck([&](const auto& in) { return layer(in[0], in[1]); },
                      {x, memory, layer.linear1.weight, layer.norm2.weight, layer.multihead_attn.in_proj_bias}),
            "");
  nn::TransformerEncoder noisy({.d_model = 4, .nhead = 2, .dim_feedforward = 8, .dropout = 0.5}, 2);
  AnyTensor y = input({3, 2, 4});
  EXPECT_GT(distance(noisy(y), noisy(y)), 0);
  noisy.eval();
  EXPECT_EQ(distance(noisy(y), noisy(y)), 0);
  message_of<ValueError>([] { nn::TransformerEncoderLayer({.d_model = 5, .nhead = 2}); });
}
