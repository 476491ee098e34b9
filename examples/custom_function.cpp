// An op of one's own: its forward, its gradient, and a check of that gradient against differences.
//
// The op rounds to quarters. Its true gradient is zero almost everywhere, with which nothing can be learned; the gradient given here
// passes through as if nothing had been rounded, within [-1, 1] (a straight-through estimator), so that a number can be learned that
// is right after rounding.
//
//   custom_function --device cuda
#include <cmath>

#include "options.h"

using namespace gradus;

int run(Device device) {
  auto to_quarters = custom_function(
      "to_quarters",
      [](FunctionContext& context, const std::vector<AnyTensor>& in) {
        context.save({in[0]});
        return std::vector{round(clamp(in[0], -1, 1) * 4) / 4};
      },
      [](FunctionContext& context, const std::vector<AnyTensor>& g) {
        AnyTensor x = context.saved()[0];
        return std::vector{where(abs(x) <= 1, g[0], zeros_like(g[0]))};
      });

  Tensor<float> target = Tensor<float>{0.5, -0.25, 1}.to(device);
  Tensor<float> w = zeros<float>({3}).to(device).requires_grad_();
  optim::SGD optimizer({w}, {.lr = 0.2});
  for (int step = 0; step < 50; ++step) {
    AnyTensor loss = mean(square(to_quarters({w})[0] - target));
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
  }
  for (int i = 0; i < 3; ++i)
    std::printf("%7.4f, rounded %5.2f, wanted %5.2f\n", w[i].item(), to_quarters({w})[0][i].item(), target[i].item());

  // A smooth one, whose gradient can be checked, and differentiated again: it is written with ops.
  auto cube = custom_function(
      "cube",
      [](FunctionContext& context, const std::vector<AnyTensor>& in) {
        context.save({in[0]});
        return std::vector{in[0] * in[0] * in[0]};
      },
      [](FunctionContext& context, const std::vector<AnyTensor>& g) {
        AnyTensor x = context.saved()[0];
        return std::vector{g[0] * x * x * 3};
      });
  Tensor<double> x = Tensor<double>{1.5}.to(device).requires_grad_();
  AnyTensor slope = grad({cube({x})[0]}, {x}, {}, {.create_graph = true})[0];
  AnyTensor bend = grad({slope}, {x})[0];
  const double step = 1e-5, difference = (cube({x + step})[0].item() - cube({x - step})[0].item()) / (2 * step);
  std::printf("x^3 at 1.5: slope %.4f (by differences %.4f), bend %.4f\n", slope.item(), difference, bend.item());

  const bool right =
      to_quarters({w})[0].to(DType::float64).sum().item() == 1.25 && std::abs(slope.item() - difference) < 1e-6 && bend.item() == 9;
  return right ? 0 : 1;
}

int main(int argc, char** argv) {
  return run_example("custom_function", [&] {
    std::string device = "cpu";
    read_options("custom_function", argc, argv, "[--device cpu|cuda]", {{"--device", device}});
    return run(device_or_cpu(device));
  });
}
