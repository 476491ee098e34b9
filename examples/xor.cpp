// Exclusive or, which no single layer can learn: two layers, four points, plain gradient descent.
//
//   xor --device cuda
#include "options.h"

using namespace gradus;

struct Net : nn::Module {
  nn::Linear hidden{2, 8}, output{8, 1};
  GRADUS_MEMBERS(hidden, output)

  template <class T> Tensor<T> forward(Tensor<T> x) { return output(tanh(hidden(x))); }  // logits
};

int run(Device device) {
  manual_seed(1);
  Tensor<float> x = Tensor<float>{{0, 0}, {0, 1}, {1, 0}, {1, 1}}.to(device);
  Tensor<float> y = Tensor<float>{{0}, {1}, {1}, {0}}.to(device);

  Net net;
  net.to(device);
  optim::SGD optimizer(net.parameters(), {.lr = 0.5, .momentum = 0.9});
  for (int step = 0; step <= 200; ++step) {
    Tensor<float> loss = binary_cross_entropy_with_logits(net(x), y);
    if (step % 50 == 0) std::printf("step %3d  loss %.6f\n", step, loss.item());
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
  }

  NoGrad no_grad;
  Tensor<float> p = sigmoid(net(x));
  bool learned = true;
  for (int i = 0; i < 4; ++i) {
    std::printf("%.0f xor %.0f = %.3f\n", x(i, 0).item(), x(i, 1).item(), p(i, 0).item());
    learned = learned && (p(i, 0).item() > 0.5f) == (y(i, 0).item() > 0.5f);
  }
  return learned ? 0 : 1;
}

int main(int argc, char** argv) {
  return run_example("xor", [&] {
    std::string device = "cpu";
    read_options("xor", argc, argv, "[--device cpu|cuda]", {{"--device", device}});
    return run(device_or_cpu(device));
  });
}
