// Optimizers against recorded steps, in every dtype, size and layout; groups; states that save and load; no allocation per step.
#include <cstdlib>
#include <filesystem>
#include <new>

#include "gradus/gradus.h"
#include "tests/check.h"

namespace {
std::atomic<long> allocations{0};
}
[[gnu::noinline]] void* operator new(size_t n) {
  ++allocations;
  if (void* p = std::malloc(n)) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t) noexcept { std::free(p); }

namespace gradus {
namespace {

using testing::draw;
using testing::message_of;
using testing::values;

struct Pair {
  double v[2];
};
struct Recording {
  const char* name;
  Pair start;
  std::vector<Pair> gradients;
  std::function<std::unique_ptr<optim::Optimizer>(AnyTensor)> make;
  Pair first, last;
  std::string options;
};

std::vector<Recording> recordings() {
  std::vector<Recording> list;
#define GRADUS_LIST(...) __VA_ARGS__
#define RECORDED_START(Library, ...)                                             \
  struct Library {                                                               \
    static Recording begin() { return {#Library, __VA_ARGS__, {}, {}, {}, {}}; } \
  };
#include "tests/optim/recorded.inc"
#undef RECORDED_START
#define RECORDED(Library, Name, o, ...)                                                                                      \
  {                                                                                                                          \
    Recording r = Library::begin();                                                                                          \
    struct {                                                                                                                 \
      Pair first, last;                                                                                                      \
    } after{__VA_ARGS__};                                                                                                    \
    r.name = #Name, r.options = #o, r.first = after.first, r.last = after.last;                                              \
    r.make = [](AnyTensor p) { return std::make_unique<optim::Name>(std::vector{p}, optim::Name::Options{GRADUS_LIST o}); }; \
    list.push_back(r);                                                                                                       \
  }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include "tests/optim/recorded.inc"
#pragma GCC diagnostic pop
  return list;
}

/// The two numbers, over and over.
AnyTensor tiled(const Pair& p, int64_t n, DType dtype) {
  AnyTensor x = empty({n}, DType::float64, kCPU);
  for (int64_t i = 0; i < n; ++i) static_cast<double*>(x.raw_data())[i] = p.v[i % 2];
  return testing::placed(x.to(dtype));
}
/// The largest difference from the two numbers, relative to 0.1 + |number|.
double off(const AnyTensor& x, const Pair& p) {
  std::vector<double> v = values(x);
  double worst = 0;
  for (size_t i = 0; i < v.size(); ++i) worst = std::fmax(worst, std::abs(v[i] - p.v[i % 2]) / (0.1 + std::abs(p.v[i % 2])));
  return worst;
}

struct Case {
  int64_t count;
  DType dtype;
  double tolerance;  // recordings are in float; a half type's parameter is rounded at every step
};
DEVICE_TEST(Optimizers, FollowTheRecordings) {
  std::vector<Recording> all = recordings();
  EXPECT_GE(all.size(), 37u);
  for (const Recording& r : all)
    for (const Case& c : {Case{2, DType::float32, 2e-6},
                          {34, DType::float32, 2e-6},
                          {4098, DType::float32, 2e-6},
                          {36866, DType::float32, 2e-6},
                          {50, DType::float64, 2e-6},
                          {50, DType::float16, 0.01},
                          {50, DType::bfloat16, 0.08}}) {
      if (c.count > 10000 && (&r - all.data()) % 4 != 0) continue;  // one in four takes the way through several threads
      AnyTensor p = tiled(r.start, c.count, c.dtype).requires_grad_();
      auto optimizer = r.make(p);
      for (size_t step = 0; step < r.gradients.size(); ++step) {
        p.set_grad(tiled(r.gradients[step], c.count, c.dtype));
        optimizer->step();
        if (step == 0) {
          EXPECT_LT(off(p, r.first), c.tolerance) << r.name << r.options << " " << name(c.dtype) << " " << c.count;
        }
      }
      EXPECT_LT(off(p, r.last), c.tolerance) << r.name << r.options << " " << name(c.dtype) << " " << c.count;
    }
}

DEVICE_TEST(Optimizers, AWrongFormulaIsSeen) {  // the comparison above can fail
  Recording r = recordings()[0];
  AnyTensor p = tiled(r.start, 2, DType::float32).requires_grad_();
  optim::SGD optimizer({p}, {.lr = 1e-2});
  p.set_grad(tiled(r.gradients[0], 2, DType::float32));
  optimizer.step();
  EXPECT_GT(off(p, r.first), 1e-4);
}

DEVICE_TEST(Optimizers, AnyLayoutOfParameterAndGradient) {
  AnyTensor start = draw({6, 5}, -1, 1, 1), g = draw({6, 5}, -1, 1, 2);
  AnyTensor plain = start.clone().requires_grad_(), turned = empty({5, 6}, DType::float64).t();
  turned.copy_(start);
  turned.requires_grad_();
  optim::Adam a({plain}, {}), b({turned}, {});
  for (int i = 0; i < 3; ++i) {
    plain.set_grad(g), turned.set_grad(g);
    a.step(), b.step();
  }
  EXPECT_EQ(values(plain), values(turned));
  AnyTensor gaps = draw({6, 8}).slice(1, 0, 8, 2).requires_grad_();
  gaps.set_grad(draw({6, 4}));
  optim::SGD c({gaps}, {});
  EXPECT_NE(message_of<ShapeError>([&] { c.step(); }).find("contiguous"), std::string::npos);
}

TEST(Optimizers, TheSameForAnyNumberOfThreads) {
  auto run = [](int threads) {
    set_num_threads(threads);
    std::vector<AnyTensor> parameters;
    for (int64_t n : {3, 100000, 17, 70001, 4096})
      parameters.push_back(draw({n}, -1, 1, uint64_t(n), DType::float32).requires_grad_());
    optim::AdamW optimizer(parameters, {.lr = 0.01});
    for (int step = 0; step < 3; ++step) {
      for (AnyTensor& p : parameters) p.set_grad(draw(p.shape(), -1, 1, uint64_t(step), DType::float32));
      optimizer.step();
    }
    std::vector<std::vector<double>> result;
    for (AnyTensor& p : parameters) result.push_back(values(p));
    return result;
  };
  auto one = run(1), again = run(2);
  EXPECT_EQ(one, again);
  // An element alone gives the same bits as one in the middle of a large parameter.
  AnyTensor large = draw({100000}, -1, 1, 5, DType::float32), g = draw({100000}, -1, 1, 6, DType::float32);
  AnyTensor all = large.clone().requires_grad_();
  optim::AdamW whole({all}, {});
  all.set_grad(g);
  whole.step();
  for (int64_t i : {0, 4095, 4096, 50001, 99999}) {
    AnyTensor single = large.narrow(0, i, 1).clone().requires_grad_();
    optim::AdamW one_element({single}, {});
    single.set_grad(g.narrow(0, i, 1).clone());
    one_element.step();
    EXPECT_EQ(values(single)[0], values(all)[size_t(i)]) << i;
  }
}

DEVICE_TEST(Optimizers, WritesMoveVersionsOn) {
  AnyTensor p = draw({3}).requires_grad_();
  AnyTensor y = sum(p * p);  // saves p
  p.set_grad(ones({3}, DType::float64));
  optim::SGD optimizer({p}, {.lr = 0.1});
  uint32_t before = p.version();
  optimizer.step();
  EXPECT_NE(p.version(), before);
  message_of<GraphError>([&] { y.backward(); });
}

DEVICE_TEST(Optimizers, ParametersWithoutGradientStay) {
  AnyTensor a = draw({3}).requires_grad_(), b = draw({3}).requires_grad_(), frozen = draw({3});
  optim::Adam optimizer({a, b, frozen}, {});
  std::vector<double> before = values(b);
  a.set_grad(ones({3}, DType::float64));
  optimizer.step();
  EXPECT_EQ(values(b), before);
  EXPECT_EQ(find(optimizer.state(), "state.0.step").item(), 1);
  EXPECT_FALSE(find(optimizer.state(), "state.1.step").defined());
  // The first step of b later is a first step: its corrections are those of step 1.
  b.set_grad(ones({3}, DType::float64));
  optimizer.step();
  EXPECT_NEAR(values(b)[0], before[0] - 1e-3, 1e-9);
  optimizer.zero_grad();
  EXPECT_FALSE(a.grad().defined());
}

DEVICE_TEST(Optimizers, GroupsHaveOptionsOfTheirOwn) {
  AnyTensor a = full({2}, 1, DType::float64).requires_grad_(), b = full({2}, 1, DType::float64).requires_grad_();
  optim::SGD optimizer(
      {{.parameters = {a}, .options = {.lr = 0.1}}, {.parameters = {b}, .options = {.lr = 0.01, .weight_decay = 1}}});
  a.set_grad(full({2}, 1, DType::float64)), b.set_grad(full({2}, 1, DType::float64));
  optimizer.step();
  EXPECT_NEAR(values(a)[0], 0.9, 1e-15);
  EXPECT_NEAR(values(b)[0], 0.98, 1e-15);
  EXPECT_EQ(optimizer.lr(0), 0.1);
  optimizer.set_lr(0.5, 1);
  EXPECT_EQ(optimizer.options(1).lr, 0.5);
  optimizer.set_lr(0.25);
  EXPECT_EQ(optimizer.lr(0) + optimizer.lr(1), 0.5);
}

DEVICE_TEST(Optimizers, AStoppedRunGoesOnAsIfItHadNot) {
  std::filesystem::path folder = std::filesystem::temp_directory_path() / ("gradus-optim-" + std::to_string(getpid()));
  std::filesystem::create_directory(folder);
  std::string path = folder / "optimizer.safetensors";
  for (const Recording& r : recordings()) {
    AnyTensor p = tiled(r.start, 50, DType::float32).requires_grad_();
    auto optimizer = r.make(p);
    AnyTensor q;
    std::unique_ptr<optim::Optimizer> resumed;
    for (size_t step = 0; step < r.gradients.size(); ++step) {
      if (step == 3) {
        optimizer->set_lr(optimizer->lr() * 0.7);  // as a scheduler does
        save(*optimizer, path);
        q = p.detach().clone().requires_grad_();
        resumed = r.make(q);
        load(*resumed, path);
      }
      p.set_grad(tiled(r.gradients[step], 50, DType::float32));
      optimizer->step();
      if (!resumed) continue;
      q.set_grad(tiled(r.gradients[step], 50, DType::float32));
      resumed->step();
      EXPECT_EQ(values(p), values(q)) << r.name << r.options << " step " << step;
    }
  }
  std::filesystem::remove_all(folder);
}

DEVICE_TEST(Optimizers, StatesThatDoNotFitAreRefused) {
  AnyTensor p = draw({3}).requires_grad_(), q = draw({4}).requires_grad_();
  optim::Adam adam({p}, {}), other({q}, {});
  optim::SGD sgd({p}, {.momentum = 0.9});
  p.set_grad(draw({3}, -1, 1, 2)), q.set_grad(draw({4}, -1, 1, 3));
  adam.step(), other.step();
  NamedTensors state = adam.state();
  EXPECT_NE(message_of<ShapeError>([&] { other.load_state(state); }).find("exp_avg has shape [3], the parameter [4]"),
            std::string::npos);
  EXPECT_NE(message_of<ValueError>([&] { sgd.load_state(state); }).find("SGD: the state has no state.0.momentum_buffer"),
            std::string::npos);
  NamedTensors more = state;
  more.push_back({"state.7.step", zeros({}, DType::int64)});
  EXPECT_NE(message_of<ValueError>([&] { adam.load_state(more); }).find("state.7.step, which this optimizer does not know"),
            std::string::npos);
  optim::Adam amsgrad({p}, {.amsgrad = true});
  EXPECT_NE(message_of<ValueError>([&] { amsgrad.load_state(state); }).find("max_exp_avg_sq"), std::string::npos);
  EXPECT_FALSE(find(amsgrad.state(), "state.0.step").defined());  // unchanged
}

struct Net : nn::Module {
  nn::Parameter weight{draw({40}, -1, 1, 1, DType::float32)};
  GRADUS_MEMBERS(weight)
};
DEVICE_TEST(Optimizers, StatesFollowAParameterThatChangesItsDType) {
  Net net, same = net;
  optim::Adam a(net.parameters(), {}), b(same.parameters(), {});
  auto step = [](Net& n, optim::Adam& o, uint64_t seed) {
    n.weight.set_grad(draw({40}, -1, 1, seed).to(n.weight.dtype()));
    o.step();
  };
  step(net, a, 2), step(same, b, 2);
  net.to<double>();
  step(net, a, 3), step(same, b, 3);
  EXPECT_LT(testing::distance(net.weight, same.weight), 1e-6);
  net.to<bfloat16>();
  EXPECT_EQ(find(a.state(), "state.0.exp_avg").dtype(), DType::float64);  // a wider state serves until the next step
  step(net, a, 4), step(same, b, 4);
  EXPECT_EQ(find(a.state(), "state.0.exp_avg").dtype(), DType::float32);
  EXPECT_LT(testing::distance(net.weight, same.weight), 0.01);
}

TEST(Optimizers, AStepAllocatesNothing) {
  std::vector<AnyTensor> parameters;
  for (int64_t n : {784 * 128, 128, 1280, 10}) parameters.push_back(draw({n}, -1, 1, 1, DType::float32).requires_grad_());
  for (AnyTensor& p : parameters) p.set_grad(draw(p.shape(), -1, 1, 2, DType::float32));
  optim::SGD sgd(parameters, {.lr = 0.1, .momentum = 0.9});
  optim::AdamW adam(parameters, {});
  for (int i = 0; i < 2; ++i) sgd.step(), adam.step();
  long before = allocations;
  size_t tensors = memory_stats().allocations;
  for (int i = 0; i < 10; ++i) sgd.step(), adam.step();
  EXPECT_EQ(allocations - before, 0);
  EXPECT_EQ(memory_stats().allocations, tensors);
}

DEVICE_TEST(Optimizers, WrongArgumentsAreNamed) {
  AnyTensor p = draw({3}).requires_grad_();
  auto refused = [&](auto&& f, const char* text) {
    std::string message = message_of<Error>(f);
    EXPECT_NE(message.find(text), std::string::npos) << message;
  };
  refused([&] { optim::SGD o(std::vector<AnyTensor>{}, {}); }, "SGD: got no parameters");
  refused([&] { optim::SGD o({p, p}, {}); }, "parameter 1 is given twice");
  refused([&] { optim::SGD o({{.parameters = {p}}, {.parameters = {p}}}); }, "parameter 1 is given twice");
  refused([&] { optim::SGD o({AnyTensor()}, {}); }, "parameter 0 is undefined");
  refused([&] { optim::SGD o({p * 2}, {}); }, "made by an op");
  refused([&] { optim::SGD o({zeros({2}, DType::int32)}, {}); }, "int32");
  refused([&] { optim::SGD o({p}, {.lr = -1}); }, "SGD: lr is -1");
  refused([&] { optim::SGD o({p}, {.lr = NAN}); }, "SGD: lr is nan");
  refused([&] { optim::SGD o({p}, {.nesterov = true}); }, "nesterov needs a momentum");
  refused([&] { optim::Adam o({p}, {.betas = {1, 0.9}}); }, "Adam: betas.first");
  refused([&] { optim::Adam o({p}, {.eps = -1e-8}); }, "Adam: eps");
  refused([&] { optim::Rprop o({p}, {.eta_plus = 0.9}); }, "eta_plus above 1");
  optim::SGD o({p}, {});
  refused([&] { o.set_lr(-1); }, "lr is -1");
  refused([&] { o.set_lr(1, 3); }, "no group 3");
  refused([&] { o.lr(3); }, "no group 3");
}

DEVICE_TEST(Updates, RefuseWhatDoesNotFit) {
  Updates updates;
  AnyTensor p = draw({3}), s = state_like(p);
  message_of<ShapeError>([&] { updates.add(p, draw({4}), {}, update::sgd{1, 0, 1}); });
  message_of<DTypeError>([&] { updates.add(p, draw({3}, 0, 1, 1, DType::float32), {}, update::sgd{1, 0, 1}); });
  message_of<ValueError>([&] { updates.add(p, p, {s}, update::sgd{1, 0, 1}); });
  message_of<ValueError>([&] { updates.add(p, p, {s}, update::adam{}); });
  message_of<DTypeError>([&] { updates.add(p, p, {zeros({3}, DType::float32)}, update::momentum{}); });
  message_of<ShapeError>([&] { updates.add(p, p, {zeros({2}, DType::float64)}, update::momentum{}); });
  std::vector<double> before = values(p);
  updates.run();  // nothing was added
  EXPECT_EQ(values(p), before);
}

DEVICE_TEST(Clip, SquaresOfManyTensorsInOneSum) {
  // More tensors than a launch takes, of every type, with nothing in some; sizes around what a thread and a block take at once.
  std::vector<AnyTensor> tensors;
  double expected = 0;
  const int64_t sizes[] = {0, 1, 7, 33, 4096, 4097, 16384, 16385, 70001};
  for (int i = 0; i < 300; ++i) {
    const DType type = i < 250 ? DType::float32 : i % 3 == 0 ? DType::float16 : i % 3 == 1 ? DType::bfloat16 : DType::float64;
    AnyTensor x = draw({i % 30 == 0 ? sizes[i / 30 % 9] : sizes[i % 4]}, -1, 2, uint64_t(i)).to(type);
    tensors.push_back(x);
    for (double v : values(x)) expected += v * v;
  }
  for (int64_t size : sizes) {
    tensors.push_back(draw({size, 3}, -1, 1, 9, DType::float32).slice(0, 0, size, 2));  // with gaps
    tensors.push_back(draw({size + 1}, -1, 1, 8).to(DType::bfloat16).narrow(0, 1, size));
    for (size_t k = tensors.size() - 2; k < tensors.size(); ++k)
      for (double v : values(tensors[k])) expected += v * v;
  }
  AnyTensor sum = sum_of_squares(tensors);
  EXPECT_EQ(sum.dtype(), DType::float64);
  EXPECT_EQ(sum.device(), tensors[0].device());
  EXPECT_NEAR(sum.item() / expected, 1, 1e-6);  // a thread adds at most 64 squares in float, and a block 256 sums as a tree
  EXPECT_EQ(sum_of_squares(tensors).item(), sum.item());
  EXPECT_EQ(sum_of_squares({draw({0})}).item(), 0);
  EXPECT_TRUE(std::isnan(sum_of_squares({tensors[5], full({3}, NAN, DType::float32).to(tensors[0].device())}).item()));
  EXPECT_EQ(sum_of_squares({draw({3}).to(DType::float16) * INFINITY, tensors[1]}).item(), INFINITY);
  message_of<DTypeError>([&] { sum_of_squares({tensors[0], arange(3).to(tensors[0].device())}); });
}

DEVICE_TEST(Clip, NormIsThatOfAllGradientsTogether) {
  AnyTensor a = zeros({2}, DType::float64).requires_grad_(), b = zeros({1}, DType::float32).requires_grad_(),
            c = zeros({1}, DType::float64);
  auto set = [&] { a.set_grad(Tensor<double>{3, 0}), b.set_grad(Tensor<float>{-4}); };
  set();
  EXPECT_NEAR(optim::clip_grad_norm_({a, b, c}, 10), 5, 1e-12);
  EXPECT_EQ(values(a.grad())[0], 3);  // below the bound: untouched
  EXPECT_NEAR(optim::clip_grad_norm_({a, b, c}, 1), 5, 1e-12);
  EXPECT_NEAR(values(a.grad())[0], 0.6, 1e-6);
  EXPECT_NEAR(values(b.grad())[0], -0.8, 1e-6);
  set();
  EXPECT_NEAR(optim::clip_grad_norm_({a, b}, 1e9, {.norm_type = 1}), 7, 1e-6);
  EXPECT_EQ(optim::clip_grad_norm_({a, b}, 2, {.norm_type = INFINITY}), 4);
  EXPECT_NEAR(values(b.grad())[0], -2, 1e-5);
  set();
  optim::clip_grad_value_({a, b}, 3.5);
  EXPECT_EQ(values(b.grad())[0], -3.5);
  EXPECT_EQ(values(a.grad())[0], 3);
  a.set_grad(Tensor<double>{NAN, 0});
  message_of<ValueError>([&] { optim::clip_grad_norm_({a, b}, 1, {.error_if_nonfinite = true}); });
  EXPECT_TRUE(std::isnan(optim::clip_grad_norm_({a, b}, 1)));
  a.set_grad(Tensor<double>{NAN, 0}), b.set_grad(Tensor<float>{-4});
  EXPECT_TRUE(std::isnan(optim::clip_grad_norm_({a, b}, 1, {.norm_type = INFINITY})));
  a.set_grad(Tensor<double>{0, -INFINITY}), b.set_grad(Tensor<float>{-4});
  EXPECT_EQ(optim::clip_grad_norm_({b, a}, 1, {.norm_type = INFINITY}), INFINITY);
  EXPECT_EQ(sum_of_squares({}).item(), 0);
  EXPECT_EQ(optim::clip_grad_norm_({c}, 1), 0);  // no gradient at all
  message_of<ValueError>([&] { optim::clip_grad_norm_({a}, -1); });
}

}  // namespace
}  // namespace gradus
