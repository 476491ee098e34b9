// Recurrent layers against their formulas, step by step; names, states, directions, gradients, wrong calls.
#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

AnyTensor get(nn::Module& m, const std::string& name) {
  for (auto& [own, p] : m.named_parameters())
    if (own == name) return p;
  ADD_FAILURE() << "no parameter is named " << name;
  return {};
}
/// Gradients of both orders with respect to x and to every parameter.
std::string check(nn::Module& m, const AnyTensor& x, const std::function<AnyTensor(const AnyTensor&)>& f) {
  m.to(DType::float64);
  std::vector<AnyTensor> leaves{x};
  for (AnyTensor p : m.parameters()) leaves.push_back(p);
  return gradcheck([&](const auto& in) { return f(in[0]); }, leaves);
}

}  // namespace

DEVICE_TEST(Recurrent, NamesAndShapesArePyTorchs) {
  nn::LSTM lstm({.in = 3, .hidden = 5, .layers = 2, .bidirectional = true, .proj = 2});
  std::vector<std::string> names;
  for (const char* layer : {"_l0", "_l0_reverse", "_l1", "_l1_reverse"})
    for (const char* kind : {"weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"})
      names.push_back(std::string(kind) + layer);
  EXPECT_EQ(lstm.names(), names);
  EXPECT_EQ(to_string(get(lstm, "weight_ih_l1").shape()), "[20, 4]");
  EXPECT_EQ(to_string(get(lstm, "weight_hh_l0").shape()), "[20, 2]");
  EXPECT_EQ(to_string(get(lstm, "weight_hr_l0").shape()), "[2, 5]");
  auto [output, hidden, cell] = lstm(draw({4, 6, 3}, -1, 1, 1, DType::float32));
  EXPECT_EQ(to_string(output.shape()), "[4, 6, 4]");
  EXPECT_EQ(to_string(hidden.shape()), "[4, 6, 2]");
  EXPECT_EQ(to_string(cell.shape()), "[4, 6, 5]");
  EXPECT_EQ(nn::GRU({.in = 3, .hidden = 5, .bias = false}).names(), (std::vector<std::string>{"weight_ih_l0", "weight_hh_l0"}));
  for (AnyTensor p : lstm.parameters()) EXPECT_LE(amax(abs(p.detach())).item(), 1 / std::sqrt(5.0));
}

DEVICE_TEST(Recurrent, StepsAreTheFormulas) {
  AnyTensor x = draw({4, 2, 3}), h = draw({2, 5}, -1, 1, 5), c = draw({2, 5}, -1, 1, 6);
  {
    nn::RNN rnn({.in = 3, .hidden = 5, .nonlinearity = nn::Nonlinearity::relu});
    rnn.to(DType::float64);
    AnyTensor state = h, w = get(rnn, "weight_ih_l0"), u = get(rnn, "weight_hh_l0");
    auto [output, hidden, none] = rnn(x, h.unsqueeze(0));
    for (int64_t t = 0; t < 4; ++t) {
      state = relu(matmul(x.select(0, t), w.t()) + get(rnn, "bias_ih_l0") + matmul(state, u.t()) + get(rnn, "bias_hh_l0"));
      EXPECT_LT(distance(output.select(0, t), state), 1e-14);
    }
    EXPECT_EQ(distance(hidden.select(0, 0), output.select(0, 3)), 0);
    EXPECT_FALSE(none);
  }
  {
    nn::GRU gru({.in = 3, .hidden = 5});
    gru.to(DType::float64);
    AnyTensor state = h, a, b;
    AnyTensor output = gru(x, h.unsqueeze(0)).output;
    for (int64_t t = 0; t < 4; ++t) {
      a = linear(x.select(0, t), get(gru, "weight_ih_l0"), get(gru, "bias_ih_l0"));
      b = linear(state, get(gru, "weight_hh_l0"), get(gru, "bias_hh_l0"));
      AnyTensor r = sigmoid(narrow(a, 1, 0, 5) + narrow(b, 1, 0, 5)), z = sigmoid(narrow(a, 1, 5, 5) + narrow(b, 1, 5, 5));
      state = (1 - z) * tanh(narrow(a, 1, 10, 5) + r * narrow(b, 1, 10, 5)) + z * state;
      EXPECT_LT(distance(output.select(0, t), state), 1e-14);
    }
  }
  {
    nn::LSTM lstm({.in = 3, .hidden = 5});
    lstm.to(DType::float64);
    AnyTensor state = h, cell = c;
    nn::RecurrentOutput<> y = lstm(x, AnyTensor(h.unsqueeze(0)), AnyTensor(c.unsqueeze(0)));
    for (int64_t t = 0; t < 4; ++t) {
      AnyTensor g = linear(x.select(0, t), get(lstm, "weight_ih_l0"), get(lstm, "bias_ih_l0")) +
                    linear(state, get(lstm, "weight_hh_l0"), get(lstm, "bias_hh_l0"));
      cell = sigmoid(narrow(g, 1, 5, 5)) * cell + sigmoid(narrow(g, 1, 0, 5)) * tanh(narrow(g, 1, 10, 5));
      state = sigmoid(narrow(g, 1, 15, 5)) * tanh(cell);
      EXPECT_LT(distance(y.output.select(0, t), state), 1e-14);
    }
    EXPECT_LT(distance(y.cell.select(0, 0), cell), 1e-14);
  }
}

