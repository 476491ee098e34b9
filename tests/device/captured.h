// A network, its training and what that leaves, for tests of steps that are recorded.
#pragma once
#include <cmath>
#include <memory>

#include "gradus/core/capture.h"
#include "tests/check.h"
#include "tests/device/recording_backend.h"

namespace gradus::testing {

inline constexpr int64_t kClasses = 5, kWords = 20;

struct Net : nn::Module {
  nn::Embedding table{kWords, 8};
  nn::Linear hidden{24, 16}, out{16, kClasses};
  nn::FeedForward mix{16, 32};
  nn::BatchNorm1d norm{16};
  nn::Dropout drop{0.3};
  GRADUS_MEMBERS(table, hidden, mix, out, norm, drop)
  template <class T = float> Tensor<T> forward(const Tensor<int64_t>& index) {
    Tensor<T> h = hidden(flatten(table.forward<T>(index), 1));
    return out(drop(norm.relu(mix(h), h)));
  }
};

struct Batch {
  Tensor<int64_t> index, target;
};
inline Batch batch(uint64_t seed, int64_t rows = 8) {
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

}  // namespace gradus::testing
