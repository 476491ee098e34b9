// Layers: what they compute, gradients through them in double, names and shapes of their parameters.
#include "tests/check.h"

namespace gradus {
namespace {

using testing::distance;
using testing::draw;
using testing::message_of;
using testing::values;

std::vector<std::string> shapes_of(const nn::Module& m) {
  std::vector<std::string> list;
  for (auto& [name, tensor] : m.state()) list.push_back(name + " " + to_string(tensor.shape()));
  return list;
}
using Names = std::vector<std::string>;

/// Checks the gradients of a module's input and parameters, in double.
template <class M> std::string check(M& module, const AnyTensor& x) {
  module.template to<double>();
  std::vector<AnyTensor> inputs{is_float(x.dtype()) ? x.clone().requires_grad_() : x};
  for (AnyTensor& p : module.parameters()) inputs.push_back(p);
  return testing::gradcheck([&](const std::vector<AnyTensor>& in) -> AnyTensor { return module(in[0]); }, inputs);
}
/// The typed and the untyped way give the same, in float and in bfloat16 over float parameters; that within the latter's precision.
template <class M> void expect_typed(M& module, const AnyTensor& x) {
  module.template to<float>();
  Tensor<float> in(x.to(DType::float32));
  Tensor<float> y = module(in);
  EXPECT_EQ(values(y), values(module(static_cast<const AnyTensor&>(in))));
  Tensor<bfloat16> z = module(in.to<bfloat16>());
  EXPECT_LT(distance(z, y), 0.05);
}

TEST(Linear, ProductsAndBias) {
  nn::Linear fc(3, 4);
  EXPECT_EQ(shapes_of(fc), (Names{"weight [4, 3]", "bias [4]"}));
  AnyTensor x = draw({2, 5, 3}, -1, 1, 3);
  expect_typed(fc, x);
  EXPECT_EQ(check(fc, x), "");
  EXPECT_LT(distance(fc(x), matmul(x, fc.weight.t()) + fc.bias), 1e-14);
  nn::Linear plain(3, 4, {.bias = false});
  EXPECT_EQ(shapes_of(plain), (Names{"weight [4, 3]"}));
  EXPECT_EQ(check(plain, x), "");
  std::string message = message_of<ShapeError>([&] { fc(draw({2, 4})); });
  EXPECT_NE(message.find("linear"), std::string::npos) << message;
  EXPECT_NE(message_of<ValueError>([] { nn::Linear(0, 4); }).find("Linear: in is 0"), std::string::npos);
}

TEST(Bilinear, SumsOverBothInputs) {
  nn::Bilinear layer(2, 3, 4);
  layer.to<double>();
  EXPECT_EQ(shapes_of(layer), (Names{"weight [4, 2, 3]", "bias [4]"}));
  AnyTensor a = draw({5, 2}, -1, 1, 1).requires_grad_(), b = draw({5, 3}, -1, 1, 2).requires_grad_();
  std::vector<double> y = values(layer(a, b)), w = values(layer.weight), bias = values(layer.bias), p = values(a), q = values(b);
  for (size_t n = 0; n < 5; ++n)
    for (size_t k = 0; k < 4; ++k) {
      double sum = bias[k];
      for (size_t i = 0; i < 2; ++i)
        for (size_t j = 0; j < 3; ++j) sum += p[n * 2 + i] * w[(k * 2 + i) * 3 + j] * q[n * 3 + j];
      EXPECT_NEAR(y[n * 4 + k], sum, 1e-14);
    }
  EXPECT_EQ(testing::gradcheck([&](auto& in) { return layer(in[0], in[1]); }, {a, b, layer.weight, layer.bias}), "");
  message_of<ShapeError>([&] { layer(a, a); });
}

TEST(Conv, TheLayersAreTheOps) {
  nn::Conv2d conv({.in = 4, .out = 6, .kernel = {3, 2}, .stride = 2, .padding = 1, .groups = 2});
  EXPECT_EQ(shapes_of(conv), (Names{"weight [6, 2, 3, 2]", "bias [6]"}));
  AnyTensor x = draw({2, 4, 5, 6}, -1, 1, 3);
  expect_typed(conv, x);
  EXPECT_EQ(check(conv, x), "");
  EXPECT_LT(distance(conv(x), conv2d(x, conv.weight, conv.bias, {.stride = 2, .padding = 1, .groups = 2})), 1e-14);

  nn::Conv1d row({.in = 2, .out = 3, .kernel = 3, .padding = "same", .bias = false});
  EXPECT_EQ(shapes_of(row), (Names{"weight [3, 2, 3]"}));
  EXPECT_EQ(row(draw({1, 2, 7}, -1, 1, 1, DType::float32)).shape(), (Shape{1, 3, 7}));
  EXPECT_EQ(check(row, draw({1, 2, 7})), "");

  nn::ConvTranspose2d up({.in = 3, .out = 2, .kernel = 2, .stride = 2});
  EXPECT_EQ(shapes_of(up), (Names{"weight [3, 2, 2, 2]", "bias [2]"}));
  EXPECT_EQ(up(draw({1, 3, 4, 5}, -1, 1, 1, DType::float32)).shape(), (Shape{1, 2, 8, 10}));
  EXPECT_EQ(check(up, draw({1, 3, 2, 3})), "");
  nn::ConvTranspose1d up1({.in = 3, .out = 2, .kernel = 3, .stride = 2, .output_padding = 1});
  EXPECT_EQ(check(up1, draw({1, 3, 4})), "");

  EXPECT_NE(message_of<ValueError>([] { nn::Conv2d({.in = 3, .out = 4, .kernel = 3, .groups = 2}); }).find("groups = 2"),
            std::string::npos);
  EXPECT_NE(message_of<ValueError>([] { nn::Conv2d({.in = 3, .out = 4, .kernel = 0}); }).find("kernel is 0"), std::string::npos);
  EXPECT_NE(message_of<ValueError>([] { nn::Conv1d({.in = 3, .out = 4, .kernel = 1, .groups = 0}); }).find("groups is 0"),
            std::string::npos);
}

TEST(Activations, AreTheirFunctions) {
  AnyTensor x = draw({2, 6}, -4, 4, 5, DType::float32);
  auto same = [&](auto module, const AnyTensor& y) {
    EXPECT_TRUE(module.parameters().empty());
    EXPECT_EQ(values(module(x)), values(y)) << nn::type_name(module);
    expect_typed(module, x);
  };
  same(nn::Identity(), x);
  same(nn::ReLU(), relu(x));
  same(nn::ReLU6(), relu6(x));
  same(nn::SELU(), selu(x));
  same(nn::SiLU(), silu(x));
  same(nn::Mish(), mish(x));
  same(nn::Hardswish(), hardswish(x));
  same(nn::Hardsigmoid(), hardsigmoid(x));
  same(nn::Sigmoid(), sigmoid(x));
  same(nn::LogSigmoid(), logsigmoid(x));
  same(nn::Softsign(), softsign(x));
  same(nn::Tanh(), tanh(x));
  same(nn::Tanhshrink(), x - tanh(x));
  same(nn::LeakyReLU(), leaky_relu(x, 0.01));
  same(nn::LeakyReLU(0.2), leaky_relu(x, 0.2));
  same(nn::ELU(), elu(x, 1));
  same(nn::ELU(2), elu(x, 2));
  same(nn::CELU(2), celu(x, 2));
  same(nn::Hardshrink(), hardshrink(x, 0.5));
  same(nn::Softshrink(1), softshrink(x, 1));
  same(nn::GELU(), gelu(x));
  same(nn::GELU({.approximate = nn::Gelu::tanh}), gelu_tanh(x));
  same(nn::Softplus(), softplus(x, 1, 20));
  same(nn::Softplus({.beta = 2, .threshold = 1}), softplus(x, 2, 1));
  same(nn::Hardtanh(), hardtanh(x, -1, 1));
  same(nn::Hardtanh({.min = -2, .max = 3}), hardtanh(x, -2, 3));
  same(nn::Threshold({.threshold = 1, .value = 20}), threshold(x, 1, 20));
  same(nn::Softmax(1), softmax(x, 1));
  same(nn::LogSoftmax(0), log_softmax(x, 0));
  same(nn::Softmin(-1), softmin(x, -1));
  same(nn::GLU(), x.narrow(1, 0, 3) * sigmoid(x.narrow(1, 3, 3)));
  same(nn::GLU(0), x.narrow(0, 0, 1) * sigmoid(x.narrow(0, 1, 1)));
  EXPECT_EQ(values(nn::Softmax2d()(reshape(x, {2, 3, 2}))), values(softmax(reshape(x, {2, 3, 2}), 0)));
  message_of<ShapeError>([&] { nn::GLU()(draw({2, 3})); });
}

TEST(PReLU, LearnsOneSlopeOrOneAChannel) {
  nn::PReLU one, three({.channels = 3, .init = 0.1});
  EXPECT_EQ(shapes_of(one), (Names{"weight [1]"}));
  EXPECT_EQ(shapes_of(three), (Names{"weight [3]"}));
  AnyTensor x = draw({2, 3, 4}, -1, 1, 3);
  expect_typed(three, x);
  EXPECT_EQ(check(one, x), "");
  EXPECT_EQ(check(three, x), "");
  EXPECT_EQ(check(three, draw({2, 3})), "");
  EXPECT_LT(distance(one(x), leaky_relu(x, 0.25)), 1e-14);
  message_of<ShapeError>([&] { three(draw({2, 4, 3})); });
  message_of<ShapeError>([&] { three(draw({3})); });
}

// Containers.

struct Twice : nn::Module {
  nn::Linear fc{3, 3};
  GRADUS_MEMBERS(fc)
  template <class T> Tensor<T> forward(Tensor<T> x) { return fc(fc(x)); }
};
struct OnlyFloat : nn::Module {
  GRADUS_MEMBERS()
  Tensor<float> forward(const Tensor<float>& x) { return x * 2; }
};

TEST(Sequential, NamesFollowPlaces) {
  nn::Sequential net(nn::Linear(2, 8), nn::ReLU(), nn::Sequential(nn::Linear(8, 3), Twice()), nn::Tanh());
  EXPECT_EQ(net.names(), (Names{"0.weight", "0.bias", "2.0.weight", "2.0.bias", "2.1.fc.weight", "2.1.fc.bias"}));
  AnyTensor x = draw({5, 2}, -1, 1, 1);
  expect_typed(net, x);
  EXPECT_EQ(check(net, x), "");
  EXPECT_EQ(net.size(), 4u);
  EXPECT_EQ(net.at<nn::Linear>(0).weight.shape(), (Shape{8, 2}));
  EXPECT_NE(message_of<ValueError>([&] { net.at<nn::Linear>(1); }).find("module 1 is a ReLU"), std::string::npos);
  EXPECT_NE(message_of<IndexError>([&] { net[4]; }).find("module 4 of 4"), std::string::npos);
  EXPECT_EQ(values(nn::Sequential()(x)), values(x));
}

TEST(Sequential, IsAValue) {
  nn::Sequential net(nn::Linear(2, 3), nn::LeakyReLU(0.5)), copy = net;
  EXPECT_EQ(values(net.at<nn::Linear>(0).weight), values(copy.at<nn::Linear>(0).weight));
  EXPECT_NE(net.at<nn::Linear>(0).weight.raw_data(), copy.at<nn::Linear>(0).weight.raw_data());
  nn::Sequential other(nn::Linear(2, 3), nn::LeakyReLU(0.1));
  std::vector<AnyTensor> held = other.parameters();
  other = net;
  EXPECT_TRUE(other.parameters()[0].is_same(held[0]));
  EXPECT_EQ(values(held[0]), values(net.parameters()[0]));
  EXPECT_EQ(other.at<nn::LeakyReLU>(1).negative_slope, 0.5);
  nn::Sequential shorter{nn::ReLU()};
  shorter = net;
  EXPECT_EQ(shorter.names(), net.names());
  nn::Sequential moved = std::move(shorter);
  EXPECT_EQ(moved.size(), 2u);
  moved.push_back(nn::Lambda([](const AnyTensor& x) { return x * 10; })).eval();
  EXPECT_FALSE(moved[1].training());
  AnyTensor x = draw({1, 2}, -1, 1, 1, DType::float32);
  EXPECT_LT(distance(moved(x), net(x) * 10), 1e-6);
}

TEST(Sequential, TakesModulesWhoseForwardIsTyped) {
  nn::Sequential net;
  net.push_back(OnlyFloat()).push_back(nn::ReLU());
  EXPECT_EQ(values(net(full({2}, 3, DType::float32))), std::vector<double>(2, 6.0));
  std::string message = message_of<DTypeError>([&] { net(full({2}, 3, DType::float64)); });
  EXPECT_NE(message.find("OnlyFloat: its forward does not take float64"), std::string::npos) << message;
  nn::Sequential twice{Twice()};
  message_of<DTypeError>([&] { twice(zeros({2, 3}, DType::int32)); });
}

struct Stack : nn::Module {
  nn::ModuleList<nn::Linear> layers;
  explicit Stack(int depth) {
    for (int i = 0; i < depth; ++i) layers.emplace_back(3, 3);
  }
  GRADUS_MEMBERS(layers)
  template <class T> Tensor<T> forward(Tensor<T> x) {
    for (nn::Linear& fc : layers) x = relu(fc(x));
    return x;
  }
};
TEST(ModuleList, HoldsModulesUnderTheirPlaces) {
  Stack net(3), copy = net;
  EXPECT_EQ(net.names(),
            (Names{"layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias", "layers.2.weight", "layers.2.bias"}));
  EXPECT_EQ(net.layers.size(), 3u);
  EXPECT_NE(net.layers[0].weight.raw_data(), copy.layers[0].weight.raw_data());
  net.train(false);
  EXPECT_FALSE(net.layers[2].training());
  net.to<double>();
  AnyTensor x = draw({2, 3}).requires_grad_();
  EXPECT_EQ(testing::gradcheck([&](auto& in) -> AnyTensor { return net(Tensor<double>(in[0])); }, {x, net.layers[0].weight}), "");
}

}  // namespace
}  // namespace gradus
