// Layers: what they compute, gradients through them in double, names and shapes of their parameters.
#include "tests/check.h"

namespace gradus {
namespace {

using testing::distance;
using testing::draw;
using testing::message_of;
using testing::values;

struct Twice : nn::Module {
  nn::Linear fc{3, 3};
  GRADUS_MEMBERS(fc)
  template <class T> Tensor<T> forward(Tensor<T> x) { return fc(fc(x)); }
};

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

DEVICE_TEST(Linear, ProductsAndBias) {
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

DEVICE_TEST(FeedForward, IsItsTwoLayersAndGeluBetween) {
  nn::FeedForward mlp(3, 8);
  EXPECT_EQ(shapes_of(mlp), (Names{"c_fc.weight [8, 3]", "c_fc.bias [8]", "c_proj.weight [3, 8]", "c_proj.bias [3]"}));
  AnyTensor x = draw({2, 5, 3}, -1, 1, 3);
  expect_typed(mlp, x);
  EXPECT_EQ(check(mlp, x), "");
  EXPECT_LT(distance(mlp(x), mlp.c_proj(gelu_tanh(mlp.c_fc(x)))), 1e-14);
  nn::FeedForward plain(3, 4, {.bias = false});
  EXPECT_EQ(shapes_of(plain), (Names{"c_fc.weight [4, 3]", "c_proj.weight [3, 4]"}));
  EXPECT_EQ(check(plain, x), "");
  EXPECT_NE(message_of<ShapeError>([&] { mlp(draw({2, 4})); }).find("feed_forward"), std::string::npos);
}

DEVICE_TEST(Bilinear, SumsOverBothInputs) {
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

DEVICE_TEST(Conv, TheLayersAreTheOps) {
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

DEVICE_TEST(Activations, AreTheirFunctions) {
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

DEVICE_TEST(PReLU, LearnsOneSlopeOrOneAChannel) {
  nn::PReLU one, three({.channels = 3, .init = 0.1});
  EXPECT_EQ(shapes_of(one), (Names{"weight [1]"}));
  EXPECT_EQ(shapes_of(three), (Names{"weight [3]"}));
  AnyTensor x = draw({2, 3, 4}, -1, 1, 3);
  expect_typed(three, x);
  EXPECT_EQ(check(one, x), "");
  EXPECT_EQ(check(three, x), "");
  EXPECT_EQ(check(three, draw({2, 3})), "");
  EXPECT_EQ(check(one, draw({})), "");
  EXPECT_EQ(one(draw({})).dim(), 0);
  EXPECT_LT(distance(one(x), leaky_relu(x, 0.25)), 1e-14);
  message_of<ShapeError>([&] { three(draw({2, 4, 3})); });
  message_of<ShapeError>([&] { three(draw({3})); });
}

// Norms.

DEVICE_TEST(BatchNorm, GathersStatisticsInTrainingAndUsesThemInEval) {
  nn::BatchNorm2d bn(3);
  EXPECT_EQ(shapes_of(bn), (Names{"weight [3]", "bias [3]", "running_mean [3]", "running_var [3]", "num_batches_tracked []"}));
  AnyTensor x = draw({4, 3, 5, 2}, -1, 3, 1, DType::float32);
  AnyTensor y = bn(x), mean = x.mean({0, 2, 3}), var = sum(square(x - reshape(mean, {3, 1, 1})), {0, 2, 3}) / 39;
  EXPECT_LT(distance(y.mean({0, 2, 3}), zeros({3}, DType::float32), 1), 1e-5);
  EXPECT_LT(distance(bn.running_mean, mean * 0.1), 1e-6);
  EXPECT_LT(distance(bn.running_var, var * 0.1 + 0.9), 1e-6);  // the unbiased one
  EXPECT_EQ(bn.num_batches_tracked.item(), 1);
  bn.eval();
  std::vector<double> before = values(bn.running_mean);
  AnyTensor z = bn(x), rm = reshape(bn.running_mean, {3, 1, 1}), rv = reshape(bn.running_var, {3, 1, 1});
  EXPECT_LT(distance(z, (x - rm) / sqrt(rv + 1e-5)), 1e-5);
  EXPECT_EQ(values(bn.running_mean), before);
  EXPECT_EQ(bn.num_batches_tracked.item(), 1);
}

DEVICE_TEST(BatchNorm, GradientsInBothModes) {
  nn::BatchNorm1d bn(3, {.track_running_stats = false});
  EXPECT_EQ(shapes_of(bn), (Names{"weight [3]", "bias [3]"}));
  EXPECT_EQ(check(bn, draw({5, 3})), "");
  EXPECT_EQ(check(bn, draw({4, 3, 2})), "");
  nn::BatchNorm1d fixed(3);
  fixed.running_mean.copy_(draw({3})), fixed.running_var.copy_(draw({3}, 1, 2));
  fixed.eval();
  EXPECT_EQ(check(fixed, draw({5, 3})), "");
}

DEVICE_TEST(BatchNorm, StatisticsKeepTheirDTypeBesideOtherActivations) {
  Tensor<float> x(draw({8, 3, 2, 2}, -1, 1, 1, DType::float32));
  nn::BatchNorm2d narrow(3), plain = narrow, wide = narrow;
  Tensor<bfloat16> y = narrow(x.to<bfloat16>());
  Tensor<double> z = wide(x.to<double>());
  AnyTensor reference = plain(x);
  EXPECT_LT(distance(y, reference), 0.02);
  EXPECT_LT(distance(z, reference), 1e-5);
  EXPECT_EQ(narrow.running_var.dtype(), DType::float32);
  EXPECT_EQ(wide.running_var.dtype(), DType::float32);
  EXPECT_LT(distance(narrow.running_mean, plain.running_mean), 1e-3);
  EXPECT_LT(distance(wide.running_var, plain.running_var), 1e-6);
  sum(y * y).backward();
  EXPECT_EQ(narrow.weight.grad().dtype(), DType::float32);
}

DEVICE_TEST(BatchNorm, WithoutMomentumAveragesAllBatches) {
  nn::BatchNorm1d bn(2, {.momentum = std::nullopt});
  AnyTensor total = zeros({2}, DType::float32);
  for (uint64_t i = 1; i <= 4; ++i) {
    AnyTensor x = draw({6, 2}, -1, 1, i, DType::float32);
    bn(x);
    total = total + x.mean(0);
  }
  EXPECT_LT(distance(bn.running_mean, total / 4), 1e-6);
  EXPECT_EQ(bn.num_batches_tracked.item(), 4);
}

DEVICE_TEST(BatchNorm, AnEmptyBatchTeachesNothing) {
  nn::BatchNorm1d bn(3);
  AnyTensor x = zeros({0, 3, 4}, DType::float32).requires_grad_();
  AnyTensor y = bn(x);
  EXPECT_EQ(y.shape(), x.shape());
  sum(y).backward();
  EXPECT_EQ(x.grad().shape(), x.shape());
  EXPECT_EQ(values(bn.weight.grad()), std::vector<double>(3, 0.0));
  EXPECT_EQ(values(bn.running_var), std::vector<double>(3, 1.0));
}

void set(nn::BatchNorm& bn) {
  NoGrad no_grad;
  bn.weight.copy_(draw({3}, 0.5, 2, 4, DType::float32)), bn.bias.copy_(draw({3}, -1, 1, 5, DType::float32));
}
// relu behind the norm is the same layer: its state, its statistics and its modes.
DEVICE_TEST(BatchNorm, ReluIsReluOfForward) {
  for (const nn::BatchNormOptions& options :
       {nn::BatchNormOptions{}, nn::BatchNormOptions{.momentum = std::nullopt}, nn::BatchNormOptions{.affine = false},
        nn::BatchNormOptions{.track_running_stats = false}})
    for (DType type : {DType::float32, DType::float64, DType::bfloat16}) {
      nn::BatchNorm2d plain(3, options);
      if (options.affine) set(plain);
      nn::BatchNorm2d one = plain, two = plain;
      EXPECT_EQ(shapes_of(one), shapes_of(plain));
      const double tolerance = type == DType::bfloat16 ? 3e-2 : 1e-6;
      for (uint64_t step = 1; step <= 4; ++step) {
        if (step == 3) plain.eval(), one.eval(), two.eval();
        AnyTensor x = draw({4, 3, 5, 2}, -1, 3, step).to(type), r = draw({4, 3, 5, 2}, -2, 1, step + 9).to(type);
        AnyTensor norm = plain(x), y = one.relu(x), z = two.relu(x, r);
        EXPECT_EQ(distance(y, relu(norm)), 0) << name(type) << step;
        EXPECT_LT(distance(z, relu(norm + r)), tolerance) << name(type) << step;
        EXPECT_EQ(z.dtype(), type);
      }
      for (const nn::BatchNorm2d* other : {&one, &two}) {
        if (!options.track_running_stats) continue;
        EXPECT_EQ(values(other->running_mean), values(plain.running_mean));
        EXPECT_EQ(values(other->running_var), values(plain.running_var));
        EXPECT_EQ(other->num_batches_tracked.item(), 2);
      }
    }
}

DEVICE_TEST(BatchNorm, ReluHasGradientsInBothModes) {
  nn::BatchNorm1d bn(3);
  set(bn);
  Tensor<float> x(draw({5, 3}, -1, 1, 1, DType::float32)), r(draw({5, 3}, -1, 1, 2, DType::float32));
  x.requires_grad_(), r.requires_grad_();
  for (bool training : {true, false}) {
    bn.train(training);
    const std::vector<AnyTensor> leaves{x, bn.weight, bn.bias, r};
    AnyTensor g = draw({5, 3}, -1, 1, 6, DType::float32);
    std::vector<AnyTensor> fused = grad({bn.relu(x, r)}, leaves, {g}), apart = grad({relu(bn(x) + r)}, leaves, {g});
    for (size_t k = 0; k < leaves.size(); ++k) EXPECT_LT(distance(fused[k], apart[k]), 2e-6) << training << k;
  }
  AnyTensor none = zeros({0, 3, 4}, DType::float32).requires_grad_();
  AnyTensor y = nn::BatchNorm1d(3).relu(none, none);
  sum(y).backward();
  EXPECT_EQ(none.grad().shape(), none.shape());
  // Half activations beside float parameters.
  AnyTensor z = bn.relu(x.to<bfloat16>(), r.to<bfloat16>());
  EXPECT_EQ(z.dtype(), DType::bfloat16);
  sum(z * z).backward();
  EXPECT_EQ(bn.weight.grad().dtype(), DType::float32);
}

DEVICE_TEST(BatchNorm, WrongInputs) {
  nn::BatchNorm2d bn(3);
  const AnyTensor images = draw({2, 3, 4, 4}, 0, 1, 1, DType::float32);
  EXPECT_EQ(message_of<ValueError>([&] { bn.relu(images, AnyTensor()); }), "BatchNorm2d: got an undefined tensor");
  EXPECT_EQ(message_of<ShapeError>([&] { bn.relu(images, images.narrow(0, 0, 1)); }),
            "batch_norm_relu: x has shape [2, 3, 4, 4], residual [1, 3, 4, 4]; expand() the smaller one");
  EXPECT_NE(message_of<ShapeError>([&] {
              bn(draw({2, 3}));
            }).find("BatchNorm2d: got shape [2, 3]; 4 dimensions"),
            std::string::npos);
  message_of<ShapeError>([&] { bn(draw({2, 4, 1, 2}, 0, 1, 1, DType::float32)); });
  message_of<ShapeError>([&] { nn::BatchNorm1d(3)(draw({3})); });
  message_of<ValueError>([] { nn::BatchNorm2d(0); });
}

DEVICE_TEST(Norms, OverLastAxesGroupsAndExamples) {
  nn::LayerNorm ln({3, 4}), one(4, {.eps = 1e-3, .bias = false}), bare(4, {.affine = false});
  EXPECT_EQ(shapes_of(ln), (Names{"weight [3, 4]", "bias [3, 4]"}));
  EXPECT_EQ(shapes_of(one), (Names{"weight [4]"}));
  EXPECT_TRUE(shapes_of(bare).empty());
  AnyTensor x = draw({2, 3, 4}, -1, 1, 3);
  expect_typed(ln, x);
  EXPECT_EQ(check(ln, x), "");
  EXPECT_EQ(check(one, x), "");
  AnyTensor d = x - x.mean(-1, true);
  EXPECT_LT(distance(bare(x), d / sqrt(mean(d * d, -1, true) + 1e-5)), 1e-12);

  AnyTensor residual = draw({2, 3, 4}, -1, 1, 5);
  auto [stream, branch] = ln.add(x, residual);
  EXPECT_EQ(distance(stream, x + residual), 0);
  EXPECT_EQ(distance(branch, ln(stream)), 0);

  nn::RMSNorm rms(4, {.eps = 1e-3});
  EXPECT_EQ(distance(rms.add(x, residual).second, rms(stream)), 0);
  EXPECT_EQ(shapes_of(rms), (Names{"weight [4]"}));
  expect_typed(rms, x);
  EXPECT_EQ(check(rms, x), "");
  EXPECT_LT(distance(rms(x), x / sqrt(mean(x * x, -1, true) + 1e-3)), 1e-12);

  nn::GroupNorm gn({.groups = 2, .channels = 4});
  EXPECT_EQ(shapes_of(gn), (Names{"weight [4]", "bias [4]"}));
  AnyTensor image = draw({2, 4, 3}, -1, 1, 4);
  expect_typed(gn, image);
  EXPECT_EQ(check(gn, image), "");
  message_of<ShapeError>([&] { gn(draw({2, 6, 3})); });
  EXPECT_NE(message_of<ValueError>([] { nn::GroupNorm({.groups = 3, .channels = 4}); }).find("3 groups"), std::string::npos);

  nn::InstanceNorm2d plain(3), learned(3, {.affine = true, .track_running_stats = true});
  EXPECT_TRUE(shapes_of(plain).empty());
  EXPECT_EQ(shapes_of(learned).size(), 5u);
  AnyTensor pictures = draw({2, 3, 2, 4}, -1, 1, 5);
  EXPECT_EQ(check(plain, pictures), "");
  learned.eval();
  EXPECT_EQ(check(learned, pictures), "");
  EXPECT_LT(distance(plain(pictures.select(0, 1)), plain(pictures).select(0, 1)), 1e-12);  // without N
  message_of<ShapeError>([&] { plain(draw({2, 3})); });

  nn::LocalResponseNorm lrn({.size = 3});
  EXPECT_EQ(check(lrn, pictures), "");
}

// Pools and shapes.

DEVICE_TEST(Pools, TheLayersAreTheOps) {
  AnyTensor x = draw({2, 3, 6, 8}, -1, 1, 3), row = draw({2, 3, 8}, -1, 1, 4);
  EXPECT_EQ(values(nn::MaxPool2d({.kernel = 2})(x)), values(max_pool2d(x, {.kernel = 2})));
  EXPECT_EQ(values(nn::AvgPool2d({.kernel = {2, 3}, .stride = 1})(x)), values(avg_pool2d(x, {.kernel = {2, 3}, .stride = 1})));
  EXPECT_EQ(values(nn::MaxPool1d({.kernel = 2})(row)), values(max_pool1d(row, {.kernel = 2})));
  EXPECT_EQ(values(nn::AvgPool1d({.kernel = 2})(row)), values(avg_pool1d(row, {.kernel = 2})));
  EXPECT_EQ(nn::AdaptiveAvgPool2d(1)(x).shape(), (Shape{2, 3, 1, 1}));
  EXPECT_EQ(nn::AdaptiveAvgPool2d({3, 4})(x).shape(), (Shape{2, 3, 3, 4}));
  EXPECT_EQ(nn::AdaptiveMaxPool2d({2, 2})(x).shape(), (Shape{2, 3, 2, 2}));
  EXPECT_EQ(nn::AdaptiveAvgPool1d(3)(row).shape(), (Shape{2, 3, 3}));
  EXPECT_EQ(nn::AdaptiveMaxPool1d(3)(row).shape(), (Shape{2, 3, 3}));
  EXPECT_EQ(nn::Upsample({.scale_factor = 2})(x).shape(), (Shape{2, 3, 12, 16}));
  EXPECT_EQ(nn::Upsample({.size = {3, 3}, .mode = InterpolateMode::linear})(x).shape(), (Shape{2, 3, 3, 3}));
  nn::MaxPool2d pool({.kernel = 2});
  EXPECT_EQ(check(pool, x), "");
  expect_typed(pool, x);
}

DEVICE_TEST(Shapes, FlattenAndUnflatten) {
  AnyTensor x = draw({2, 6, 4});
  EXPECT_EQ(nn::Flatten()(x).shape(), (Shape{2, 24}));
  EXPECT_EQ(nn::Flatten(0)(x).shape(), (Shape{48}));
  EXPECT_EQ(nn::Unflatten(1, {2, 3})(x).shape(), (Shape{2, 2, 3, 4}));
}

DEVICE_TEST(Layers, AnUndefinedTensorIsAnError) {
  auto refused = [](auto module) {
    std::string message = message_of<ValueError>([&] { module(AnyTensor()); });
    EXPECT_NE(message.find("undefined"), std::string::npos) << nn::type_name(module) << ": " << message;
  };
  refused(nn::Linear(2, 3));
  refused(nn::FeedForward(2, 3));
  refused(nn::Conv1d({.in = 1, .out = 1, .kernel = 1}));
  refused(nn::Conv2d({.in = 1, .out = 1, .kernel = 1}));
  refused(nn::ConvTranspose1d({.in = 1, .out = 1, .kernel = 1}));
  refused(nn::ConvTranspose2d({.in = 1, .out = 1, .kernel = 1}));
  refused(nn::BatchNorm1d(2));
  refused(nn::BatchNorm2d(2));
  refused(nn::InstanceNorm2d(2));
  refused(nn::LayerNorm(2));
  refused(nn::RMSNorm(2));
  refused(nn::GroupNorm({.groups = 1, .channels = 2}));
  refused(nn::LocalResponseNorm());
  refused(nn::PReLU());
  refused(nn::GLU());
  refused(nn::ReLU());
  refused(nn::GELU());
  refused(nn::Softmax(-1));
  refused(nn::MaxPool2d({.kernel = 2}));
  refused(nn::AvgPool1d({.kernel = 2}));
  refused(nn::AdaptiveAvgPool2d(1));
  refused(nn::Upsample({.scale_factor = 2}));
  refused(nn::Flatten());
  refused(nn::Unflatten(0, {1, 2}));
  message_of<ValueError>([] { nn::Bilinear(2, 2, 2)(AnyTensor(), AnyTensor()); });
  nn::Sequential typed{Twice()};
  message_of<ValueError>([&] { typed(AnyTensor()); });
  message_of<ValueError>([] { nn::MSELoss()(AnyTensor(), AnyTensor()); });
}

// Summaries.

struct Tower : nn::Module {
  nn::Sequential features{nn::Conv2d({.in = 1, .out = 4, .kernel = 3}), nn::BatchNorm2d(4), nn::ReLU(), nn::Flatten()};
  nn::Linear head{144, 10}, unused{2, 2};
  GRADUS_MEMBERS(features, head, unused)
  template <class T> Tensor<T> forward(const Tensor<T>& x) { return head(features(x)); }
};
DEVICE_TEST(Summary, ListsLayersShapesAndCounts) {
  Tower net;
  net.unused.requires_grad_(false);
  net.features[2].eval();
  nn::Summary s = nn::summary(net, zeros<float>({5, 1, 8, 8}));
  EXPECT_EQ(s.parameters, 4 * 9 + 4 + 8 + 1440 + 10 + 6);
  EXPECT_EQ(s.trainable, s.parameters - 6);
  EXPECT_EQ(s.bytes, 4 * (s.parameters + 8) + 8);  // running mean and variance; the count of batches
  ASSERT_EQ(s.rows.size(), 8u);
  EXPECT_EQ(s.rows[2].name, "features.0");
  EXPECT_EQ(s.rows[2].type, "Conv2d");
  EXPECT_EQ(s.rows[2].output, (Shape{5, 4, 6, 6}));
  EXPECT_EQ(s.rows[2].parameters, 40);
  EXPECT_EQ(s.rows[0].output, (Shape{5, 10}));
  EXPECT_FALSE(s.rows[7].called);
  EXPECT_EQ(to_string(s),
            "layer                   output          parameters\n"
            "--------------------------------------------------\n"
            "Tower                   [5, 10]                  -\n"
            "  features: Sequential  [5, 144]                 -\n"
            "    0: Conv2d           [5, 4, 6, 6]            40\n"
            "    1: BatchNorm2d      [5, 4, 6, 6]             8\n"
            "    2: ReLU             [5, 4, 6, 6]             -\n"
            "    3: Flatten          [5, 144]                 -\n"
            "  head: Linear          [5, 10]              1,450\n"
            "  unused: Linear        -                        6\n"
            "--------------------------------------------------\n"
            "1,504 parameters, 1,498 of them trained, 5.9 KiB");
  // The network is as it was.
  EXPECT_TRUE(net.training() && net.features[1].training());
  EXPECT_FALSE(net.features[2].training());
  EXPECT_EQ(net.features.at<nn::BatchNorm2d>(1).num_batches_tracked.item(), 0);
  EXPECT_EQ(nn::detail::call_observer, nullptr);
  message_of<ShapeError>([&] { nn::summary(net, zeros<float>({5, 1, 9, 9})); });
  EXPECT_EQ(nn::detail::call_observer, nullptr);
  EXPECT_TRUE(net.features[1].training());
}

struct Returns : nn::Module {
  GRADUS_MEMBERS()
  const AnyTensor& forward(const AnyTensor& x) const { return x; }
  std::pair<AnyTensor, int> forward(const AnyTensor& x, int n) const { return {x, n}; }
  void forward(AnyTensor& x, const char*) const { x.mul_(2); }
};
struct Outputs : nn::detail::CallObserver {
  void before(nn::Module&) override { ++calls; }
  void after(nn::Module&, const AnyTensor& output) override { seen.push_back(output); }
  int calls = 0;
  std::vector<AnyTensor> seen;
};

DEVICE_TEST(Call, GivesWhatForwardGivesWatchedOrNot) {
  const Returns net;
  AnyTensor x = ones<float>({2});
  for (bool watched : {false, true}) {
    std::optional<Outputs> outputs;
    if (watched) outputs.emplace();
    EXPECT_EQ(&net(x), &x);
    static_assert(std::is_same_v<decltype(net(x)), const AnyTensor&>);
    auto [y, n] = net(x, 3);
    EXPECT_TRUE(y.is_same(x) && n == 3);
    net(x, "doubled");
    if (!watched) continue;
    EXPECT_EQ(outputs->calls, 2);  // a call without a result is not watched
    ASSERT_EQ(outputs->seen.size(), 2u);
    EXPECT_TRUE(outputs->seen[0].is_same(x) && outputs->seen[1].is_same(x));
  }
  EXPECT_EQ(x.select(0, 0).item(), 4);
}

// Containers.

struct OnlyFloat : nn::Module {
  GRADUS_MEMBERS()
  Tensor<float> forward(const Tensor<float>& x) { return x * 2; }
};

DEVICE_TEST(Sequential, NamesFollowPlaces) {
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

DEVICE_TEST(Sequential, IsAValue) {
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

DEVICE_TEST(Sequential, TakesModulesWhoseForwardIsTyped) {
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
DEVICE_TEST(ModuleList, HoldsModulesUnderTheirPlaces) {
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
