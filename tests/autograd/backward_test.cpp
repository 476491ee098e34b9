// The walk: accumulation, freed graphs, retained graphs, versions, several outputs, hooks, modes.
#include <thread>

#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {
AnyTensor leaf(const Shape& shape, double lo = -1, double hi = 1, uint64_t seed = 7) {
  return draw(shape, lo, hi, seed).requires_grad_();
}
}  // namespace

DEVICE_TEST(Backward, GathersInLeavesAndAddsOnASecondPass) {
  AnyTensor x = leaf({3}), w = leaf({3}, 1, 2, 8);
  (x * w).sum().backward();
  EXPECT_EQ(distance(x.grad(), w.detach()), 0);
  EXPECT_EQ(distance(w.grad(), x.detach()), 0);
  (x * w).sum().backward();
  EXPECT_EQ(distance(x.grad(), w.detach() * 2), 0);
}

DEVICE_TEST(Backward, AGradientThatTwoInputsShareIsNotSharedByTheLeaves) {
  AnyTensor x = leaf({4}), z = leaf({4}, -1, 1, 8);
  add(x, z).backward(draw({4}, -1, 1, 9));
  {
    NoGrad no_grad;
    AnyTensor g = x.grad();
    g.zero_();
  }
  EXPECT_GT(distance(z.grad(), zeros_like(z.detach())), 0);
}

DEVICE_TEST(Backward, TheCotangentOfTheCallerIsLeftAlone) {
  AnyTensor x = leaf({4}), c = ones({4}, DType::float64);
  (x * 3).backward(c);
  EXPECT_EQ(values(c), std::vector<double>(4, 1));
  x.backward(c);  // a leaf may be its own root
  EXPECT_EQ(values(x.grad()), std::vector<double>(4, 4));
}

DEVICE_TEST(Backward, BroadcastsAreSummedDown) {
  AnyTensor x = leaf({2, 1, 3}), z = leaf({4, 1}, -1, 1, 8), c = draw({2, 4, 3}, -1, 1, 9);
  (x * z).backward(c);
  EXPECT_LT(distance(x.grad(), (c * z.detach()).sum(1, true)), 1e-12);
  EXPECT_LT(distance(z.grad(), (c * x.detach()).sum({0, 2}).reshape({4, 1})), 1e-12);
}

DEVICE_TEST(Backward, AFreedGraphIsRefusedByNameAndARetainedOneIsNot) {
  AnyTensor x = leaf({2}), y = tanh(x).sum();
  y.backward({.retain_graph = true});
  y.backward();
  EXPECT_NE(message_of<GraphError>([&] { y.backward(); }).find("backward ran already"), std::string::npos);
  AnyTensor z = tanh(x);
  z.sum().backward();
  EXPECT_NE(message_of<GraphError>([&] { (z * 2).sum().backward(); }).find("tanh: backward ran already"), std::string::npos);
}

DEVICE_TEST(Backward, AWriteOnWhatWasSavedNamesTheOp) {
  AnyTensor x = leaf({3}), w = draw({3});
  AnyTensor y = (x * w).sum();
  w.add_(ones_like(w));
  std::string message = message_of<GraphError>([&] { y.backward(); });
  EXPECT_EQ(message.find("mul: "), 0u) << message;
  EXPECT_NE(message.find("written in place"), std::string::npos);
  AnyTensor z = exp(x);
  AnyTensor out = z.sum();
  z.mul_(2.0);
  EXPECT_NE(message_of<GraphError>([&] { (out + z.sum()).backward(); }).find("exp"), std::string::npos);
}

DEVICE_TEST(Backward, NeedsAScalarOrACotangentThatFits) {
  AnyTensor x = leaf({3});
  EXPECT_NE(message_of<ShapeError>([&] { (x * 2).backward(); }).find("[3]"), std::string::npos);
  EXPECT_NE(message_of<ShapeError>([&] { (x * 2).backward(ones({2}, DType::float64)); }).find("[2]"), std::string::npos);
  EXPECT_NE(message_of<DTypeError>([&] { (x * 2).backward(ones({3}, DType::float32)); }).find("float32"), std::string::npos);
  EXPECT_NE(message_of<GraphError>([&] { draw({1}).backward(); }).find("does not depend"), std::string::npos);
  message_of<DTypeError>([&] { zeros({2}, DType::int64).requires_grad_(); });
}

