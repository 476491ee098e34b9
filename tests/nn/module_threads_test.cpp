// One module, several threads: what the comment at the top of module.h allows.
#include <thread>

#include "tests/check.h"

namespace gradus {
namespace {

using testing::draw;
using testing::values;

struct Dense : nn::Module {
  nn::Parameter weight{draw({4, 3}, -1, 1, 1, DType::float32)}, bias{draw({4}, -1, 1, 2, DType::float32)};
  GRADUS_MEMBERS(weight, bias)
  template <class T> Tensor<T> forward(const Tensor<T>& x) { return linear(x, weight.as<T>(), bias.as<T>()); }
};

template <class F> void in_threads(int count, F f) {
  std::vector<std::thread> threads;
  for (int t = 0; t < count; ++t) threads.emplace_back([&f, t] { f(t); });
  for (auto& t : threads) t.join();
}

TEST(ModuleThreads, ForwardInSeveralThreads) {
  Dense dense;
  dense.eval();
  Tensor<float> x(draw({5, 3}, -1, 1, 3, DType::float32));
  auto run = [&] {
    NoGrad no_grad;
    return values(dense(x.to<bfloat16>()));
  };
  Dense copy = dense;
  std::vector<double> expected = values(copy(x.to<bfloat16>()).detach());
  std::atomic<int> wrong{0};
  in_threads(4, [&](int) {  // the first to come makes the cast that the others read
    for (int i = 0; i < 100; ++i) wrong += run() != expected;
  });
  EXPECT_EQ(wrong, 0);
}

TEST(ModuleThreads, BackwardOfGraphsOfTheirOwn) {
  Dense dense;
  Tensor<float> x(draw({5, 3}, -1, 1, 3, DType::float32));
  in_threads(4, [&](int) {
    for (int i = 0; i < 10; ++i) sum(dense(x.to<bfloat16>())).backward();
  });
  EXPECT_EQ(values(dense.bias.grad()), std::vector<double>(4, 200.0));  // 4 threads, 10 times, 5 rows
}

TEST(ModuleThreads, NetworksOfTheirOwn) {
  std::atomic<int> wrong{0};
  in_threads(4, [&](int) {
    for (int i = 0; i < 20; ++i) {
      std::vector<Dense> nets(3);
      wrong += nets[2].parameters().size() != 2;
    }
  });
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace gradus
