// Steps that are recorded and replayed give what the same steps give when they are run, to the bit.
#include "gradus/core/capture.h"

#include <cmath>
#include <memory>
#include <thread>

#include "tests/check.h"
#include "tests/device/recording_backend.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

constexpr int64_t kClasses = 5, kWords = 20;

struct Net : nn::Module {
  nn::Embedding table{kWords, 8};
  nn::Linear hidden{24, 16}, out{16, kClasses};
  nn::FeedForward mix{16, 32};
  nn::BatchNorm1d norm{16};
  nn::Dropout drop{0.3};
  GRADUS_MEMBERS(table, hidden, mix, out, norm, drop)
  template <class T = float> Tensor<T> forward(const Tensor<int64_t>& index) {
    return out(drop(relu(norm(mix(hidden(flatten(table.forward<T>(index), 1)))))));
  }
};

struct Batch {
  Tensor<int64_t> index, target;
};
Batch batch(uint64_t seed, int64_t rows = 8) {
  Generator g(seed);
  Batch b{randint<int64_t>(0, kWords, {rows, 3}, g), randint<int64_t>(0, kClasses, {rows}, g)};
  b.target[0] = -100;  // a row that does not count, so that the device has to count
  return b;
}

/// A network and its optimizer, always the same at first, and one step with them.
template <class Optimizer> struct Training {
  Device device;
  Net net;
  std::unique_ptr<Optimizer> optimizer;
  template <class Options> Training(Device device, const Options& options) : device(device) {
    manual_seed(3);
    net = Net();
    net.to(device);
    using Group = typename Optimizer::Group;
    std::vector<AnyTensor> rest = net.hidden.parameters();
    for (const AnyTensor& p : net.mix.parameters()) rest.push_back(p);
    for (const AnyTensor& p : net.out.parameters()) rest.push_back(p);
    for (const AnyTensor& p : net.norm.parameters()) rest.push_back(p);
    optimizer = std::make_unique<Optimizer>(std::vector<Group>{{net.table.parameters(), options}, {rest, options}});
    manual_seed(4);
  }
  Tensor<float> step(const Tensor<int64_t>& index, const Tensor<int64_t>& target) {
    Tensor<float> loss = cross_entropy(net(index), target);
    optimizer->zero_grad();
    loss.backward();
    optim::clip_grad_norm_(net.parameters(), 0.05);
    optimizer->step();
    return loss;
  }
};

/// What training leaves: losses, parameters, buffers, the optimizer's state, where the random numbers stand.
struct Outcome {
  std::vector<std::vector<double>> numbers;
  bool operator==(const Outcome&) const = default;
  void add(const AnyTensor& x) {
    AnyTensor here = to(x.detach().to(kCPU), DType::float64).contiguous();
    const auto* p = static_cast<const double*>(here.raw_data());
    numbers.emplace_back(p, p + here.numel());
  }
};
template <class T> Outcome outcome(T& training) {
  Outcome o;
  for (const NamedTensor& t : training.net.state()) o.add(t.tensor);
  for (const NamedTensor& t : training.optimizer->state()) o.add(t.tensor);
  o.numbers.push_back({double(default_generator().state().offset)});
  return o;
}

/// Six steps whose rates move on between them, of one group by itself.
template <class T, class Step> Outcome train(T& training, Step&& step) {
  Outcome o;
  for (int i = 0; i < 6; ++i) {
    Batch b = batch(uint64_t(i));
    o.add(step(b));
    if (i >= 2) training.optimizer->set_lr(0.02 / (i + 1), 0);
    if (i == 4) training.optimizer->set_lr(0.5 * training.optimizer->lr(1), 1);
    empty({1000}, DType::float32, training.device).fill_(NAN);  // memory in use between steps is not the recording's
  }
  Outcome end = outcome(training);
  o.numbers.insert(o.numbers.end(), end.numbers.begin(), end.numbers.end());
  return o;
}

template <class Optimizer, class Options> void expect_replays_are_steps(Device device, const Options& options) {
  Outcome run, replayed;
  {
    Training<Optimizer> t(device, options);
    run = train(t, [&](const Batch& b) { return t.step(b.index.to(device), b.target.to(device)); });
  }
  const int before = recording_device().replays, wanted = device == recording_kind() ? 5 : 0;
  {
    Training<Optimizer> t(device, options);
    auto step = capture([&](const Tensor<int64_t>& i, const Tensor<int64_t>& y) { return t.step(i, y); }, device);
    replayed = train(t, [&](const Batch& b) { return step(b.index, b.target); });
    EXPECT_TRUE(step.is_recorded());
  }
  EXPECT_EQ(recording_device().replays - before, wanted);
  EXPECT_EQ(run.numbers.size(), replayed.numbers.size());
  for (size_t i = 0; i < run.numbers.size(); ++i) EXPECT_EQ(run.numbers[i], replayed.numbers[i]) << "number " << i;
  for (double v : run.numbers[5]) EXPECT_TRUE(std::isfinite(v));
}