DEVICE_TEST(Grad, LeavesLeavesAlone) {
  AnyTensor x = leaf({3}), w = leaf({3}, -1, 1, 8), y = (sin(x) * w).sum();
  std::vector<AnyTensor> g = grad({y}, {x});
  EXPECT_LT(distance(g[0], (cos(x) * w).detach()), 1e-12);
  EXPECT_FALSE(x.grad().defined());
  EXPECT_FALSE(w.grad().defined());
}

DEVICE_TEST(Grad, OfAnInnerTensorAndOfSeveralOutputs) {
  AnyTensor x = leaf({3}), h = x * 2, y = h * h, z = exp(h);
  std::vector<AnyTensor> g = grad({y, z}, {h}, {ones({3}, DType::float64), ones({3}, DType::float64)});
  EXPECT_LT(distance(g[0], (h * 2 + exp(h)).detach()), 1e-12);
}

DEVICE_TEST(Grad, AnUnusedInputIsAnErrorUnlessAllowed) {
  AnyTensor x = leaf({3}), z = leaf({3});
  AnyTensor y = x.sum();
  EXPECT_NE(message_of<GraphError>([&] { grad({y}, {x, z}, {}, {.retain_graph = true}); }).find("input 1"), std::string::npos);
  EXPECT_FALSE(grad({y}, {x, z}, {}, {.allow_unused = true})[1].defined());
}

DEVICE_TEST(Grad, OnlyTheNeededPartOfTheGraphRuns) {
  AnyTensor x = leaf({3}), w = leaf({3}, -1, 1, 8);
  bool ran = false;
  AnyTensor side = w * 2;
  register_hook(side, [&](const AnyTensor&) {
    ran = true;
    return AnyTensor();
  });
  grad({(x * side).sum()}, {x});
  EXPECT_FALSE(ran);
}

DEVICE_TEST(Grad, ThirdDerivativeOfACube) {
  AnyTensor x = full({}, 2, DType::float64).requires_grad_();
  AnyTensor y = x * x * x;
  AnyTensor d1 = grad({y}, {x}, {}, {.create_graph = true})[0], d2 = grad({d1}, {x}, {}, {.create_graph = true})[0];
  AnyTensor d3 = grad({d2}, {x})[0];
  EXPECT_DOUBLE_EQ(d1.item(), 12);
  EXPECT_DOUBLE_EQ(d2.item(), 12);
  EXPECT_DOUBLE_EQ(d3.item(), 6);
}

DEVICE_TEST(Modes, NoGradRecordsNothingAndEnableGradDoesWithin) {
  AnyTensor x = leaf({2});
  NoGrad no_grad;
  EXPECT_FALSE((x * 2).requires_grad());
  {
    EnableGrad on;
    EXPECT_TRUE((x * 2).requires_grad());
  }
  EXPECT_FALSE((x * 2).requires_grad());
}

DEVICE_TEST(Modes, InferenceTensorsMayNotEnterAGraph) {
  AnyTensor x = leaf({2}), made;
  {
    InferenceMode inference;
    made = x * 2;
  }
  EXPECT_NE(message_of<GraphError>([&] { x* made; }).find("InferenceMode"), std::string::npos);
  message_of<GraphError>([&] { made.requires_grad_(); });
}

TEST(Modes, BelongToTheirThread) {
  NoGrad no_grad;
  bool other = false;
  std::thread([&] { other = is_grad_enabled(); }).join();
  EXPECT_TRUE(other);
}

DEVICE_TEST(Leaves, DetachSharesTheStorageWithoutTheGraph) {
  AnyTensor x = leaf({2}), y = (x * 2).detach();
  EXPECT_FALSE(y.requires_grad());
  EXPECT_EQ(x.detach().raw_data(), x.raw_data());
}

DEVICE_TEST(Leaves, RetainGradKeepsAnInnerGradient) {
  AnyTensor x = leaf({2}), h = x * 3, y = (h * h).sum();
  EXPECT_NE(message_of<GraphError>([&] { h.grad(); }).find("retain_grad"), std::string::npos);
  h.retain_grad();
  y.backward();
  EXPECT_LT(distance(h.grad(), (h * 2).detach()), 1e-12);
}

DEVICE_TEST(InPlace, IsRecordedAndItsGradientIsRight) {
  AnyTensor x = leaf({5}, 0.5, 2), b = leaf({5}, 0.5, 2, 8);
  EXPECT_EQ(gradcheck(
                [](const std::vector<AnyTensor>& in) {
                  AnyTensor y = in[0] * 1.5;
                  y += in[1];
                  y *= in[1];
                  mul_(y, y);
                  mul_scalar_(y, 0.3);
                  return tanh_(y);
                },
                {x, b}),
            "");
}

