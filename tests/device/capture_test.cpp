// Steps that are recorded and replayed give what the same steps give when they are run, to the bit.
#include "tests/device/captured.h"

using namespace gradus;
using namespace gradus::testing;

INSTANTIATE_TEST_SUITE_P(On, Capture, ::testing::Values("other", "cuda"), [](const auto& info) { return info.param; });

TEST_P(Capture, ReplaysAreSteps) {
  expect_replays_are_steps<optim::SGD>(device, optim::SGDOptions{.lr = 0.1});
  expect_replays_are_steps<optim::SGD>(device, optim::SGDOptions{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01});
  expect_replays_are_steps<optim::Adam>(device, optim::AdamOptions{.lr = 0.01, .amsgrad = true});
  expect_replays_are_steps<optim::AdamW>(device, optim::AdamWOptions{.lr = 0.01});
  expect_replays_are_steps<optim::NAdam>(device, optim::NAdamOptions{.lr = 0.01});
  expect_replays_are_steps<optim::RAdam>(device, optim::RAdamOptions{.lr = 0.01});
  expect_replays_are_steps<optim::Adagrad>(device, optim::AdagradOptions{.lr = 0.01, .lr_decay = 0.1});
  expect_replays_are_steps<optim::ASGD>(device, optim::ASGDOptions{.lr = 0.01});
}

TEST(CaptureOnCpu, TheCpuRunsEachStep) {
  int calls = 0;
  auto twice = capture([&](const Tensor<float>& x) { return ++calls, x * 2.0f; }, kCPU);
  for (float v : {1.0f, 2.0f, 3.0f}) EXPECT_EQ(twice(Tensor<float>({v})).item(), 2 * v);
  EXPECT_EQ(calls, 3);
  EXPECT_FALSE(twice.is_recorded());
  EXPECT_EQ(twice(Tensor<float>({1, 2})).numel(), 2);  // and takes any shape
}

TEST_P(Capture, ResultsAreCopiesOutsideOfTheGraph) {
  int calls = 0;
  Tensor<float> w = Tensor<float>({3}).to(device);
  w.requires_grad_();
  auto step = capture(
      [&](const Tensor<float>& x) {
        ++calls;
        return std::make_pair(x * w, argmax(x, 0));
      },
      device);
  std::vector<std::pair<Tensor<float>, Tensor<int64_t>>> results;
  for (float v : {1.0f, 2.0f, 3.0f, 4.0f}) results.push_back(step(Tensor<float>({v, 2.5f})));
  EXPECT_EQ(calls, 2);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(results[size_t(i)].first.vector(), (std::vector<float>{3.0f * float(i + 1), 7.5f}));
    EXPECT_EQ(results[size_t(i)].second.item(), i < 2 ? 1 : 0);
    EXPECT_FALSE(results[size_t(i)].first.requires_grad());
  }
}

TEST_P(Capture, AFirstCallThatThrowsWasNone) {
  bool fails = true;
  auto step = capture(
      [&](const Tensor<float>& x) {
        if (fails) throw ValueError("not yet");
        return x * 2.0f;
      },
      device);
  message_of<ValueError>([&] { step(ones<float>({2})); });
  fails = false;
  for (int64_t i = 0; i < 3; ++i) EXPECT_EQ(step(full<float>({3}, i)).vector(), std::vector<float>(3, 2.0f * float(i)));
  EXPECT_TRUE(step.is_recorded());
}

TEST_P(Capture, WhatAReplayIsToldIsNotWrittenOverByTheStep) {
  // Results on the way are as large as what holds the seed of the draw, and gone when it is made.
  auto once = [&](const Tensor<float>& x) {
    { Tensor<float> large = x * 2.0f, larger = large + 1.0f; }
    return Tensor<float>(dropout(x, 0.5));
  };
  Tensor<float> x = ones<float>({4096}, device);
  std::vector<std::vector<float>> run, replayed;
  manual_seed(2);
  for (int i = 0; i < 4; ++i) run.push_back(once(x).vector());
  manual_seed(2);
  auto step = capture(once, device);
  for (int i = 0; i < 4; ++i) replayed.push_back(step(x).vector());
  EXPECT_EQ(run, replayed);
}

namespace {
/// Seven updates, each after one or more calls of a step that only makes gradients; zero_grad() stands outside of it.
template <class Step> Outcome train_outside(Training<optim::AdamW>& t, int calls, Step&& step) {
  Outcome o;
  for (int i = 0; i < 7; ++i) {
    for (int k = 0; k < calls; ++k) o.add(step(batch(uint64_t(10 * i + k))));
    t.optimizer->step();
    t.optimizer->zero_grad();
    empty({1000}, DType::float32, t.device).fill_(NAN);
  }
  Outcome end = outcome(t);
  o.numbers.insert(o.numbers.end(), end.numbers.begin(), end.numbers.end());
  return o;
}
}  // namespace

