// Training steps of four nets: time, memory, and losses from given weights. compare.py runs it beside the peer's program.
//   train_bench CASE [--threads N] [--losses N [--dump FILE] [--double]]
// CASE: mlp convnet resnet gpt. With --losses it prints the loss of each step, without dropout, in float or double from the same
// weights and inputs, which --dump writes to a file (as float).
#include <cstdlib>
#include <fstream>
#include <string>

#include "benchmarks/bench.h"
#include "benchmarks/nets.h"

using namespace bench;

namespace {

struct Arguments {
  std::string name = "mlp";
  const char* dump = nullptr;
  int threads = 2, losses = 0;
  bool exact = false;  // in double
};

template <class T, class Net> Tensor<T> guess(Net& net, const Tensor<float>& x) { return net.forward(x.to<T>()); }
template <class T, class Net> Tensor<T> guess(Net& net, const Tensor<int64_t>& ids) { return net.template forward<T>(ids); }

template <class T, class Net, class Optimizer>
double step(Net& net, Optimizer& optimizer, const auto& x, const Tensor<int64_t>& y) {
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
