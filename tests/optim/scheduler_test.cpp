// Schedules against recorded rates.
#include "gradus/gradus.h"
#include "tests/check.h"

namespace gradus {
namespace {

using testing::message_of;

struct Fixture {
  AnyTensor p = zeros({1}, DType::float32).requires_grad_(), q = zeros({1}, DType::float32).requires_grad_();
  optim::SGD optimizer{{{.parameters = {p}, .options = {.lr = 0.1, .momentum = 0.9}}, {.parameters = {q}, .options = {.lr = 0.2}}}};
};

template <class S, class O> void follow(const char* name, const O& options, const std::vector<double>& rates) {
  Fixture f;
  S scheduler(f.optimizer, options);
  for (size_t t = 0; t < rates.size(); ++t) {
    if (t) scheduler.step();
    EXPECT_NEAR(f.optimizer.lr(0), rates[t], 1e-12) << name << " step " << t;
  }
  // The same when jumped to, from the end back to the begin.
  for (size_t t = rates.size(); t-- > 0;) {
    scheduler.set_steps(int64_t(t));
    EXPECT_NEAR(f.optimizer.lr(0), rates[t], 1e-12) << name << " at " << t;
  }
}

DEVICE_TEST(Schedulers, FollowTheRecordings) {
  int count = 0;
#define GRADUS_LIST(...) __VA_ARGS__
#define RECORDED(Name, o, ...) follow<optim::Name>(#Name, optim::Name##Options{GRADUS_LIST o}, {__VA_ARGS__}), ++count;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include "tests/optim/recorded_rates.inc"
#pragma GCC diagnostic pop
  EXPECT_EQ(count, 12);
}

DEVICE_TEST(Schedulers, PlateausReduce) {
  Fixture f;
  optim::ReduceLROnPlateau scheduler(f.optimizer,
                                     {.factor = 0.2, .patience = 3, .threshold = 0.01, .cooldown = 2, .min_lr = 0.0001});
  const double metric[] = {1.0, 0.9, 0.8, 0.8, 0.81, 0.8, 0.8, 0.8, 0.8, 0.79, 0.79, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6};
  for (int t = 0; t < 20; ++t) {
    scheduler.step(metric[t]);
    EXPECT_NEAR(f.optimizer.lr(0), t < 6 ? 0.1 : t < 15 ? 0.02 : 0.004, 1e-15) << t;
  }
  Fixture g;
  optim::ReduceLROnPlateau up(g.optimizer, {.maximize = true, .patience = 0, .threshold = 0, .min_lr = 0.05});
  up.step(1), up.step(2);
  EXPECT_EQ(g.optimizer.lr(0), 0.1);
  up.step(2);
  EXPECT_EQ(g.optimizer.lr(0), 0.05);
}

DEVICE_TEST(Schedulers, EveryGroupHasItsBase) {
  Fixture f;
  optim::LambdaLR scheduler(f.optimizer, [](int64_t t) { return 1.0 / double(t + 1); });
  scheduler.step();
  EXPECT_EQ(f.optimizer.lr(0), 0.05);
  EXPECT_EQ(f.optimizer.lr(1), 0.1);
}

DEVICE_TEST(Schedulers, StagesFollowEachOther) {
  Fixture f;
  optim::SequentialLR scheduler(f.optimizer,
                                {{0, optim::LinearLR::checked({.start_factor = 0.5, .end_factor = 1, .total_iters = 4})},
                                 {4, optim::CosineAnnealingLR::checked({.T_max = 2})}});
  std::vector<double> rates{f.optimizer.lr(0)};
  for (int t = 0; t < 6; ++t) scheduler.step(), rates.push_back(f.optimizer.lr(0));
  const double wanted[] = {0.05, 0.0625, 0.075, 0.0875, 0.1, 0.05, 0};
  for (int t = 0; t < 7; ++t) EXPECT_NEAR(rates[size_t(t)], wanted[t], 1e-15);
}

DEVICE_TEST(Schedulers, OneCycleMovesTheMomentumToo) {
  Fixture f;
  optim::OneCycleLR scheduler(f.optimizer, {.max_lr = 1, .total_steps = 11, .pct_start = 0.5, .anneal = optim::Anneal::linear});
  EXPECT_NEAR(f.optimizer.options(0).momentum, 0.95, 1e-15);
  scheduler.set_steps(10);
  EXPECT_NEAR(f.optimizer.options(0).momentum, 0.95, 1e-15);
  EXPECT_NEAR(f.optimizer.lr(0), 1 / 25e4, 1e-15);
  double least = 1;
  for (int t = 0; t < 11; ++t) scheduler.set_steps(t), least = std::min(least, f.optimizer.options(0).momentum);
  EXPECT_LT(least, 0.87);
  message_of<ValueError>([&] { scheduler.step(); });
}

DEVICE_TEST(Schedulers, WrongOptionsAreNamed) {
  Fixture f;
  auto refused = [&](auto&& make, const char* text) {
    std::string message = message_of<ValueError>(make);
    EXPECT_NE(message.find(text), std::string::npos) << message;
  };
  refused([&] { optim::StepLR s(f.optimizer, {.step_size = 0}); }, "StepLR: step_size is 0");
  refused([&] { optim::CosineAnnealingLR s(f.optimizer, {.T_max = 0}); }, "T_max");
  refused([&] { optim::LinearLR s(f.optimizer, {.start_factor = 2}); }, "factors");
  refused([&] { optim::ConstantLR s(f.optimizer, {.factor = -1}); }, "factor");
  refused([&] { optim::OneCycleLR s(f.optimizer, {.total_steps = 0}); }, "total_steps");
  refused([&] { optim::SequentialLR s(f.optimizer, {}); }, "first stage");
  refused([&] { optim::ReduceLROnPlateau s(f.optimizer, {.factor = 1}); }, "factor");
  AnyTensor p = zeros({1}, DType::float32).requires_grad_();
  optim::Adagrad adagrad({p}, {});
  refused([&] { optim::OneCycleLR s(adagrad, {.total_steps = 5}); }, "no momentum");
}

}  // namespace
}  // namespace gradus
