#include "gradus/nn/recurrent.h"

#include <cmath>

#include "gradus/ops/create.h"
#include "gradus/ops/dropout.h"
#include "gradus/ops/elementwise.h"
#include "gradus/ops/matmul.h"
#include "gradus/ops/shape_ops.h"
#include "gradus/ops/view.h"
#include "src/nn/uniform.h"

namespace gradus::nn {
namespace {

// ---- steps: `a` is what the gates get of the input, `b` what they get of the state
AnyTensor rnn_step(const AnyTensor& a, const AnyTensor& b, Nonlinearity f) {
  return f == Nonlinearity::tanh ? tanh(a + b) : relu(a + b);
}
AnyTensor gru_step(const AnyTensor& a, const AnyTensor& b, const AnyTensor& hidden) {
  std::vector<AnyTensor> x = chunk(a, 3, -1), h = chunk(b, 3, -1);
  AnyTensor reset = sigmoid(x[0] + h[0]), update = sigmoid(x[1] + h[1]), candidate = tanh(x[2] + reset * h[2]);
  return candidate + update * (hidden - candidate);
}
/// Hidden state and cell.
LSTMState<> lstm_step(const AnyTensor& a, const AnyTensor& b, const AnyTensor& cell) {
  std::vector<AnyTensor> gates = chunk(a + b, 4, -1);
  AnyTensor next = sigmoid(gates[1]) * cell + sigmoid(gates[0]) * tanh(gates[2]);
  return {sigmoid(gates[3]) * tanh(next), next};
}

[[noreturn]] void wrong_shape(const char* name, const char* what, const AnyTensor& x, const std::string& wanted) {
  throw ShapeError(std::string(name) + ": " + what + " has shape " + to_string(x.shape()) + "; " + wanted + " is needed");
}
/// A state of this shape: the one given, or zeros.
AnyTensor begin(const char* name, const char* what, const AnyTensor& given, const Shape& shape, const AnyTensor& x) {
  if (!given) return zeros(shape, x.dtype(), x.device());
  if (!(given.shape() == shape)) wrong_shape(name, what, given, to_string(shape));
  return given;
}

enum Kind { kInput, kState, kInputBias, kStateBias, kProjection };

}  // namespace

namespace detail {

Recurrent::Recurrent(const char* name, const RecurrentSizes& s) : name_(name), sizes_(s) {
  check_size(name, "in", s.in), check_size(name, "hidden", s.hidden), check_size(name, "layers", s.layers);
  if (!(s.dropout >= 0 && s.dropout <= 1))
    throw ValueError(std::string(name) + ": dropout is " + std::to_string(s.dropout) + "; it must be between 0 and 1");
  if (s.proj < 0 || s.proj >= s.hidden)
    throw ValueError(std::string(name) + ": proj is " + std::to_string(s.proj) + "; it must be smaller than hidden");
  const double bound = 1 / std::sqrt(double(s.hidden));
  const int64_t directions = s.bidirectional ? 2 : 1, width = s.proj ? s.proj : s.hidden, rows = s.gates * s.hidden;
  for (int64_t layer = 0; layer < s.layers; ++layer)
    for (int64_t d = 0; d < directions; ++d) {
      parameters_.push_back(uniform_parameter({rows, layer ? width * directions : s.in}, bound));
      parameters_.push_back(uniform_parameter({rows, width}, bound));
      for (int k = 0; k < 2; ++k) parameters_.push_back(s.bias ? uniform_parameter({rows}, bound) : Parameter());
      parameters_.push_back(s.proj ? uniform_parameter({s.proj, s.hidden}, bound) : Parameter());
    }
}

const Parameter& Recurrent::parameter(int64_t layer, int64_t direction, int kind) const {
  return parameters_[size_t((layer * (sizes_.bidirectional ? 2 : 1) + direction) * kKinds + kind)];
}

void Recurrent::visit_members(Visitor& visitor, const std::string& prefix) {
  static constexpr const char* kNames[kKinds] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"};
  size_t at = 0;
  for (int64_t layer = 0; layer < sizes_.layers; ++layer)
    for (const char* direction : {"", "_reverse"}) {
      if (*direction && !sizes_.bidirectional) continue;
      for (const char* name : kNames) {
        Parameter& p = parameters_[at++];
        if (p) visitor.parameter(prefix + name + "_l" + std::to_string(layer) + direction, p);
      }
    }
}

RecurrentOutput<> Recurrent::run(const AnyTensor& x, const AnyTensor& hidden, const AnyTensor& cell) const {
  check_defined(name_, x);
  const RecurrentSizes& s = sizes_;
  const bool alone = x.dim() == 2;
  if ((x.dim() != 2 && x.dim() != 3) || x.size(-1) != s.in)
    wrong_shape(name_, "x", x,
                std::string(s.batch_first ? "(batch, time, " : "(time, batch, ") + std::to_string(s.in) + "), or (time, " +
                    std::to_string(s.in) + "),");
  AnyTensor in = alone ? unsqueeze(x, 1) : s.batch_first ? transpose(x, 0, 1) : x;  // (time, batch, in)
  const int64_t time = in.size(0), batch = in.size(1), directions = s.bidirectional ? 2 : 1, width = s.proj ? s.proj : s.hidden;
  if (time == 0) wrong_shape(name_, "x", x, "a time of at least one step");
  auto states = [&](const char* what, const AnyTensor& given, int64_t size) {
    Shape shape{s.layers * directions, batch, size};
    if (alone && given && given.dim() == 2) return begin(name_, what, unsqueeze(given, 1), shape, x);
    return begin(name_, what, given, shape, x);
  };
  const AnyTensor hiddens = states("hidden", hidden, width), cells = states("cell", cell, s.hidden);

  std::vector<AnyTensor> last_hiddens, last_cells;
  for (int64_t layer = 0; layer < s.layers; ++layer) {
    std::vector<AnyTensor> both;
    for (int64_t d = 0; d < directions; ++d) {
      auto of = [&](Kind kind) { return parameter(layer, d, kind).as(x); };
      const AnyTensor w = of(kState), b = of(kStateBias), projection = of(kProjection);
      std::vector<AnyTensor> inputs = unbind(linear(in, of(kInput), of(kInputBias)), 0), outputs{size_t(time)};
      State state{select(hiddens, 0, layer * directions + d), select(cells, 0, layer * directions + d)};
      for (int64_t k = 0; k < time; ++k) {
        size_t t = size_t(d ? time - 1 - k : k);
        state = step(inputs[t], linear(state.hidden, w, b), state);
        if (projection) state.hidden = linear(state.hidden, projection);
        outputs[t] = state.hidden;
      }
      both.push_back(stack(outputs, 0));
      last_hiddens.push_back(state.hidden), last_cells.push_back(state.cell);
    }
    in = directions == 2 ? cat(both, -1) : both[0];
    if (layer + 1 < s.layers) in = dropout(in, s.dropout, training() && s.dropout > 0);
  }
  auto stacked = [&](const std::vector<AnyTensor>& list) { return alone ? squeeze(stack(list, 0), 1) : stack(list, 0); };
  RecurrentOutput<> result{alone ? squeeze(in, 1) : s.batch_first ? transpose(in, 0, 1) : in, stacked(last_hiddens), {}};
  if (last_cells[0]) result.cell = stacked(last_cells);
  return result;
}

}  // namespace detail

// ---- over time
RNN::RNN(const RNNOptions& o)
    : Recurrent("RNN", {.in = o.in,
                        .hidden = o.hidden,
                        .layers = o.layers,
                        .gates = 1,
                        .proj = 0,
                        .bias = o.bias,
                        .batch_first = o.batch_first,
                        .bidirectional = o.bidirectional,
                        .dropout = o.dropout}),
      nonlinearity_(o.nonlinearity) {}
GRU::GRU(const GRUOptions& o)
    : Recurrent("GRU", {.in = o.in,
                        .hidden = o.hidden,
                        .layers = o.layers,
                        .gates = 3,
                        .proj = 0,
                        .bias = o.bias,
                        .batch_first = o.batch_first,
                        .bidirectional = o.bidirectional,
                        .dropout = o.dropout}) {}
LSTM::LSTM(const LSTMOptions& o)
    : Recurrent("LSTM", {.in = o.in,
                         .hidden = o.hidden,
                         .layers = o.layers,
                         .gates = 4,
                         .proj = o.proj,
                         .bias = o.bias,
                         .batch_first = o.batch_first,
                         .bidirectional = o.bidirectional,
                         .dropout = o.dropout}) {}
RNN::State RNN::step(const AnyTensor& a, const AnyTensor& b, const State&) const { return {rnn_step(a, b, nonlinearity_), {}}; }
GRU::State GRU::step(const AnyTensor& a, const AnyTensor& b, const State& state) const {
  return {gru_step(a, b, state.hidden), {}};
}
LSTM::State LSTM::step(const AnyTensor& a, const AnyTensor& b, const State& state) const {
  LSTMState<> next = lstm_step(a, b, state.cell);
  return {next.hidden, next.cell};
}

// ---- one step
namespace {

template <class Cell> void begin_cell(Cell& cell, const char* name, int64_t in, int64_t hidden, int64_t gates, bool bias) {
  check_size(name, "in", in), check_size(name, "hidden", hidden);
  const double bound = 1 / std::sqrt(double(hidden));
  cell.weight_ih = uniform_parameter({gates * hidden, in}, bound),
  cell.weight_hh = uniform_parameter({gates * hidden, hidden}, bound);
  if (bias) cell.bias_ih = uniform_parameter({gates * hidden}, bound), cell.bias_hh = uniform_parameter({gates * hidden}, bound);
}
/// Calls f(what the gates get of x, what they get of the state, the state).
template <class Cell, class F> auto run_cell(const Cell& cell, const char* name, const AnyTensor& x, const AnyTensor& hidden, F f) {
  check_defined(name, x);
  const int64_t in = cell.weight_ih.size(1), width = cell.weight_hh.size(1);
  if ((x.dim() != 1 && x.dim() != 2) || x.size(-1) != in)
    wrong_shape(name, "x", x, "(batch, " + std::to_string(in) + ") or (" + std::to_string(in) + ")");
  Shape shape = x.shape();
  shape[-1] = width;
  AnyTensor h = begin(name, "hidden", hidden, shape, x);
  return f(linear(x, cell.weight_ih.as(x), cell.bias_ih.as(x)), linear(h, cell.weight_hh.as(x), cell.bias_hh.as(x)), h);
}

}  // namespace

RNNCell::RNNCell(int64_t in, int64_t hidden, const RNNCellOptions& o) : nonlinearity_(o.nonlinearity) {
  begin_cell(*this, "RNNCell", in, hidden, 1, o.bias);
}
GRUCell::GRUCell(int64_t in, int64_t hidden, const CellOptions& o) { begin_cell(*this, "GRUCell", in, hidden, 3, o.bias); }
LSTMCell::LSTMCell(int64_t in, int64_t hidden, const CellOptions& o) { begin_cell(*this, "LSTMCell", in, hidden, 4, o.bias); }
AnyTensor RNNCell::forward(const AnyTensor& x, const AnyTensor& hidden) const {
  return run_cell(*this, "RNNCell", x, hidden,
                  [&](const AnyTensor& a, const AnyTensor& b, const AnyTensor&) { return rnn_step(a, b, nonlinearity_); });
}
AnyTensor GRUCell::forward(const AnyTensor& x, const AnyTensor& hidden) const {
  return run_cell(*this, "GRUCell", x, hidden,
                  [](const AnyTensor& a, const AnyTensor& b, const AnyTensor& h) { return gru_step(a, b, h); });
}
LSTMState<> LSTMCell::forward(const AnyTensor& x, const AnyTensor& hidden, const AnyTensor& cell) const {
  return run_cell(*this, "LSTMCell", x, hidden, [&](const AnyTensor& a, const AnyTensor& b, const AnyTensor& h) {
    return lstm_step(a, b, begin("LSTMCell", "cell", cell, h.shape(), x));
  });
}

}  // namespace gradus::nn
