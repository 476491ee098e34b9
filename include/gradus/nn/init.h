// How parameters begin. Each writes its tensor in place, without a graph, and returns it; random ones take their numbers from a
// generator, so that one seed gives one network.
#pragma once
#include <string>

#include "gradus/core/any_tensor.h"
#include "gradus/core/random.h"

namespace gradus::nn::init {

AnyTensor& uniform_(AnyTensor& w, double low = 0, double high = 1, Generator& g = default_generator());
AnyTensor& normal_(AnyTensor& w, double mean = 0, double deviation = 1, Generator& g = default_generator());
/// Normal, drawn again where it falls outside [low, high].
AnyTensor& trunc_normal_(AnyTensor& w, double mean = 0, double deviation = 1, double low = -2, double high = 2,
                         Generator& g = default_generator());
AnyTensor& constant_(AnyTensor& w, double value);
AnyTensor& ones_(AnyTensor& w);
AnyTensor& zeros_(AnyTensor& w);
/// The identity. Throws ShapeError unless w is a matrix.
AnyTensor& eye_(AnyTensor& w);
/// A matrix with orthonormal rows or columns, whichever are fewer, times gain; further axes are taken as columns. Saxe, McClelland,
/// Ganguli (2014).
AnyTensor& orthogonal_(AnyTensor& w, double gain = 1, Generator& g = default_generator());

/// The numbers of inputs and outputs of a weight (out, in, kernel...). Throws ShapeError for fewer than two axes.
struct Fan {
  int64_t in, out;
};
Fan fan_of(const AnyTensor& w);

/// By how much a function shrinks the deviation of what passes through it: 5/3 for tanh, sqrt(2) for relu, sqrt(2 / (1 + a^2)) for
/// leaky_relu, 3/4 for selu, 1 for linear, conv1d, conv2d, conv3d, sigmoid. Throws ValueError for another name.
double calculate_gain(const std::string& nonlinearity, double a = 0.01);

/// Glorot and Bengio (2010): deviation gain * sqrt(2 / (in + out)).
AnyTensor& xavier_uniform_(AnyTensor& w, double gain = 1, Generator& g = default_generator());
AnyTensor& xavier_normal_(AnyTensor& w, double gain = 1, Generator& g = default_generator());

enum class FanMode { in, out };
struct KaimingOptions {
  double a = 0;  // the slope of leaky_relu
  FanMode mode = FanMode::in;
  const char* nonlinearity = "leaky_relu";
};
/// He et al. (2015): deviation gain / sqrt(fan).
AnyTensor& kaiming_uniform_(AnyTensor& w, const KaimingOptions& options = {}, Generator& g = default_generator());
AnyTensor& kaiming_normal_(AnyTensor& w, const KaimingOptions& options = {}, Generator& g = default_generator());

}  // namespace gradus::nn::init
