// Recorded steps among streams, threads and a memory that others use too.
#include <thread>

#include "tests/device/captured.h"

using namespace gradus;
using namespace gradus::testing;

INSTANTIATE_TEST_SUITE_P(On, Capture, ::testing::Values("other", "cuda"), [](const auto& info) { return info.param; });

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