/// On a device that is made up, and on a GPU where there is one.
struct Capture : ::testing::TestWithParam<const char*> {
  Device device;
  void SetUp() override {
    if (GetParam() == std::string("other"))
      device = recording_kind();
    else if (is_available(Device(DeviceType::cuda)))
      device = Device(DeviceType::cuda);
    else
      GTEST_SKIP() << "no CUDA device";
  }
};
INSTANTIATE_TEST_SUITE_P(On, Capture, ::testing::Values("other", "cuda"), [](const auto& info) { return info.param; });

}  // namespace

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

TEST_P(Capture, InputsMustBeAsTheyWere) {
  int calls = 0;
  auto step = capture([&](const auto&... x) { calls += (x.defined() && ...); }, device);
  step(AnyTensor(ones<float>({2, 3})));
  EXPECT_NE(message_of<ShapeError>([&] {
              step(AnyTensor(ones<float>({1, 3})));
            }).find("input 0 has shape [1, 3]"),
            std::string::npos);
  EXPECT_NE(message_of<DTypeError>([&] { step(AnyTensor(ones<double>({2, 3}))); }).find("input 0 is float64"), std::string::npos);
  message_of<ValueError>([&] { step(AnyTensor(ones<float>({2, 3})), AnyTensor(ones<float>({2, 3}))); });
  message_of<ValueError>([&] { step(AnyTensor()); });
  EXPECT_EQ(calls, 1);
  step(AnyTensor(ones<float>({2, 3})));
  EXPECT_EQ(calls, 2);
  message_of<DeviceError>([&] { capture([] {}, Device(device.type, 63)); });
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

TEST_P(Capture, WhatCannotBeRecordedSaysSoAndNothingHasHappened) {
  Training<optim::Adam> t(device, optim::AdamOptions{.lr = 0.01});
  optim::StepLR schedule(*t.optimizer, {.step_size = 1});
  optim::GradScaler scaler;
  Net other;
  other.to(device);
  optim::NAdamW several(other.parameters(), {});
  Batch b = batch(1);
  const int live = recording_device().live;
  auto refused = [&](const char* op, auto after) {
    bool armed = false;  // the first call is no recording, and does what the step does anyway
    auto step = capture(
        [&](const Tensor<int64_t>& i, const Tensor<int64_t>& y) {
          Tensor<float> loss = t.step(i, y);
          if (armed) after(loss, i, y);
          return loss;
        },
        device);
    step(b.index, b.target);
    armed = true;
    Outcome before = outcome(t);
    std::string message = message_of<Error>([&] { step(b.index, b.target); });
    EXPECT_EQ(message.find(op), 0u) << message;
    EXPECT_NE(message.find("capture"), std::string::npos) << message;
    EXPECT_TRUE(before == outcome(t)) << op;
    EXPECT_FALSE(step.is_recorded());
    armed = false;
    step(b.index, b.target);  // a step that can be recorded still is
    EXPECT_TRUE(step.is_recorded());
    EXPECT_FALSE(before == outcome(t));
  };
  using X = const Tensor<float>&;
  using I = const Tensor<int64_t>&;
  refused("to: ", [](X loss, I, I) { loss.item(); });
  refused("to: ", [one = ones<float>({1})](X loss, I, I) { one.to(loss.device()); });
  refused("capture: ", [](X loss, I, I) {
    manual_seed(1);
    dropout(loss.detach(), 0.5);
  });
  refused("nonzero: ", [](X, I i, I) { nonzero(i); });
  if (device.type == DeviceType::cuda) refused("qr: ", [](X loss, I, I) { linalg::qr(loss.detach().expand({2, 2})); });
  refused("Scheduler::step: ", [&](X, I, I) { schedule.step(); });
  refused("NAdamW: ", [&](X, I i, I y) {
    cross_entropy(other(i), y).backward();
    several.step();
  });
  refused("full: ", [](X, I, I) { zeros<float>({3}); });
  optim::SGD fresh(other.parameters(), {.momentum = 0.9});
  refused("SGD: ", [&](X, I i, I y) {
    other.zero_grad();
    cross_entropy(other(i), y).backward();
    fresh.step();
  });
  // A scale changes from step to step, and would stay as it is in the recording.
  refused("GradScaler::scale: ", [&](X loss, I, I) { scaler.scale(loss); });
  refused("GradScaler::unscale_: ", [&](X, I, I) { scaler.unscale_(*t.optimizer); });
  EXPECT_EQ(scaler.step(*t.optimizer), true);  // nothing is left behind of the refused call
  // What goes to another stream would be done once and be missing from every replay.
  Stream side(device);
  Event before_step;
  before_step.record(Stream::current(device));
  refused("StreamGuard: ", [&](X, I, I) { StreamGuard guard(side); });
  refused("Event::record: ", [&](X, I, I) { Event().record(side); });
  refused("Event::hold: ", [&](X, I, I) { before_step.hold(side); });
  refused("Event::synchronize: ", [&](X, I, I) { before_step.synchronize(); });
  refused("Stream::synchronize: ", [&](X, I, I) { side.synchronize(); });
  refused("Stream::is_idle: ", [&](X, I, I) { side.is_idle(); });
  refused("record_use: ", [&](X loss, I, I) { record_use(loss, side); });
  EXPECT_EQ(recording_device().live, live);
}

TEST_P(Capture, StreamsWithinAStepThatAreItsOwnOrTheCpusAreLeftAlone) {
  auto step = capture(
      [&](const Tensor<float>& x) {
        StreamGuard here{Stream::current(device)}, cpu{Stream(kCPU)};
        Event now;
        now.record(Stream::current(kCPU));
        now.hold(Stream::current(kCPU));
        return x * 2.0f;
      },
      device);
  for (int64_t i = 0; i < 3; ++i) EXPECT_EQ(step(full<float>({3}, i)).vector(), std::vector<float>(3, 2.0f * float(i)));
  EXPECT_TRUE(step.is_recorded());
}

TEST_P(Capture, AnIndexOutsideIsReportedByALaterCall) {
  for (bool target : {false, true}) {
    Training<optim::SGD> t(device, optim::SGDOptions{.lr = 0.1});
    auto step = capture([&](const Tensor<int64_t>& i, const Tensor<int64_t>& y) { return t.step(i, y); }, device);
    for (int i = 0; i < 3; ++i) step(batch(1).index, batch(1).target);
    Batch bad = batch(1);
    (target ? bad.target[5] : bad.index[2][1]) = 99;
    step(bad.index, bad.target);
    synchronize(device);  // a GPU may be late
    std::string message = message_of<IndexError>([&] { step(batch(1).index, batch(1).target); });
    EXPECT_EQ(message.find(target ? "cross_entropy: " : "embedding: "), 0u) << message;
    EXPECT_NE(message.find(target ? "place 5 " : "place 7 "), std::string::npos) << message;
    step(batch(1).index, batch(1).target);  // said once
    step(batch(1).index, batch(1).target);
  }
}

TEST_P(Capture, CallsFromSeveralStreamsFollowEachOther) {
  Tensor<float> sum = zeros<float>({1000}, device);
  auto step = capture(
      [&](const Tensor<float>& x) {
        NoGrad no_grad;
        sum.mul_(2).add_(x);  // so the order of calls is seen
        return sum * 1.0f;
      },
      device);
  Stream streams[] = {Stream::current(device), Stream(device), Stream(device)};
  for (const Stream& s : streams) {  // what was made above is there before another stream goes on
    Event made;
    made.record(streams[0]);
    made.hold(s);
  }
  std::vector<Tensor<float>> results;
  float expected = 0;
  std::vector<float> wanted;
  for (int i = 0; i < 9; ++i) {
    StreamGuard guard(streams[i % 3]);
    Tensor<float> x = full<float>({1000}, i + 1, device);
    results.push_back(step(x));
    record_use(x, streams[i % 3]);
    wanted.push_back(expected = 2 * expected + float(i + 1));
  }
  for (int i = 8; i >= 0; --i) {  // the last stream is waited for first
    StreamGuard guard(streams[i % 3]);
    EXPECT_EQ(results[size_t(i)][999].item(), wanted[size_t(i)]) << i;
  }
}

TEST_P(Capture, InputsFromOrdinaryMemoryAreNotWaitedFor) {
  auto step = capture([](const Tensor<float>& x, const Tensor<float>& turned) { return x + turned * 2.0f; }, device);
  std::vector<Tensor<float>> results;
  Tensor<float> x = zeros<float>({3, 4}), y = zeros<float>({4, 3});
  for (int i = 0; i < 2; ++i) step(x, y.t());
  const int waits = recording_device().waits;
  for (int i = 0; i < 7; ++i) {
    x.fill_(i), y.fill_(i);  // the caller's own again as soon as the call returns
    y[1][2].fill_(i + 1);
    results.push_back(step(x, Tensor<float>(y.t())));
  }
  EXPECT_EQ(recording_device().waits, waits);
  for (int i = 0; i < 7; ++i) {
    std::vector<double> got = values(results[size_t(i)]);
    for (size_t k = 0; k < 12; ++k) EXPECT_EQ(got[k], 3 * i + (k == 9 ? 2 : 0)) << k;
  }
}

TEST_P(Capture, WhatOtherThreadsDoMeanwhileDoesNotSpoilIt) {
  auto other = capture([](const Tensor<float>& x) { return x * 3.0f; }, device);
  Tensor<float> x = ones<float>({1 << 20}, device);
  for (int i = 0; i < 3; ++i) other(x);
  auto slot = std::make_unique<decltype(other)>(std::move(other));
  bool armed = false;
  auto step = capture(
      [&](const Tensor<float>& x) {
        Tensor<float> y = x * 2.0f;
        if (std::exchange(armed, false))
          std::thread([&] {
            { AnyTensor large = ones({8 << 20}, DType::float32, device); }
            synchronize(device);
            slot.reset();         // a recording goes, whose replay may be on its way
            empty_cache(device);  // gives nothing back as long as a step is recorded
          }).join();
        return y + 1.0f;
      },
      device);
  step(x);
  armed = true;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(step(x)[5].item(), 3);
  EXPECT_TRUE(step.is_recorded());
}

TEST_P(Capture, RunningOutOfMemoryWithinTheStepIsAnErrorLikeAnother) {
  bool large = false;
  auto step = capture(
      [&](const Tensor<float>& x) {
        { Tensor<float> y = x * 2.0f; }
        if (large) empty({64 << 20}, DType::float32, device);
        return x + 1.0f;
      },
      device);
  Tensor<float> x = ones<float>({1 << 20}, device);
  step(x);
  empty_cache(device);
  { AnyTensor cached = empty({8 << 20}, DType::float32, device); }
  const MemoryStats now = memory_stats(device);
  set_memory_limit(now.in_use + now.cached + (40 << 20), device);
  large = true;
  std::string message = message_of<OutOfMemory>([&] { step(x); });
  EXPECT_NE(message.find("while a step is recorded"), std::string::npos) << message;
  large = false;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(step(x)[5].item(), 2);
  EXPECT_TRUE(step.is_recorded());
  set_memory_limit(0, device);
}

TEST_P(Capture, MemoryThatTheStepReadsAndGivesUpIsKept) {
  empty_cache(device);
  const size_t in_use = memory_stats(device).in_use;
  {
    std::vector<AnyTensor> next;
    for (float v : {2.0f, 3.0f}) next.push_back(full<float>({1 << 16}, v, device));
    auto step = capture(
        [&](const Tensor<float>& x) {
          AnyTensor factor = std::move(next[0]);
          next.erase(next.begin());
          return x * Tensor<float>(factor);
        },
        device);
    Tensor<float> x = full<float>({1 << 16}, 5);
    EXPECT_EQ(step(x)[7].item(), 10);
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(step(x)[7].item(), 15) << i;
      full<float>({1 << 16}, NAN, device), full<float>({1 << 16}, NAN, device);  // whoever asks for memory now gets other memory
    }
  }
  EXPECT_EQ(memory_stats(device).in_use, in_use);
}

