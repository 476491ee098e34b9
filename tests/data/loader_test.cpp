// The loader's promises: the same batches for any number of workers, errors that arrive, loops that may be left.
#include <atomic>
#include <set>
#include <stdexcept>

#include "tests/check.h"

using namespace gradus;
using gradus::testing::message_of;

namespace {

struct Numbers {
  int64_t count = 10;
  int64_t size() const { return count; }
  int64_t get(int64_t i) const { return i; }
};

struct Noisy {
  int64_t count = 23;
  int64_t size() const { return count; }
  std::pair<double, int64_t> get(int64_t i, Generator& g) const { return {g.uniform(), i}; }
};

template <class Loader> std::vector<std::vector<int64_t>> epoch_of(Loader& loader) {
  std::vector<std::vector<int64_t>> batches;
  for (auto& x : loader) batches.push_back(x.vector());
  return batches;
}

}  // namespace

TEST(DataLoader, CutsBatchesInOrder) {
  for (int workers : {0, 1, 3}) {
    data::DataLoader loader(Numbers{}, {.batch_size = 4, .workers = workers});
    EXPECT_EQ(loader.size(), 3);
    EXPECT_EQ(epoch_of(loader), (std::vector<std::vector<int64_t>>{{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9}}));
    data::DataLoader whole(Numbers{}, {.batch_size = 4, .workers = workers, .drop_last = true});
    EXPECT_EQ(whole.size(), 2);
    EXPECT_EQ(epoch_of(whole), (std::vector<std::vector<int64_t>>{{0, 1, 2, 3}, {4, 5, 6, 7}}));
  }
}

TEST(DataLoader, ShufflesAnewInEveryEpochAndAgainForTheSameSeed) {
  data::DataLoader a(Numbers{100}, {.batch_size = 100, .shuffle = true, .seed = 1}),
      b(Numbers{100}, {.batch_size = 100, .shuffle = true, .workers = 2, .seed = 1}),
      c(Numbers{100}, {.batch_size = 100, .shuffle = true, .seed = 2});
  const auto first = epoch_of(a), second = epoch_of(a);
  EXPECT_EQ(std::set<int64_t>(first[0].begin(), first[0].end()).size(), 100u);
  EXPECT_NE(first, second);
  EXPECT_EQ(epoch_of(b), first);
  EXPECT_EQ(epoch_of(b), second);
  EXPECT_NE(epoch_of(c), first);
}

TEST(DataLoader, EveryPlaceIsEquallyLikelyForASample) {
  data::DataLoader loader(Numbers{5}, {.batch_size = 5, .shuffle = true, .seed = 1});
  int counts[5][5] = {};
  for (int epoch = 0; epoch < 2000; ++epoch) {
    auto batch = epoch_of(loader)[0];
    for (int place = 0; place < 5; ++place) ++counts[place][batch[size_t(place)]];
  }
  for (auto& row : counts)
    for (int n : row) EXPECT_NEAR(n, 400, 90);  // five standard deviations
}

TEST(DataLoader, TheProgramsSeedDecidesWhereNoneIsGiven) {
  auto order = [](uint64_t seed) {
    manual_seed(seed);
    data::DataLoader loader(Numbers{50}, {.batch_size = 50, .shuffle = true});
    return epoch_of(loader);
  };
  EXPECT_EQ(order(1), order(1));
  EXPECT_NE(order(1), order(2));
}

TEST(DataLoader, AugmentationsDoNotDependOnWorkers) {
  auto epochs = [](int workers) {
    data::DataLoader loader(Noisy{}, {.batch_size = 4, .shuffle = true, .workers = workers, .seed = 7});
    std::vector<double> drawn;
    for (int epoch = 0; epoch < 2; ++epoch)
      for (auto& [noise, i] : loader)
        for (double x : noise.vector()) drawn.push_back(x);
    return drawn;
  };
  const auto alone = epochs(0);
  EXPECT_EQ(std::set<double>(alone.begin(), alone.end()).size(), 46u);  // every sample of every epoch draws its own
  EXPECT_EQ(epochs(1), alone);
  EXPECT_EQ(epochs(4), alone);
}

TEST(DataLoader, InMemoryDatasetsGatherTheSameBatches) {
  Tensor<float> x(gradus::testing::draw({37, 3, 2}, -1, 1, 5, DType::float32));
  auto batches = [&](int workers) {
    data::DataLoader loader(data::TensorDataset{x}, {.batch_size = 8, .shuffle = true, .workers = workers, .seed = 3});
    std::vector<float> all;
    for (auto& [rows] : loader)
      for (float v : rows.vector()) all.push_back(v);
    return all;
  };
  data::DataLoader slow(data::map(data::TensorDataset(x), [](auto sample) { return sample; }),
                        {.batch_size = 8, .shuffle = true, .seed = 3});
  std::vector<float> all;
  for (auto& [rows] : slow)
    for (float v : rows.vector()) all.push_back(v);
  EXPECT_EQ(batches(0), all);
  EXPECT_EQ(batches(2), all);
}

