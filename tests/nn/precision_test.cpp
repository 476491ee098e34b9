// Mixed precision as docs/precision.md has it: activations in bfloat16 or half over float weights. The layers that the examples use are
// trained for a few steps beside the same steps in float, from the same weights.
#include "tests/check.h"

namespace gradus {
namespace {

struct ConvNet : nn::Module {
  nn::Conv2d stem{{.in = 3, .out = 8, .kernel = 3, .padding = 1, .bias = false}},
      conv{{.in = 8, .out = 8, .kernel = 3, .stride = 2, .padding = 1}};
  nn::BatchNorm2d bn{8};
  nn::GroupNorm gn{{.groups = 2, .channels = 8}};
  nn::Dropout drop{0.1};
  nn::Linear fc{8 * 4 * 4 + 8, 4};
  GRADUS_MEMBERS(stem, bn, conv, gn, drop, fc)

  template <class T> Tensor<T> forward(Tensor<T> x) {  // (N, 3, 8, 8)
    x = relu(gn(conv(max_pool2d(relu(bn(stem(x))), {.kernel = 2, .stride = 1, .padding = 1}))));
    x = x(_, _, slice(0, 4), slice(0, 4));
    return fc(drop(Tensor<T>(cat({flatten(x, 1), flatten(adaptive_avg_pool2d(x, 1), 1)}, 1))));
  }
};

constexpr int64_t kWidth = 32, kHeads = 4, kWords = 11, kTime = 12;

struct Block : nn::Module {
  nn::LayerNorm ln1{kWidth};
  nn::RMSNorm ln2{kWidth};
  nn::Linear qkv{kWidth, 3 * kWidth}, proj{kWidth, kWidth}, up{kWidth, 4 * kWidth}, down{4 * kWidth, kWidth};
  GRADUS_MEMBERS(ln1, qkv, proj, ln2, up, down)

  template <class T> Tensor<T> forward(Tensor<T> x) {
    const int64_t n = x.size(0), t = x.size(1);
    Tensor<T> parts = qkv(ln1(x)).view({n, t, 3, kHeads, kWidth / kHeads}).permute({2, 0, 3, 1, 4});
    Tensor<T> a = scaled_dot_product_attention(parts.select(0, 0), parts.select(0, 1), parts.select(0, 2), {.is_causal = true});
    x = x + proj(a.transpose(1, 2).reshape({n, t, kWidth}));
    return x + down(gelu(up(ln2(x))));
  }
};

struct Transformer : nn::Module {
  nn::Embedding tokens{kWords, kWidth}, positions{kTime, kWidth};
  std::vector<Block> blocks = std::vector<Block>(2);
  nn::LayerNorm ln{kWidth};
  GRADUS_MEMBERS(tokens, positions, blocks, ln)

