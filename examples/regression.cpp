// A noisy sine from 512 points: a dataset of tensors, a loader, Adam with a falling rate, and a part that is held back to see how well
// the curve is known where there was nothing to learn from.
//
//   regression --device cuda
#include "options.h"

using namespace gradus;

int run(Device device) {
  manual_seed(0);
  Generator noise = Generator::named("noise");
  Tensor<float> x = rand<float>({512, 1}) * 6 - 3;
  Tensor<float> y = sin(2 * x) + 0.1 * randn<float>({512, 1}, noise);

  auto parts = data::random_split(data::TensorDataset(x, y), {448, 64});
  data::DataLoader train(parts[0], {.batch_size = 32, .shuffle = true, .prefetch_to = device});
  data::DataLoader held_back(parts[1], {.batch_size = 64, .prefetch_to = device});

  nn::Sequential net(nn::Linear(1, 64), nn::Tanh(), nn::Linear(64, 64), nn::Tanh(), nn::Linear(64, 1));
  net.to(device);
  optim::Adam optimizer(net.parameters(), {.lr = 1e-2});
  double error = 0;
  for (int epoch = 1; epoch <= 100; ++epoch) {
    if (epoch == 60) optimizer.set_lr(1e-3);
    metrics::MeanMetric train_loss, test_loss;
    for (auto [x, y] : train) {
      Tensor<float> loss = mse_loss(net(x), y);
      optimizer.zero_grad();
      loss.backward();
      optimizer.step();
      train_loss.update(loss.item(), double(x.size(0)));
    }
    NoGrad no_grad;
    for (auto [x, y] : held_back) test_loss.update(mse_loss(net(x), y).item(), double(x.size(0)));
    error = test_loss.compute();
    if (epoch % 20 == 0) std::printf("epoch %3d  mean square error %.4f, held back %.4f\n", epoch, train_loss.compute(), error);
  }
  std::printf("the noise alone makes 0.0100\n");
  return error < 0.02 ? 0 : 1;
}

int main(int argc, char** argv) {
  return run_example("regression", [&] {
    std::string device = "cpu";
    read_options("regression", argc, argv, "[--device cpu|cuda]", {{"--device", device}});
    return run(device_or_cpu(device));
  });
}
