#include "gradus/nn/init.h"

#include <cmath>

#include "gradus/autograd/mode.h"
#include "gradus/ops/create.h"
#include "gradus/ops/elementwise.h"
#include "gradus/ops/linalg.h"
#include "gradus/ops/random.h"
#include "gradus/ops/reduce.h"
#include "gradus/ops/view.h"

namespace gradus::nn::init {

AnyTensor& uniform_(AnyTensor& w, double low, double high, Generator& g) {
  NoGrad no_grad;
  return gradus::uniform_(w, low, high, g);
}
AnyTensor& normal_(AnyTensor& w, double mean, double deviation, Generator& g) {
  NoGrad no_grad;
  return gradus::normal_(w, mean, deviation, g);
}
AnyTensor& trunc_normal_(AnyTensor& w, double mean, double deviation, double low, double high, Generator& g) {
  if (!(low < high))
    throw ValueError("trunc_normal_: nothing lies between " + std::to_string(low) + " and " + std::to_string(high));
  NoGrad no_grad;
  // By the inverse of the distribution: uniform between its values at the bounds, in double, where the tails are not rounded away.
  auto below = [&](double x) { return 0.5 * std::erfc(-(x - mean) / (deviation * std::sqrt(2.0))); };
  Tensor<double> u(uniform(w.shape(), below(low), below(high), DType::float64, g, kCPU));
  double* p = u.data();
  for (int64_t i = 0; i < u.numel(); ++i) {
    // Newton's method on the distribution function from the middle of the normal; a bisection guards its steps.
    double from = low, to = high, x = std::fmin(std::fmax(mean, low), high);
    for (int k = 0; k < 80; ++k) {
      double error = below(x) - p[i];
      (error > 0 ? to : from) = x;
      double z = (x - mean) / deviation, slope = std::exp(-0.5 * z * z) / (deviation * 2.5066282746310002);
      double next = slope > 0 ? x - error / slope : from;
      if (!(next > from && next < to)) next = 0.5 * (from + to);
      if (next == x) break;
      x = next;
    }
    p[i] = x;
  }
  return w.copy_(u.to(w.device()));
}
AnyTensor& constant_(AnyTensor& w, double value) {
  NoGrad no_grad;
  return w.fill_(value);
}
AnyTensor& ones_(AnyTensor& w) { return constant_(w, 1); }
AnyTensor& zeros_(AnyTensor& w) { return constant_(w, 0); }

AnyTensor& eye_(AnyTensor& w) {
  if (w.dim() != 2) throw ShapeError("eye_: shape " + to_string(w.shape()) + " is no matrix");
  NoGrad no_grad;
  return w.copy_(eye(w.size(0), w.size(1), w.dtype(), w.device()));
}

AnyTensor& orthogonal_(AnyTensor& w, double gain, Generator& g) {
  if (w.dim() < 2) throw ShapeError("orthogonal_: shape " + to_string(w.shape()) + " has fewer than 2 dimensions");
  NoGrad no_grad;
  if (w.numel() == 0) return w;
  int64_t rows = w.size(0), columns = w.numel() / rows;
  AnyTensor a = randn({rows, columns}, DType::float64, g, kCPU);
  if (rows < columns) a = a.t();
  auto [q, r] = linalg::qr(a);
  // Without the signs of the diagonal, q would not be spread evenly over all orthogonal matrices.
  AnyTensor diagonal = sum(r * eye(r.size(0), r.size(1), DType::float64, kCPU), {0});
  q = q * where(diagonal < 0, -1, ones_like(diagonal));
  if (rows < columns) q = q.t();
  return w.copy_(reshape(q * gain, w.shape()).to(w.device()));
}

Fan fan_of(const AnyTensor& w) {
  if (w.dim() < 2) throw ShapeError("fan_of: a weight of shape " + to_string(w.shape()) + " has fewer than 2 dimensions");
  int64_t field = w.size(0) * w.size(1) == 0 ? 0 : w.numel() / (w.size(0) * w.size(1));
  return {w.size(1) * field, w.size(0) * field};
}

double calculate_gain(const std::string& nonlinearity, double a) {
  if (nonlinearity == "tanh") return 5.0 / 3;
  if (nonlinearity == "relu") return std::sqrt(2.0);
  if (nonlinearity == "leaky_relu") return std::sqrt(2 / (1 + a * a));
  if (nonlinearity == "selu") return 0.75;
  for (const char* one :
       {"linear", "sigmoid", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"})
    if (nonlinearity == one) return 1;
  throw ValueError("calculate_gain: no gain is known for \"" + nonlinearity +
                   "\"; known are linear, sigmoid, tanh, relu, leaky_relu, selu");
}

AnyTensor& xavier_uniform_(AnyTensor& w, double gain, Generator& g) {
  Fan fan = fan_of(w);
  double bound = gain * std::sqrt(6.0 / double(fan.in + fan.out));
  return init::uniform_(w, -bound, bound, g);
}
AnyTensor& xavier_normal_(AnyTensor& w, double gain, Generator& g) {
  Fan fan = fan_of(w);
  return init::normal_(w, 0, gain * std::sqrt(2.0 / double(fan.in + fan.out)), g);
}

static double kaiming_deviation(const AnyTensor& w, const KaimingOptions& o) {
  Fan fan = fan_of(w);
  return calculate_gain(o.nonlinearity, o.a) / std::sqrt(double(o.mode == FanMode::in ? fan.in : fan.out));
}
AnyTensor& kaiming_uniform_(AnyTensor& w, const KaimingOptions& o, Generator& g) {
  if (w.numel() == 0) return w;
  double bound = std::sqrt(3.0) * kaiming_deviation(w, o);
  return init::uniform_(w, -bound, bound, g);
}
AnyTensor& kaiming_normal_(AnyTensor& w, const KaimingOptions& o, Generator& g) {
  if (w.numel() == 0) return w;
  return init::normal_(w, 0, kaiming_deviation(w, o), g);
}

}  // namespace gradus::nn::init
