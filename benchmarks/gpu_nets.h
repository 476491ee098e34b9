// The larger nets that are timed on a GPU, the same as the peer's; the smaller ones are in nets.h.
#pragma once
#include "benchmarks/nets.h"

namespace bench {

/// 1 x 1, 3 x 3, 1 x 1, with four times as many channels at the end.
struct Bottleneck : nn::Module {
  nn::Conv2d conv1, conv2, conv3;
  nn::BatchNorm2d bn1, bn2, bn3;
  std::optional<nn::Sequential> downsample;
  Bottleneck(int64_t in, int64_t width, int64_t stride)
      : conv1({.in = in, .out = width, .kernel = 1, .bias = false}),
        conv2({.in = width, .out = width, .kernel = 3, .stride = stride, .padding = 1, .bias = false}),
        conv3({.in = width, .out = 4 * width, .kernel = 1, .bias = false}),
        bn1(width),
        bn2(width),
        bn3(4 * width) {
    if (stride > 1 || in != 4 * width)
      downsample.emplace(nn::Conv2d({.in = in, .out = 4 * width, .kernel = 1, .stride = stride, .bias = false}),
                         nn::BatchNorm2d(4 * width));
  }
  GRADUS_MEMBERS(conv1, bn1, conv2, bn2, conv3, bn3, downsample)
  template <class T> Tensor<T> forward(const Tensor<T>& x) {
    Tensor<T> y = conv3(bn2.relu(conv2(bn1.relu(conv1(x)))));
    return bn3.relu(y, downsample ? (*downsample)(x) : x);
  }
};

/// For images of 224 x 224.
struct ResNet50 : nn::Module {
  nn::Conv2d conv1{{.in = 3, .out = 64, .kernel = 7, .stride = 2, .padding = 3, .bias = false}};
  nn::BatchNorm2d bn1{64};
  std::vector<Bottleneck> blocks;
  nn::Linear fc{2048, 1000};
  ResNet50() {
    const int64_t depth[] = {3, 4, 6, 3};
    for (int64_t stage = 0, in = 64; stage < 4; ++stage)
      for (int64_t i = 0; i < depth[stage]; ++i, in = int64_t{256} << stage)
        blocks.emplace_back(in, int64_t{64} << stage, stage > 0 && i == 0 ? 2 : 1);
  }
  GRADUS_MEMBERS(conv1, bn1, blocks, fc)
  template <class T> Tensor<T> forward(Tensor<T> x) {
    x = max_pool2d(bn1.relu(conv1(x)), {.kernel = 3, .stride = 2, .padding = 1});
    for (Bottleneck& block : blocks) x = block(x);
    return fc(flatten(adaptive_avg_pool2d(x, 1), 1));
  }
};

struct Gpt2Size {
  int64_t vocabulary = 50304, context = 1024, width = 768, layers = 12, heads = 12;
};

struct Gpt2Block : nn::Module {
  nn::LayerNorm ln1, ln2;
  nn::Linear qkv, proj;
  nn::FeedForward mlp;
  int64_t heads;
  explicit Gpt2Block(const Gpt2Size& s)
      : ln1(s.width), ln2(s.width), qkv(s.width, 3 * s.width), proj(s.width, s.width), mlp(s.width, 4 * s.width), heads(s.heads) {}
  GRADUS_MEMBERS(ln1, qkv, proj, ln2, mlp)
  template <class T> Tensor<T> attend(const Tensor<T>& x) {
    const int64_t n = x.size(0), t = x.size(1), width = x.size(2);
    Tensor<T> parts = qkv(x).view({n, t, 3, heads, width / heads}).permute({2, 0, 3, 1, 4});
    Tensor<T> a = scaled_dot_product_attention(parts.select(0, 0), parts.select(0, 1), parts.select(0, 2), {.is_causal = true});
    return proj(a.transpose(1, 2).reshape({n, t, width}));
  }
  /// The residual stream and its norm by ln1 go on to the stream behind the block and its norm by `next`.
  template <class T> void forward(Tensor<T>& x, Tensor<T>& y, const nn::LayerNorm& next) {
    std::tie(x, y) = ln2.add(attend(y), x);
    std::tie(x, y) = next.add(mlp(y), x);
  }
};

/// 124M parameters unless another size is given.
struct Gpt2 : nn::Module {
  nn::Embedding tokens, positions;
  std::vector<Gpt2Block> blocks;
  nn::LayerNorm ln;
  explicit Gpt2(const Gpt2Size& s = {})
      : tokens(s.vocabulary, s.width), positions(s.context, s.width), blocks(size_t(s.layers), Gpt2Block(s)), ln(s.width) {}
  GRADUS_MEMBERS(tokens, positions, blocks, ln)
  template <class T> Tensor<T> forward(const Tensor<int64_t>& ids) {
    Tensor<T> x = tokens.forward<T>(ids) + positions.forward<T>(arange(ids.size(1), ids.device()));
    Tensor<T> y = blocks[0].ln1(x);
    for (size_t i = 0; i < blocks.size(); ++i) blocks[i].forward(x, y, i + 1 < blocks.size() ? blocks[i + 1].ln1 : ln);
    return linear(y, tokens.weight.as<T>()).flatten(0, 1);
  }
};

}  // namespace bench
