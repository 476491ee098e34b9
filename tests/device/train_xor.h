// A small network that learns "exclusive or" on any device.
#pragma once
#include "gradus/gradus.h"

namespace gradus::testing {

/// The loss after at most 300 steps; it is below 0.01 where every kernel on the way is right.
inline double train_xor(Device device) {
  manual_seed(1);
  nn::Sequential net(nn::Linear(2, 16), nn::Tanh(), nn::Linear(16, 1));
  net.to(device);
  for (const AnyTensor& p : net.parameters())
    if (p.device() != device) return INFINITY;
  optim::Adam optimizer(net.parameters(), {.lr = 0.05});
  Tensor<float> x = Tensor<float>({{0, 0}, {0, 1}, {1, 0}, {1, 1}}).to(device), y = Tensor<float>({{0}, {1}, {1}, {0}}).to(device);
  double loss = 1;
  for (int i = 0; i < 300 && loss > 0.01; ++i) {
    Tensor<float> error = mse_loss(net(x), y);
    optimizer.zero_grad();
    error.backward();
    optimizer.step();
    loss = error.item();
  }
  synchronize(device);
  return loss;
}

}  // namespace gradus::testing
