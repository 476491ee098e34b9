// Storage: pooling, limits, views that keep bytes alive, memory that somebody else owns.
#include <thread>

#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

TEST(Memory, ASecondRoundAsksTheSystemForNothing) {
  auto round = [] {
    std::vector<AnyTensor> kept;
    for (int64_t n : {5000, 70000, 70001, 1 << 20, 3 << 20}) kept.push_back(empty({n}, DType::float32));
  };
  round();
  size_t before = memory_stats().system_requests;
  for (int i = 0; i < 10; ++i) round();
  EXPECT_EQ(memory_stats().system_requests, before);
}

TEST(Memory, StatsFollowWhatLives) {
  empty_cache();
  MemoryStats before = memory_stats();
  {
    AnyTensor x = empty({1 << 20}, DType::float32);
    MemoryStats during = memory_stats();
    EXPECT_GE(during.in_use, before.in_use + (4u << 20));
    EXPECT_LT(during.in_use, before.in_use + (4u << 20) + (4u << 20) / 16);  // little is lost to rounding
    EXPECT_GE(during.peak_in_use, during.in_use);
  }
  MemoryStats after = memory_stats();
  EXPECT_EQ(after.in_use, before.in_use);
  EXPECT_GE(after.cached, 4u << 20);
  empty_cache();
  EXPECT_EQ(memory_stats().cached, 0u);
  reset_peak_memory();
  EXPECT_EQ(memory_stats().peak_in_use, memory_stats().in_use);
}

TEST(Memory, RunningOutRaisesAndTheProcessGoesOn) {
  empty_cache();
  set_memory_limit(memory_stats().in_use + (16u << 20));
  std::string message = message_of<OutOfMemory>([] { empty({64 << 20}, DType::float32); });
  EXPECT_NE(message.find("asked for 268435520 bytes"), std::string::npos) << message;
  EXPECT_NE(message.find("limit"), std::string::npos) << message;
  EXPECT_NO_THROW(empty({1 << 20}, DType::float32));
  set_memory_limit(0);
  EXPECT_NO_THROW(empty({8 << 20}, DType::float32));
  message_of<OutOfMemory>([] { empty({int64_t(1) << 50}, DType::float32); });
  message_of<ShapeError>([] { empty({int64_t(1) << 40, int64_t(1) << 40}, DType::float32); });
  message_of<ShapeError>([] { empty({-1}, DType::float32); });
}

TEST(Memory, CachedBlocksOfOtherSizesGiveWayUnderALimit) {
  empty_cache();
  { AnyTensor x = empty({4 << 20}, DType::float32); }
  set_memory_limit(memory_stats().in_use + (20u << 20));
  EXPECT_NO_THROW(empty({3 << 20}, DType::float32));
  set_memory_limit(0);
}

TEST(Memory, AViewKeepsTheBytesAlive) {
  AnyTensor row;
  {
    AnyTensor x = draw({100, 100});
    row = x.select(0, 3);
    EXPECT_EQ(values(row), values(x.narrow(0, 3, 1)));
  }
  AnyTensor other = draw({100, 100}, 5, 6);
  for (double v : values(row)) EXPECT_LT(v, 1);
}

TEST(Memory, BlocksFreedByAnotherThreadComeBack) {
  // One thread makes, another frees: what it frees must find its way back, or the maker would ask the system for ever.
  auto produce = [] {
    std::vector<AnyTensor> batch;
    std::thread([&] {
      for (int i = 0; i < 6000; ++i) batch.push_back(empty({16}, DType::float32));
    }).join();
  };
  for (int i = 0; i < 3; ++i) produce();
  size_t before = memory_stats().in_use;
  for (int i = 0; i < 20; ++i) produce();
  EXPECT_LT(memory_stats().in_use, before + (4u << 20));
}

TEST(FromBlob, CallsItsReleaseWhenTheLastViewGoes) {
  static int released;
  int one = 1;
  released = 0;
  float memory[6] = {1, 2, 3, 4, 5, 6};
  {
    AnyTensor view;
    {
      AnyTensor x = from_blob(
          memory, {2, 3}, DType::float32, [](void* context) { released += *static_cast<int*>(context); }, &one);
      view = x.select(0, 1);
      memory[3] = 40;
    }
    EXPECT_EQ(released, 0);
    EXPECT_EQ(values(view), (std::vector<double>{40, 5, 6}));
  }
  EXPECT_EQ(released, 1);
  message_of<ValueError>([] { from_blob(nullptr, {2}, DType::float32); });
}