TEST_P(Capture, GradientsThatAStepMakesAreThereAfterEachReplay) {
  for (int calls :
       {1, 2, 3}) {  // several: gradients of micro-batches are added up, and the second call is the one that is recorded
    Outcome run, replayed;
    auto once = [](Training<optim::AdamW>& t, const Tensor<int64_t>& i, const Tensor<int64_t>& y) {
      Tensor<float> loss = cross_entropy(t.net(i), y);
      loss.backward();
      return loss;
    };
    {
      Training<optim::AdamW> t(device, optim::AdamWOptions{.lr = 0.01});
      run = train_outside(t, calls, [&](const Batch& b) { return once(t, b.index.to(device), b.target.to(device)); });
    }
    Training<optim::AdamW> t(device, optim::AdamWOptions{.lr = 0.01});
    auto step = capture([&](const Tensor<int64_t>& i, const Tensor<int64_t>& y) { return once(t, i, y); }, device);
    replayed = train_outside(t, calls, [&](const Batch& b) { return step(b.index, b.target); });
    EXPECT_TRUE(step.is_recorded());
    ASSERT_EQ(run.numbers.size(), replayed.numbers.size());
    for (size_t i = 0; i < run.numbers.size(); ++i)
      for (size_t k = 0; k < run.numbers[i].size(); ++k)
        ASSERT_NEAR(run.numbers[i][k], replayed.numbers[i][k], 1e-6) << calls << " calls, number " << i;
  }
}

TEST_P(Capture, GradientsGoOnFromWhatIsThere) {
  Tensor<float> w = ones<float>({3}, device);
  w.requires_grad_();
  auto numbers = [](const AnyTensor& x) { return x.defined() ? values(x) : std::vector<double>(); };
  using V = std::vector<double>;
  auto add_up = capture([&](const Tensor<float>& x) { (w * x).sum().backward(); }, device);
  auto x = [](float v) { return full<float>({3}, v); };
  add_up(x(1)), add_up(x(2));  // the second is recorded upon a gradient
  EXPECT_EQ(numbers(w.grad()), V(3, 3));
  add_up(x(4));
  EXPECT_EQ(numbers(w.grad()), V(3, 7));
  w.set_grad({});
  add_up(x(5));
  EXPECT_EQ(numbers(w.grad()), V(3, 5));
  w.set_grad(full<float>({3}, 10, device));
  add_up(x(1));
  EXPECT_EQ(numbers(w.grad()), V(3, 11));

  auto drops = capture(
      [&](const Tensor<float>& x) {
        (w * x).sum().backward();
        AnyTensor twice = w.grad() * 2;
        w.set_grad({});
        return twice;
      },
      device);
  w.set_grad({});
  for (float v : {1.0f, 2.0f, 3.0f}) {
    EXPECT_EQ(numbers(drops(x(v))), V(3, 2.0 * double(v)));
    EXPECT_FALSE(w.grad().defined());
  }
  w.set_grad(ones<float>({3}, device));
  EXPECT_NE(message_of<Error>([&] { drops(x(1)); }).find("zero_grad()"), std::string::npos);
  w.set_grad({});
  EXPECT_EQ(numbers(drops(x(4))), V(3, 8));

  auto reads = capture([&](const Tensor<float>& x) { return x * Tensor<float>(w.grad()); }, device);
  for (float v : {1.0f, 2.0f, 3.0f}) {
    w.set_grad(full<float>({3}, v, device));
    EXPECT_EQ(numbers(reads(x(2))), V(3, 2 * double(v)));
  }
  w.set_grad({});
  EXPECT_NE(message_of<Error>([&] { reads(x(2)); }).find("has none now"), std::string::npos);
}

TEST_P(Capture, ARefusedStepLeavesGradientsAsTheyWere) {
  Tensor<float> w = ones<float>({3}, device);
  w.requires_grad_();
  bool fails = false;
  auto step = capture(
      [&](const Tensor<float>& x) {
        w.set_grad({});
        (w * x).sum().backward();
        if (fails) throw ValueError("not now");
      },
      device);
  step(full<float>({3}, 2));
  fails = true;
  message_of<ValueError>([&] { step(full<float>({3}, 7)); });
  EXPECT_EQ(values(w.grad()), std::vector<double>(3, 2));
}

