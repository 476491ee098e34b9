// Training steps of four nets: time, memory, and losses from given weights. compare.py runs it beside the peer's program.
//   train_bench CASE [--threads N] [--dump FILE --losses N]
// CASE: mlp convnet resnet gpt. With --dump it writes the weights and inputs and prints the loss of each step, without dropout.
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
  Tensor<float> forward(const Tensor<float>& x) { return fc3(relu(fc2(relu(fc1(x))))); }
};

struct ConvNet : nn::Module {
  nn::Conv2d conv1{{.in = 1, .out = 32, .kernel = 3}}, conv2{{.in = 32, .out = 64, .kernel = 3}};
  nn::Linear fc1{9216, 128}, fc2{128, 10};
  nn::Dropout drop1{0.25}, drop2{0.5};
  GRADUS_MEMBERS(conv1, conv2, fc1, fc2, drop1, drop2)
  Tensor<float> forward(Tensor<float> x) {
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
  Tensor<float> forward(const Tensor<float>& x) {
    Tensor<float> y = bn2(conv2(relu(bn1(conv1(x)))));
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
  Tensor<float> forward(Tensor<float> x) {
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
  Tensor<float> forward(Tensor<float> x) {
    const int64_t n = x.size(0), t = x.size(1);
    Tensor<float> parts = qkv(ln1(x)).view({n, t, 3, kHeads, kWidth / kHeads}).permute({2, 0, 3, 1, 4});
    Tensor<float> a = scaled_dot_product_attention(parts.select(0, 0), parts.select(0, 1), parts.select(0, 2), {.is_causal = true});
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
  Tensor<float> forward(const Tensor<int64_t>& ids) {
    Tensor<float> x = tokens(ids) + positions(arange<int64_t>(ids.size(1)));
    for (Block& block : blocks) x = block(x);
    return head(ln(x)).view({-1, kVocabulary});
  }
};

struct Arguments {
  const char* dump = nullptr;
  int threads = 2, losses = 20;
};

template <class Net, class Optimizer, class X>
void run(const char* name, Net& net, Optimizer&& optimizer, const X& x, const Tensor<int64_t>& y, const Arguments& a) {
  auto step = [&] {
    Tensor<float> loss = cross_entropy(net(x), y);
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
    return loss.item();
  };
  if (!a.dump) return bench::train(name, step);
  for (auto& child : net.modules())
    if (auto* dropout = dynamic_cast<nn::Dropout*>(child.module)) dropout->eval();
  std::ofstream file(a.dump, std::ios::binary);
  auto write = [&](const AnyTensor& t) {
    file.write(static_cast<const char*>(t.raw_data()), t.numel() * int64_t(item_size(t.dtype())));
  };
  for (const AnyTensor& p : net.parameters()) write(p.contiguous());
  write(x), write(y);
  file.close();
  for (int i = 0; i < a.losses; ++i) std::printf("{\"case\": \"%s_loss\", \"step\": %d, \"value\": %.9g}\n", name, i, step());
}

}  // namespace

int main(int argc, char** argv) {
  std::string name = argc > 1 ? argv[1] : "mlp";
  Arguments a;
  for (int i = 2; i + 1 < argc; i += 2) {
    if (!std::strcmp(argv[i], "--threads")) a.threads = std::atoi(argv[i + 1]);
    if (!std::strcmp(argv[i], "--dump")) a.dump = argv[i + 1];
    if (!std::strcmp(argv[i], "--losses")) a.losses = std::atoi(argv[i + 1]);
  }
  set_num_threads(a.threads);
  manual_seed(0);
  auto classes = [](int64_t n, int64_t of) { return randint<int64_t>(0, of, {n}); };
  if (name == "mlp") {
    Mlp net;
    run("mlp", net, optim::SGD(net.parameters(), {.lr = 0.01}), randn<float>({64, 784}), classes(64, 10), a);
  } else if (name == "convnet") {
    ConvNet net;
    run("convnet", net, optim::Adam(net.parameters(), {.lr = 1e-3}), randn<float>({64, 1, 28, 28}), classes(64, 10), a);
  } else if (name == "resnet") {
    ResNet18 net;
    run("resnet", net, optim::SGD(net.parameters(), {.lr = 0.01, .momentum = 0.9, .weight_decay = 5e-4}),
        randn<float>({32, 3, 32, 32}), classes(32, 10), a);
  } else if (name == "gpt") {
    Gpt net;
    run("gpt", net, optim::AdamW(net.parameters(), {.lr = 3e-4}), randint<int64_t>(0, kVocabulary, {kBatch, kContext}),
        classes(kBatch * kContext, kVocabulary), a);
  } else {
    std::fprintf(stderr, "train_bench: there is no case '%s'; choose mlp, convnet, resnet or gpt\n", name.c_str());
    return 2;
  }
}
