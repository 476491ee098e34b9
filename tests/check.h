// What every test of numbers needs: draws in double, distances, and gradient checks with random cotangents.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "gradus/gradus.h"

namespace gradus::testing {

/// Sanitizers look at every step: what grows with the cube of a size is smaller there.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

/// Where draw() puts its tensors.
inline Device& device_of_tests() {
  static Device device = kCPU;
  return device;
}
/// While one lives, tests draw their tensors on `device` and factories make theirs there: a body that was written for the CPU runs there.
class OnDevice {
 public:
  explicit OnDevice(Device device) : before_(device_of_tests()), factories_(device) { device_of_tests() = device; }
  ~OnDevice() { device_of_tests() = before_; }

 private:
  Device before_;
  DefaultDevice factories_;
};
/// x, which was made on the CPU, where draw() puts its tensors.
template <class X> X placed(const X& x) { return X(x.to(device_of_tests())); }
/// A test whose body runs on the CPU, and as name_cuda on a GPU where there is one.
#define DEVICE_TEST(suite, name)                                               \
  static void suite##_##name##_body();                                         \
  TEST(suite, name) { suite##_##name##_body(); }                               \
  TEST(suite, name##_cuda) {                                                   \
    if (device_count(DeviceType::cuda) == 0) GTEST_SKIP() << "no CUDA device"; \
    gradus::testing::OnDevice on(Device("cuda"));                              \
    suite##_##name##_body();                                                   \
  }                                                                            \
  static void suite##_##name##_body()

/// Uniform values in [lo, hi), of double unless asked otherwise. The same for the same seed, on any device.
inline AnyTensor draw(const Shape& shape, double lo = -1, double hi = 1, uint64_t seed = 7, DType dtype = DType::float64) {
  AnyTensor x = empty(shape, DType::float64, kCPU);
  uint64_t state = seed * 0x9E3779B97F4A7C15u + 0x1234567;
  for (int64_t i = 0; i < x.numel(); ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    static_cast<double*>(x.raw_data())[i] = lo + (hi - lo) * double(state >> 11) * 0x1p-53;
  }
  return x.to(dtype).to(device_of_tests());
}
/// Writes the element that lies `offset` elements behind the first one, on any device.
inline void put(const AnyTensor& x, int64_t offset, double value) {
  NoGrad no_grad;
  as_view(x.detach(), {}, {}, offset).fill_(value);
}
/// Elements in row-major order, as double.
inline std::vector<double> values(const AnyTensor& x) {
  NoGrad no_grad;
  AnyTensor y = x.detach().to(kCPU).to(DType::float64).contiguous();
  const double* p = static_cast<const double*>(y.raw_data());
  return {p, p + y.numel()};
}
/// Largest |a - b| / (s + |b|), where s is the largest |b|, but at least `least` and at most 1: small numbers are compared with each other, zeros
/// and what rounding leaves of them are not. Infinite where the shapes differ; NaN only where exactly one is NaN counts as infinite.
inline double distance(const AnyTensor& a, const AnyTensor& b, double least = 1e-4) {
  if (!(a.shape() == b.shape())) return HUGE_VAL;
  std::vector<double> p = values(a), q = values(b);
  double worst = 0, scale = least;
  for (double v : q)
    if (std::isfinite(v)) scale = std::max(scale, std::abs(v));
  scale = std::min(scale, 1.0);
  for (size_t i = 0; i < p.size(); ++i) {
    if (std::isnan(p[i]) || std::isnan(q[i])) {
      if (std::isnan(p[i]) != std::isnan(q[i])) return HUGE_VAL;
      continue;
    }
    if (p[i] == q[i]) continue;  // infinities
    double d = std::abs(p[i] - q[i]) / (scale + std::abs(q[i]));
    if (!(d <= worst)) worst = d;
  }
  return worst;
}
/// The message of the exception of type E that f throws; fails the test where it throws nothing or something else.
template <class E = Error, class F> std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  } catch (const std::exception& e) {
    ADD_FAILURE() << "threw another exception: " << e.what();
    return e.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

using Function = std::function<AnyTensor(const std::vector<AnyTensor>&)>;

struct GradcheckOptions {
  double step = 1e-6;
  double tolerance = 1e-6;         // of the largest slope, or of 0.01
  double second_tolerance = 2e-5;  // differences of gradients lose more digits
  bool second = true;
};

namespace detail {
/// d<f(inputs), v>/dx by central differences, for input `which`; f gives as many tensors as v has.
inline AnyTensor numeric(const std::function<std::vector<AnyTensor>(const std::vector<AnyTensor>&)>& f,
                         const std::vector<AnyTensor>& inputs, size_t which, const std::vector<AnyTensor>& v, double h) {
  const AnyTensor& x = inputs[which];
  AnyTensor slope = empty(x.shape(), DType::float64, kCPU);
  std::vector<double> before = testing::values(x);
  auto set = [&](int64_t flat, double value) {
    int64_t offset = 0;
    for (int d = x.dim() - 1; d >= 0; --d) offset += flat % x.shape()[d] * x.stride()[d], flat /= x.shape()[d];
    if (x.device() == kCPU)
      static_cast<double*>(x.raw_data())[offset] = value;
    else
      put(x, offset, value);
  };
  std::vector<std::vector<double>> weights;
  for (const AnyTensor& w : v) weights.push_back(testing::values(w));
  auto value = [&] {
    std::vector<AnyTensor> outputs = f(inputs);
    double total = 0;
    for (size_t k = 0; k < outputs.size(); ++k) {
      std::vector<double> y = testing::values(outputs[k]);
      for (size_t i = 0; i < y.size(); ++i) total += y[i] * weights[k][i];
    }
    return total;
  };
  for (int64_t i = 0; i < x.numel(); ++i) {
    set(i, before[size_t(i)] + h);
    double up = value();
    set(i, before[size_t(i)] - h);
    double down = value();
    set(i, before[size_t(i)]);
    static_cast<double*>(slope.raw_data())[i] = (up - down) / (2 * h);
  }
  return slope;
}
}  // namespace detail

/// Of a gradient and differences, whose own error is 1e-9 and more. What is not a finite number says nothing, and agrees with nothing.
inline double finite_distance(const AnyTensor& a, const AnyTensor& b) {
  for (const AnyTensor* x : {&a, &b})
    for (double v : values(*x))
      if (!std::isfinite(v)) return HUGE_VAL;
  return distance(a, b, 1e-2);
}
/// Compares the gradient of f (one output) with central differences under a random cotangent, for every input that requires a
/// gradient, and then the gradient of these gradients, all of them under random cotangents at once. Inputs are float64 leaves. An empty
/// message means all agree.
inline std::string gradcheck(const Function& f, const std::vector<AnyTensor>& inputs, const GradcheckOptions& o = {}) {
  std::vector<AnyTensor> leaves;
  std::vector<size_t> which;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].defined() && inputs[i].requires_grad()) leaves.push_back(inputs[i]), which.push_back(i);
  if (leaves.empty()) return "no input requires a gradient";
  AnyTensor y = f(inputs), v = draw(y.shape(), -1, 1, 11);
  auto or_zeros = [&](const AnyTensor& g, size_t k) { return g.defined() ? g : zeros_like(leaves[k].detach()); };
  std::vector<AnyTensor> analytic = grad({y}, leaves, {v}, {.allow_unused = true});
  auto only = [&](const std::vector<AnyTensor>& in) { return std::vector<AnyTensor>{f(in)}; };
  for (size_t k = 0; k < leaves.size(); ++k) {
    double d = finite_distance(or_zeros(analytic[k], k), detail::numeric(only, inputs, which[k], {v}, o.step));
    if (!(d < o.tolerance)) return "gradient of input " + std::to_string(which[k]) + " is off by " + std::to_string(d);
  }
  if (!o.second) return "";
  // One leaf's gradient after the other, as if it alone were wanted, and what it adds to the gradients of the second order.
  std::vector<AnyTensor> w, second;
  for (const AnyTensor& leaf : leaves) second.push_back(zeros_like(leaf.detach()));
  for (size_t k = 0; k < leaves.size(); ++k) {
    AnyTensor g = or_zeros(grad({f(inputs)}, {leaves[k]}, {v}, {.create_graph = true, .allow_unused = true})[0], k);
    if (analytic[k].defined() && !(distance(g, analytic[k]) < 1e-9))
      return "the gradient with a graph differs from the one without by " + std::to_string(distance(g, analytic[k])) +
             " for input " + std::to_string(which[k]);
    w.push_back(draw(g.shape(), -1, 1, 13 + k));
    if (!g.requires_grad()) continue;
    std::vector<AnyTensor> more = grad({g}, leaves, {w[k]}, {.allow_unused = true});
    for (size_t j = 0; j < leaves.size(); ++j)
      if (more[j].defined()) second[j] = second[j] + more[j];
  }
  auto slopes = [&](const std::vector<AnyTensor>& in) {
    std::vector<AnyTensor> g = grad({f(in)}, leaves, {v}, {.create_graph = true, .allow_unused = true});
    for (size_t k = 0; k < g.size(); ++k) g[k] = or_zeros(g[k], k);
    return g;
  };
  for (size_t j = 0; j < leaves.size(); ++j) {
    double d = finite_distance(second[j], detail::numeric(slopes, inputs, which[j], w, o.step));
    if (!(d < o.second_tolerance))
      return "second gradient by input " + std::to_string(which[j]) + " is off by " + std::to_string(d);
  }
  return "";
}

}  // namespace gradus::testing
