// A GPT-2 learns a text, byte by byte, and then writes some of its own. Without arguments it is the network of 124M parameters; a small
// one learns Shakespeare's manner on a CPU in minutes:
//
//   gpt2 --data shakespeare.txt --layers 4 --heads 4 --width 128 --context 64 --vocabulary 256 --batch 12 --steps 2000 --lr 1e-3
//   gpt2 --random --batch 32 --device cuda --precision bfloat16       # for its speed alone
#include <chrono>
#include <cmath>
#include <fstream>
#include <iterator>

#include "options.h"

using namespace gradus;

struct Options {
  std::string data, prompt = "\n", save, device = "cpu", precision = "float";
  bool random = false, capture = false;
  int layers = 12, heads = 12, width = 768, context = 1024, vocabulary = 50304, batch = 8, steps = 100, warmup = 10, log = 10;
  int seed = 0, threads = 0, sample = 500, top_k = 40;
  double lr = 6e-4, weight_decay = 0.1, clip = 1, temperature = 0.8;
};

struct Attention : nn::Module {
  nn::Linear c_attn, c_proj;
  int64_t heads;
  GRADUS_MEMBERS(c_attn, c_proj)

  Attention(int64_t width, int64_t heads) : c_attn(width, 3 * width), c_proj(width, width), heads(heads) {}
  template <class T> Tensor<T> forward(const Tensor<T>& x) {
    const auto [n, t, width] = sizes<3>(x);
    Tensor<T> qkv = c_attn(x).view({n, t, 3, heads, width / heads}).permute({2, 0, 3, 1, 4});  // (3, n, heads, t, width / heads)
    Tensor<T> y = scaled_dot_product_attention(qkv.select(0, 0), qkv.select(0, 1), qkv.select(0, 2), {.is_causal = true});
    return c_proj(y.transpose(1, 2).reshape({n, t, width}));
  }
};

struct Block : nn::Module {
  nn::LayerNorm ln_1, ln_2;
  Attention attn;
  nn::FeedForward mlp;
  GRADUS_MEMBERS(ln_1, attn, ln_2, mlp)

  Block(int64_t width, int64_t heads) : ln_1(width), ln_2(width), attn(width, heads), mlp(width, 4 * width) {}
  template <class T> Tensor<T> forward(const Tensor<T>& x) {
    auto [sum, y] = ln_2.add(attn(ln_1(x)), x);  // x + attn(ln_1(x)), and its norm
    return sum + mlp(y);
  }
};

/// Radford et al.: Language models are unsupervised multitask learners (2019). The table of tokens serves at the end once more.
struct Gpt2 : nn::Module {
  nn::Embedding wte, wpe;
  nn::ModuleList<Block> h;
  nn::LayerNorm ln_f;
  GRADUS_MEMBERS(wte, wpe, h, ln_f)

  explicit Gpt2(const Options& o) : wte(o.vocabulary, o.width), wpe(o.context, o.width), ln_f(o.width) {
    for (int i = 0; i < o.layers; ++i) h.emplace_back(o.width, o.heads);
    NoGrad no_grad;
    for (auto& [name, p] : named_parameters()) {
      const double of_residual = name.ends_with("c_proj.weight") ? 1 / std::sqrt(2.0 * o.layers) : 1;
      if (p.dim() == 2) nn::init::normal_(p, 0, 0.02 * of_residual);
      if (name.ends_with("bias")) p.zero_();
    }
  }
  /// (n, t) to logits (n, t, vocabulary), or (n, 1, vocabulary) for what follows the last token alone.
  template <class T> Tensor<T> forward(const Tensor<int64_t>& tokens, bool last_only = false) {
    const int64_t t = tokens.size(1);
    Tensor<T> x = wte.forward<T>(tokens) + wpe.forward<T>(arange(t, tokens.device()));
    for (Block& block : h) x = block(x);
    if (last_only) x = x.narrow(1, t - 1, 1);
    return linear(ln_f(x), wte.weight.as<T>());
  }
};