DEVICE_TEST(Recurrent, CellsAreTheirLayersStep) {
  AnyTensor x = draw({2, 3}, -1, 1, 1, DType::float32), h = draw({2, 5}, -1, 1, 5, DType::float32),
            c = draw({2, 5}, -1, 1, 6, DType::float32);
  auto share = [](nn::Module& layer, nn::Module& cell) {
    NamedTensors state;
    for (auto& [name, p] : layer.state()) state.push_back({name.substr(0, name.size() - 3), p});
    cell.load_state(state);
  };
  nn::RNN rnn({.in = 3, .hidden = 5});
  nn::RNNCell rnn_cell(3, 5);
  share(rnn, rnn_cell);
  EXPECT_LT(distance(rnn_cell(x, h), rnn(x.unsqueeze(0), h.unsqueeze(0)).output.select(0, 0)), 1e-6);
  nn::GRU gru({.in = 3, .hidden = 5, .bias = false});
  nn::GRUCell gru_cell(3, 5, {.bias = false});
  share(gru, gru_cell);
  EXPECT_LT(distance(gru_cell(x), gru(x.unsqueeze(0)).output.select(0, 0)), 1e-6);
  nn::LSTM lstm({.in = 3, .hidden = 5});
  nn::LSTMCell lstm_cell(3, 5);
  share(lstm, lstm_cell);
  nn::LSTMState<> one = lstm_cell(x, h, c);
  nn::RecurrentOutput<> same = lstm(x.unsqueeze(0), h.unsqueeze(0), c.unsqueeze(0));
  EXPECT_LT(distance(one.hidden, same.output.select(0, 0)), 1e-6);
  EXPECT_LT(distance(one.cell, same.cell.select(0, 0)), 1e-6);
  EXPECT_LT(distance(lstm_cell(x.select(0, 1), h.select(0, 1), c.select(0, 1)).hidden, one.hidden.select(0, 1)), 1e-6);
}

TEST(Recurrent, WhatTypedTensorsGiveIsTyped) {
  const Tensor<float> x = randn<float>({4, 2, 3}), h = randn<float>({1, 2, 5}), c = randn<float>({1, 2, 5});
  nn::LSTM lstm({.in = 3, .hidden = 5});
  auto [output, hidden, cell] = lstm(x, h, c);
  static_assert(std::is_same_v<decltype(output), Tensor<float>> && std::is_same_v<decltype(cell), Tensor<float>>);
  const AnyTensor untyped = x;
  EXPECT_EQ(distance(output, lstm(untyped, h, c).output), 0);
  EXPECT_EQ(distance(cell, lstm(untyped, h, c).cell), 0);
  nn::GRU gru({.in = 3, .hidden = 5});
  Tensor<float> last = gru(x).hidden;
  EXPECT_EQ(distance(last, gru(untyped).hidden), 0);
  EXPECT_FALSE(gru(x).cell.defined());
  Tensor<bfloat16> half = nn::RNN({.in = 3, .hidden = 5})(x.to<bfloat16>()).output;
  EXPECT_EQ(half.shape(), (Shape{4, 2, 5}));
  auto [next, next_cell] = nn::LSTMCell(3, 5)(x[0]);
  static_assert(std::is_same_v<decltype(next), Tensor<float>> && std::is_same_v<decltype(next_cell), Tensor<float>>);
  Tensor<float> state = nn::GRUCell(3, 5)(x[0], h[0]), other = nn::RNNCell(3, 5)(x[0]);
  EXPECT_EQ(state.shape(), (Shape{2, 5}));
  EXPECT_EQ(other.shape(), (Shape{2, 5}));
}

