// GPT-2's losses while it learns a text: one JSON line a step, for compare_losses.py, which takes the peer through the same steps.
//   gpt2_losses --data FILE [--steps 200] [--batch 32] [--device cuda] [--precision bfloat16|float32] [--small] [--start FILE]
// --start writes the weights and the tokens of all steps before the first one, as the file that the peer begins from.
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

#include "benchmarks/gpu_nets.h"

using namespace bench;

namespace {

struct Options {
  std::string data, device = "cuda", start;
  int64_t steps = 200, batch = 32;
  bool small = false, half = true;
};

/// Bytes of the text, in windows that begin anywhere: (steps, batch, length + 1).
Tensor<int64_t> windows(const Options& o, int64_t length) {
  std::ifstream file(o.data, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (int64_t(text.size()) <= length + 1)
    throw Error("gpt2_losses: '" + o.data + "' has " + std::to_string(text.size()) + " bytes; a text longer than " +
                std::to_string(length + 1) + " is needed");
  Tensor<int64_t> tokens = zeros<int64_t>({o.steps, o.batch, length + 1});
  Tensor<int64_t> first = randint(0, int64_t(text.size()) - length - 1, {o.steps * o.batch});
  for (int64_t i = 0; i < first.numel(); ++i)
    for (int64_t k = 0; k <= length; ++k) tokens.data()[i * (length + 1) + k] = uint8_t(text[size_t(first.data()[i] + k)]);
  return tokens;
}

template <class T> void train(const Options& o) {
  const Device device(o.device);
  Gpt2Size size;
  if (o.small) size = {.vocabulary = 256, .context = 64, .width = 64, .layers = 2, .heads = 2};
  manual_seed(0);
  const Tensor<int64_t> tokens = windows(o, size.context);
  Gpt2 net(size);
  for (auto& [name, p] :
       net.named_parameters())  // as GPT-2 begins; the layers' own beginnings would start far from log(vocabulary)
    if (p.dim() == 2) {
      NoGrad no_grad;
      AnyTensor w = p;
      w.copy_(randn(w.shape(), DType::float32) * 0.02);
    }
  if (!o.start.empty()) {
    NamedTensors all = net.state();
    all.emplace_back("text", tokens);
    save_tensors(all, o.start);
  }
  net.to(device);
  optim::AdamW optimizer(net.parameters(), {.lr = 3e-4, .weight_decay = 0.01});
  for (int64_t i = 0; i < o.steps; ++i) {
    const Tensor<int64_t> window(tokens.select(0, i).to(device));
    const Tensor<int64_t> x(window.narrow(1, 0, size.context).contiguous()), y(window.narrow(1, 1, size.context).flatten());
    const Tensor<float> loss = cross_entropy<float>(net.template forward<T>(x), y);
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
    std::printf("{\"case\": \"gpt2_loss\", \"step\": %lld, \"value\": %.9g, \"unit\": \"nats\"}\n", static_cast<long long>(i),
                double(loss.item()));
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    auto next = [&]() -> std::string { return i + 1 < argc ? argv[++i] : ""; };
    if (word == "--data")
      o.data = next();
    else if (word == "--device")
      o.device = next();
    else if (word == "--start")
      o.start = next();
    else if (word == "--steps")
      o.steps = std::atoll(next().c_str());
    else if (word == "--batch")
      o.batch = std::atoll(next().c_str());
    else if (word == "--precision")
      o.half = next() != "float32";
    else if (word == "--small")
      o.small = true;
    else
      return std::fprintf(stderr, "gpt2_losses: what is '%s'?\n", word.c_str()), 2;
  }
  try {
    o.half ? train<bfloat16>(o) : train<float>(o);
  } catch (const DeviceError& e) {
    return std::fprintf(stderr, "gpt2_losses: %s\n", e.what()), 77;
  } catch (const std::exception& e) {
    return std::fprintf(stderr, "gpt2_losses: %s\n", e.what()), 1;
  }
  return 0;
}