/// Every stretch of `context` tokens, and the same one token later.
struct Windows {
  Tensor<int64_t> tokens;
  int64_t context;
  int64_t size() const { return tokens.numel() - context; }
  std::pair<Tensor<int64_t>, Tensor<int64_t>> get(int64_t i) const {
    return {tokens.narrow(0, i, context), tokens.narrow(0, i + 1, context)};
  }
};

Tensor<int64_t> read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file || text.empty()) throw IoError("there is no text in '" + path + "'; give a file with --data, or --random");
  return Tensor<uint8_t>(std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size())).to<int64_t>();
}

/// Goes on from the prompt: of the top_k likeliest tokens, each with its probability; the likeliest one where the temperature is 0.
template <class T> void write_text(Gpt2& net, const Options& o, Device device) {
  NoGrad no_grad;
  Generator g(uint64_t(o.seed));
  std::vector<int64_t> tokens;
  for (char c : o.prompt) tokens.push_back(uint8_t(c));
  for (int i = 0; i < o.sample; ++i) {
    const size_t seen = std::min(tokens.size(), size_t(o.context));
    Tensor<int64_t> ids(std::span<const int64_t>(tokens).last(seen), {1, int64_t(seen)});
    Tensor<float> logits = net.forward<T>(ids.to(device), true).template to<float>().to(kCPU).reshape({-1});
    auto [values, indices] = topk(logits, o.temperature == 0 ? 1
                                          : o.top_k == 0     ? logits.numel()
                                                             : std::min<int64_t>(o.top_k, logits.numel()));
    Tensor<int64_t> pick = multinomial(softmax(values / std::max(o.temperature, 1e-6), 0), 1, false, g);
    tokens.push_back(indices(pick).item());
    std::putchar(tokens.back() < 256 ? int(tokens.back()) : '?');
  }
  std::putchar('\n');
}

/// With activations of type T.
template <class T> void run(const Options& o) {
  manual_seed(uint64_t(o.seed));
  if (o.threads) set_num_threads(o.threads);
  const Device device = device_or_cpu(o.device);

  Tensor<int64_t> tokens = o.random ? randint(0, o.vocabulary, {1 << 20}) : read_bytes(o.data);
  const int64_t learned = tokens.numel() * 9 / 10;  // the rest is held back
  if (tokens.numel() - learned <= o.context || o.vocabulary < 256)
    throw ValueError("a context of " + std::to_string(o.context) + " and a vocabulary of " + std::to_string(o.vocabulary) +
                     " do not go with " + std::to_string(tokens.numel()) + " bytes of text");
  data::DataLoader train(Windows{tokens.narrow(0, 0, learned), o.context},
                         {.batch_size = o.batch, .shuffle = true, .workers = 1, .drop_last = true, .prefetch_to = device});
  data::DataLoader held_back(Windows{tokens.narrow(0, learned, tokens.numel() - learned), o.context},
                             {.batch_size = o.batch, .shuffle = true, .prefetch_to = device});

  Gpt2 net(o);
  net.to(device);
  std::vector<AnyTensor> matrices, others;
  for (const AnyTensor& p : net.parameters()) (p.dim() >= 2 ? matrices : others).push_back(p);
  optim::AdamW optimizer({{matrices, {.lr = o.lr, .betas = {0.9, 0.95}, .weight_decay = o.weight_decay}},
                          {others, {.lr = o.lr, .betas = {0.9, 0.95}, .weight_decay = 0}}});
  optim::LambdaLR schedule(optimizer, [&](int64_t step) {  // up in a line, then down to a tenth along a cosine
    if (step < o.warmup) return double(step + 1) / (o.warmup + 1);
    return 0.55 + 0.45 * std::cos(M_PI * double(step - o.warmup) / std::max(1, o.steps - o.warmup));
  });
  optim::GradScaler scaler({.enabled = std::is_same_v<T, half>});
  auto loss_of = [&](const Tensor<int64_t>& x, const Tensor<int64_t>& y) {
    Tensor<T> logits = net.forward<T>(x);
    logits = logits.flatten(0, 1);
    return cross_entropy<float>(std::move(logits), y.flatten());  // which may keep their gradient in their place
  };
  auto learn = [&](const Tensor<int64_t>& x, const Tensor<int64_t>& y) {
    Tensor<float> loss = loss_of(x, y);
    optimizer.zero_grad();
    scaler.scale(loss).backward();
    scaler.unscale_(optimizer);
    if (o.clip > 0) optim::clip_grad_norm_(net.parameters(), o.clip);
    scaler.step(optimizer);
    scaler.update();
    return loss;
  };
  auto captured = capture(learn, device);  // a GPU records it once and is then told with one call; not with a scaler
  std::printf("%d tokens, %.1f M parameters, activations of %s\n", int(tokens.numel()), double(net.num_parameters()) * 1e-6,
              name(dtype_of<T>));

  using Clock = std::chrono::steady_clock;
  auto start = Clock::now();
  int step = 0, timed = 0;
  while (step < o.steps)
    for (auto [x, y] : train) {
      Tensor<float> loss = o.capture ? captured(x, y) : learn(x, y);
      schedule.step();
      ++step, ++timed;
      if (step == 1 || step % o.log == 0 || step == o.steps) {
        const float value = loss.item();  // waits for the device
        const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
        std::printf("step %5d  loss %.4f  %.0f tokens/s\n", step, double(value), double(timed) * o.batch * o.context / seconds);
        std::fflush(stdout);
        start = Clock::now(), timed = 0;
      }
      if (step == o.steps) break;
    }

  metrics::MeanMetric loss;
  int batches = 0;
  for (auto [x, y] : held_back) {
    NoGrad no_grad;
    loss.update(loss_of(x, y).item());
    if (++batches == 20) break;
  }
  if (!o.save.empty()) save(net, o.save);
  if (!o.random) write_text<T>(net, o, device);
  std::printf("held-back loss: %.4f\n", loss.compute());
}

