// feed_forward against the three ops that it stands for: values, gradients of both orders, layouts, dtypes, what it saves.
#include "gradus/autograd/gradient.h"
#include "gradus/ops/matmul.h"
#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

AnyTensor composed(const std::vector<AnyTensor>& in) { return linear(gelu_tanh(linear(in[0], in[1], in[2])), in[3], in[4]); }
AnyTensor at_once(const std::vector<AnyTensor>& in) { return feed_forward(in[0], in[1], in[2], in[3], in[4]); }

/// x and two layers: x of that shape, `hidden` numbers between, `out` at the end.
std::vector<AnyTensor> layers(const Shape& x, int64_t hidden, int64_t out, DType t = DType::float64) {
  return {draw(x, -1, 1, 1, t), draw({hidden, x[-1]}, -1, 1, 2, t), draw({hidden}, -1, 1, 3, t), draw({out, hidden}, -1, 1, 4, t),
          draw({out}, -1, 1, 5, t)};
}
std::vector<AnyTensor> leaves(std::vector<AnyTensor> in) {
  for (AnyTensor& x : in)
    if (x.defined()) x = x.detach().requires_grad_();
  return in;
}
/// The result, then the gradients under a random cotangent, whose numbers are some of `numbers`.
std::vector<AnyTensor> all_of(const Function& f, const std::vector<AnyTensor>& inputs, DType numbers = DType::float64) {
  std::vector<AnyTensor> in = leaves(inputs), given;
  for (const AnyTensor& x : in)
    if (x.defined()) given.push_back(x);
  AnyTensor y = f(in);
  std::vector<AnyTensor> all = grad({y}, given, {draw(y.shape(), -1, 1, 11, numbers).to(y.dtype())});
  all.insert(all.begin(), y);
  return all;
}
double off(const std::vector<AnyTensor>& got, const std::vector<AnyTensor>& wanted) {
  double worst = got.size() == wanted.size() ? 0 : HUGE_VAL;
  for (size_t i = 0; i < got.size() && i < wanted.size(); ++i) worst = std::max(worst, distance(got[i], wanted[i]));
  return worst;
}

const Shape kShapes[] = {{3}, {1, 3}, {4, 3}, {2, 3, 5}, {2, 1, 3, 7}, {16, 24}, {0, 3}, {2, 0, 3}};

}  // namespace

DEVICE_TEST(FeedForward, IsTheTwoLayersAndGeluBetween) {
  for (const Shape& shape : kShapes)
    for (auto [hidden, out] : {std::pair<int64_t, int64_t>{5, 3}, {8, 2}, {32, 24}, {1, 1}})
      for (int absent = 0; absent < 4; ++absent)
        for (DType t : {DType::float64, DType::float32, DType::bfloat16}) {
          std::vector<AnyTensor> in = layers(shape, hidden, out, t);
          if (absent & 1) in[2] = {};
          if (absent & 2) in[4] = {};
          const double tolerance = t == DType::float64 ? 1e-12 : t == DType::float32 ? 1e-4 : 0.15;  // roundings of h and of sums
          EXPECT_LT(off(all_of(at_once, in), all_of(composed, in)), tolerance)
              << to_string(shape) << " " << hidden << " " << absent;
          NoGrad no_grad;
          EXPECT_LT(distance(at_once(in), composed(in)), tolerance) << "without a graph, " << to_string(shape);
        }
}

DEVICE_TEST(FeedForward, GradientsOfBothOrders) {
  for (const Shape& shape : {Shape{3}, Shape{1, 3}, Shape{4, 3}, Shape{2, 2, 3}, Shape{0, 3}})
    for (bool biases : {true, false}) {
      std::vector<AnyTensor> in = leaves(layers(shape, 4, 2));
      if (!biases) in[2] = {}, in[4] = {};
      EXPECT_EQ(gradcheck(at_once, in), "") << to_string(shape) << (biases ? "" : " without biases");
    }
  std::vector<AnyTensor> in = leaves(layers({8, 8}, 8, 8));
  EXPECT_EQ(gradcheck(at_once, in, {.second = false}), "") << "sizes that libraries take";
}

