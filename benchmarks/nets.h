// The nets that are timed, the same as the peer's.
#pragma once
#include <optional>
#include <vector>

#include "gradus/gradus.h"

namespace bench {

using namespace gradus;

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
    Tensor<T> y = conv2(bn1.relu(conv1(x)));
    return bn2.relu(y, shortcut ? (*bn3)((*shortcut)(x)) : x);
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
    x = bn.relu(stem(x));
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

}  // namespace bench
