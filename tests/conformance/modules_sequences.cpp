// Recurrent networks, transformers, edges, volumes.
#include "tests/conformance/modules.h"
#include "tests/conformance/volumes.h"

namespace conformance {
namespace {

using namespace gradus;

Outputs present(const nn::RecurrentOutput<>& y) {
  std::vector<AnyTensor> outputs{y.output, y.hidden};
  if (y.cell) outputs.push_back(y.cell);
  return outputs;
}
/// A state, or the pair of them that an LSTM takes.
AnyTensor state(const Arguments& c, const char* name, size_t part) {
  const Value& v = c.at(1, name);
  if (!v.given()) return {};
  return v.kind == Value::list ? v.items.at(part).t : v.t;
}
nn::Nonlinearity nonlinearity_of(const Arguments& c) {
  return c.str(3, "nonlinearity", "tanh") == "relu" ? nn::Nonlinearity::relu : nn::Nonlinearity::tanh;
}
template <class O> O recurrent_of(const Arguments& c) {
  O o{.in = c.i(0, "input_size"), .hidden = c.i(1, "hidden_size")};
  o.layers = c.i(2, "num_layers", 1), o.bias = c.b(-1, "bias", true), o.batch_first = c.b(-1, "batch_first", false);
  o.dropout = c.d(-1, "dropout", 0), o.bidirectional = c.b(-1, "bidirectional", false);
  return o;
}

void add_recurrent(Modules& all) {
  auto call = [](auto& m, Arguments& c) -> Outputs { return present(m.forward(c.t(0, "input"), state(c, "hx", 0))); };
  add<nn::RNN>(
      all, "nn.RNN",
      [](Arguments& c) {
        auto o = recurrent_of<nn::RNNOptions>(c);
        o.nonlinearity = nonlinearity_of(c);
        return nn::RNN(o);
      },
      call, kLoose);
  add<nn::GRU>(
      all, "nn.GRU", [](Arguments& c) { return nn::GRU(recurrent_of<nn::GRUOptions>(c)); }, call, kLoose);
  add<nn::LSTM>(
      all, "nn.LSTM",
      [](Arguments& c) {
        auto o = recurrent_of<nn::LSTMOptions>(c);
        o.proj = c.i(-1, "proj_size", 0);
        return nn::LSTM(o);
      },
      [](nn::LSTM& m, Arguments& c) -> Outputs {
        return present(m.forward(c.t(0, "input"), state(c, "hx", 0), state(c, "hx", 1)));
      },
      kLoose);
  auto step = [](auto& m, Arguments& c) -> Outputs { return m.forward(c.t(0, "input"), state(c, "hx", 0)); };
  add<nn::RNNCell>(
      all, "nn.RNNCell",
      [](Arguments& c) {
        return nn::RNNCell(c.i(0, "input_size"), c.i(1, "hidden_size"),
                           {.bias = c.b(2, "bias", true), .nonlinearity = nonlinearity_of(c)});
      },
      step, kLoose);
  add<nn::GRUCell>(
      all, "nn.GRUCell",
      [](Arguments& c) { return nn::GRUCell(c.i(0, "input_size"), c.i(1, "hidden_size"), {.bias = c.b(2, "bias", true)}); }, step,
      kLoose);
  add<nn::LSTMCell>(
      all, "nn.LSTMCell",
      [](Arguments& c) { return nn::LSTMCell(c.i(0, "input_size"), c.i(1, "hidden_size"), {.bias = c.b(2, "bias", true)}); },
      [](nn::LSTMCell& m, Arguments& c) -> Outputs {
        nn::LSTMState<> y = m.forward(c.t(0, "input"), state(c, "hx", 0), state(c, "hx", 1));
        return {y.hidden, y.cell};
      },
      kLoose);
}

template <class O> O transformer_of(const Arguments& c, int at) {
  O o{.d_model = c.i(0, "d_model"), .nhead = c.i(1, "nhead")};
  o.dim_feedforward = c.i(at, "dim_feedforward", 2048), o.dropout = c.d(at + 1, "dropout", 0.1);
  o.activation = c.str(at + 2, "activation", "relu") == "gelu" ? nn::FeedforwardActivation::gelu : nn::FeedforwardActivation::relu;
  o.layer_norm_eps = c.d(-1, "layer_norm_eps", 1e-5), o.batch_first = c.b(-1, "batch_first", false);
  o.norm_first = c.b(-1, "norm_first", false), o.bias = c.b(-1, "bias", true);
  return o;
}

void add_transformers(Modules& all) {
  add<nn::TransformerEncoderLayer>(
      all, "nn.TransformerEncoderLayer",
      [](Arguments& c) { return nn::TransformerEncoderLayer(transformer_of<nn::TransformerLayerOptions>(c, 2)); },
      [](nn::TransformerEncoderLayer& m, Arguments& c) -> Outputs {
        return m.forward(c.t(0, "src"), {.mask = c.maybe(1, "src_mask"), .key_padding_mask = c.maybe(2, "src_key_padding_mask")});
      },
      kLoose);
  add<nn::TransformerDecoderLayer>(
      all, "nn.TransformerDecoderLayer",
      [](Arguments& c) { return nn::TransformerDecoderLayer(transformer_of<nn::TransformerLayerOptions>(c, 2)); },
      [](nn::TransformerDecoderLayer& m, Arguments& c) -> Outputs {
        return m.forward(c.t(0, "tgt"), c.t(1, "memory"),
                         {.mask = c.maybe(2, "tgt_mask"),
                          .memory_mask = c.maybe(3, "memory_mask"),
                          .key_padding_mask = c.maybe(4, "tgt_key_padding_mask"),
                          .memory_key_padding_mask = c.maybe(5, "memory_key_padding_mask")});
      },
      kLoose);
  add<nn::Transformer>(
      all, "nn.Transformer",
      [](Arguments& c) {
        auto o = transformer_of<nn::TransformerOptions>(c, 4);
        o.num_encoder_layers = c.i(2, "num_encoder_layers", 6), o.num_decoder_layers = c.i(3, "num_decoder_layers", 6);
        return nn::Transformer(o);
      },
      [](nn::Transformer& m, Arguments& c) -> Outputs {
        AnyTensor padding = c.maybe(5, "src_key_padding_mask");
        return m.forward(c.t(0, "src"), c.t(1, "tgt"), {.mask = c.maybe(2, "src_mask"), .key_padding_mask = padding},
                         {.mask = c.maybe(3, "tgt_mask"),
                          .memory_mask = c.maybe(4, "memory_mask"),
                          .key_padding_mask = c.maybe(6, "tgt_key_padding_mask"),
                          .memory_key_padding_mask = c.maybe(7, "memory_key_padding_mask")});
      },
      kLoose);
}

template <class M> void add_power_pool(Modules& all, const std::string& name, int axes) {
  add<M>(all, name, [=](Arguments& c) {
    Shape kernel = c.sizes(1, "kernel_size", axes, 1), stride = c.sizes(2, "stride", axes, 0);
    const double p = c.d(0, "norm_type", 2);
    const bool ceil = c.b(3, "ceil_mode", false);
    if constexpr (std::is_same_v<M, nn::LPPool1d>)
      return M({.p = p, .kernel = kernel[0], .stride = stride[0], .ceil_mode = ceil});
    else if constexpr (std::is_same_v<M, nn::LPPool2d>)
      return M({.p = p, .kernel = {kernel[0], kernel[1]}, .stride = {stride[0], stride[1]}, .ceil_mode = ceil});
    else
      return M(
          {.p = p, .kernel = {kernel[0], kernel[1], kernel[2]}, .stride = {stride[0], stride[1], stride[2]}, .ceil_mode = ceil});
  });
}

void add_volumes(Modules& all) {
  add<nn::Conv3d>(
      all, "nn.Conv3d",
      [](Arguments& c) {
        if (c.str(8, "padding_mode", "zeros") != "zeros") throw LeftOut("a padding that is not of zeros: Gradus pads with pad()");
        return nn::Conv3d({.in = c.i(0, "in_channels"),
                           .out = c.i(1, "out_channels"),
                           .kernel = triple(c, 2, "kernel_size", 1),
                           .stride = triple(c, 3, "stride", 1),
                           .padding = triple(c, 4, "padding", 0),
                           .dilation = triple(c, 5, "dilation", 1),
                           .groups = c.i(6, "groups", 1),
                           .bias = c.b(7, "bias", true)});
      },
      kLoose);
  add<nn::ConvTranspose3d>(
      all, "nn.ConvTranspose3d",
      [](Arguments& c) {
        return nn::ConvTranspose3d({.in = c.i(0, "in_channels"),
                                    .out = c.i(1, "out_channels"),
                                    .kernel = triple(c, 2, "kernel_size", 1),
                                    .stride = triple(c, 3, "stride", 1),
                                    .padding = triple(c, 4, "padding", 0),
                                    .output_padding = triple(c, 5, "output_padding", 0),
                                    .groups = c.i(6, "groups", 1),
                                    .bias = c.b(7, "bias", true),
                                    .dilation = triple(c, 8, "dilation", 1)});
      },
      kLoose);
  add<nn::MaxPool3d>(all, "nn.MaxPool3d", [](Arguments& c) { return nn::MaxPool3d(max_pool3d_of(c, 0)); });
  add<nn::AvgPool3d>(all, "nn.AvgPool3d", [](Arguments& c) { return nn::AvgPool3d(avg_pool3d_of(c, 0)); });
  add<nn::AdaptiveAvgPool3d>(all, "nn.AdaptiveAvgPool3d",
                             [](Arguments& c) { return nn::AdaptiveAvgPool3d(adaptive_volume(c, {})); });
  add<nn::AdaptiveMaxPool3d>(all, "nn.AdaptiveMaxPool3d",
                             [](Arguments& c) { return nn::AdaptiveMaxPool3d(adaptive_volume(c, {})); });
  add_power_pool<nn::LPPool1d>(all, "nn.LPPool1d", 1), add_power_pool<nn::LPPool2d>(all, "nn.LPPool2d", 2);
  add_power_pool<nn::LPPool3d>(all, "nn.LPPool3d", 3);
}

template <class M> void add_edge(Modules& all, const std::string& name, int axes) {
  add<M>(all, name, [=](Arguments& c) {
    std::vector<int64_t> amounts = c.sizes(0, "padding", 2 * axes, 0).vector();
    if constexpr (std::is_constructible_v<M, int64_t, double>)
      return M(amounts, c.d(1, "value", 0));
    else
      return M(amounts);
  });
}

}  // namespace

void add_sequences(Modules& all) {
  add_recurrent(all);
  add_transformers(all);
  add_volumes(all);
  add_edge<nn::ZeroPad1d>(all, "nn.ZeroPad1d", 1), add_edge<nn::ZeroPad2d>(all, "nn.ZeroPad2d", 2);
  add_edge<nn::ZeroPad3d>(all, "nn.ZeroPad3d", 3), add_edge<nn::ConstantPad1d>(all, "nn.ConstantPad1d", 1);
  add_edge<nn::ConstantPad2d>(all, "nn.ConstantPad2d", 2), add_edge<nn::ConstantPad3d>(all, "nn.ConstantPad3d", 3);
  add_edge<nn::ReflectionPad1d>(all, "nn.ReflectionPad1d", 1), add_edge<nn::ReflectionPad2d>(all, "nn.ReflectionPad2d", 2);
  add_edge<nn::ReflectionPad3d>(all, "nn.ReflectionPad3d", 3), add_edge<nn::ReplicationPad1d>(all, "nn.ReplicationPad1d", 1);
  add_edge<nn::ReplicationPad2d>(all, "nn.ReplicationPad2d", 2), add_edge<nn::ReplicationPad3d>(all, "nn.ReplicationPad3d", 3);
  add_edge<nn::CircularPad1d>(all, "nn.CircularPad1d", 1), add_edge<nn::CircularPad2d>(all, "nn.CircularPad2d", 2);
  add_edge<nn::CircularPad3d>(all, "nn.CircularPad3d", 3);
}

}  // namespace conformance
