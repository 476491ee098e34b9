// Networks as docs/modules.md writes them, trained for a few steps: the loss falls, one seed gives one result, and a run that stops and
// resumes ends in the same bits as one that never stopped.
#include <unistd.h>

#include <filesystem>

#include "tests/check.h"

namespace gradus {
namespace {

using testing::values;

struct Net : nn::Module {
  nn::Conv2d conv{{.in = 1, .out = 4, .kernel = 3}};
  nn::BatchNorm2d norm{4};
  nn::Linear head{4 * 6 * 6, 3};
  GRADUS_MEMBERS(conv, norm, head)

  template <class T> Tensor<T> forward(const Tensor<T>& x) { return head(flatten(relu(norm(conv(x))), 1)); }
};

struct Scale : nn::Module {
  nn::Parameter factor{ones<float>({128})};
  GRADUS_MEMBERS(factor)
  template <class T> Tensor<T> forward(const Tensor<T>& x) { return x * factor.as<T>(); }
};

struct Data {
  Tensor<float> x = randn<float>({16, 1, 8, 8});
  Tensor<int64_t> y = randint<int64_t>(0, 3, {16});
};

template <class T = float> double step(Net& net, optim::Optimizer& optimizer, const Data& data) {
  Tensor<float> loss = cross_entropy(net(data.x.to<T>()).template to<float>(), data.y);
  optimizer.zero_grad();
  loss.backward();
  optim::clip_grad_norm_(net.parameters(), 1.0);
  optimizer.step();
  return loss.item();
}

DEVICE_TEST(Training, TheLossFalls) {
  manual_seed(1);
  Data data;
  Net net;
  optim::AdamW optimizer(net.parameters(), {.lr = 1e-2});
  double first = step(net, optimizer, data), last = first;
  for (int i = 0; i < 30; ++i) last = step(net, optimizer, data);
  EXPECT_LT(last, 0.2 * first);
  net.eval();
  NoGrad no_grad;
  EXPECT_LT(cross_entropy(net(data.x), data.y).item(), 0.5 * first);
}

DEVICE_TEST(Training, InBfloat16OverFloatWeights) {
  manual_seed(1);
  Data data;
  Net net;
  optim::AdamW optimizer(net.parameters(), {.lr = 1e-2});
  double first = step<bfloat16>(net, optimizer, data), last = first;
  for (int i = 0; i < 30; ++i) last = step<bfloat16>(net, optimizer, data);
  EXPECT_LT(last, 0.3 * first);
  for (const AnyTensor& p : net.parameters()) EXPECT_EQ(p.dtype(), DType::float32);
}

DEVICE_TEST(Training, OneSeedOneResult) {
  auto run = [] {
    manual_seed(7);
    Data data;
    Net net;
    optim::SGD optimizer(net.parameters(), {.lr = 0.1, .momentum = 0.9});
    for (int i = 0; i < 5; ++i) step(net, optimizer, data);
    return values(net.head.weight);
  };
  EXPECT_EQ(run(), run());
}

DEVICE_TEST(Training, ARunThatStopsAndResumes) {
  std::filesystem::path folder = std::filesystem::temp_directory_path() / ("gradus-training-" + std::to_string(getpid()));
  std::filesystem::create_directory(folder);
  manual_seed(3);
  Data data;
  Net net;
  optim::Adam optimizer(net.parameters(), {.lr = 1e-2});
  for (int i = 0; i < 3; ++i) step(net, optimizer, data);
  save(net, folder / "net.safetensors", {{"epoch", "3"}});
  save(optimizer, folder / "optimizer.safetensors");
  Net again;
  optim::Adam resumed(again.parameters(), {.lr = 1e-2});
  load(again, folder / "net.safetensors");
  load(resumed, folder / "optimizer.safetensors");
  std::filesystem::remove_all(folder);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(step(net, optimizer, data), step(again, resumed, data));
  NamedTensors a = net.state(), b = again.state();
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(values(a[i].tensor), values(b[i].tensor)) << a[i].name;
}

DEVICE_TEST(Training, GroupsAndOwnParameters) {
  Scale scale;
  nn::Linear fc(128, 1);
  optim::AdamW optimizer({{.parameters = {fc.weight}, .options = {.weight_decay = 0.1}}, {.parameters = {fc.bias, scale.factor}}});
  optim::CosineAnnealingLR scheduler(optimizer, {.T_max = 10});
  Tensor<float> x = randn<float>({4, 128});
  mean(fc(scale(x))).backward();
  optimizer.step();
  scheduler.step();
  EXPECT_LT(optimizer.lr(), 1e-3);
  EXPECT_NE(values(scale.factor), std::vector<double>(128, 1.0));
}

}  // namespace
}  // namespace gradus
