// Recurrent networks: the same step for each element of a sequence, with a state that goes on.
#pragma once
#include "gradus/nn/layer.h"

namespace gradus::nn {

enum class Nonlinearity { tanh, relu };

struct RNNOptions {
  int64_t in, hidden;
  int64_t layers = 1;
  Nonlinearity nonlinearity = Nonlinearity::tanh;
  bool bias = true;
  bool batch_first = false;    // (batch, time, width); else (time, batch, width)
  double dropout = 0;          // in training, between layers
  bool bidirectional = false;  // a second network reads from the end; the outputs of both stand side by side
};
struct GRUOptions {
  int64_t in, hidden;
  int64_t layers = 1;
  bool bias = true;
  bool batch_first = false;
  double dropout = 0;
  bool bidirectional = false;
};
struct LSTMOptions {
  int64_t in, hidden;
  int64_t layers = 1;
  bool bias = true;
  bool batch_first = false;
  double dropout = 0;
  bool bidirectional = false;
  int64_t proj = 0;  // the width that outputs and hidden states are projected to; 0: they stay as they are
};

template <class X = AnyTensor> struct RecurrentOutput {
  X output;  // of the last layer at each time: (time, batch, directions * width)
  X hidden;  // of each layer and direction at its last time: (layers * directions, batch, width)
  X cell;    // the same of an LSTM's cells
};

namespace detail {
struct RecurrentSizes {
  int64_t in, hidden, layers, gates, proj;
  bool bias, batch_first, bidirectional;
  double dropout;
};
/// What the three have in common: parameters under PyTorch's names (weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, weight_hr_l0,
/// with _reverse behind for the second direction), which begin uniform in [-b, b] with b = 1 / sqrt(hidden), and the walk over time.
class Recurrent : public Module {
 public:
  void visit_members(Visitor& visitor, const std::string& prefix) override;

 protected:
  Recurrent(const char* name, const RecurrentSizes& sizes);
  struct State {
    AnyTensor hidden, cell;
  };
  /// The state after one step, from what the gates get of the input and of the state.
  virtual State step(const AnyTensor& of_input, const AnyTensor& of_state, const State& state) const = 0;
  RecurrentOutput<> run(const AnyTensor& x, const AnyTensor& hidden, const AnyTensor& cell) const;
  template <class T>
  RecurrentOutput<Tensor<T>> run_typed(const AnyTensor& x, const AnyTensor& hidden, const AnyTensor& cell = {}) const {
    auto [output, last, last_cell] = run(x, hidden, cell);
    return {Tensor<T>(output), Tensor<T>(last), Tensor<T>(last_cell)};
  }

 private:
  /// The parameters of a layer's direction: up to five, some of them absent.
  static constexpr int kKinds = 5;
  const Parameter& parameter(int64_t layer, int64_t direction, int kind) const;

  const char* name_;
  RecurrentSizes sizes_;
  std::vector<Parameter> parameters_;
};
}  // namespace detail

#define GRADUS_RECURRENT                                                                                           \
  template <class... A> auto operator()(const A&... arguments) const { return detail::call(*this, arguments...); } \
                                                                                                                   \
 protected:                                                                                                        \
  State step(const AnyTensor& of_input, const AnyTensor& of_state, const State& state) const override;

/// h' = tanh(W_ih x + b_ih + W_hh h + b_hh) over (time, batch, in), or (time, in) of one alone. Without a state it begins as zeros. Elman:
/// Finding structure in time (1990).
///   nn::RNN rnn({.in = 8, .hidden = 32});
///   auto [output, hidden, none] = rnn(x);
class RNN : public detail::Recurrent {
 public:
  explicit RNN(const RNNOptions& options);
  RecurrentOutput<> forward(const AnyTensor& x, const AnyTensor& hidden = {}) const { return run(x, hidden, {}); }
  template <class T> RecurrentOutput<Tensor<T>> forward(const Tensor<T>& x, const Tensor<T>& hidden = {}) const {
    return run_typed<T>(x, hidden);
  }
  GRADUS_RECURRENT

 private:
  Nonlinearity nonlinearity_;
};
/// Cho et al.: Learning phrase representations using RNN encoder-decoder (2014). Rows of weights: reset, update, new.
class GRU : public detail::Recurrent {
 public:
  explicit GRU(const GRUOptions& options);
  RecurrentOutput<> forward(const AnyTensor& x, const AnyTensor& hidden = {}) const { return run(x, hidden, {}); }
  template <class T> RecurrentOutput<Tensor<T>> forward(const Tensor<T>& x, const Tensor<T>& hidden = {}) const {
    return run_typed<T>(x, hidden);
  }
  GRADUS_RECURRENT
};
/// Hochreiter, Schmidhuber: Long short-term memory (1997). Rows of weights: input, forget, cell, output.
class LSTM : public detail::Recurrent {
 public:
  explicit LSTM(const LSTMOptions& options);
  RecurrentOutput<> forward(const AnyTensor& x, const AnyTensor& hidden = {}, const AnyTensor& cell = {}) const {
    return run(x, hidden, cell);
  }
  template <class T>
  RecurrentOutput<Tensor<T>> forward(const Tensor<T>& x, const Tensor<T>& hidden = {}, const Tensor<T>& cell = {}) const {
    return run_typed<T>(x, hidden, cell);
  }
  GRADUS_RECURRENT
};
#undef GRADUS_RECURRENT

struct CellOptions {
  bool bias = true;
};
struct RNNCellOptions {
  bool bias = true;
  Nonlinearity nonlinearity = Nonlinearity::tanh;
};
#define GRADUS_CELL(Name, Options)                               \
  Name(int64_t in, int64_t hidden, const Options& options = {}); \
  Parameter weight_ih, weight_hh, bias_ih, bias_hh;              \
  GRADUS_MEMBERS(weight_ih, weight_hh, bias_ih, bias_hh)

/// One step of one layer: (batch, in) and a state of (batch, hidden), or (in) and (hidden), give the next state.
class RNNCell : public Module {
 public:
  GRADUS_CELL(RNNCell, RNNCellOptions)
  AnyTensor forward(const AnyTensor& x, const AnyTensor& hidden = {}) const;
  template <class T> Tensor<T> forward(const Tensor<T>& x, const Tensor<T>& hidden = {}) const {
    const AnyTensor& untyped = x;
    return Tensor<T>(forward(untyped, hidden));
  }

 private:
  Nonlinearity nonlinearity_;
};
class GRUCell : public Module {
 public:
  GRADUS_CELL(GRUCell, CellOptions)
  AnyTensor forward(const AnyTensor& x, const AnyTensor& hidden = {}) const;
  template <class T> Tensor<T> forward(const Tensor<T>& x, const Tensor<T>& hidden = {}) const {
    const AnyTensor& untyped = x;
    return Tensor<T>(forward(untyped, hidden));
  }
};
template <class X = AnyTensor> struct LSTMState { X hidden, cell; };
class LSTMCell : public Module {
 public:
  GRADUS_CELL(LSTMCell, CellOptions)
  LSTMState<> forward(const AnyTensor& x, const AnyTensor& hidden = {}, const AnyTensor& cell = {}) const;
  template <class T>
  LSTMState<Tensor<T>> forward(const Tensor<T>& x, const Tensor<T>& hidden = {}, const Tensor<T>& cell = {}) const {
    const AnyTensor& untyped = x;
    auto [next, next_cell] = forward(untyped, hidden, cell);
    return {Tensor<T>(next), Tensor<T>(next_cell)};
  }
};
#undef GRADUS_CELL

}  // namespace gradus::nn