DEVICE_TEST(InPlace, CopyCutsTheOldGraph) {
  AnyTensor x = leaf({3}), z = leaf({3}, -1, 1, 8), y = x * 2;
  y.copy_(z * 5);
  y.sum().backward();
  EXPECT_FALSE(x.grad().defined());
  EXPECT_EQ(values(z.grad()), std::vector<double>(3, 5));
}

DEVICE_TEST(InPlace, ALeafNeedsNoGrad) {
  AnyTensor x = leaf({3});
  EXPECT_NE(message_of<GraphError>([&] { x.mul_(2.0); }).find("NoGrad"), std::string::npos);
  NoGrad no_grad;
  x.mul_(2.0);
  EXPECT_TRUE(x.requires_grad() && x.is_leaf());
  x.copy_(zeros_like(x));
  EXPECT_TRUE(x.requires_grad());
}

DEVICE_TEST(InPlace, AViewThatFellOutOfStepIsRefused) {
  AnyTensor x = leaf({2, 3}), y = x * 2, row = y.select(0, 0);
  y.mul_(3.0);
  EXPECT_NE(message_of<GraphError>([&] { row * 2; }).find("take the view again"), std::string::npos);
  AnyTensor a = x * 2, part = a.select(0, 1);
  part.mul_(3.0);
  message_of<GraphError>([&] { a.sum(); });
  EXPECT_NO_THROW((part * 2).sum().backward());
}

DEVICE_TEST(InPlace, OutsideTheGraphViewsAndBasesStayUsable) {
  AnyTensor x = draw({2, 3}), row = x.select(0, 0), w = leaf({3});
  row.fill_(1);
  x.mul_(2.0);
  EXPECT_EQ((x + 0).sum().item(), values(x.sum())[0]);
  EXPECT_EQ(values(row * 1), std::vector<double>(3, 2));
  row.copy_(w * 2);  // now the row is in a graph that x knows nothing of
  message_of<GraphError>([&] { x.sum(); });
  EXPECT_NO_THROW((row * 2).sum().backward());
}

DEVICE_TEST(InPlace, OverlappingOperandsAreReadBeforeTheyAreWritten) {
  AnyTensor x = draw({4, 4}), expected = x + x.t();
  x.add_(x.t());
  EXPECT_EQ(distance(x, expected), 0);
  AnyTensor e = draw({1, 3}).expand({4, 3});
  EXPECT_NE(message_of<ValueError>([&] { e.mul_(2.0); }).find("expanded"), std::string::npos);
}

DEVICE_TEST(Hooks, SeeAndReplaceAGradient) {
  AnyTensor x = leaf({2}), h = x * 1.0;
  int calls = 0;
  HookHandle handle = register_hook(h, [&](const AnyTensor& g) {
    ++calls;
    return g * 10;
  });
  (h * 2 + h * 3).sum().backward({.retain_graph = true});
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(values(x.grad()), std::vector<double>(2, 50));
  handle.remove();
  x.set_grad({});
  (h * 2).sum().backward();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(values(x.grad()), std::vector<double>(2, 2));
}

DEVICE_TEST(Hooks, OnALeafSeeTheWholeGradientOnce) {
  AnyTensor x = leaf({2});
  std::vector<double> seen;
  HookHandle handle = register_hook(x, [&](const AnyTensor& g) {
    seen = values(g);
    return AnyTensor();
  });
  (x * 2 + x * 3 + x * x).sum().backward();
  EXPECT_LT(distance(x.grad(), x.detach() * 2 + 5), 1e-12);
  EXPECT_EQ(seen, values(x.grad()));
  handle.remove();
}

DEVICE_TEST(Hooks, PostAccumulateRunsAsSoonAsTheLastConsumerHas) {
  // late is used at the end of the forward pass, early at its start: late's gradient is ready before early's consumer runs.
  AnyTensor early = leaf({2}), late = leaf({2}, -1, 1, 8);
  std::vector<std::string> order;
  AnyTensor first = early * 2;
  register_hook(first, [&](const AnyTensor&) {
    order.push_back("first op");
    return AnyTensor();
  });
  HookHandle a = register_post_accumulate_hook(early, [&](AnyTensor&) { order.push_back("early"); });
  HookHandle b = register_post_accumulate_hook(late, [&](AnyTensor& gradient) {
    order.push_back("late");
    gradient = gradient * 2;
  });
  AnyTensor y = tanh(first);
  (y * late).sum().backward();
  EXPECT_EQ(order, (std::vector<std::string>{"late", "first op", "early"}));
  EXPECT_LT(distance(late.grad(), tanh(early * 2).detach() * 2), 1e-12);
  a.remove(), b.remove();
}

