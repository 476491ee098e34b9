// The allocator that devices share, over a device that is made up: where it takes memory, when it hands a block on, what it says.
#include "kernels/caching_allocator.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <set>

#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;
using Block = CachingAllocator::Block;

namespace {

/// Events pass when the test says so.
struct MadeUp : MemorySource {
  size_t capacity = size_t(1) << 40, taken = 0;
  int asked = 0, waits = 0, questions = 0;
  std::map<void*, size_t> pieces;
  std::map<void*, bool> events;  // done?
  char* next_event = nullptr;

  void* allocate(size_t bytes) override {
    ++asked;
    if (taken + bytes > capacity) return nullptr;
    void* p = std::aligned_alloc(512, bytes);
    pieces[p] = bytes, taken += bytes;
    return p;
  }
  void free(void* p) noexcept override {
    ASSERT_TRUE(pieces.count(p)) << "gave back what it never got";
    taken -= pieces[p];
    pieces.erase(p);
    std::free(p);
  }
  void* record(void*) noexcept override {
    events[++next_event] = false;
    return next_event;
  }
  bool is_done(void* event) noexcept override {
    ++questions;
    return events.at(event);
  }
  void wait(void* event) noexcept override { events.at(event) = true, ++waits; }
  void release(void* event) noexcept override { events.erase(event); }
  void fill(void* to, unsigned char value, size_t bytes, void*) noexcept override { std::memset(to, value, bytes); }
  void read(void* to_host, const void* from, size_t bytes, void*) noexcept override { std::memcpy(to_host, from, bytes); }
  std::string state() override { return "made up"; }
  ~MadeUp() override {
    for (auto& [p, bytes] : pieces) std::free(p);
  }
};

struct CachingAllocatorTest : ::testing::Test {
  MadeUp device;
  CachingAllocator allocator{device, "other:0"};
  void* const first = nullptr;
  void* const second = &device;  // any address is a stream's name
  void TearDown() override { allocator.empty_cache(); }
};

}  // namespace

TEST_F(CachingAllocatorTest, ASecondRoundAsksTheDeviceForNothing) {
  auto round = [&] {
    std::vector<Block*> blocks;
    for (size_t bytes : {1, 512, 513, 5000, 1 << 20, (1 << 20) + 1, 9 << 20, 33 << 20})
      blocks.push_back(allocator.allocate(bytes, first));
    for (Block* b : blocks) allocator.free(b);
  };
  round();
  int asked = device.asked;
  for (int i = 0; i < 5; ++i) round();
  EXPECT_EQ(device.asked, asked);
  EXPECT_EQ(allocator.stats().system_requests, size_t(asked));
  EXPECT_EQ(allocator.stats().allocations, 48u);
}

TEST_F(CachingAllocatorTest, BlocksAreAlignedAndDoNotOverlap) {
  std::mt19937 random(3);
  std::map<char*, Block*> living;
  for (int i = 0; i < 4000; ++i) {
    if (random() % 5 < 3 || living.empty()) {
      size_t bytes = size_t(1) << random() % 23;
      bytes += random() % bytes;
      Block* b = allocator.allocate(bytes, random() % 2 ? first : second);
      ASSERT_GE(b->bytes, bytes);
      ASSERT_EQ(reinterpret_cast<uintptr_t>(b->data) % CachingAllocator::kQuantum, 0u);
      auto [at, fresh] = living.emplace(b->data, b);
      ASSERT_TRUE(fresh);
      if (auto after = std::next(at); after != living.end()) {
        ASSERT_LE(b->data + b->bytes, after->first);
      }
      if (at != living.begin()) {
        ASSERT_LE(std::prev(at)->first + std::prev(at)->second->bytes, b->data);
      }
    } else {
      auto at = std::next(living.begin(), long(random() % living.size()));
      allocator.free(at->second);
      living.erase(at);
    }
    size_t sum = 0;
    for (auto& [p, b] : living) sum += b->bytes;
    ASSERT_EQ(allocator.stats().in_use, sum);
    ASSERT_EQ(allocator.stats().in_use + allocator.stats().cached, device.taken);
  }
  for (auto& [p, b] : living) allocator.free(b);
  allocator.empty_cache();  // all pieces were joined again, so all go back
  EXPECT_EQ(device.taken, 0u);
  EXPECT_EQ(allocator.stats().cached, 0u);
}

TEST_F(CachingAllocatorTest, ABlockServesItsOwnStreamAtOnceAndNoOther) {
  Block* b = allocator.allocate(4 << 20, first);
  char* data = b->data;
  allocator.free(b);
  Block* other = allocator.allocate(4 << 20, second);
  EXPECT_NE(other->data, data);
  Block* again = allocator.allocate(4 << 20, first);
  EXPECT_EQ(again->data, data);
  allocator.free(other), allocator.free(again);
}

