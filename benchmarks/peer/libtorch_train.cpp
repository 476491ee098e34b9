// The peer's side of train_bench and overhead_bench: the same nets, data and steps in libtorch's C++ front end.
//   libtorch_train CASE [--threads N] [--load FILE --losses N]
// CASE: mlp convnet resnet gpt overhead. With --load it takes the weights and inputs that train_bench wrote and prints the loss of
// each step, without dropout; else it prints the median time of a step and the peak memory. Built and run by compare.py.
#include <torch/torch.h>

#include <cstring>
#include <fstream>

#include "../bench.h"

namespace nn = torch::nn;
using torch::Tensor;

namespace {

bool dropout_on = true;

struct Mlp : nn::Module {
  nn::Linear fc1{784, 512}, fc2{512, 512}, fc3{512, 10};
  Mlp() { register_module("fc1", fc1), register_module("fc2", fc2), register_module("fc3", fc3); }
  Tensor forward(Tensor x) { return fc3(torch::relu(fc2(torch::relu(fc1(x))))); }
};

struct ConvNet : nn::Module {
  nn::Conv2d conv1{nn::Conv2dOptions(1, 32, 3)}, conv2{nn::Conv2dOptions(32, 64, 3)};
  nn::Linear fc1{9216, 128}, fc2{128, 10};
  ConvNet() {
    register_module("conv1", conv1), register_module("conv2", conv2), register_module("fc1", fc1), register_module("fc2", fc2);
  }
  Tensor forward(Tensor x) {
    x = torch::max_pool2d(torch::relu(conv2(torch::relu(conv1(x)))), 2);
    x = torch::dropout(x, 0.25, dropout_on).flatten(1);
    return fc2(torch::dropout(torch::relu(fc1(x)), 0.5, dropout_on));
  }
};

nn::Conv2d conv(int in, int out, int kernel, int stride) {
  return nn::Conv2d(nn::Conv2dOptions(in, out, kernel).stride(stride).padding(kernel / 2).bias(false));
}

struct ResidualImpl : nn::Module {
  nn::Conv2d conv1{nullptr}, conv2{nullptr}, shortcut{nullptr};
  nn::BatchNorm2d bn1{nullptr}, bn2{nullptr}, bn3{nullptr};
  ResidualImpl(int in, int out, int stride) {
    conv1 = register_module("conv1", conv(in, out, 3, stride)), bn1 = register_module("bn1", nn::BatchNorm2d(out));
    conv2 = register_module("conv2", conv(out, out, 3, 1)), bn2 = register_module("bn2", nn::BatchNorm2d(out));
    if (stride == 1 && in == out) return;
    shortcut = register_module("shortcut", conv(in, out, 1, stride)), bn3 = register_module("bn3", nn::BatchNorm2d(out));
  }
  Tensor forward(Tensor x) {
    Tensor y = bn2(conv2(torch::relu(bn1(conv1(x)))));
    return torch::relu(y + (shortcut ? bn3(shortcut(x)) : x));
  }
};
TORCH_MODULE(Residual);

struct ResNet18 : nn::Module {
  nn::Conv2d stem = conv(3, 64, 3, 1);
  nn::BatchNorm2d bn{64};
  nn::Sequential blocks;
  nn::Linear fc{512, 10};
  ResNet18() {
    register_module("stem", stem), register_module("bn", bn);
    for (int stage = 0, in = 64; stage < 4; ++stage) {
      for (int i = 0; i < 2; ++i) blocks->push_back(Residual(in, 64 << stage, stage > 0 && i == 0 ? 2 : 1)), in = 64 << stage;
    }
    register_module("blocks", blocks), register_module("fc", fc);
  }
  Tensor forward(Tensor x) {
    x = blocks->forward(torch::relu(bn(stem(x))));
    return fc(torch::adaptive_avg_pool2d(x, {1, 1}).flatten(1));
  }
};

constexpr int64_t kWidth = 128, kHeads = 4, kContext = 128, kVocabulary = 65, kBatch = 16;

struct BlockImpl : nn::Module {
  nn::LayerNorm ln1{nn::LayerNormOptions({kWidth})}, ln2{nn::LayerNormOptions({kWidth})};
  nn::Linear qkv{kWidth, 3 * kWidth}, proj{kWidth, kWidth}, up{kWidth, 4 * kWidth}, down{4 * kWidth, kWidth};
  Tensor mask = torch::ones({kContext, kContext}, torch::kBool).triu(1);
  BlockImpl() {
    register_module("ln1", ln1), register_module("qkv", qkv), register_module("proj", proj);
    register_module("ln2", ln2), register_module("up", up), register_module("down", down);
  }
  Tensor forward(Tensor x) {
    const int64_t n = x.size(0), t = x.size(1), head = kWidth / kHeads;
    auto parts = qkv(ln1(x)).view({n, t, 3, kHeads, head}).permute({2, 0, 3, 1, 4}).unbind(0);
    Tensor scores = torch::matmul(parts[0], parts[1].transpose(-2, -1)) / std::sqrt(double(head));
    Tensor a = torch::matmul(torch::softmax(scores.masked_fill(mask, -INFINITY), -1), parts[2]);
    x = x + proj(a.transpose(1, 2).reshape({n, t, kWidth}));
    return x + down(torch::gelu(up(ln2(x))));
  }
};
TORCH_MODULE(Block);

struct Gpt : nn::Module {
  nn::Embedding tokens{kVocabulary, kWidth}, positions{kContext, kWidth};
  nn::Sequential blocks;
  nn::LayerNorm ln{nn::LayerNormOptions({kWidth})};
  nn::Linear head{kWidth, kVocabulary};
  Gpt() {
    register_module("tokens", tokens), register_module("positions", positions);
    for (int i = 0; i < 4; ++i) blocks->push_back(Block());
    register_module("blocks", blocks), register_module("ln", ln), register_module("head", head);
  }
  Tensor forward(Tensor ids) {
    Tensor x = tokens(ids) + positions(torch::arange(ids.size(1)));
    return head(ln(blocks->forward(x))).view({-1, kVocabulary});
  }
};

template <class Net> struct Job {
  const char* name;
  Net net;
  Tensor x, y;

  void load(const std::string& path) {
    torch::NoGradGuard no_grad;
    std::ifstream file(path, std::ios::binary);
    auto read = [&](Tensor t) {
      if (!file.read(static_cast<char*>(t.data_ptr()), std::streamsize(t.nbytes())))
        throw std::runtime_error(path + " is too short");
    };
    for (Tensor& p : net.parameters()) read(p.data());
    read(x), read(y);
    if (file.peek() != EOF) throw std::runtime_error(path + " is too long");
  }
  template <class Optimizer> double step(Optimizer& optimizer) {
    optimizer.zero_grad();
    Tensor loss = torch::cross_entropy_loss(net.forward(x), y);
    loss.backward();
    optimizer.step();
    return loss.template item<float>();
  }
  template <class Optimizer> void run(Optimizer optimizer, const char* path, int losses) {
    if (path) {
      dropout_on = false;
      load(path);
      for (int i = 0; i < losses; ++i) printf("{\"case\": \"%s_loss\", \"step\": %d, \"value\": %.9g}\n", name, i, step(optimizer));
      return;
    }
    bench::train(name, [&] { step(optimizer); });
  }
};

void overhead() {
  auto report = [](const char* what, auto f, double per = 1) { bench::print(what, bench::seconds(f) / per * 1e9, "ns"); };
  Tensor a = torch::ones({16}), b = torch::ones({16}), p = torch::ones({16}).requires_grad_(),
         q = torch::ones({16}).requires_grad_();
  report("add_16", [&] { torch::add(a, b); });
  report("add_16_graph", [&] { torch::add(p, q); });
  auto chain = [&](Tensor z, const Tensor& y) {
    for (int i = 0; i < 100; ++i) z = z + y;
    return z;
  };
  report(
      "chain_forward_per_op", [&] { chain(a, b); }, 100);
  report(
      "chain_graph_per_op", [&] { chain(p, b); }, 100);
  report(
      "chain_forward_backward_per_op",
      [&] {
        p.mutable_grad() = Tensor();
        chain(p, b).backward(a);
      },
      100);
  Tensor m = torch::ones({8, 8}), n = torch::ones({8, 8});
  report("mm_8x8", [&] { torch::mm(m, n); });
  Mlp net;
  torch::optim::SGD optimizer(net.parameters(), 0.01);
  Tensor x = torch::randn({1, 784}), y = torch::randint(10, {1});
  report("mlp_batch1_step", [&] {
    optimizer.zero_grad();
    torch::cross_entropy_loss(net.forward(x), y).backward();
    optimizer.step();
  });
}

}  // namespace