DEVICE_TEST(Recurrent, DirectionsLayersAndLayouts) {
  AnyTensor x = draw({4, 2, 3}, -1, 1, 1, DType::float32);
  nn::GRU both({.in = 3, .hidden = 5, .bidirectional = true}), back({.in = 3, .hidden = 5});
  NamedTensors state;
  for (auto& [name, p] : both.state())
    if (name.ends_with("_reverse")) state.push_back({name.substr(0, name.size() - 8), p});
  back.load_state(state);
  AnyTensor from_end = flip(back(flip(x, 0)).output, 0);
  EXPECT_LT(distance(narrow(both(x).output, 2, 5, 5), from_end), 1e-6);
  EXPECT_LT(distance(both(x).hidden.select(0, 1), from_end.select(0, 0)), 1e-6);

  nn::LSTM deep({.in = 3, .hidden = 4, .layers = 2}), first({.in = 3, .hidden = 4, .batch_first = true}),
      second({.in = 4, .hidden = 4});
  NamedTensors lower, upper;
  for (auto& [name, p] : deep.state()) {
    std::string plain = name.substr(0, name.size() - 1) + "0";
    (name.back() == '0' ? lower : upper).push_back({plain, p});
  }
  first.load_state(lower), second.load_state(upper);
  AnyTensor middle = first(x.transpose(0, 1)).output.transpose(0, 1);
  EXPECT_LT(distance(deep(x).output, second(middle).output), 1e-6);
  EXPECT_LT(distance(deep(x.select(1, 1)).output, deep(x).output.select(1, 1)), 1e-6) << "one without a batch";
  EXPECT_EQ(to_string(deep(x.select(1, 1)).hidden.shape()), "[2, 4]");

  nn::RNN dropped({.in = 3, .hidden = 4, .layers = 2, .dropout = 1});
  AnyTensor trained = dropped(x).output;
  EXPECT_EQ(distance(trained.select(1, 0), trained.select(1, 1)), 0) << "nothing reaches the second layer";
  dropped.eval();
  EXPECT_GT(distance(dropped(x).output.select(1, 0), dropped(x).output.select(1, 1)), 0);
  nn::RNN copy = dropped;
  EXPECT_EQ(distance(copy(x).output, dropped(x).output), 0);
}

DEVICE_TEST(Recurrent, GradientsOfBothOrders) {
  AnyTensor x = draw({3, 2, 2}).requires_grad_();
  nn::RNN rnn({.in = 2, .hidden = 2, .bidirectional = true});
  EXPECT_EQ(check(rnn, x, [&](const AnyTensor& x) { return rnn(x).output; }), "");
  nn::GRU gru({.in = 2, .hidden = 2});
  EXPECT_EQ(check(gru, x, [&](const AnyTensor& x) { return gru(x).output; }), "");
  nn::LSTM lstm({.in = 2, .hidden = 3, .proj = 2});
  EXPECT_EQ(check(lstm, x,
                  [&](const AnyTensor& x) {
                    auto [output, hidden, cell] = lstm(x);
                    return cat({flatten(output), flatten(hidden), flatten(cell)});
                  }),
            "");
}

DEVICE_TEST(Recurrent, WrongCalls) {
  nn::GRU gru({.in = 3, .hidden = 5});
  AnyTensor x = draw({4, 2, 3}, -1, 1, 1, DType::float32);
  EXPECT_EQ(message_of<ShapeError>([&] {
              gru(draw({4, 2, 2}));
            }),
            "GRU: x has shape [4, 2, 2]; (time, batch, 3), or (time, 3), is needed");
  EXPECT_EQ(message_of<ShapeError>([&] { gru(x, draw({1, 3, 5})); }), "GRU: hidden has shape [1, 3, 5]; [1, 2, 5] is needed");
  message_of<ShapeError>([&] { gru(draw({0, 2, 3})); });
  message_of<ValueError>([&] { gru(AnyTensor()); });
  message_of<ValueError>([] { nn::GRU({.in = 3, .hidden = 0}); });
  message_of<ValueError>([] { nn::LSTM({.in = 3, .hidden = 2, .proj = 2}); });
  message_of<ValueError>([] { nn::RNN({.in = 3, .hidden = 2, .dropout = 2}); });
  nn::LSTMCell cell(3, 5);
  EXPECT_EQ(message_of<ShapeError>([&] { cell(draw({2, 4})); }), "LSTMCell: x has shape [2, 4]; (batch, 3) or (3) is needed");
  message_of<ShapeError>([&] { cell(draw({2, 3}), draw({3, 5})); });
}