TEST_F(CachingAllocatorTest, ABlockThatOtherStreamsUsedWaitsForThem) {
  Block* b = allocator.allocate(4 << 20, first);
  char* data = b->data;
  allocator.used_on(b, first);  // its own: nothing to wait for
  allocator.used_on(b, second);
  allocator.used_on(b, second);
  allocator.free(b);
  ASSERT_EQ(device.events.size(), 1u);
  EXPECT_EQ(allocator.stats().in_use, 0u);
  Block* meanwhile = allocator.allocate(4 << 20, first);
  EXPECT_NE(meanwhile->data, data);
  device.events.begin()->second = true;
  Block* later = allocator.allocate(12 << 20, first);  // looks at the events
  allocator.free(later), allocator.free(meanwhile);
  EXPECT_TRUE(device.events.empty());
}

TEST_F(CachingAllocatorTest, RunningOutGivesBackWhatIsCachedBeforeItRaises) {
  device.capacity = 64 << 20;
  Block* big = allocator.allocate(40 << 20, first);
  allocator.used_on(big, second);
  allocator.free(big);
  Block* other = allocator.allocate(50 << 20, second);  // fits only once the other has gone, and that waits for an event
  EXPECT_EQ(device.waits, 1);
  std::string message = message_of<OutOfMemory>([&] { allocator.allocate(30 << 20, first); });
  for (const char* part : {"other:0", "asked for 31457280 bytes", "52428800 are in use", "made up"})
    EXPECT_NE(message.find(part), std::string::npos) << message;
  Block* small = allocator.allocate(1 << 20, first);  // and goes on
  allocator.free(small), allocator.free(other);
}

// A kernel that failed is no lack of memory: who is told to free tensors would look in the wrong place.
TEST_F(CachingAllocatorTest, WhatElseADeviceSaysIsNoLackOfMemory) {
  struct Broken final : MadeUp {
    bool broken = false;
    void* allocate(size_t bytes) override {
      if (broken) throw Error("a kernel has failed");
      return MadeUp::allocate(bytes);
    }
  } source;
  for (BlockLayout layout : {BlockLayout::shared, BlockLayout::alone}) {
    CachingAllocator over(source, "other:0", layout);
    Block* b = over.allocate(6 << 20, first);
    source.broken = true;
    const MemoryStats before = over.stats();
    try {
      over.allocate(100 << 20, first);
      ADD_FAILURE() << "took memory";
    } catch (const OutOfMemory& e) {
      ADD_FAILURE() << e.what();
    } catch (const Error& e) {
      EXPECT_STREQ(e.what(), "a kernel has failed");
    }
    EXPECT_EQ(over.stats().in_use, before.in_use);
    EXPECT_EQ(over.stats().cached, before.cached);
    source.broken = false;
    over.free(over.allocate(100 << 20, first)), over.free(b);
    over.empty_cache();
  }
}

TEST_F(CachingAllocatorTest, ALimitIsKept) {
  allocator.set_limit(10 << 20);
  Block* b = allocator.allocate(6 << 20, first);
  EXPECT_LE(device.taken, size_t(10) << 20);
  std::string message = message_of<OutOfMemory>([&] { allocator.allocate(6 << 20, first); });
  EXPECT_NE(message.find("limit"), std::string::npos) << message;
  allocator.free(b);
  allocator.set_limit(0);
  Block* more = allocator.allocate(100 << 20, first);
  EXPECT_GE(allocator.stats().peak_in_use, size_t(100) << 20);
  allocator.free(more);
  allocator.reset_peak();
  EXPECT_EQ(allocator.stats().peak_in_use, 0u);
}

TEST(BlocksAlone, HaveAsManyBytesAsWereAskedForAndGoBackAtOnce) {
  MadeUp device;
  CachingAllocator allocator(device, "other:0", BlockLayout::alone);
  Block *a = allocator.allocate(20, nullptr), *b = allocator.allocate(3 << 20, &device);
  EXPECT_EQ(device.pieces.at(a->data), 20u);
  EXPECT_EQ(device.pieces.at(b->data), size_t(3) << 20);
  EXPECT_EQ(allocator.stats().in_use, 512 + (size_t(3) << 20));
  allocator.free(a);
  EXPECT_EQ(device.pieces.size(), 1u);
  allocator.free(b);
  EXPECT_EQ(device.taken, 0u);
  EXPECT_EQ(allocator.stats().cached, 0u);
  device.capacity = 1000;
  message_of<OutOfMemory>([&] { allocator.allocate(1001, nullptr); });
  allocator.set_limit(600);
  message_of<OutOfMemory>([&] { allocator.allocate(700, nullptr); });
}

TEST(BlocksAlone, AStreamThatIsRecordedKeepsItsOwn) {
  MadeUp device;
  CachingAllocator allocator(device, "other:0", BlockLayout::alone);
  allocator.keep(&device, true);
  allocator.free(allocator.allocate(20, &device));
  EXPECT_EQ(device.pieces.size(), 1u);
  allocator.keep(&device, false);
  allocator.empty_cache();
  EXPECT_EQ(device.taken, 0u);
}