TEST_P(Capture, MemoryThatTheStepGivesUpUnreadIsNotKept) {
  // The gradients and casts of the first call, which no recorded task reads.
  auto held = [&](bool captured) {
    nn::Linear layer(256, 256);
    layer.to(device);
    auto once = [&](const Tensor<bfloat16>& x) {
      layer.zero_grad();
      (layer(x) * 2).sum().backward();
      NoGrad no_grad;
      layer.weight.fill_(1);
    };
    Tensor<bfloat16> x = ones<bfloat16>({4, 256}, device);
    auto step = capture(once, device);
    const size_t before = memory_stats(device).in_use;
    for (int i = 0; i < 3; ++i) captured ? step(x) : once(x);
    return memory_stats(device).in_use - before;
  };
  const size_t run = held(false), replayed = held(true);
  EXPECT_LT(replayed, run + (64 << 10));  // words for replays; a cast has 128 KiB, a gradient 256
}

TEST_P(Capture, MemoryIsTheRecordingsUntilItGoes) {
  empty_cache(device);
  const MemoryStats before = memory_stats(device);
  {
    Tensor<float> w = full<float>({1 << 20}, 2, device);
    auto step = capture([&](const Tensor<float>& x) { return sum(square(x * w) + x); }, device);
    Tensor<float> x = ones<float>({1 << 20}, device);
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(step(x).item(), 5.0f * (1 << 20));
      empty_cache(device);
      std::vector<AnyTensor> filled;
      for (int k = 0; k < 4; ++k) filled.push_back(full({1 << 20}, NAN, DType::float32, device));
    }
    empty_cache(device);
    EXPECT_GE(memory_stats(device).cached, size_t(8) << 20);  // at least two results of 4 MiB on the way
    auto moved = std::move(step);
    EXPECT_EQ(moved(x).item(), 5.0f * (1 << 20));
  }
  empty_cache(device);
  EXPECT_EQ(memory_stats(device).in_use, before.in_use);
  EXPECT_EQ(memory_stats(device).cached, before.cached);
}
