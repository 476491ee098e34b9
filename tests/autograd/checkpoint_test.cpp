// Checkpoints give the gradients that the function itself gives: of any order, in every way of asking, with what it closes over.
#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

AnyTensor leaf(const Shape& shape, uint64_t seed) { return draw(shape, -1, 1, seed).requires_grad_(); }

TEST(Checkpoint, GradientsOfBothOrdersAlsoToLeavesAndResultsThatItClosesOver) {
  AnyTensor x = leaf({3, 2}, 1), w = leaf({3, 2}, 2);
  EXPECT_EQ(gradcheck(
                [](const std::vector<AnyTensor>& in) {
                  AnyTensor w = in[1], h = exp(in[1] * in[0]);
                  return checkpoint([w, h](const std::vector<AnyTensor>& x) { return std::vector{tanh(x[0] * w) * h}; },
                                    {in[0]})[0];
                },
                {x, w}),
            "");
}

TEST(Checkpoint, InsideCheckpoints) {
  AnyTensor x = leaf({4}, 1), w = leaf({4}, 2);
  EXPECT_EQ(gradcheck(
                [](const std::vector<AnyTensor>& in) {
                  auto inner = [w = in[1]](const std::vector<AnyTensor>& x) { return std::vector{sin(x[0]) * w}; };
                  auto outer = [inner, w = in[1]](const std::vector<AnyTensor>& x) {
                    return std::vector{exp(checkpoint(inner, {x[0] * w})[0])};
                  };
                  return checkpoint([=](const auto& x) { return outer(x); }, {in[0]})[0].clone();
                },
                {x, w}, {.second = false}),
            "");
}

TEST(Checkpoint, TheSameNumbersAreDrawnAgain) {
  AnyTensor x = leaf({40}, 1);
  const GeneratorState state = default_generator().state();
  EXPECT_EQ(gradcheck(
                [&](const std::vector<AnyTensor>& in) {
                  default_generator().set_state(state);
                  return checkpoint([](const std::vector<AnyTensor>& x) { return std::vector{dropout(x[0] * x[0], 0.5)}; },
                                    {in[0]})[0];
                },
                {x}),
            "");
}

TEST(Checkpoint, SeveralInputsAndOutputsSomeWithoutAGradient) {
  AnyTensor a = leaf({3}, 1), b = leaf({3}, 2), index = argsort(a.detach());
  auto f = [](const std::vector<AnyTensor>& in) {
    return std::vector{in[0] * in[1], argmax(in[0]), index_select(in[1], 0, in[2]) * in[0], in[0]};
  };
  auto total = [](const std::vector<AnyTensor>& out) { return sum(out[0] * out[0]) + sum(sin(out[2])) + sum(out[3] * out[3]); };
  std::vector<AnyTensor> expected = grad({total(f({a, b, index}))}, {a, b}), out = checkpoint(f, {a, b, index});
  EXPECT_FALSE(out[1].requires_grad());
  std::vector<AnyTensor> got = grad({total(out)}, {a, b});
  for (int k = 0; k < 2; ++k) EXPECT_EQ(distance(got[size_t(k)], expected[size_t(k)]), 0);
  // Only one of the outputs is used.
  EXPECT_EQ(distance(grad({sum(checkpoint(f, {a, b, index})[2])}, {b})[0], grad({sum(f({a, b, index})[2])}, {b})[0]), 0);
}

TEST(Checkpoint, GradLeavesWhatIsClosedOverAlone) {
  AnyTensor x = leaf({3}, 1), w = leaf({3}, 2);
  auto f = [w](const std::vector<AnyTensor>& in) { return std::vector{tanh(in[0] * w) * w}; };
  AnyTensor gx = grad({sum(checkpoint(f, {x})[0])}, {x})[0];
  EXPECT_FALSE(w.grad().defined()) << "grad() is not backward()";
  EXPECT_EQ(distance(gx, grad({sum(f({x})[0])}, {x})[0]), 0);
  EXPECT_EQ(distance(grad({sum(checkpoint(f, {x})[0])}, {w})[0], grad({sum(f({x})[0])}, {w})[0]), 0);
  // An input without a gradient takes nothing away from what is closed over.
  checkpoint(f, {x.detach()})[0].sum().backward();
  EXPECT_EQ(distance(w.grad(), grad({sum(f({x})[0])}, {w})[0]), 0);
}

TEST(Checkpoint, WhatIsClosedOverIsReadByOthersToo) {
  AnyTensor x = leaf({3}, 1), w = leaf({3}, 2);
  auto loss = [&](bool saving) {
    AnyTensor h = exp(w * 2);
    auto f = [h](const std::vector<AnyTensor>& in) { return std::vector{in[0] * h}; };
    AnyTensor y = saving ? checkpoint(f, {x})[0] : f({x})[0];
    return sum(y * y) + sum(h * h * h);
  };
  std::vector<AnyTensor> expected = grad({loss(false)}, {x, w});
  loss(true).backward();
  EXPECT_LT(distance(x.grad(), expected[0]), 1e-15);
  EXPECT_LT(distance(w.grad(), expected[1]), 1e-15);
}

TEST(Checkpoint, AThrowingFunctionLeavesTheGeneratorAsItWas) {
  AnyTensor x = leaf({3}, 1);
  auto calls = std::make_shared<int>(0);
  AnyTensor y = checkpoint(
      [calls](const std::vector<AnyTensor>& in) {
        AnyTensor z = dropout(in[0], 0.5);
        if (++*calls == 2) throw Error("the second time");
        return std::vector{z};
      },
      {x})[0];
  rand({5}, DType::float32);
  const GeneratorState before = default_generator().state();
  EXPECT_EQ(message_of([&] { sum(y).backward({.retain_graph = true}); }), "the second time");
  EXPECT_TRUE(default_generator().state() == before);
  EXPECT_TRUE(is_grad_enabled());
  sum(y).backward();  // the third
  EXPECT_TRUE(x.grad().defined());
}

TEST(Checkpoint, AFunctionThatDoesSomethingElseTheSecondTimeIsRefused) {
  AnyTensor x = leaf({3}, 1);
  auto calls = std::make_shared<int>(0);
  AnyTensor y =
      checkpoint([calls](const std::vector<AnyTensor>& in) { return std::vector{++*calls == 1 ? in[0] * 2 : sum(in[0])}; }, {x})[0];
  std::string message = message_of<GraphError>([&] { sum(y).backward(); });
  EXPECT_NE(message.find("checkpoint: run again"), std::string::npos) << message;
}

}  // namespace