DEVICE_TEST(CustomFunction, HasAGradientOfItsGradient) {
  auto cube = custom_function(
      "cube",
      [](FunctionContext& c, const std::vector<AnyTensor>& in) {
        c.save({in[0]});
        return std::vector{in[0] * in[0] * in[0]};
      },
      [](FunctionContext& c, const std::vector<AnyTensor>& g) {
        AnyTensor x = c.saved()[0];
        return std::vector{g[0] * x * x * 3};
      });
  EXPECT_EQ(gradcheck([&](const auto& in) { return cube(in)[0]; }, {leaf({5})}), "");
}

DEVICE_TEST(CustomFunction, SeveralOutputsOfWhichOneIsUnused) {
  auto both = custom_function(
      "both",
      [](FunctionContext& c, const std::vector<AnyTensor>& in) {
        AnyTensor s = sin(in[0]), e = exp(in[0]);
        c.save({in[0], e});
        return std::vector{s, e};
      },
      [](FunctionContext& c, const std::vector<AnyTensor>& g) {
        auto saved = c.saved();
        return std::vector{g[0] * cos(saved[0]) + g[1] * saved[1]};
      });
  EXPECT_EQ(gradcheck([&](const auto& in) { return both(in)[1]; }, {leaf({4})}), "");
  EXPECT_EQ(gradcheck(
                [&](const auto& in) {
                  auto y = both(in);
                  return y[0] * y[1];
                },
                {leaf({4})}),
            "");
}

DEVICE_TEST(CustomFunction, AWrongBackwardIsNamed) {
  auto wrong = custom_function(
      "wrong", [](FunctionContext&, const std::vector<AnyTensor>& in) { return std::vector{in[0] * 2}; },
      [](FunctionContext&, const std::vector<AnyTensor>&) { return std::vector<AnyTensor>{}; });
  AnyTensor x = leaf({2});
  EXPECT_NE(message_of<GraphError>([&] { wrong({x})[0].sum().backward(); }).find("wrong: backward returned 0"), std::string::npos);
}

DEVICE_TEST(Checkpoint, GivesTheSameGradientsAlsoToWhatItClosesOver) {
  AnyTensor x = leaf({3}), w = leaf({3}, -1, 1, 8);
  auto f = [w](const std::vector<AnyTensor>& in) { return std::vector{tanh(in[0] * w) * w}; };
  f({x})[0].sum().backward();
  AnyTensor gx = x.grad(), gw = w.grad();
  x.set_grad({}), w.set_grad({});
  checkpoint(f, {x})[0].sum().backward();
  EXPECT_EQ(distance(x.grad(), gx), 0);
  EXPECT_EQ(distance(w.grad(), gw), 0);
}

DEVICE_TEST(Anomaly, NamesTheOpThatMadeTheFirstNaN) {
  AnyTensor x = zeros({2}, DType::float64).requires_grad_();
  AnomalyMode anomaly;
  AnyTensor y = (sqrt(x) * 0.0).sum();  // 0 * inf
  std::string message = message_of<GraphError>([&] { y.backward(); });
  EXPECT_NE(message.find("sqrt made the first NaN"), std::string::npos) << message;
  EXPECT_NE(message.find("recorded at\n"), std::string::npos) << message;
}

DEVICE_TEST(Errors, LeaveTheNextBackwardClean) {
  AnyTensor x = leaf({2});
  auto broken = custom_function(
      "broken", [](FunctionContext&, const std::vector<AnyTensor>& in) { return std::vector{in[0] * 2}; },
      [](FunctionContext&, const std::vector<AnyTensor>&) -> std::vector<AnyTensor> { throw Error("stop"); });
  AnyTensor h = x * 3, y = (broken({h})[0] + h).sum();
  EXPECT_EQ(message_of([&] { y.backward({.retain_graph = true}); }), "stop");
  EXPECT_TRUE(is_grad_enabled());
  x.set_grad({});
  (h * 2).sum().backward();
  EXPECT_EQ(values(x.grad()), std::vector<double>(2, 6));
}
