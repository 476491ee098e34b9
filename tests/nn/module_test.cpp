// Modules as values: names, copies, moves, modes, dtypes, what is left out of a list.
#include "tests/check.h"

namespace gradus {
namespace {

using testing::distance;
using testing::draw;
using testing::message_of;
using testing::values;

AnyTensor drawn(const Shape& shape, uint64_t seed) { return draw(shape, -1, 1, seed, DType::float32); }

struct Dense : nn::Module {
  nn::Parameter weight, bias;
  Dense(int64_t in, int64_t out, bool with_bias = true) : weight(drawn({out, in}, 1)) {
    if (with_bias) bias = nn::Parameter(drawn({out}, 2));
  }
  GRADUS_MEMBERS(weight, bias)
  template <class T> Tensor<T> forward(const Tensor<T>& x) { return linear(x, weight.as<T>(), bias.as<T>()); }
};

struct Counter : nn::Module {
  nn::Buffer calls{zeros({}, DType::int64)}, scratch{zeros({3}, DType::float32), false};
  GRADUS_MEMBERS(calls, scratch)
  template <class T> Tensor<T> forward(const Tensor<T>& x) {
    add_scalar_(calls, 1);
    return x;
  }
};

struct Net : nn::Module {
  Dense fc1{3, 4}, fc2{4, 2, false};
  Counter counter;
  std::vector<Dense> blocks;
  GRADUS_MEMBERS(fc1, fc2, counter, blocks)
  template <class T> Tensor<T> forward(Tensor<T> x) {
    x = fc2(tanh(fc1(counter(x))));
    for (Dense& block : blocks) x = block(x);
    return x;
  }
};

Net deep_net() {
  Net net;
  net.blocks.emplace_back(2, 2);
  net.blocks.emplace_back(2, 2);
  return net;
}

DEVICE_TEST(Module, NamesAreDottedPathsOfMembers) {
  Net net = deep_net();
  EXPECT_EQ(net.names(), (std::vector<std::string>{"fc1.weight", "fc1.bias", "fc2.weight", "counter.calls", "blocks.0.weight",
                                                   "blocks.0.bias", "blocks.1.weight", "blocks.1.bias"}));
  NamedTensors buffers = net.named_buffers();
  ASSERT_EQ(buffers.size(), 2u);
  EXPECT_EQ(buffers[1].name, "counter.scratch");  // not persistent: a buffer, but not part of the state
  EXPECT_EQ(net.named_parameters().size(), 7u);
  EXPECT_EQ(net.num_parameters(), 3 * 4 + 4 + 8 + 2 * (4 + 2));
  std::vector<std::string> children, all;
  for (auto& [name, module] : net.children()) children.push_back(name);
  EXPECT_EQ(children, (std::vector<std::string>{"fc1", "fc2", "counter", "blocks.0", "blocks.1"}));
  for (auto& [name, module] : net.modules()) all.push_back(name + ":" + nn::type_name(*module));
  EXPECT_EQ(all.front(), ":Net");
  EXPECT_EQ(all.back(), "blocks.1:Dense");
}

DEVICE_TEST(Module, GradientsReachParametersThroughEveryDType) {
  Net net;
  Tensor<float> x(drawn({5, 3}, 3));
  Tensor<float> y = net(x);
  EXPECT_EQ(y.shape(), (Shape{5, 2}));
  AnyTensor v = drawn({5, 2}, 4);
  y.backward(v);
  std::vector<std::vector<double>> wide;
  for (AnyTensor& p : net.parameters()) {
    ASSERT_TRUE(p.grad().defined());
    wide.push_back(values(p.grad()));
  }
  net.zero_grad();
  for (AnyTensor& p : net.parameters()) EXPECT_FALSE(p.grad().defined());

  // The same in double over the same float weights: gradients arrive as float and agree to float's precision.
  net(x.to<double>()).backward(v.to(DType::float64));
  size_t i = 0;
  for (AnyTensor& p : net.parameters()) {
    EXPECT_EQ(p.grad().dtype(), DType::float32);
    std::vector<double> g = values(p.grad());
    for (size_t k = 0; k < g.size(); ++k) EXPECT_NEAR(g[k], wide[i][k], 1e-6);
    ++i;
  }
  net.zero_grad();

  // In bfloat16 they agree to eight bits, which errors of a two-layer net multiply by a few.
  Tensor<bfloat16> z = net(x.to<bfloat16>());
  z.backward(v.to(DType::bfloat16));
  i = 0;
  for (AnyTensor& p : net.parameters()) {
    std::vector<double> g = values(p.grad());
    for (size_t k = 0; k < g.size(); ++k) EXPECT_NEAR(g[k], wide[i][k], 0.05 * (1 + std::abs(wide[i][k])));
    ++i;
  }
}

DEVICE_TEST(Module, DoubleForwardPassesGradcheck) {
  Net net;
  net.to<double>();
  AnyTensor x = draw({2, 3}).requires_grad_();
  std::vector<AnyTensor> inputs{x};
  for (AnyTensor& p : net.parameters()) inputs.push_back(p);
  auto f = [&](const std::vector<AnyTensor>& in) -> AnyTensor { return net(Tensor<double>(in[0])); };
  EXPECT_EQ(testing::gradcheck(f, inputs), "");
}

DEVICE_TEST(Parameter, CastsAreCachedUntilTheWeightIsWritten) {
  Dense dense(3, 2);
  AnyTensor first = dense.weight.as(DType::bfloat16), second = dense.weight.as(DType::bfloat16);
  EXPECT_EQ(first.raw_data(), second.raw_data());                  // one copy of the values
  EXPECT_NE(first.impl()->node.get(), second.impl()->node.get());  // a node for each use
  {
    NoGrad no_grad;
    dense.weight.fill_(3);
  }
  AnyTensor third = dense.weight.as(DType::bfloat16);
  EXPECT_NE(third.raw_data(), first.raw_data());
  EXPECT_EQ(values(third), std::vector<double>(6, 3.0));
  EXPECT_TRUE(dense.weight.as(DType::float32).is_same(dense.weight));

  // Two graphs over one cached cast, run backward one after the other.
  AnyTensor a = sum(third * third), b = sum(dense.weight.as(DType::bfloat16) * 2);
  a.backward();
  b.backward();
  EXPECT_EQ(values(dense.weight.grad()), std::vector<double>(6, 8.0));
}

DEVICE_TEST(Parameter, CastsMadeInInferenceServeTraining) {
  Dense dense(3, 2);
  {
    InferenceMode inference;
    dense.weight.as(DType::bfloat16);
  }
  AnyTensor y = sum(dense.weight.as(DType::bfloat16));
  y.backward();
  EXPECT_EQ(values(dense.weight.grad()), std::vector<double>(6, 1.0));
}

DEVICE_TEST(Parameter, RefusesIntegers) {
  EXPECT_NE(message_of<DTypeError>([] { nn::Parameter p(zeros({2}, DType::int64)); }).find("int64"), std::string::npos);
}

DEVICE_TEST(Module, CopiesAreIndependent) {
  Net net = deep_net();
  Net copy = net;
  EXPECT_EQ(copy.names(), net.names());
  NamedTensors a = net.state(), b = copy.state();
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(values(a[i].tensor), values(b[i].tensor));
    EXPECT_NE(a[i].tensor.raw_data(), b[i].tensor.raw_data()) << a[i].name;
    EXPECT_EQ(a[i].tensor.requires_grad(), b[i].tensor.requires_grad());
  }
  {
    NoGrad no_grad;
    copy.fc1.weight.fill_(0);
  }
  EXPECT_NE(values(net.fc1.weight), values(copy.fc1.weight));
  net.eval();
  EXPECT_TRUE(copy.training() && copy.blocks[1].training());
}

DEVICE_TEST(Module, AssigningWritesInPlaceAndMovingHandsOver) {
  Net best, net;
  std::vector<AnyTensor> held = net.parameters();  // as an optimizer holds them
  {
    NoGrad no_grad;
    best.fc1.weight.fill_(7);
  }
  net = best;
  EXPECT_EQ(values(held[0]), std::vector<double>(12, 7.0));
  EXPECT_TRUE(held[0].is_same(net.parameters()[0]));
  EXPECT_FALSE(net.fc1.weight.is_same(best.fc1.weight));

  Net moved = std::move(net);
  EXPECT_TRUE(held[0].is_same(moved.fc1.weight));
  std::vector<Net> list;
  for (int i = 0; i < 5; ++i) list.push_back(moved);
  EXPECT_EQ(values(list[0].fc1.weight), values(list[4].fc1.weight));
  EXPECT_FALSE(list[0].fc1.weight.is_same(list[4].fc1.weight));
}

DEVICE_TEST(Module, TrainAndEvalReachAllBelow) {
  Net net = deep_net();
  net.eval();
  for (auto& [name, module] : net.modules()) EXPECT_FALSE(module->training()) << name;
  net.blocks[0].train();
  EXPECT_TRUE(net.blocks[0].training());
  EXPECT_FALSE(net.blocks[1].training());
}

DEVICE_TEST(Module, FrozenParametersGetNoGradient) {
  Net net;
  net.fc1.requires_grad_(false);
  net(Tensor<float>(drawn({5, 3}, 3))).backward(drawn({5, 2}, 4));
  EXPECT_FALSE(net.fc1.weight.grad().defined());
  EXPECT_TRUE(net.fc2.weight.grad().defined());
  EXPECT_EQ(net.num_parameters(false), 8);
  net.zero_grad();
}

DEVICE_TEST(Module, ToAnotherDTypeKeepsHandles) {
  Net net;
  std::vector<AnyTensor> held = net.parameters();
  int hooked = 0;
  HookHandle handle = register_post_accumulate_hook(held[0], [&](AnyTensor&) { ++hooked; });
  std::vector<double> before = values(held[0]);
  Tensor<float> x(drawn({5, 3}, 3));
  AnyTensor old_graph = net(x);
  net.to<bfloat16>();
  EXPECT_EQ(held[0].dtype(), DType::bfloat16);
  EXPECT_TRUE(held[0].is_same(net.fc1.weight));
  EXPECT_EQ(net.counter.calls.dtype(), DType::int64);  // integers stay
  EXPECT_LT(distance(held[0], draw({4, 3}, -1, 1, 1)), 0.01);
  EXPECT_EQ(values(held[0]).size(), before.size());
  net(x.to<bfloat16>()).backward(drawn({5, 2}, 4).to(DType::bfloat16));
  EXPECT_EQ(held[0].grad().dtype(), DType::bfloat16);
  EXPECT_EQ(hooked, 1);  // hooks stay with the leaf
  // What an older graph saved is gone, and it says so.
  message_of<GraphError>([&] { old_graph.backward(drawn({5, 2}, 4)); });
  EXPECT_NE(message_of<DTypeError>([&] { net.to(DType::int32); }).find("int32"), std::string::npos);
}

DEVICE_TEST(Module, LoadStateChecksBeforeItWrites) {
  Net net, other;
  {
    NoGrad no_grad;
    for (AnyTensor& p : other.parameters()) p.fill_(0.5);
  }
  std::vector<double> before = values(net.fc1.weight);
  NamedTensors state = other.state();
  state[2].tensor = zeros({3, 3}, DType::float32);
  std::string message = message_of<ShapeError>([&] { net.load_state(state); });
  EXPECT_NE(message.find("fc2.weight"), std::string::npos) << message;
  EXPECT_NE(message.find("[3, 3]"), std::string::npos) << message;
  EXPECT_EQ(values(net.fc1.weight), before);
  state = other.state();
  state[1].name = "fc1.offset";
  message = message_of<ValueError>([&] { net.load_state(state); });
  EXPECT_NE(message.find("missing fc1.bias"), std::string::npos) << message;
  EXPECT_NE(message.find("unexpected fc1.offset"), std::string::npos) << message;
  EXPECT_EQ(values(net.fc1.weight), before);
  auto unmatched = net.load_state(state, false);
  EXPECT_EQ(unmatched.missing, std::vector<std::string>{"fc1.bias"});
  EXPECT_EQ(unmatched.unexpected, std::vector<std::string>{"fc1.offset"});
  EXPECT_EQ(values(net.fc1.weight), std::vector<double>(12, 0.5));
  // Dtypes are converted.
  for (NamedTensor& t : state = other.state()) t.tensor = t.tensor.detach().to(DType::float64);
  net.load_state(state);
  EXPECT_EQ(net.fc1.bias.dtype(), DType::float32);
  EXPECT_EQ(values(net.fc1.bias), std::vector<double>(4, 0.5));
}

DEVICE_TEST(Module, ApplyGoesFromLeavesToRoot) {
  Net net;
  std::vector<std::string> order;
  net.apply([&](nn::Module& m) { order.push_back(nn::type_name(m)); });
  EXPECT_EQ(order, (std::vector<std::string>{"Dense", "Dense", "Counter", "Net"}));
}

// Lists of members.

struct Renamed : nn::Module {
  Dense first{2, 2};
  std::optional<Dense> second, third{Dense(2, 2)};
  std::unique_ptr<Dense> fourth = std::make_unique<Dense>(2, 2, false);
  GRADUS_MEMBERS(nn::named("0", first), second, third, fourth)
};
DEVICE_TEST(Members, HaveOtherNamesAndMayBeAbsent) {
  Renamed m;
  EXPECT_EQ(m.names(), (std::vector<std::string>{"0.weight", "0.bias", "third.weight", "third.bias", "fourth.weight"}));
}

struct Nothing : nn::Module {
  GRADUS_MEMBERS()
  AnyTensor forward(const AnyTensor& x) const { return x * 2; }
};
DEVICE_TEST(Members, MayBeNone) {
  const Nothing nothing;
  EXPECT_TRUE(nothing.names().empty());
  EXPECT_EQ(nothing(full({}, 3, DType::float32)).item(), 6);
}

struct SharedWeight : nn::Module {
  Dense first{2, 2};
  Dense& again = first;
  GRADUS_MEMBERS(first, again)
};
DEVICE_TEST(Members, SharedOnesAreOneParameterWithTwoNames) {
  SharedWeight m;
  EXPECT_EQ(m.parameters().size(), 2u);
  EXPECT_EQ(m.names().size(), 4u);
}

#ifndef NDEBUG
struct Forgets : nn::Module {
  Dense first{2, 2}, second{2, 3}, third{3, 2};
  nn::Parameter scale{ones({7}, DType::float32)};
  GRADUS_MEMBERS(first, third, scale)
};
struct ForgetsParameter : nn::Module {
  Dense first{2, 2};
  nn::Parameter scale{ones({7}, DType::float32)};
  GRADUS_MEMBERS(first)
};
struct Derived : Forgets {
  nn::Buffer mean{zeros({5}, DType::float32)};
  GRADUS_MEMBERS(first, second, third, scale)
};
DEVICE_TEST(Members, LeftOutOnesAreFoundAndNamed) {
  std::string message = message_of<ValueError>([] { Forgets().parameters(); });
  EXPECT_EQ(
      message,
      "GRADUS_MEMBERS of Forgets leaves out a Dense behind `first` and before `third`; list every parameter, buffer and module");
  message = message_of<ValueError>([] { ForgetsParameter().train(); });
  EXPECT_NE(message.find("a Parameter of shape [7] behind `first`"), std::string::npos) << message;
  message = message_of<ValueError>([] { Derived().parameters(); });
  EXPECT_NE(message.find("a Buffer of shape [5] behind `scale`"), std::string::npos) << message;
  std::vector<Forgets> heap(2);
  message_of<ValueError>([&] { heap[1].parameters(); });
}
#endif

}  // namespace
}  // namespace gradus