int main(int argc, char** argv) {
  return run_example("gpt2", [&] {
    Options o;
    read_options("gpt2", argc, argv,
                 "--data FILE | --random  [--layers N] [--heads N] [--width N] [--context N] [--vocabulary N] [--batch N]\n"
                 "     [--steps N] [--lr X] [--warmup N] [--weight-decay X] [--clip X] [--log N] [--seed N] [--threads N]\n"
                 "     [--device cpu|cuda] [--capture] [--precision float|bfloat16|half] [--save FILE]\n"
                 "     [--sample N, bytes to write at the end] [--prompt TEXT] [--temperature X] [--top-k N, 0 for all]",
                 {{"--data", o.data},
                  {"--random", o.random},
                  {"--layers", o.layers, 1},
                  {"--heads", o.heads, 1},
                  {"--width", o.width, 1},
                  {"--context", o.context, 1},
                  {"--vocabulary", o.vocabulary, 1},
                  {"--batch", o.batch, 1},
                  {"--steps", o.steps, 1},
                  {"--lr", o.lr},
                  {"--warmup", o.warmup, 0},
                  {"--weight-decay", o.weight_decay},
                  {"--clip", o.clip},
                  {"--log", o.log, 1},
                  {"--seed", o.seed, 0},
                  {"--threads", o.threads, 1},
                  {"--device", o.device},
                  {"--capture", o.capture},
                  {"--precision", o.precision},
                  {"--save", o.save},
                  {"--sample", o.sample, 0},
                  {"--prompt", o.prompt},
                  {"--temperature", o.temperature},
                  {"--top-k", o.top_k, 0}});
    if (o.width % o.heads)
      throw ValueError("--width " + std::to_string(o.width) + " is not a multiple of --heads " + std::to_string(o.heads));
    if (o.prompt.empty()) throw ValueError("--prompt is empty; one byte is needed to go on from");
    with_precision(o.precision, [&]<class T>() { run<T>(o); });
    return 0;
  });
}
