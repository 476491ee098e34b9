// Training steps of four nets: time, memory, and losses from given weights. compare.py runs it beside the peer's program.
//   train_bench CASE [--threads N] [--losses N [--dump FILE] [--double]]
// CASE: mlp convnet resnet gpt. With --losses it prints the loss of each step, without dropout, in float or double from the same
// weights and inputs, which --dump writes to a file (as float).
#include <cmath>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>

#include "benchmarks/bench.h"
#include "gradus/gradus.h"

using namespace gradus;

namespace {

struct Mlp : nn::Module {
  nn::Linear fc1{784, 512}, fc2{512, 512}, fc3{512, 10};
  GRADUS_MEMBERS(fc1, fc2, fc3)
  template <class T> Tensor<T> forward(const Tensor<T>& x) { return fc3(relu(fc2(relu(fc1(x))))); }
};

struct ConvNet : nn::Module {
  nn::Conv2d conv1{{.in = 1, .out = 32, .kernel = 3}}, conv2{{.in = 32, .out = 64, .kernel = 3}};
  nn::Linear fc1{9216, 128}, fc2{128, 10};
  nn::Dropout drop1{0.25}, drop2{0.5};
  GRADUS_MEMBERS(conv1, conv2, fc1, fc2, drop1, drop2)
  template <class T> Tensor<T> forward(Tensor<T> x) {
    x = max_pool2d(relu(conv2(relu(conv1(x)))), {.kernel = 2});
    x = drop2(relu(fc1(flatten(drop1(x), 1))));
    return fc2(x);
  }
};

struct Residual : nn::Module {
  nn::Conv2d conv1, conv2;
  nn::BatchNorm2d bn1, bn2;
  std::optional<nn::Conv2d> shortcut;
  std::optional<nn::BatchNorm2d> bn3;
  Residual(int in, int out, int stride)
      : conv1({.in = in, .out = out, .kernel = 3, .stride = stride, .padding = 1, .bias = false}),
        conv2({.in = out, .out = out, .kernel = 3, .padding = 1, .bias = false}),
        bn1(out),
        bn2(out) {
    if (stride == 1 && in == out) return;
    shortcut.emplace(nn::Conv2d({.in = in, .out = out, .kernel = 1, .stride = stride, .bias = false}));
    bn3.emplace(out);
  }
  GRADUS_MEMBERS(conv1, bn1, conv2, bn2, shortcut, bn3)
  template <class T> Tensor<T> forward(const Tensor<T>& x) {
    Tensor<T> y = bn2(conv2(relu(bn1(conv1(x)))));
    return relu(y + (shortcut ? (*bn3)((*shortcut)(x)) : x));
  }
};

struct ResNet18 : nn::Module {
  nn::Conv2d stem{{.in = 3, .out = 64, .kernel = 3, .padding = 1, .bias = false}};
  nn::BatchNorm2d bn{64};
  std::vector<Residual> blocks;
  nn::Linear fc{512, 10};
  ResNet18() {
    for (int stage = 0, in = 64; stage < 4; ++stage) {
      for (int i = 0; i < 2; ++i) blocks.emplace_back(in, 64 << stage, stage > 0 && i == 0 ? 2 : 1), in = 64 << stage;
    }
  }
  GRADUS_MEMBERS(stem, bn, blocks, fc)
  template <class T> Tensor<T> forward(Tensor<T> x) {
    x = relu(bn(stem(x)));
    for (Residual& block : blocks) x = block(x);
    return fc(flatten(adaptive_avg_pool2d(x, 1), 1));
  }
};

constexpr int64_t kWidth = 128, kHeads = 4, kContext = 128, kVocabulary = 65, kBatch = 16;

struct Block : nn::Module {
  nn::LayerNorm ln1{kWidth}, ln2{kWidth};
  nn::Linear qkv{kWidth, 3 * kWidth}, proj{kWidth, kWidth}, up{kWidth, 4 * kWidth}, down{4 * kWidth, kWidth};
  GRADUS_MEMBERS(ln1, qkv, proj, ln2, up, down)
  template <class T> Tensor<T> forward(Tensor<T> x) {
    const int64_t n = x.size(0), t = x.size(1);
    Tensor<T> parts = qkv(ln1(x)).view({n, t, 3, kHeads, kWidth / kHeads}).permute({2, 0, 3, 1, 4});
    Tensor<T> a = scaled_dot_product_attention(parts.select(0, 0), parts.select(0, 1), parts.select(0, 2), {.is_causal = true});
    x = x + proj(a.transpose(1, 2).reshape({n, t, kWidth}));
    return x + down(gelu(up(ln2(x))));
  }
};

struct Gpt : nn::Module {
  nn::Embedding tokens{kVocabulary, kWidth}, positions{kContext, kWidth};
  std::vector<Block> blocks = std::vector<Block>(4);
  nn::LayerNorm ln{kWidth};
  nn::Linear head{kWidth, kVocabulary};
  GRADUS_MEMBERS(tokens, positions, blocks, ln, head)
  template <class T> Tensor<T> forward(const Tensor<int64_t>& ids) {
    Tensor<T> x = tokens.forward<T>(ids) + positions.forward<T>(arange<int64_t>(ids.size(1)));
    for (Block& block : blocks) x = block(x);
    return head(ln(x)).view({-1, kVocabulary});
  }
};

struct Arguments {
  std::string name = "mlp";
  const char* dump = nullptr;
  int threads = 2, losses = 0;
  bool exact = false;  // in double
};

template <class T, class Net> Tensor<T> guess(Net& net, const Tensor<float>& x) { return net.forward(x.to<T>()); }
template <class T, class Net> Tensor<T> guess(Net& net, const Tensor<int64_t>& ids) { return net.template forward<T>(ids); }

template <class T, class Net, class Optimizer> double step(Net& net, Optimizer& optimizer, const auto& x, const Tensor<int64_t>& y) {
  Tensor<T> loss = cross_entropy(guess<T>(net, x), y);
  optimizer.zero_grad();
  loss.backward();
  optimizer.step();
  return double(loss.item());
}

template <class Optimizer, class Net> void run(Net net, auto options, const auto& x, const Tensor<int64_t>& y, const Arguments& a) {
  if (a.dump) {
    std::ofstream file(a.dump, std::ios::binary);
    auto write = [&](const AnyTensor& t) {
      file.write(static_cast<const char*>(t.raw_data()), t.numel() * int64_t(item_size(t.dtype())));
    };
    for (const AnyTensor& p : net.parameters()) write(p.contiguous());
    write(x), write(y);
  }
  if (a.exact) net.to(DType::float64);
  Optimizer optimizer(net.parameters(), options);
  auto train = [&] { return a.exact ? step<double>(net, optimizer, x, y) : step<float>(net, optimizer, x, y); };
  if (!a.losses) return bench::train(a.name.c_str(), train);
  for (auto& child : net.modules())
    if (auto* dropout = dynamic_cast<nn::Dropout*>(child.module)) dropout->eval();
  for (int i = 0; i < a.losses; ++i)
    std::printf("{\"case\": \"%s_loss\", \"step\": %d, \"value\": %.9g}\n", a.name.c_str(), i, train());
}

}  // namespace