TEST(GuardedBlocks, WhatIsWrittenOutsideEndsTheProgram) {
  MadeUp device;
  CachingAllocator allocator(device, "other:0", BlockLayout::guarded);
  auto write = [&](ptrdiff_t at) {
    Block* b = allocator.allocate(20, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(b->data) % CachingAllocator::kQuantum, 0u);
    b->data[at] = 1;
    allocator.used_on(b, &device);
    allocator.free(b);
  };
  write(0), write(19);
  EXPECT_EQ(device.waits, 2);
  EXPECT_EQ(device.taken, 0u);
  EXPECT_DEATH(write(20), "memory of other:0: something wrote 1 bytes behind a block of 20 bytes");
  EXPECT_DEATH(write(531), "512 bytes behind");
  EXPECT_DEATH(write(-1), "1 bytes before");
  EXPECT_DEATH(write(-512), "512 bytes before");
}

TEST_F(CachingAllocatorTest, FrozenItGivesNothingBackAndGoesOn) {
  device.capacity = 64 << 20;
  Block* big = allocator.allocate(40 << 20, first);
  allocator.free(big);
  allocator.freeze(true), allocator.freeze(true);
  allocator.freeze(false);  // two recorded, one is done
  const size_t taken = device.taken;
  allocator.empty_cache();
  std::string message = message_of<OutOfMemory>([&] { allocator.allocate(50 << 20, second); });
  EXPECT_NE(message.find("none of that is given back while a step is recorded"), std::string::npos) << message;
  EXPECT_EQ(device.taken, taken);
  allocator.free(allocator.allocate(40 << 20, first));  // what is there serves
  allocator.freeze(false);
  allocator.free(allocator.allocate(50 << 20, second));
}

TEST_F(CachingAllocatorTest, WhatIsWaitedForIsUsedBeforeAnythingIsGivenBack) {
  device.capacity = 64 << 20;
  Block* big = allocator.allocate(40 << 20, first);
  char* data = big->data;
  allocator.used_on(big, second);
  allocator.free(big);
  Block* again = allocator.allocate(40 << 20, first);  // the device has no more
  EXPECT_EQ(again->data, data);
  EXPECT_EQ(device.waits, 1);
  EXPECT_EQ(device.asked, 2);  // once in vain
  allocator.free(again);
}

TEST_F(CachingAllocatorTest, ASearchLeavesTheBinsOfOtherStreamsAsTheyAre) {
  allocator.free(allocator.allocate(4096, first));
  allocator.free(allocator.allocate(8192, second));
  const size_t before = allocator.searches();
  allocator.free(allocator.allocate(4096, first));
  EXPECT_EQ(allocator.searches(), before);
}

TEST_F(CachingAllocatorTest, ALoadersBlocksDoNotDisturbTheLoops) {
  // A loader takes two blocks a batch for its stream, which the loop's stream uses and frees; the loop takes many of its own, of sizes that come
  // again, and some that do not.
  constexpr int kBatches = 200, kOwn = 20;
  void* const loader = reinterpret_cast<void*>(0x5000);  // always the same: bins depend on it
  std::set<char*> places;
  auto batch = [&](int number) {
    Block* loaded[2] = {allocator.allocate(3 << 20, loader), allocator.allocate(4096, loader)};
    for (Block* b : loaded) places.insert(b->data), allocator.used_on(b, first);
    for (Block* b : loaded) allocator.free(b);  // the loop has asked for its work with them, which is not done yet
    std::vector<Block*> own;
    for (int i = 0; i < kOwn; ++i) own.push_back(allocator.allocate(size_t(1 + i) * 100'000, first));
    for (Block* b : own) allocator.free(b);
    allocator.free(allocator.allocate(size_t(number + 1) * 512, first));
    for (auto& [event, done] : device.events) done = true;  // by the time of the next batch
  };
  for (int i = 0; i < 5; ++i) batch(i);
  const size_t before = allocator.searches();
  const int asked = device.asked, questions = device.questions;
  for (int i = 5; i < kBatches; ++i) batch(i);
  const double searches = double(allocator.searches() - before) / (kBatches - 5);
  EXPECT_EQ(places.size(), 2u);  // the loader's blocks come again
  RecordProperty("searches_a_batch", std::to_string(searches));
  EXPECT_LE(searches, 3.5);                                     // the loader's two, and the size that is new
  EXPECT_EQ(device.questions - questions, 2 * (kBatches - 5));  // one for each block that the loop has used
  EXPECT_EQ(device.asked, asked);
}

TEST(BlocksAlone, StayWhileFrozen) {
  MadeUp device;
  CachingAllocator allocator(device, "other:0", BlockLayout::alone);
  Block* b = allocator.allocate(20, nullptr);
  allocator.freeze(true);
  allocator.free(b);
  EXPECT_EQ(device.pieces.size(), 1u);
  EXPECT_EQ(allocator.stats().in_use, 0u);
  allocator.freeze(false);
  EXPECT_EQ(device.taken, 0u);
}
