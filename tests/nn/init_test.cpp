// How parameters begin: ranges, moments, and that one seed gives one network.
#include "gradus/nn/init.h"

#include <algorithm>

#include "tests/check.h"

namespace gradus {
namespace {

using testing::message_of;
using testing::values;
namespace init = nn::init;

struct Moments {
  double mean, deviation, least, most;
};
Moments moments(const AnyTensor& x) {
  std::vector<double> v = values(x);
  double mean = 0, square = 0;
  for (double a : v) mean += a / double(v.size());
  for (double a : v) square += (a - mean) * (a - mean) / double(v.size());
  return {mean, std::sqrt(square), *std::min_element(v.begin(), v.end()), *std::max_element(v.begin(), v.end())};
}
/// 20,000 draws: a mean is right to 0.04 deviations, a deviation to 3 %, with a probability that nobody meets.
AnyTensor weight() { return zeros({100, 200}, DType::float32); }
void expect_uniform(const AnyTensor& w, double bound) {
  Moments m = moments(w);
  EXPECT_NEAR(m.mean, 0, 0.04 * bound);
  EXPECT_NEAR(m.deviation, bound / std::sqrt(3.0), 0.03 * bound);
  EXPECT_GE(m.least, -bound);
  EXPECT_LT(m.most, bound);
  EXPECT_GT(m.most, 0.99 * bound);
}
void expect_normal(const AnyTensor& w, double deviation) {
  Moments m = moments(w);
  EXPECT_NEAR(m.mean, 0, 0.04 * deviation);
  EXPECT_NEAR(m.deviation, deviation, 0.03 * deviation);
  EXPECT_GT(m.most, 3 * deviation);
}

DEVICE_TEST(Init, Distributions) {
  AnyTensor w = weight();
  expect_uniform(init::uniform_(w, -2, 2), 2);
  expect_normal(init::normal_(w, 0, 3), 3);
  expect_uniform(init::xavier_uniform_(w), std::sqrt(6.0 / 300));
  expect_normal(init::xavier_normal_(w, 2), 2 * std::sqrt(2.0 / 300));
  expect_uniform(init::kaiming_uniform_(w, {.a = std::sqrt(5.0)}), 1 / std::sqrt(200.0));
  expect_normal(init::kaiming_normal_(w, {.mode = init::FanMode::out, .nonlinearity = "relu"}), std::sqrt(2.0 / 100));
  AnyTensor kernel = zeros({20, 10, 10, 10}, DType::float32);
  EXPECT_EQ(init::fan_of(kernel).in, 1000);
  EXPECT_EQ(init::fan_of(kernel).out, 2000);
  expect_normal(init::kaiming_normal_(kernel), std::sqrt(2.0 / 1000));
}

DEVICE_TEST(Init, TruncatedNormalStaysWithinAndKeepsItsShape) {
  AnyTensor w = weight();
  Moments m = moments(init::trunc_normal_(w, 0, 1, -2, 2));
  EXPECT_GE(m.least, -2);
  EXPECT_LE(m.most, 2);
  EXPECT_NEAR(m.deviation, 0.8796, 0.02);  // of a standard normal cut at two
  m = moments(init::trunc_normal_(w, 1, 0.5, 1, 1.5));
  EXPECT_GE(m.least, 1);
  EXPECT_LE(m.most, 1.5);
  EXPECT_NEAR(m.mean, 1.23, 0.01);  // 1 + 0.5 (phi(0) - phi(1)) / (Phi(1) - Phi(0))
  message_of<ValueError>([&] { init::trunc_normal_(w, 0, 1, 2, 2); });
}

DEVICE_TEST(Init, ConstantsAndIdentity) {
  AnyTensor w = zeros({2, 3}, DType::float32).requires_grad_();  // leaves may be written: no graph is made
  EXPECT_EQ(values(init::ones_(w)), std::vector<double>(6, 1.0));
  EXPECT_EQ(values(init::constant_(w, 3)), std::vector<double>(6, 3.0));
  EXPECT_EQ(values(init::eye_(w)), (std::vector<double>{1, 0, 0, 0, 1, 0}));
  EXPECT_EQ(values(init::zeros_(w)), std::vector<double>(6, 0.0));
  EXPECT_TRUE(w.is_leaf() && w.requires_grad());
}

DEVICE_TEST(Init, OrthogonalRowsOrColumns) {
  for (Shape shape : {Shape{3, 5}, {5, 3}, {4, 4}, {3, 2, 4}}) {
    AnyTensor w = zeros(shape, DType::float64);
    init::orthogonal_(w, 2);
    AnyTensor a = reshape(w, {shape[0], -1});
    if (a.size(0) > a.size(1)) a = a.t();
    EXPECT_LT(testing::distance(matmul(a, a.t()), eye(a.size(0), a.size(0), DType::float64) * 4), 1e-12);
  }
  // The first entry's sign is not fixed by the decomposition.
  int positive = 0;
  for (int i = 0; i < 64; ++i) {
    AnyTensor w = zeros({2, 2}, DType::float64);
    positive += values(init::orthogonal_(w))[0] > 0;
  }
  EXPECT_GT(positive, 10);
  EXPECT_LT(positive, 54);
}

DEVICE_TEST(Init, Gains) {
  EXPECT_EQ(init::calculate_gain("linear"), 1);
  EXPECT_EQ(init::calculate_gain("conv2d"), 1);
  EXPECT_EQ(init::calculate_gain("tanh"), 5.0 / 3);
  EXPECT_EQ(init::calculate_gain("relu"), std::sqrt(2.0));
  EXPECT_EQ(init::calculate_gain("leaky_relu", 1), 1);
  EXPECT_NEAR(init::calculate_gain("leaky_relu"), std::sqrt(2 / 1.0001), 1e-15);
  EXPECT_EQ(init::calculate_gain("selu"), 0.75);
  EXPECT_NE(message_of<ValueError>([] { init::calculate_gain("gelu"); }).find("\"gelu\""), std::string::npos);
}

DEVICE_TEST(Init, OneSeedOneNetwork) {
  auto net = [](uint64_t seed) {
    manual_seed(seed);
    return nn::Sequential(nn::Linear(3, 4), nn::Conv2d({.in = 2, .out = 3, .kernel = 3}));
  };
  NamedTensors a = net(1).state(), b = net(1).state(), c = net(2).state();
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(values(a[i].tensor), values(b[i].tensor));
    EXPECT_NE(values(a[i].tensor), values(c[i].tensor));
  }
}

DEVICE_TEST(Init, LayersBeginAsTheFieldHasThem) {
  nn::Linear fc(400, 300);
  expect_uniform(fc.weight, 1 / std::sqrt(400.0));
  EXPECT_LE(moments(fc.bias).most, 1 / std::sqrt(400.0));
  nn::Conv2d conv({.in = 16, .out = 64, .kernel = 5, .groups = 2});
  EXPECT_EQ(conv.weight.shape(), (Shape{64, 8, 5, 5}));
  expect_uniform(conv.weight, 1 / std::sqrt(200.0));
  nn::ConvTranspose2d up({.in = 64, .out = 16, .kernel = 5});
  EXPECT_EQ(up.weight.shape(), (Shape{64, 16, 5, 5}));
  expect_uniform(up.weight, 1 / std::sqrt(400.0));
}

DEVICE_TEST(Init, WrongShapes) {
  AnyTensor v = zeros({3}, DType::float32);
  message_of<ShapeError>([&] { init::xavier_uniform_(v); });
  message_of<ShapeError>([&] { init::eye_(v); });
  message_of<ShapeError>([&] { init::orthogonal_(v); });
}

}  // namespace
}  // namespace gradus
