// When steps are skipped and how the scale moves, against sequences worked out by hand; training in half; state; wrong calls.
#include <unistd.h>

#include <filesystem>
#include <limits>

#include "tests/check.h"

namespace gradus {
namespace {

using testing::device_of_tests;
using testing::message_of;
using testing::values;

constexpr float kInf = std::numeric_limits<float>::infinity(), kNaN = std::numeric_limits<float>::quiet_NaN();

/// One parameter of three numbers that a step of SGD moves by its gradient.
struct One {
  Tensor<float> p = Tensor<float>{1, 2, 3}.requires_grad_();
  optim::SGD optimizer{{p}, {.lr = 1}};
  /// As if backward() had been called on a scaled loss whose true gradient is g.
  void gradient(const optim::GradScaler& scaler, float g) { p.set_grad(full<float>({3}, g) * float(scaler.get_scale())); }
};

DEVICE_TEST(GradScaler, ScaleAndSkipsFollowTheRules) {
  One one;
  optim::GradScaler scaler({.init_scale = 1024, .growth_factor = 4, .backoff_factor = 0.25, .growth_interval = 3});
  struct Step {
    float gradient;  // the true one
    bool taken;
    double scale;  // after update()
  };
  const Step steps[] = {
      {1, true, 1024},     {1, true, 1024},   {1, true, 4096},                   // three in a row: grows
      {kInf, false, 1024}, {1, true, 1024},   {1, true, 1024},                   // shrinks, counts from the start
      {kNaN, false, 256},  {1, true, 256},    {1, true, 256},  {1, true, 1024},  // the two before did not count
      {-kInf, false, 256}, {kNaN, false, 64}, {1, true, 64},                     // shrinks twice
  };
  double expected = 1;
  int number = 0;
  for (const Step& step : steps) {
    one.gradient(scaler, step.gradient);
    EXPECT_EQ(scaler.step(one.optimizer), step.taken) << number;
    scaler.update();
    if (step.taken) expected -= 1;
    EXPECT_EQ(one.p.vector(), (std::vector<float>{float(expected), float(expected + 1), float(expected + 2)})) << number;
    EXPECT_EQ(scaler.get_scale(), step.scale) << number++;
  }
}

DEVICE_TEST(GradScaler, OneBadElementOfManyParametersIsFound) {
  for (float bad : {kInf, -kInf, kNaN})
    for (size_t where : {0u, 1u, 2u})
      for (int64_t place : {0, 37, 9998}) {
        std::vector<AnyTensor> parameters;
        for (int i = 0; i < 3; ++i) parameters.push_back(zeros<float>({9999}).requires_grad_());
        optim::SGD optimizer(parameters, {.lr = 1});
        for (size_t i = 0; i < 3; ++i) {
          Tensor<float> g = full<float>({9999}, 3e38f);  // the largest numbers are no infinities, and neither is their sum one here
          if (i == where) testing::put(g, place, bad);
          parameters[i].set_grad(g);
        }
        optim::GradScaler scaler({.init_scale = 2});
        EXPECT_FALSE(scaler.step(optimizer)) << bad << " " << where << " " << place;
        for (const AnyTensor& p : parameters) EXPECT_EQ(sum(abs(p)).item(), 0);
        parameters[where].set_grad(full<float>({9999}, 3e38f));
        scaler.update();
        EXPECT_TRUE(scaler.step(optimizer));
      }
}

DEVICE_TEST(GradScaler, TheScaleNeverLeavesFloat) {
  One one;
  optim::GradScaler scaler({.init_scale = 0x1p126, .growth_interval = 1});
  for (double expected : {0x1p127, 0x1p127, 0x1p127}) {
    one.p.set_grad(zeros<float>({3}));
    scaler.step(one.optimizer), scaler.update();
    EXPECT_EQ(scaler.get_scale(), expected);
  }
}

DEVICE_TEST(GradScaler, ScalesLossesAndUnscalesGradients) {
  optim::GradScaler scaler({.init_scale = 256});
  Tensor<double> w = Tensor<double>{1, 2}.requires_grad_();
  optim::SGD optimizer({w}, {.lr = 0.5});
  Tensor<double> scaled = scaler.scale(sum(w * w));
  EXPECT_EQ(scaled.item(), 5 * 256);
  scaled.backward();
  EXPECT_EQ(w.grad().vector(), (std::vector<double>{512, 1024}));
  scaler.unscale_(optimizer);
  EXPECT_EQ(w.grad().vector(), (std::vector<double>{2, 4}));
  optim::clip_grad_value_({w}, 3);  // between: on the true gradients
  EXPECT_TRUE(scaler.step(optimizer));
  EXPECT_EQ(w.vector(), (std::vector<double>{0, 0.5}));

  Tensor<half> loss = Tensor<half>(full({}, 3, DType::float16));
  static_assert(std::is_same_v<decltype(scaler.scale(loss)), Tensor<float>>);
  EXPECT_EQ(optim::GradScaler().scale(loss).item(), 3 * 65536);  // more than half can hold
}

DEVICE_TEST(GradScaler, GradientsOfAnyLayout) {
  AnyTensor p = zeros<float>({4, 3}).requires_grad_(), wide = ones<float>({4, 6});
  p.set_grad(wide.slice(1, 0, 6, 2));
  optim::SGD optimizer({p}, {.lr = 1});
  optim::GradScaler scaler({.init_scale = 4});
  EXPECT_TRUE(scaler.step(optimizer));
  EXPECT_EQ(values(p), std::vector<double>(12, -0.25));
}

DEVICE_TEST(GradScaler, SeveralOptimizersShareOneScale) {
  One a, b;
  optim::GradScaler scaler({.init_scale = 8, .growth_interval = 1});
  a.gradient(scaler, 1), b.gradient(scaler, kInf);
  EXPECT_TRUE(scaler.step(a.optimizer));
  EXPECT_FALSE(scaler.step(b.optimizer));
  scaler.update();
  EXPECT_EQ(scaler.get_scale(), 4);
  a.gradient(scaler, 1), b.gradient(scaler, 1);
  EXPECT_TRUE(scaler.step(a.optimizer));
  EXPECT_TRUE(scaler.step(b.optimizer));
  scaler.update();
  EXPECT_EQ(scaler.get_scale(), 8);
  EXPECT_EQ(b.p.vector(), (std::vector<float>{0, 1, 2}));
}

DEVICE_TEST(GradScaler, SwitchedOffItIsNotThere) {
  One one;
  optim::GradScaler scaler({.enabled = false});
  Tensor<float> loss = Tensor<float>{2};
  EXPECT_EQ(scaler.scale(loss).item(), 2);
  EXPECT_EQ(scaler.get_scale(), 1);
  one.p.set_grad(full<float>({3}, 1));
  scaler.unscale_(one.optimizer);
  EXPECT_TRUE(scaler.step(one.optimizer));
  scaler.update();
  EXPECT_EQ(one.p.vector(), (std::vector<float>{0, 1, 2}));
  EXPECT_TRUE(scaler.state().empty());
}

DEVICE_TEST(GradScaler, ARunThatStopsAndResumes) {
  const std::string path = std::filesystem::temp_directory_path() / ("gradus-scaler-" + std::to_string(getpid()) + ".safetensors");
  One one;
  optim::GradScaler scaler({.init_scale = 32, .growth_interval = 4}), again;
  auto step = [&](optim::GradScaler& s, float g) {
    one.gradient(s, g);
    s.step(one.optimizer), s.update();
  };
  step(scaler, kInf), step(scaler, 1), step(scaler, 1);  // 16, and two of four
  save(scaler, path);
  load(again, path);
  std::filesystem::remove(path);
  EXPECT_EQ(again.options().growth_interval, 4);
  for (double expected : {16.0, 32.0, 32.0}) {
    step(scaler, 1), step(again, 1);
    EXPECT_EQ(scaler.get_scale(), expected);
    EXPECT_EQ(again.get_scale(), expected);
  }
}

DEVICE_TEST(GradScaler, SaysWhatIsWrong) {
  using optim::GradScaler;
  auto refused = [](const optim::GradScalerOptions& o) { return message_of<ValueError>([&] { GradScaler s(o); }); };
  EXPECT_EQ(refused({.init_scale = 0}), "GradScaler: the scale is 0; it must be positive and fit a float");
  EXPECT_EQ(refused({.init_scale = 1e39}), "GradScaler: the scale is 1e+39; it must be positive and fit a float");
  EXPECT_EQ(refused({.growth_factor = 1}), "GradScaler: growth_factor is 1; it must be above 1");
  EXPECT_EQ(refused({.backoff_factor = 1}), "GradScaler: backoff_factor is 1; it must be between 0 and 1");
  EXPECT_EQ(refused({.growth_interval = 0}), "GradScaler: growth_interval is 0; it must be at least 1");

  One one;
  GradScaler scaler;
  EXPECT_EQ(message_of<ValueError>([&] { scaler.update(); }),
            "GradScaler: update() without a step() or unscale_() since the last one");
  EXPECT_EQ(message_of<ValueError>([&] { scaler.step(one.optimizer); }),
            "GradScaler: no parameter of the optimizer has a gradient; was backward() called?");
  scaler = GradScaler();
  one.gradient(scaler, 1);
  scaler.unscale_(one.optimizer);
  EXPECT_EQ(message_of<ValueError>([&] { scaler.unscale_(one.optimizer); }),
            "GradScaler: unscale_() was already called for this optimizer since the last update()");
  scaler.step(one.optimizer);
  EXPECT_EQ(message_of<ValueError>([&] { scaler.step(one.optimizer); }),
            "GradScaler: step() was already called for this optimizer since the last update()");
  EXPECT_EQ(message_of<ValueError>([&] { scaler.unscale_(one.optimizer); }),
            "GradScaler: unscale_() after step(); call update() between them");
  EXPECT_EQ(message_of<ValueError>([&] { scaler.scale(AnyTensor()); }), "GradScaler: got an undefined loss");

  AnyTensor p = zeros({2}, DType::float16).requires_grad_();
  p.set_grad(zeros({2}, DType::float16));
  optim::SGD halves({p}, {.lr = 1});
  EXPECT_NE(message_of<DTypeError>([&] { scaler.step(halves); }).find("keep the weights in float32"), std::string::npos);

  struct Wrong {
    NamedTensors state;
    const char* says;
  };
  const NamedTensors good = GradScaler().state();
  auto changed = [&](const char* name, AnyTensor value) {
    NamedTensors state = good;
    for (NamedTensor& t : state)
      if (t.name == name) t.tensor = value;
    return state;
  };
  NamedTensors more = good, fewer = good;
  more.push_back({"what", zeros({}, DType::float64)}), fewer.pop_back();
  for (const Wrong& w : {Wrong{more, "has what, which"},
                         {fewer, "has no _growth_tracker"},
                         {changed("scale", zeros({}, DType::float64)), "the scale is 0"},
                         {changed("scale", zeros({2}, DType::float64)), "scale is not one number"},
                         {changed("growth_interval", full({}, 1.5, DType::float64)), "growth_interval is 1.5"},
                         {changed("_growth_tracker", full({}, -1, DType::int64)), "_growth_tracker is -1"},
                         {changed("_growth_tracker", full({}, 2000, DType::int64)), "_growth_tracker is 2000"}}) {
    GradScaler s;
    EXPECT_NE(message_of<ValueError>([&] { s.load_state(w.state); }).find(w.says), std::string::npos) << w.says;
    EXPECT_EQ(s.get_scale(), 65536);
  }
}

/// A loss so small that its gradients vanish in half unless it is scaled.
DEVICE_TEST(GradScaler, SmallGradientsInHalfAreNotLost) {
  manual_seed(5);
  Tensor<float> x = randn<float>({32, 8}), y = 0.3 * x.sum(1, true);
  auto train = [&](bool scaled) {
    manual_seed(6);
    nn::Sequential net(nn::Linear(8, 16), nn::Tanh(), nn::Linear(16, 1));
    optim::Adam optimizer(net.parameters(), {.lr = 0.02, .eps = 1e-20});  // Adam does not mind how small gradients are
    optim::GradScaler scaler({.growth_interval = 20, .enabled = scaled});
    double loss = 0;
    for (int i = 0; i < 100; ++i) {
      Tensor<float> error = 1e-8 * mse_loss(net(x.to<half>()).to<float>(), y);
      optimizer.zero_grad();
      scaler.scale(error).backward();
      scaler.step(optimizer), scaler.update();
      loss = error.item() * 1e8;
    }
    for (const AnyTensor& p : net.parameters()) EXPECT_EQ(p.dtype(), DType::float32);
    return loss;
  };
  const double with = train(true), without = train(false);
  EXPECT_LT(with, 0.05);
  EXPECT_GT(without, 0.2);
}

}  // namespace
}  // namespace gradus