TEST_P(Capture, WhatTheHostWorksOutForAKernelIsKept) {
  // The weights of windows and of interpolation are made by the host, which has forgotten them when the step is replayed.
  auto resized = [](const Tensor<float>& x) {
    return interpolate(adaptive_avg_pool2d(x, {3, 5}), {.size = {8, 7}, .mode = InterpolateMode::linear});
  };
  auto step = capture(resized, device);
  for (uint64_t i = 0; i < 4; ++i) {
    Tensor<float> x(draw({2, 3, 9, 11}, -1, 1, i + 1, DType::float32));
    EXPECT_LT(distance(step(x), resized(x)), 1e-5) << i;
  }
  EXPECT_TRUE(step.is_recorded());
}

TEST_P(Capture, ManyParametersHaveTheirRates) {
  // Numbers for replays are more than go along with a small launch, and more than are put there at once.
  auto train_many = [&](int count, bool captured) {
    std::vector<AnyTensor> parameters;
    for (int i = 0; i < count; ++i) parameters.push_back(full<float>({2}, i, device).requires_grad_());
    optim::SGD optimizer(parameters, {.lr = 0.5});
    auto once = [&](const Tensor<float>& x) {
      for (const AnyTensor& p : parameters) p.set_grad(x * 1.0f);
      optimizer.step();
    };
    auto step = capture(once, device);
    Tensor<float> x = ones<float>({2}, device);
    std::vector<double> all;
    for (int i = 0; i < 3; ++i) {
      optimizer.set_lr(1.0 / (i + 1));
      captured ? step(x) : once(x);
    }
    for (const AnyTensor& p : parameters) all.push_back(values(p)[1]);
    return all;
  };
  for (int count : {40, 60, 300, 500}) EXPECT_EQ(train_many(count, true), train_many(count, false)) << count;
}

TEST_P(Capture, CheckpointsDrawTheSameAgain) {
  // A part that is computed twice draws the same numbers both times, and a replay others than the one before.
  Tensor<float> w = ones<float>({64}, device);
  w.requires_grad_();
  auto once = [&](const Tensor<float>& x) {
    AnyTensor y =
        checkpoint([](const std::vector<AnyTensor>& in) { return std::vector<AnyTensor>{dropout(in[0] * in[1], 0.5)}; }, {w, x})[0];
    w.set_grad({});
    sum(y).backward();
    return std::make_pair(Tensor<float>(y.detach()), Tensor<float>(w.grad()));
  };
  manual_seed(9);
  Tensor<float> x = full<float>({64}, 3, device);
  std::vector<std::vector<float>> run, replayed;
  for (int i = 0; i < 4; ++i) run.push_back(once(x).first.vector());
  manual_seed(9);
  auto step = capture(once, device);
  for (int i = 0; i < 4; ++i) {
    auto [y, g] = step(x);
    EXPECT_EQ(y.vector(), g.vector());  // both 0 or 6
    replayed.push_back(y.vector());
  }
  EXPECT_EQ(run, replayed);
  EXPECT_NE(run[2], run[3]);
}

TEST_P(Capture, WhatAReplayWritesIsKnownToBeWritten) {
  // A cast of the weight is kept until the weight is written: it must not be taken for that of the new weight.
  Training<optim::SGD> t(device, optim::SGDOptions{.lr = 0.5});
  auto step = capture([&](const Tensor<int64_t>& i, const Tensor<int64_t>& y) { t.step(i, y); }, device);
  Batch b = batch(1);
  Tensor<int64_t> index = b.index.to(device);
  for (int i = 0; i < 4; ++i) {
    step(b.index, b.target);
    NoGrad no_grad;
    t.net.eval();
    AnyTensor kept = t.net.forward<bfloat16>(index);
    Net copy = t.net;
    copy.eval();
    EXPECT_EQ(distance(to(kept, DType::float32), to(copy.forward<bfloat16>(index), DType::float32)), 0) << i;
    t.net.train();
  }
}

TEST_P(Capture, CastsOfWeightsThatTheStepDoesNotWriteAreMadeInEachReplay) {
  nn::Linear layer(4, 4);
  layer.to(device);
  bool fails = true;
  int calls = 0;
  auto step = capture(
      [&](const Tensor<bfloat16>& x) {
        Tensor<bfloat16> y = layer(x);
        if (++calls == 2 && fails) throw ValueError("not now");
        return y;
      },
      device);
  Tensor<bfloat16> x = ones<bfloat16>({3, 4}, device);
  step(x);
  message_of<ValueError>([&] { step(x); });  // what was recorded was never done
  EXPECT_EQ(distance(layer(x), nn::Linear(layer)(x)), 0);
  fails = false;
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(distance(step(x), nn::Linear(layer)(x)), 0) << i;
    EXPECT_EQ(distance(layer(x), nn::Linear(layer)(x)), 0) << i;
    NoGrad no_grad;
    layer.weight.fill_(i);
    layer(x.to<half>());  // the cast to bfloat16 is given up
    empty({16}, DType::bfloat16, device).fill_(NAN);
  }
  EXPECT_TRUE(step.is_recorded());
}
