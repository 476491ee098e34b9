// What docs/threads.md promises about tensors, graphs, generators and memory. Run under the thread sanitizer by CI.
#include <atomic>
#include <set>
#include <thread>

#include "tests/check.h"

using namespace gradus;
using gradus::testing::draw;

namespace {

/// Runs f(0) ... f(n - 1) on threads of their own, which all begin together.
template <class F> void together(int n, F f) {
  std::atomic<int> missing = n;
  std::vector<std::thread> threads;
  for (int i = 0; i < n; ++i)
    threads.emplace_back([&, i] {
      --missing;
      while (missing > 0) std::this_thread::yield();
      f(i);
    });
  for (std::thread& t : threads) t.join();
}

}  // namespace

TEST(Threads, GraphsOverSharedLeavesGatherTheirGradients) {
  constexpr int kThreads = 4, kRounds = 50;
  AnyTensor w = draw({8, 8}, -1, 1, 1).requires_grad_(), b = draw({8}, -1, 1, 2).requires_grad_();
  auto loss = [&](int i) { return sum(tanh(w * double(i + 1) + b)); };
  std::vector<AnyTensor> alone;
  for (int i = 0; i < kThreads; ++i) alone.push_back(grad({loss(i)}, {w})[0]);
  together(kThreads, [&](int i) {
    for (int round = 0; round < kRounds; ++round) loss(i).backward();
  });
  AnyTensor expected = (alone[0] + alone[1] + alone[2] + alone[3]) * double(kRounds);
  EXPECT_LT(gradus::testing::distance(w.grad(), expected), 1e-12);  // sums in another order
  EXPECT_TRUE(b.grad());
}

TEST(Threads, GradOfSharedLeavesIsEachThreadsOwn) {
  AnyTensor w = draw({8, 8}, -1, 1, 1).requires_grad_();
  auto slope = [&](int i) { return grad({sum(exp(w * double(i)))}, {w})[0]; };
  std::vector<AnyTensor> alone, got(4);
  for (int i = 0; i < 4; ++i) alone.push_back(slope(i));
  together(4, [&](int i) {
    for (int round = 0; round < 50; ++round) got[size_t(i)] = slope(i);
  });
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(gradus::testing::distance(got[i], alone[i]), 0);
  EXPECT_FALSE(w.grad());
}

TEST(Threads, ModesBelongToTheirThread) {
  AnyTensor w = draw({4}).requires_grad_();
  together(4, [&](int i) {
    NoGrad off(i % 2 == 0);
    for (int round = 0; round < 100; ++round) ASSERT_EQ((w * 2).requires_grad(), i % 2 == 1);
  });
  EXPECT_TRUE(is_grad_enabled());
}

TEST(Threads, GeneratorsGiveEveryDrawAStretchOfItsOwn) {
  constexpr int kThreads = 4, kDraws = 500;
  Generator shared(1), alone(1);
  std::vector<std::vector<uint64_t>> drawn(kThreads);
  together(kThreads, [&](int i) {
    for (int k = 0; k < kDraws; ++k) drawn[size_t(i)].push_back(shared.bits());
  });
  std::multiset<uint64_t> got, expected;
  for (auto& some : drawn) got.insert(some.begin(), some.end());
  for (int k = 0; k < kThreads * kDraws; ++k) expected.insert(alone.bits());
  EXPECT_EQ(got, expected);

  std::vector<AnyTensor> tensors(kThreads);
  together(kThreads, [&](int i) { tensors[size_t(i)] = rand({1000}); });  // from the default generator
  for (int i = 1; i < kThreads; ++i) EXPECT_NE(gradus::testing::distance(tensors[0], tensors[size_t(i)]), 0);
  together(kThreads, [&](int i) { Generator::named(i % 2 ? "odd" : "even").bits(); });
  EXPECT_EQ(Generator::named("odd").state().offset, 2u);
}

TEST(Threads, TensorsMayBeMadeInOneThreadAndFreedInAnother) {
  constexpr int kThreads = 4;
  std::vector<std::vector<AnyTensor>> made(kThreads);
  for (int round = 0; round < 10; ++round) {
    together(kThreads, [&](int i) {
      for (int64_t n = 1; n < 200000; n *= 3) made[size_t(i)].push_back(full({n}, i, DType::float32));
    });
    together(kThreads, [&](int i) {
      for (AnyTensor& x : made[size_t((i + 1) % kThreads)]) ASSERT_NEAR(mean(x).item(), (i + 1) % kThreads, 1e-5);
      made[size_t((i + 1) % kThreads)].clear();
    });
  }
}

TEST(Threads, HandlesOnOneTensorMayBeCopiedAndDropped) {
  AnyTensor x = draw({16});
  together(4, [&](int) {
    for (int round = 0; round < 2000; ++round) {
      AnyTensor copy = x, view = x.narrow(0, 4, 8);
      ASSERT_EQ(view.numel(), 8);
    }
  });
  EXPECT_TRUE(x.ref().unique());
}

TEST(Threads, EachThreadHasItsNumberOfThreads) {
  const int before = get_num_threads();
  together(2, [&](int i) {
    ThreadLimit limit(1);
    EXPECT_EQ(get_num_threads(), 1) << i;
  });
  EXPECT_EQ(get_num_threads(), before);
}

TEST(Threads, AGradientKeptAsVectorsIsMultipliedOutOnce) {
  for (int round = 0; round < 20; ++round) {
    AnyTensor w = draw({128, 160}, -1, 1, 1).requires_grad_(), x = draw({1, 160}), g = draw({1, 128});
    linear(x, w).backward(g);
    AnyTensor seen[4];
    together(4, [&](int i) { seen[i] = w.grad(); });
    for (AnyTensor& s : seen) EXPECT_TRUE(s.is_same(w.grad()));
    EXPECT_TRUE(equal(w.grad(), mm(g.t(), x)));
  }
}