  template <class T> Tensor<T> forward(const Tensor<int64_t>& ids) {
    Tensor<T> x = tokens.forward<T>(ids) + positions.forward<T>(arange(ids.size(1), ids.device()));
    for (Block& block : blocks) x = block(x);
    return linear(ln(x), tokens.weight.as<T>()).view({-1, kWords});  // the table's weights once more
  }
};

template <class T> Tensor<T> guess(ConvNet& net, const Tensor<float>& x) { return net(x.to<T>()); }
template <class T> Tensor<T> guess(Transformer& net, const Tensor<int64_t>& x) { return net.forward<T>(x); }

/// The losses of twelve steps in T, from the same weights, inputs and random numbers whatever T is.
template <class T, class Net> std::vector<double> losses(const auto& x, const Tensor<int64_t>& y) {
  manual_seed(3);
  Net net;
  net.to(testing::device_of_tests());
  if constexpr (std::is_same_v<Net, Transformer>) {
    NoGrad no_grad;
    net.tokens.weight.mul_(0.1);
  }
  optim::AdamW optimizer(net.parameters(), {.lr = 3e-3});
  optim::GradScaler scaler({.enabled = std::is_same_v<T, half>});
  std::vector<double> list;
  for (int step = 0; step < 12; ++step) {
    Tensor<float> loss = cross_entropy<float>(guess<T>(net, x), y);
    optimizer.zero_grad();
    scaler.scale(loss).backward();
    for (const AnyTensor& p : net.parameters()) {
      EXPECT_EQ(p.dtype(), DType::float32);
      EXPECT_TRUE(p.grad().defined());
      if (AnyTensor g = p.grad()) {
        EXPECT_EQ(g.dtype(), DType::float32);
      }
    }
    scaler.unscale_(optimizer);
    optim::clip_grad_norm_(net.parameters(), 1.0);
    EXPECT_TRUE(scaler.step(optimizer)) << "no gradient of these nets leaves half, scaled by " << scaler.get_scale();
    scaler.update();
    list.push_back(loss.item());
  }
  return list;
}

/// A rounded activation is off by 2^-9 of itself in bfloat16, by 2^-12 in half. Logits here are below 4 and a dozen roundings deep, and a
/// loss is as far off as a logit: 12 * 4 * 2^-9 if all roundings went one way; they do not, and training does not amplify them in so few
/// steps. A quarter of that is the bound, which a wrong kernel or a step that was left out exceeds at once (the losses fall by more).
constexpr double kRoundings = 12 * 4 / 4.0;

template <class Net> void follows_float(const auto& x, const Tensor<int64_t>& y) {
  const std::vector<double> exact = losses<float, Net>(x, y), b = losses<bfloat16, Net>(x, y), h = losses<half, Net>(x, y);
  EXPECT_LT(exact.back(), exact.front() - 2 * kRoundings * 0x1p-9) << "there is something to follow";
  double off_b = 0, off_h = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    off_b = std::fmax(off_b, std::abs(b[i] - exact[i])), off_h = std::fmax(off_h, std::abs(h[i] - exact[i]));
    EXPECT_NEAR(b[i], exact[i], kRoundings * 0x1p-9) << i;
    EXPECT_NEAR(h[i], exact[i], kRoundings * 0x1p-12) << i;
  }
  std::printf("%.3f to %.3f; off by %.5f in bfloat16, %.5f in half\n", exact.front(), exact.back(), off_b, off_h);
  EXPECT_GT(off_b, 0) << "computed in float";
  EXPECT_GT(off_h, 0) << "computed in float";
}

DEVICE_TEST(Precision, AConvNetFollowsFloat) {
  manual_seed(1);
  const Device device = testing::device_of_tests();
  follows_float<ConvNet>(randn<float>({16, 3, 8, 8}).to(device), randint<int64_t>(0, 4, {16}).to(device));
}

DEVICE_TEST(Precision, ATransformerFollowsFloat) {
  manual_seed(1);
  const Device device = testing::device_of_tests();
  follows_float<Transformer>(randint<int64_t>(0, kWords, {4, kTime}).to(device),
                             randint<int64_t>(0, kWords, {4 * kTime}).to(device));
}

/// Each layer by itself: its result and the gradients of input and weights, beside those in double.
DEVICE_TEST(Precision, LayersAgreeWithDouble) {
  struct Layer {
    const char* name;
    std::unique_ptr<nn::Sequential> net;
    Shape shape;
  };
  std::vector<Layer> layers;
  auto add = [&](const char* name, Shape shape, auto module) {
    layers.push_back({name, std::make_unique<nn::Sequential>(std::move(module)), shape});
  };
  manual_seed(2);
  add("Linear", {5, 24}, nn::Linear(24, 16));
  add("FeedForward", {2, 5, 24}, nn::FeedForward(24, 96));
  add("Conv2d", {2, 3, 9, 9}, nn::Conv2d({.in = 3, .out = 8, .kernel = 3, .stride = 2, .padding = 1}));
  add("BatchNorm2d", {4, 6, 5, 5}, nn::BatchNorm2d(6));
  add("GroupNorm", {4, 6, 5, 5}, nn::GroupNorm({.groups = 2, .channels = 6}));
  add("LayerNorm", {6, 32}, nn::LayerNorm(32));
  add("RMSNorm", {6, 32}, nn::RMSNorm(32));
  add("MaxPool2d", {2, 4, 8, 8}, nn::MaxPool2d({.kernel = 2}));
  add("AdaptiveAvgPool2d", {2, 4, 8, 8}, nn::AdaptiveAvgPool2d(1));
  add("GELU", {40}, nn::GELU());
  add("ReLU", {40}, nn::ReLU());
  add("Tanh", {40}, nn::Tanh());
  for (Layer& layer : layers)
    for (DType t : {DType::bfloat16, DType::float16}) {
      // Inputs and cotangents that are the same numbers in every type.
      AnyTensor start = testing::draw(layer.shape, -1, 1, 3, t), v;
      auto run = [&](DType in) {
        nn::Sequential net = *layer.net;
        net.to(testing::device_of_tests());
        if (in == DType::float64) net.to(DType::float64);
        AnyTensor x = start.to(in).detach().requires_grad_(), y = net(x);
        if (!v.defined()) v = testing::draw(y.shape(), -1, 1, 4, t);
        y.backward(v.to(in));
        std::vector<AnyTensor> result = {y.detach(), x.grad()};
        for (const AnyTensor& p : net.parameters()) result.push_back(p.grad());
        return result;
      };
      std::vector<AnyTensor> got = run(t), exact = run(DType::float64);
      const double epsilon = t == DType::bfloat16 ? 0x1p-8 : 0x1p-11;
      for (size_t i = 0; i < got.size(); ++i) {
        if (i >= 2) {
          EXPECT_EQ(got[i].dtype(), DType::float32);
        }
        EXPECT_LT(testing::distance(got[i], exact[i]), 4 * epsilon) << layer.name << " " << name(t) << " " << i;
      }
    }
}

}  // namespace
}  // namespace gradus
