// Loaders among threads: their own workers, several loaders over one dataset, and modules that serve several threads.
#include <thread>

#include "tests/check.h"

using namespace gradus;
using gradus::testing::draw;

namespace {

Tensor<float> rows() { return Tensor<float>(draw({64, 16}, -1, 1, 3, DType::float32)); }

double sum_of(data::DataLoader<data::TensorDataset<float>>& loader) {
  double total = 0;
  for (auto& [x] : loader) total += x.sum().item();
  return total;
}

struct Net : nn::Module {
  nn::Parameter weight{draw({16, 16}, -1, 1, 5, DType::float32)}, bias{draw({16}, -1, 1, 6, DType::float32)};
  GRADUS_MEMBERS(weight, bias)
  template <class T> Tensor<T> forward(const Tensor<T>& x) const { return tanh(matmul(x, weight.as<T>()) + bias.as<T>()); }
};

}  // namespace

TEST(Threads, LoadersOfSeveralThreadsShareADataset) {
  data::TensorDataset dataset(rows());
  data::DataLoader reference(dataset, {.batch_size = 8, .shuffle = true, .seed = 1});
  const double expected = sum_of(reference);
  std::vector<double> sums(3);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < sums.size(); ++i)
    threads.emplace_back([&, i] {
      data::DataLoader loader(dataset, {.batch_size = 8, .shuffle = true, .workers = int(i), .seed = 1});
      sums[i] = sum_of(loader);
    });
  for (std::thread& t : threads) t.join();
  for (double sum : sums) EXPECT_EQ(sum, expected);
}

TEST(Threads, WorkersAugmentWithOps) {
  Tensor<float> scale = Tensor<float>{2}.requires_grad_();  // shared by all workers
  auto dataset = data::map(data::TensorDataset{rows()},
                           [scale](auto sample, Generator& g) { return std::get<0>(sample) * scale + rand<float>({16}, g); });
  auto epoch = [&](int workers) {
    data::DataLoader loader(dataset, {.batch_size = 4, .workers = workers, .seed = 1});
    std::vector<float> all;
    for (auto& x : loader)
      for (float v : x.vector()) all.push_back(v);
    return all;
  };
  EXPECT_EQ(epoch(4), epoch(0));
}

TEST(Threads, ErrorsAndEarlyEndsStopWorkers) {
  auto dataset = data::map(data::TensorDataset{rows()}, [](auto sample) {
    if (std::get<0>(sample).data()[0] > 0.9f) throw ValueError("too large");
    return std::get<0>(sample);
  });
  data::DataLoader loader(dataset, {.batch_size = 2, .workers = 3});
  for (int round = 0; round < 10; ++round) {
    EXPECT_THROW(for (auto& x : loader) EXPECT_EQ(x.shape()[1], 16), ValueError);
    for (auto& x : loader) {
      EXPECT_EQ(x.shape()[1], 16);
      break;
    }
  }
}

TEST(Threads, AModuleInEvalModeServesSeveralThreads) {
  Net net;
  net.eval();
  Tensor<float> x = rows();
  NoGrad no_grad;
  const Tensor<float> expected = net(x);
  const Tensor<bfloat16> rough = net(x.to<bfloat16>());
  std::vector<std::thread> threads;
  std::vector<double> worst(4);
  for (size_t i = 0; i < worst.size(); ++i)
    threads.emplace_back([&, i] {
      NoGrad off;
      for (int round = 0; round < 20; ++round) {
        worst[i] = std::max(worst[i], gradus::testing::distance(net(x), expected));
        worst[i] = std::max(worst[i], gradus::testing::distance(net(x.to<bfloat16>()), rough));
      }
    });
  for (std::thread& t : threads) t.join();
  for (double w : worst) EXPECT_EQ(w, 0);
}

TEST(Threads, ThreadsMayMakeAndCopyModules) {
  Net shared;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int round = 0; round < 50; ++round) {
        Net mine, copy = shared;
        EXPECT_EQ(copy.parameters().size(), 2u);
      }
    });
  for (std::thread& t : threads) t.join();
}
