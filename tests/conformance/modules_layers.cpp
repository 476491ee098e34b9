// Layers and activations.
#include "tests/conformance/modules.h"

namespace conformance {
namespace {

using namespace gradus;

Pair pair(const Arguments& c, int position, const char* name, int64_t otherwise) {
  Shape sizes = c.sizes(position, name, 2, otherwise);
  return {sizes[0], sizes[1]};
}
int64_t single(const Arguments& c, int position, const char* name, int64_t otherwise) {
  return c.sizes(position, name, 1, otherwise)[0];
}
Padding padding(const Arguments& c, int position, int axes) {
  if (c.at(position, "padding").kind == Value::text) return Padding(c.str(position, "padding", "").c_str());
  if (axes == 1) return Padding(single(c, position, "padding", 0));
  return pair(c, position, "padding", 0);
}
void only_zeros(const Arguments& c, int position) {
  if (c.str(position, "padding_mode", "zeros") != "zeros") throw LeftOut("a padding that is not of zeros: Gradus pads with pad()");
}

void add_convolutions(Modules& all) {
  add<nn::Conv2d>(
      all, "nn.Conv2d",
      [](Arguments& c) {
        only_zeros(c, 8);
        return nn::Conv2d({.in = c.i(0, "in_channels"),
                           .out = c.i(1, "out_channels"),
                           .kernel = pair(c, 2, "kernel_size", 1),
                           .stride = pair(c, 3, "stride", 1),
                           .padding = padding(c, 4, 2),
                           .dilation = pair(c, 5, "dilation", 1),
                           .groups = c.i(6, "groups", 1),
                           .bias = c.b(7, "bias", true)});
      },
      kLoose);
  add<nn::Conv1d>(
      all, "nn.Conv1d",
      [](Arguments& c) {
        only_zeros(c, 8);
        return nn::Conv1d({.in = c.i(0, "in_channels"),
                           .out = c.i(1, "out_channels"),
                           .kernel = single(c, 2, "kernel_size", 1),
                           .stride = single(c, 3, "stride", 1),
                           .padding = padding(c, 4, 1),
                           .dilation = single(c, 5, "dilation", 1),
                           .groups = c.i(6, "groups", 1),
                           .bias = c.b(7, "bias", true)});
      },
      kLoose);
  add<nn::ConvTranspose2d>(
      all, "nn.ConvTranspose2d",
      [](Arguments& c) {
        only_zeros(c, 9);
        return nn::ConvTranspose2d({.in = c.i(0, "in_channels"),
                                    .out = c.i(1, "out_channels"),
                                    .kernel = pair(c, 2, "kernel_size", 1),
                                    .stride = pair(c, 3, "stride", 1),
                                    .padding = pair(c, 4, "padding", 0),
                                    .output_padding = pair(c, 5, "output_padding", 0),
                                    .groups = c.i(6, "groups", 1),
                                    .bias = c.b(7, "bias", true),
                                    .dilation = pair(c, 8, "dilation", 1)});
      },
      kLoose);
  add<nn::ConvTranspose1d>(
      all, "nn.ConvTranspose1d",
      [](Arguments& c) {
        only_zeros(c, 9);
        return nn::ConvTranspose1d({.in = c.i(0, "in_channels"),
                                    .out = c.i(1, "out_channels"),
                                    .kernel = single(c, 2, "kernel_size", 1),
                                    .stride = single(c, 3, "stride", 1),
                                    .padding = single(c, 4, "padding", 0),
                                    .output_padding = single(c, 5, "output_padding", 0),
                                    .groups = c.i(6, "groups", 1),
                                    .bias = c.b(7, "bias", true),
                                    .dilation = single(c, 8, "dilation", 1)});
      },
      kLoose);
}

/// One without options.
template <class M> void add_plain(Modules& all, const std::string& name) {
  add<M>(all, name, [](Arguments&) { return M(); });
}
/// One with a number.
template <class M> void add_number(Modules& all, const std::string& name, const char* option, double otherwise) {
  add<M>(all, name, [=](Arguments& c) { return M(c.d(0, option, otherwise)); });
}
/// One along an axis.
template <class M> void add_axis(Modules& all, const std::string& name) {
  add<M>(all, name, [](Arguments& c) { return M(c.i(0, "dim", -1)); });
}

void add_activations(Modules& all) {
  add_plain<nn::ReLU>(all, "nn.ReLU"), add_plain<nn::ReLU6>(all, "nn.ReLU6"), add_plain<nn::SELU>(all, "nn.SELU");
  add_plain<nn::SiLU>(all, "nn.SiLU"), add_plain<nn::Mish>(all, "nn.Mish"), add_plain<nn::Hardswish>(all, "nn.Hardswish");
  add_plain<nn::Hardsigmoid>(all, "nn.Hardsigmoid"), add_plain<nn::Sigmoid>(all, "nn.Sigmoid");
  add_plain<nn::LogSigmoid>(all, "nn.LogSigmoid"), add_plain<nn::Softsign>(all, "nn.Softsign"), add_plain<nn::Tanh>(all, "nn.Tanh");
  add_plain<nn::Tanhshrink>(all, "nn.Tanhshrink"), add_plain<nn::Softmax2d>(all, "nn.Softmax2d");
  add_number<nn::LeakyReLU>(all, "nn.LeakyReLU", "negative_slope", 0.01);
  add_number<nn::ELU>(all, "nn.ELU", "alpha", 1);
  add_number<nn::CELU>(all, "nn.CELU", "alpha", 1);
  add_number<nn::Hardshrink>(all, "nn.Hardshrink", "lambd", 0.5);
  add_number<nn::Softshrink>(all, "nn.Softshrink", "lambd", 0.5);
  add_axis<nn::Softmax>(all, "nn.Softmax"), add_axis<nn::LogSoftmax>(all, "nn.LogSoftmax"),
      add_axis<nn::Softmin>(all, "nn.Softmin");
  add_axis<nn::GLU>(all, "nn.GLU");
  add<nn::GELU>(all, "nn.GELU", [](Arguments& c) {
    return nn::GELU({.approximate = c.str(0, "approximate", "none") == "tanh" ? nn::Gelu::tanh : nn::Gelu::exact});
  });
  add<nn::Softplus>(all, "nn.Softplus",
                    [](Arguments& c) { return nn::Softplus({.beta = c.d(0, "beta", 1), .threshold = c.d(1, "threshold", 20)}); });
  add<nn::Hardtanh>(all, "nn.Hardtanh",
                    [](Arguments& c) { return nn::Hardtanh({.min = c.d(0, "min_val", -1), .max = c.d(1, "max_val", 1)}); });
  add<nn::Threshold>(all, "nn.Threshold", [](Arguments& c) {
    return nn::Threshold({.threshold = c.d(0, "threshold", 0), .value = c.d(1, "value", 0)});
  });
  add<nn::PReLU>(all, "nn.PReLU",
                 [](Arguments& c) { return nn::PReLU({.channels = c.i(0, "num_parameters", 1), .init = c.d(1, "init", 0.25)}); });
}

void add_attention(Modules& all) {
  add<nn::Embedding>(
      all, "nn.Embedding",
      [](Arguments& c) {
        EmbeddingOptions o;
        if (c.given(2, "padding_idx")) o.padding_idx = c.i(2, "padding_idx");
        return nn::Embedding(c.i(0, "num_embeddings"), c.i(1, "embedding_dim"), o);
      },
      [](nn::Embedding& m, Arguments& c) -> AnyTensor { return m.forward(c[0]); });
  add<nn::MultiheadAttention>(
      all, "nn.MultiheadAttention",
      [](Arguments& c) {
        return nn::MultiheadAttention({.embed_dim = c.i(0, "embed_dim"),
                                       .num_heads = c.i(1, "num_heads"),
                                       .dropout = c.d(2, "dropout", 0),
                                       .bias = c.b(3, "bias", true),
                                       .add_bias_kv = c.b(4, "add_bias_kv", false),
                                       .add_zero_attn = c.b(5, "add_zero_attn", false),
                                       .kdim = c.i(6, "kdim", 0),
                                       .vdim = c.i(7, "vdim", 0),
                                       .batch_first = c.b(8, "batch_first", false)});
      },
      [](nn::MultiheadAttention& m, Arguments& c) -> Outputs {
        nn::AttentionCallOptions o;
        o.key_padding_mask = c.maybe(3, "key_padding_mask"), o.attn_mask = c.maybe(5, "attn_mask");
        o.need_weights = c.b(4, "need_weights", true), o.average_attn_weights = c.b(6, "average_attn_weights", true);
        o.is_causal = c.b(7, "is_causal", false);
        nn::AttentionOutput<> y = m.forward(c.t(0, "query"), c.t(1, "key"), c.t(2, "value"), o);
        return {y.output, y.weights};
      },
      kLoose);
}

}  // namespace

void add_layers(Modules& all) {
  add<nn::Linear>(
      all, "nn.Linear",
      [](Arguments& c) { return nn::Linear(c.i(0, "in_features"), c.i(1, "out_features"), {.bias = c.b(2, "bias", true)}); },
      kLoose);
  add<nn::Bilinear>(
      all, "nn.Bilinear",
      [](Arguments& c) {
        return nn::Bilinear(c.i(0, "in1_features"), c.i(1, "in2_features"), c.i(2, "out_features"), {.bias = c.b(3, "bias", true)});
      },
      [](nn::Bilinear& m, Arguments& c) -> AnyTensor { return m.forward(c[0], c[1]); }, kLoose);
  add_convolutions(all);
  add_activations(all);
  add_attention(all);
}

}  // namespace conformance
