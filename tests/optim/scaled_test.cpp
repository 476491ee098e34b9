// Optimizers that look at whole parameters: one step by its formula, states that save and load, half parameters, a way down, refusals.
#include <algorithm>

#include "tests/check.h"

namespace gradus {
namespace {

using testing::distance;
using testing::draw;
using testing::message_of;

using Made = std::unique_ptr<optim::Optimizer>;
using Maker = std::function<Made(std::vector<AnyTensor>)>;
template <class O> Maker maker(typename O::Options options) {
  return [options](std::vector<AnyTensor> p) -> Made { return std::make_unique<O>(std::move(p), options); };
}
std::vector<std::pair<const char*, Maker>> all() {
  return {{"NAdamW", maker<optim::NAdamW>({.lr = 0.05})},       {"Lamb", maker<optim::Lamb>({.lr = 0.05})},
          {"Adan", maker<optim::Adan>({.lr = 0.05})},           {"AdamP", maker<optim::AdamP>({.lr = 0.05, .weight_decay = 0.01})},
          {"Adafactor", maker<optim::Adafactor>({.lr = 0.05})}, {"Muon", maker<optim::Muon>({.lr = 0.05})}};
}
AnyTensor leaf(const AnyTensor& x) { return x.clone().requires_grad_(); }
AnyTensor stepped(const Maker& make, const AnyTensor& start, const AnyTensor& g) {
  AnyTensor p = leaf(start);
  Made optimizer = make({p});
  p.set_grad(g);
  optimizer->step();
  return p.detach();
}

DEVICE_TEST(ScaledOptimizers, FirstStepsAreTheFormulas) {
  AnyTensor p = draw({3, 4}), g = draw({3, 4}, -1, 1, 5), sign_g = sign(g);
  // After one step, corrected means are g and g^2.
  EXPECT_LT(distance(stepped(maker<optim::NAdamW>({.lr = 0.1, .weight_decay = 0.5}), p, g), p * 0.95 - sign_g * 0.1 * 1.9), 1e-6);
  AnyTensor step = sign_g + p * 0.01;
  EXPECT_LT(
      distance(stepped(maker<optim::Lamb>({.lr = 0.1, .eps = 0}), p, g), p - step * (0.1 * norm(p).item() / norm(step).item())),
      1e-6);
  EXPECT_LT(distance(stepped(maker<optim::Lamb>({.lr = 0.1, .eps = 0, .weight_decay = 0}), p, g), p - sign_g * 0.1), 1e-6);
  EXPECT_LT(distance(stepped(maker<optim::Adan>({.lr = 0.1, .weight_decay = 0.5}), p, g), (p - sign_g * 0.1) / 1.05), 1e-6);
  EXPECT_LT(distance(stepped(maker<optim::Adan>({.lr = 0.1, .weight_decay = 0.5, .no_prox = true}), p, g), p * 0.95 - sign_g * 0.1),
            1e-6);
  AnyTensor rows = mean(square(g), 1, true), columns = mean(square(g), 0, true);
  step = g / sqrt(matmul(rows, columns) / mean(rows));
  step = step / std::max(1.0, norm(step).item() / std::sqrt(12));
  EXPECT_LT(distance(stepped(maker<optim::Adafactor>({.lr = 0.1}), p, g), p - step * (0.1 * norm(p).item() / std::sqrt(12))), 1e-9);
  EXPECT_LT(distance(stepped(maker<optim::Adafactor>({.lr = 0.1}), p.select(0, 0), g.select(0, 0)),
                     p.select(0, 0) - sign(g.select(0, 0)) * (0.1 * norm(p.select(0, 0)).item() / 2)),
            1e-9);
  // A gradient at right angles to the weights: what would lengthen them is taken out of the step.
  AnyTensor across = g - p * (sum(p * g, 1, true) / sum(p * p, 1, true));
  step = sign(across);
  step = step - p * (sum(p * step, 1, true) / sum(p * p, 1, true));
  EXPECT_LT(distance(stepped(maker<optim::AdamP>({.lr = 0.1}), p, across), p - step * 0.1), 1e-6);
  EXPECT_LT(distance(stepped(maker<optim::AdamP>({.lr = 0.1}), p, p), p - sign(p) * 0.1), 1e-6) << "a gradient along them stays";
  // Muon's step has singular values near 1, whatever the gradient's.
  AnyTensor moved =
      stepped(maker<optim::Muon>({.lr = 1, .weight_decay = 0}), zeros({6, 3}, DType::float64), draw({6, 3}, -1, 1, 8));
  AnyTensor s = linalg::svdvals(moved) / std::sqrt(2.0);
  EXPECT_GT(amin(s).item(), 0.6);
  EXPECT_LT(amax(s).item(), 1.3);
}

DEVICE_TEST(ScaledOptimizers, LambScalesAllGradientsTogether) {
  AnyTensor a = draw({3}), b = draw({4}, -1, 1, 5), ga = draw({3}, -5, 5, 6), gb = draw({4}, -5, 5, 7);
  const double size = std::sqrt(norm(ga).item() * norm(ga).item() + norm(gb).item() * norm(gb).item());
  auto run = [&](double limit, double scale) {
    AnyTensor p = leaf(a), q = leaf(b);
    optim::Lamb lamb({p, q}, {.lr = 0.1, .eps = 1, .max_grad_norm = limit});
    p.set_grad(ga * scale), q.set_grad(gb * scale);
    lamb.step();
    return cat({p.detach(), q.detach()});
  };
  EXPECT_LT(distance(run(1, 1), run(0, 1 / size)), 1e-12);
  EXPECT_GT(distance(run(1, 1), run(0, 1)), 1e-3);
}

DEVICE_TEST(ScaledOptimizers, GoDown) {
  AnyTensor target = draw({4, 3}, -1, 1, 9);
  for (auto& [name, make] : all()) {
    AnyTensor p = leaf(draw({4, 3}));
    Made optimizer = make({p});
    double first = 0, last = 0;
    for (int step = 0; step < 60; ++step) {
      AnyTensor loss = sum(square(p - target));
      (step ? last : first) = loss.item();
      optimizer->zero_grad();
      loss.backward();
      optimizer->step();
    }
    EXPECT_LT(last, 0.2 * first) << name;
  }
}

DEVICE_TEST(ScaledOptimizers, AStoppedRunGoesOnAsIfItHadNot) {
  for (auto& [name, make] : all()) {
    AnyTensor p = leaf(draw({4, 3})), q;
    Made optimizer = make({p}), resumed;
    for (uint64_t step = 0; step < 6; ++step) {
      if (step == 3) {
        q = leaf(p.detach());
        resumed = make({q});
        resumed->load_state(optimizer->state());
      }
      AnyTensor g = draw({4, 3}, -1, 1, 20 + step);
      p.set_grad(g);
      optimizer->step();
      if (!resumed) continue;
      q.set_grad(g);
      resumed->step();
      EXPECT_EQ(distance(q, p), 0) << name << " step " << step;
    }
  }
}

DEVICE_TEST(ScaledOptimizers, HalfParametersAndMaximizing) {
  for (auto& [name, make] : all()) {
    AnyTensor start = draw({4, 3}), half_p = leaf(start.to(DType::bfloat16)), full_p = leaf(half_p.detach().to(DType::float32));
    Made a = make({half_p}), b = make({full_p});
    for (uint64_t step = 0; step < 3; ++step) {
      AnyTensor g = draw({4, 3}, -1, 1, 20 + step).to(DType::bfloat16);
      half_p.set_grad(g), full_p.set_grad(g.to(DType::float32));
      a->step(), b->step();
    }
    EXPECT_LT(distance(half_p, full_p), 0.03) << name;  // three roundings to 8 bits
    for (const NamedTensor& t : a->state()) {
      if (t.name.find("exp_avg") != std::string::npos) {
        EXPECT_EQ(t.tensor.dtype(), DType::float32) << name << t.name;
      }
    }
  }
  AnyTensor p = draw({4, 3}), g = draw({4, 3}, -1, 1, 5);
  EXPECT_EQ(distance(stepped(maker<optim::Adan>({.maximize = true}), p, g), stepped(maker<optim::Adan>({}), p, -g)), 0);
  EXPECT_EQ(distance(stepped(maker<optim::Muon>({.maximize = true}), p, g), stepped(maker<optim::Muon>({}), p, -g)), 0);
  AnyTensor wide = stepped(maker<optim::Muon>({.match_rms_adamw = true}), p.t(), g.t());
  EXPECT_LT(distance(wide, stepped(maker<optim::Muon>({.match_rms_adamw = true}), p, g).t()), 1e-12);
}

DEVICE_TEST(ScaledOptimizers, WrongArgumentsAreNamed) {
  AnyTensor p = leaf(draw({3})), m = leaf(draw({3, 2}));
  EXPECT_EQ(message_of<ValueError>([&] { optim::Muon o({p}, {}); }),
            "Muon: a parameter has shape [3]; matrices are needed, others belong to AdamW");
  message_of<ValueError>([&] { optim::Adan o({p}, {.beta2 = 1}); });
  message_of<ValueError>([&] { optim::Lamb o({p}, {.max_grad_norm = -1}); });
  message_of<ValueError>([&] { optim::Adafactor o({p}, {.d = 0}); });
  message_of<ValueError>([&] { optim::NAdamW o({p}, {.lr = -1}); });
  optim::Adafactor a({m}, {}), b({p}, {});
  m.set_grad(draw({3, 2}));
  a.step();
  message_of<ShapeError>([&] { b.load_state(a.state()); });
}

}  // namespace
}  // namespace gradus
