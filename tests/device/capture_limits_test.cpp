// What a step that is recorded may not do or be given, and that nothing has happened where it did.
#include "tests/device/captured.h"

using namespace gradus;
using namespace gradus::testing;

INSTANTIATE_TEST_SUITE_P(On, Capture, ::testing::Values("other", "cuda"), [](const auto& info) { return info.param; });

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