DEVICE_TEST(FeedForward, OnlyTheGradientsThatAreWanted) {
  const std::vector<AnyTensor> plain = layers({6, 3}, 8, 2);
  for (int wanted = 1; wanted < 32; ++wanted) {
    auto gradients = [&](const Function& f) {
      std::vector<AnyTensor> in = plain, given;
      for (size_t i = 0; i < in.size(); ++i)
        if (wanted >> i & 1) given.push_back(in[i] = in[i].detach().requires_grad_());
      AnyTensor y = f(in);
      return grad({y}, given, {draw(y.shape(), -1, 1, 11)});
    };
    EXPECT_LT(off(gradients(at_once), gradients(composed)), 1e-12) << wanted;
  }
}

DEVICE_TEST(FeedForward, AnyLayout) {
  std::vector<AnyTensor> in = layers({6, 4}, 8, 3);
  std::vector<AnyTensor> turned = in;
  turned[0] = draw({4, 6}, -1, 1, 6).t();
  turned[1] = draw({4, 8}, -1, 1, 7).t();
  turned[2] = draw({16}, -1, 1, 8).slice(0, 0, 16, 2);
  turned[3] = draw({3, 16}, -1, 1, 9).slice(1, 1, 16, 2);
  EXPECT_LT(distance(at_once(turned), composed(turned)), 1e-12);
  auto view = [](auto f) {  // gradients through the views
    return [f](const std::vector<AnyTensor>& in) {
      return f(std::vector<AnyTensor>{in[0].permute({2, 0, 1}), in[1].t(), in[2].slice(0, 0, 16, 2), in[3].slice(1, 1, 16, 2), {}});
    };
  };
  const std::vector<AnyTensor> bases = {draw({3, 4, 2}, -1, 1, 1), draw({4, 8}, -1, 1, 2), draw({16}, -1, 1, 3),
                                        draw({3, 16}, -1, 1, 4)};
  EXPECT_LT(off(all_of(view(at_once), bases), all_of(view(composed), bases)), 1e-12);
  // A cotangent that is one number everywhere is never written out.
  std::vector<AnyTensor> p = leaves(in), q = leaves(in);
  at_once(p).sum().backward(), composed(q).sum().backward();
  for (size_t i = 0; i < p.size(); ++i) EXPECT_LT(distance(p[i].grad(), q[i].grad()), 1e-12) << i;
}

DEVICE_TEST(FeedForward, EveryFloatTypeIsAsExactAsThreeOps) {
  for (const Shape& shape : {Shape{5, 3}, Shape{2, 20, 48}})
    for (DType t : {DType::float32, DType::float16, DType::bfloat16}) {
      const std::vector<AnyTensor> in = layers(shape, 64, 48, t);
      std::vector<AnyTensor> wide;
      for (const AnyTensor& x : in) wide.push_back(x.to(DType::float64));
      const std::vector<AnyTensor> got = all_of(at_once, in, t), three = all_of(composed, in, t), exact = all_of(composed, wide, t);
      // Roundings of the same kind, in fewer places: those of sums may fall otherwise by a few units.
      const double unit = t == DType::float32 ? 6e-8 : t == DType::float16 ? 5e-4 : 4e-3;
      for (size_t i = 0; i < got.size(); ++i) {
        EXPECT_EQ(got[i].dtype(), t);
        EXPECT_LT(distance(got[i], exact[i]), 2 * distance(three[i], exact[i]) + 4 * unit) << name(t) << " " << i;
        EXPECT_LT(distance(three[i], exact[i]), t == DType::float32 ? 1e-4 : 0.2) << "the measure is right";
      }
    }
}

DEVICE_TEST(FeedForward, NanStaysInItsRow) {
  std::vector<AnyTensor> in = layers({4, 8}, 16, 8, DType::float32);
  in[0].select(0, 1).narrow(0, 3, 1).fill_(NAN);
  const std::vector<double> y = values(at_once(in));
  for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i / 8 == 1) << i;
}