int main(int argc, char** argv) {
  Arguments a;
  for (int i = 1; i < argc; ++i) {
    auto value = [&] { return i + 1 < argc ? argv[++i] : ""; };
    if (std::string word = argv[i]; word == "--threads")
      a.threads = std::atoi(value());
    else if (word == "--dump")
      a.dump = value();
    else if (word == "--losses")
      a.losses = std::atoi(value());
    else if (word == "--double")
      a.exact = true;
    else
      a.name = word;
  }
  set_num_threads(a.threads);
  manual_seed(0);
  auto classes = [](int64_t n, int64_t of) { return randint<int64_t>(0, of, {n}); };
  if (a.name == "mlp") {
    run<optim::SGD>(Mlp(), optim::SGDOptions{.lr = 0.01}, randn<float>({64, 784}), classes(64, 10), a);
  } else if (a.name == "convnet") {
    run<optim::Adam>(ConvNet(), optim::AdamOptions{.lr = 1e-3}, randn<float>({64, 1, 28, 28}), classes(64, 10), a);
  } else if (a.name == "resnet") {
    run<optim::SGD>(ResNet18(), optim::SGDOptions{.lr = 0.01, .momentum = 0.9, .weight_decay = 5e-4}, randn<float>({32, 3, 32, 32}),
                    classes(32, 10), a);
  } else if (a.name == "gpt") {
    run<optim::AdamW>(Gpt(), optim::AdamWOptions{.lr = 3e-4}, randint<int64_t>(0, kVocabulary, {kBatch, kContext}),
                      classes(kBatch * kContext, kVocabulary), a);
  } else {
    std::fprintf(stderr, "train_bench: there is no case '%s'; choose mlp, convnet, resnet or gpt\n", a.name.c_str());
    return 2;
  }
}