int main(int argc, char** argv) {
  std::string name = argc > 1 ? argv[1] : "mlp";
  const char* path = nullptr;
  int threads = 2, losses = 20;
  for (int i = 2; i + 1 < argc; i += 2) {
    if (!std::strcmp(argv[i], "--threads")) threads = std::atoi(argv[i + 1]);
    if (!std::strcmp(argv[i], "--load")) path = argv[i + 1];
    if (!std::strcmp(argv[i], "--losses")) losses = std::atoi(argv[i + 1]);
  }
  torch::set_num_threads(threads);
  torch::manual_seed(0);
  auto classes = [](int64_t n, int64_t of) { return torch::randint(of, {n}); };
  using namespace torch::optim;
  if (name == "mlp") {
    Job<Mlp> job{"mlp", {}, torch::randn({64, 784}), classes(64, 10)};
    job.run(SGD(job.net.parameters(), 0.01), path, losses);
  } else if (name == "convnet") {
    Job<ConvNet> job{"convnet", {}, torch::randn({64, 1, 28, 28}), classes(64, 10)};
    job.run(Adam(job.net.parameters(), 1e-3), path, losses);
  } else if (name == "resnet") {
    Job<ResNet18> job{"resnet", {}, torch::randn({32, 3, 32, 32}), classes(32, 10)};
    job.run(SGD(job.net.parameters(), SGDOptions(0.01).momentum(0.9).weight_decay(5e-4)), path, losses);
  } else if (name == "gpt") {
    Job<Gpt> job{"gpt", {}, torch::randint(kVocabulary, {kBatch, kContext}), classes(kBatch * kContext, kVocabulary)};
    job.run(AdamW(job.net.parameters(), 3e-4), path, losses);
  } else {
    overhead();
  }
}