TEST(DataLoader, GoesOnWhereARunStopped) {
  data::DataLoader loader(Numbers{40}, {.batch_size = 4, .shuffle = true, .seed = 9}),
      later(Numbers{40}, {.batch_size = 4, .shuffle = true, .workers = 2, .seed = 9});
  epoch_of(loader);
  auto second = epoch_of(loader);
  EXPECT_EQ(loader.epoch(), 2u);
  later.resume(1, 6);
  auto rest = epoch_of(later);
  second.erase(second.begin(), second.begin() + 6);
  EXPECT_EQ(rest, second);
  EXPECT_EQ(epoch_of(later), epoch_of(loader));  // the third epoch, whole
  later.resume(0, 11);
  EXPECT_EQ(message_of<ValueError>([&] { epoch_of(later); }), "DataLoader: resume at batch 11, but an epoch has 10");
}

TEST(DataLoader, TakesACollateFunction) {
  data::DataLoader loader(Numbers{5}, {.batch_size = 2, .workers = 1}, [](std::vector<int64_t> samples) {
    int64_t sum = 0;
    for (int64_t x : samples) sum += x;
    return sum;
  });
  std::vector<int64_t> sums;
  for (int64_t sum : loader) sums.push_back(sum);
  EXPECT_EQ(sums, (std::vector<int64_t>{1, 5, 4}));
}

TEST(DataLoader, ErrorsArriveInTheirPlace) {
  struct Broken : Numbers {
    int64_t get(int64_t i) const {
      if (i == 5) throw std::out_of_range("sample 5 is broken");
      return i;
    }
  };
  for (int workers : {0, 1, 4}) {
    data::DataLoader loader(Broken{{20}}, {.batch_size = 2, .workers = workers});
    int seen = 0;
    try {
      for (auto& x : loader) seen += int(x.numel());
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::out_of_range& e) {
      EXPECT_STREQ(e.what(), "sample 5 is broken");
    }
    EXPECT_EQ(seen, 4);
    auto at = loader.begin();  // by hand: after an error there are no more batches
    ++at;
    EXPECT_THROW(++at, std::out_of_range);
    EXPECT_TRUE(at == loader.end());
    ++at;
    EXPECT_TRUE(at == loader.end());
  }
}

TEST(DataLoader, ALoopMayBeLeftAndTwoMayRunAtOnce) {
  data::DataLoader loader(Numbers{1000}, {.batch_size = 1, .workers = 3});
  for (int round = 0; round < 20; ++round)
    for (auto& x : loader)
      if (x.vector()[0] == round) break;
  int pairs = 0;
  for (auto& a : loader) {
    for (auto& b : loader) {
      EXPECT_EQ(b.vector()[0], pairs % 3);
      if (++pairs % 3 == 0) break;
    }
    if (a.vector()[0] == 4) break;
  }
  EXPECT_EQ(pairs, 15);
}

TEST(DataLoader, WorkersDoNotRunAheadOfTheirBound) {
  struct Counting : Numbers {
    std::shared_ptr<std::atomic<int64_t>> made = std::make_shared<std::atomic<int64_t>>(0);
    int64_t get(int64_t i) const { return ++*made, i; }
  };
  Counting dataset{{1000}};
  auto made = dataset.made;
  data::DataLoader loader(dataset, {.batch_size = 1, .workers = 2, .prefetch = 3});
  int64_t taken = 0, most = 0;
  for (auto& x : loader) {
    ++taken;
    most = std::max(most, made->load() - taken);
    if (x.vector()[0] == 200) break;
  }
  EXPECT_LE(most, 6);
  EXPECT_LE(made->load(), 201 + 6);
}

TEST(DataLoader, BatchesHaveNoGraph) {
  Tensor<float> weight = Tensor<float>{2}.requires_grad_();
  auto dataset = data::map(Numbers{}, [weight](int64_t i) { return weight * float(i); });
  for (int workers : {0, 1}) {
    data::DataLoader loader(dataset, {.batch_size = 5, .workers = workers});
    for (auto& x : loader) EXPECT_FALSE(x.requires_grad());
  }
  EXPECT_TRUE(is_grad_enabled());
}

TEST(DataLoader, AnEmptyDatasetHasNoBatches) {
  data::DataLoader loader(Numbers{0}, {.batch_size = 4, .shuffle = true, .workers = 2});
  EXPECT_EQ(loader.size(), 0);
  for (auto& x : loader) FAIL() << x.numel();
}

TEST(DataLoader, RefusesOptionsThatMakeNoSense) {
  auto refused = [](const data::LoaderOptions& options) {
    return message_of<ValueError>([&] { data::DataLoader loader(Numbers{}, options); });
  };
  EXPECT_EQ(refused({.batch_size = 0}), "DataLoader: batch_size is 0; at least 1 is needed");
  EXPECT_EQ(refused({.workers = -1}), "DataLoader: workers is -1; 0 makes batches in the loop's own thread");
  EXPECT_EQ(refused({.prefetch = 0}), "DataLoader: prefetch is 0; at least 1 is needed");
  EXPECT_EQ(message_of<ValueError>([] { data::DataLoader loader(Numbers{-1}); }), "DataLoader: the dataset has -1 samples");
}