DEVICE_TEST(FeedForward, GraphsThatAreKeptGiveTheSameTwice) {
  std::vector<AnyTensor> in = leaves(layers({6, 8}, 16, 8));
  AnyTensor y = at_once(in), v = draw(y.shape(), -1, 1, 11);
  const std::vector<AnyTensor> once = grad({y}, in, {v}, {.retain_graph = true}), again = grad({y}, in, {v});
  for (size_t i = 0; i < in.size(); ++i) EXPECT_EQ(distance(once[i], again[i]), 0) << i;
  message_of<GraphError>([&] { grad({y}, in, {v}); });  // what was saved is gone
}

DEVICE_TEST(FeedForward, RefusesWeightsThatWereWrittenSince) {
  for (size_t i : {0, 1, 3}) {
    std::vector<AnyTensor> in = leaves(layers({6, 8}, 16, 8));
    AnyTensor y = at_once(in);
    {
      NoGrad no_grad;
      in[i].mul_(2);
    }
    EXPECT_NE(message_of<GraphError>([&] { y.sum().backward(); }).find("feed_forward"), std::string::npos) << i;
  }
}

TEST(FeedForward, KeepsTheLayerBetweenTwiceAndOnlyForAGraph) {
  constexpr int64_t kRows = 512, kHidden = 4096, kBytes = kRows * kHidden * 4;
  const std::vector<AnyTensor> in = layers({kRows, 16}, kHidden, 16, DType::float32);
  auto kept_by = [&](const Function& f, bool graph) {
    std::vector<AnyTensor> x = graph ? leaves(in) : in;
    const size_t before = memory_stats(kCPU).in_use;
    AnyTensor y = f(x);
    return double(memory_stats(kCPU).in_use - before) / double(kBytes);
  };
  EXPECT_LT(kept_by(at_once, false), 0.1);
  EXPECT_LT(kept_by(at_once, true), 2.2);
  EXPECT_GT(kept_by(at_once, true), 1.9) << "the measure is right";
}

TEST(FeedForward, BitsDoNotDependOnTheNumberOfThreads) {
  for (DType t : {DType::float32, DType::bfloat16}) {
    const std::vector<AnyTensor> in = layers({130, 70}, 300, 70, t);
    auto run = [&](int threads) {
      ThreadLimit limit(threads);
      std::vector<double> all;
      for (const AnyTensor& x : all_of(at_once, in))
        for (double v : values(x)) all.push_back(v);
      return all;
    };
    const std::vector<double> once = run(1);
    for (int threads : {2, 3, 7}) EXPECT_TRUE(run(threads) == once) << name(t) << " " << threads;
  }
}

TEST(FeedForward, OneRowLeavesWeightsOuterProducts) {
  std::vector<AnyTensor> one = leaves(layers({1, 160}, 320, 160)), three = leaves(layers({1, 160}, 320, 160));
  const AnyTensor v = draw({1, 160}, -1, 1, 11);
  at_once(one).backward(v), composed(three).backward(v);
  EXPECT_TRUE(Gradient::of(one[1]).column().defined() && Gradient::of(one[3]).column().defined()) << "as linear's are";
  for (size_t i = 0; i < one.size(); ++i) EXPECT_LT(distance(one[i].grad(), three[i].grad()), 1e-12) << i;
}

template <class T, class U, class V> constexpr bool kTakes = requires(Tensor<T> x, Tensor<U> w1, Tensor<V> w2) {
  feed_forward(x, w1, {}, w2, {});
};

DEVICE_TEST(FeedForward, OfTypedTensors) {
  static_assert(kTakes<float, float, float>);
  static_assert(!kTakes<float, double, float> && !kTakes<float, float, double> && !kTakes<half, float, float>);
  Tensor<float> x = randn<float>({2, 3}), w1 = randn<float>({4, 3}), w2 = randn<float>({3, 4});
  static_assert(std::is_same_v<decltype(feed_forward(x, w1, {}, w2, {})), Tensor<float>>);
  EXPECT_EQ(feed_forward(x, w1, {}, w2, {}).shape(), (Shape{2, 3}));
}
