// Losses against their formulas in double, their gradients of both orders, and wrong targets.
#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

/// The definition, element by element: (rows, C) logits, with weights, an ignored class and smoothing.
std::vector<double> reference(const AnyTensor& x, const std::vector<int64_t>& target, const std::vector<double>& w, int64_t ignore,
                              double eps) {
  std::vector<double> v = values(x), out;
  int64_t n = x.shape()[1];
  for (size_t r = 0; r < target.size(); ++r) {
    if (target[r] == ignore) {
      out.push_back(0);
      continue;
    }
    double total = 0, loss = 0;
    for (int64_t c = 0; c < n; ++c) total += std::exp(v[r * n + c]);
    for (int64_t c = 0; c < n; ++c) {
      double q = eps / double(n) + (c == target[r] ? 1 - eps : 0);
      loss -= q * w[c] * (v[r * n + c] - std::log(total));
    }
    out.push_back(loss);
  }
  return out;
}

}  // namespace

DEVICE_TEST(CrossEntropy, IsItsDefinition) {
  AnyTensor x = draw({6, 37}, -4, 4);
  std::vector<int64_t> classes = {3, 0, 36, -100, 17, 3};
  Tensor<int64_t> target = placed(Tensor<int64_t>{std::span<const int64_t>(classes)});
  std::vector<double> ones_(37, 1), weights = values(draw({37}, 0.5, 2, 9));
  AnyTensor w = draw({37}, 0.5, 2, 9);
  for (double eps : {0.0, 0.3}) {
    for (bool weighted : {false, true}) {
      std::vector<double> want = reference(x, classes, weighted ? weights : ones_, -100, eps);
      CrossEntropyOptions o{.weight = weighted ? w : AnyTensor(), .reduction = Reduction::none, .label_smoothing = eps};
      std::vector<double> got = values(cross_entropy(x, target, o));
      double total = 0, counted = 0;
      for (size_t i = 0; i < want.size(); ++i) {
        EXPECT_NEAR(got[i], want[i], 1e-12) << i << " " << eps << weighted;
        total += want[i];
        if (classes[i] >= 0) counted += weighted ? weights[classes[i]] : 1;
      }
      o.reduction = Reduction::sum;
      EXPECT_NEAR(cross_entropy(x, target, o).item(), total, 1e-11);
      o.reduction = Reduction::mean;
      EXPECT_NEAR(cross_entropy(x, target, o).item(), total / counted, 1e-12);
      for (DType t : {DType::float32, DType::float16, DType::bfloat16}) {
        CrossEntropyOptions narrow = o;
        if (weighted) narrow.weight = w.to(t);
        CrossEntropyOptions wide = o;
        if (weighted) wide.weight = w.to(t).to(DType::float64);
        // The sums are in float; the result is rounded once to the type.
        double unit = t == DType::float32 ? 1e-6 : t == DType::float16 ? 1e-3 : 8e-3;
        EXPECT_LT(distance(cross_entropy(x.to(t), target, narrow), cross_entropy(x.to(t).to(DType::float64), target, wide)), unit)
            << name(t);
      }
    }
  }
}

DEVICE_TEST(CrossEntropy, GradientsOfBothOrders) {
  AnyTensor x = draw({4, 7}, -2, 2).requires_grad_(), w = draw({7}, 0.5, 2, 9);
  Tensor<int64_t> target = placed(Tensor<int64_t>{3, 0, -1, 6});
  for (Reduction r : {Reduction::none, Reduction::mean, Reduction::sum}) {
    for (double eps : {0.0, 0.2}) {
      for (bool weighted : {false, true}) {
        CrossEntropyOptions o{.weight = weighted ? w : AnyTensor(), .ignore_index = -1, .reduction = r, .label_smoothing = eps};
        EXPECT_EQ(gradcheck([&](const auto& in) { return cross_entropy(in[0], target, o); }, {x}), "");
      }
    }
  }
}

DEVICE_TEST(CrossEntropy, TheGradientTakesThePlaceOfLogitsThatNobodyReads) {
  for (DType type : {DType::float32, DType::bfloat16})
    for (double smoothing : {0.0, 0.1}) {
      AnyTensor leaf = draw({5, 37}, -3, 3, 3).to(type).requires_grad_();
      AnyTensor target = placed(Tensor<int64_t>{3, 36, -100, 0, 17});
      AnyTensor weight = draw({37}, 0.5, 2, 4).to(type);
      const CrossEntropyOptions options{.weight = weight, .label_smoothing = smoothing};
      AnyTensor held = leaf * 1, before = held.detach().clone(), at;
      const void* place = nullptr;
      register_hook(held, [&](const AnyTensor& g) { return at = g, AnyTensor(); });
      cross_entropy(held, target, options).backward();
      AnyTensor expected = leaf.grad().clone();
      EXPECT_EQ(distance(held, before), 0);  // somebody holds them
      EXPECT_NE(at.raw_data(), held.raw_data());

      AnyTensor loss;
      at = {};
      leaf.set_grad({});
      {
        AnyTensor logits = leaf * 1;
        place = logits.raw_data();
        register_hook(logits, [&](const AnyTensor& g) { return at = g, AnyTensor(); });
        loss = cross_entropy(logits, target, options);
      }
      loss.backward({.retain_graph = true});  // they will be read again
      EXPECT_NE(at.raw_data(), place);
      EXPECT_EQ(distance(leaf.grad(), expected), 0);
      leaf.set_grad({});
      loss.backward();
      EXPECT_EQ(at.raw_data(), place);
      EXPECT_EQ(distance(leaf.grad(), expected), 0);
      EXPECT_NE(message_of<GraphError>([&] { loss.backward(); }), "");
    }
}

namespace {

/// Logits that a graph made of `leaf` and nobody but the caller has.
AnyTensor logits_of(const AnyTensor& leaf) { return leaf * 1; }

}  // namespace

// Rows that a warp keeps, that begin between two packs, that two blocks of a multiprocessor keep, in registers or in shared memory too, that
// one block keeps, and that nobody does: of which length depends on the type.
DEVICE_TEST(CrossEntropy, LogitsThatAreHandedOverBecomeTheirGradient) {
  for (DType type : {DType::float64, DType::float32, DType::bfloat16})
    for (int64_t n : {1, 7, 40, 1000, 2056, 17000, 26000, 50304, 60000, 70000})
      for (Reduction reduction : {Reduction::mean, Reduction::sum})
        for (double smoothing : {0.0, 0.1})
          for (bool weighted : {false, true}) {
            if ((weighted && reduction == Reduction::mean) || (n > 1000 && n != 17000 && (smoothing > 0 || weighted))) continue;
            AnyTensor leaf = draw({4, n}, -3, 3, 3).to(type).requires_grad_();
            AnyTensor target = placed(Tensor<int64_t>{n - 1, -100, 0, n / 2});
            const CrossEntropyOptions options{.weight = weighted ? draw({n}, 0.5, 2, 4).to(type) : AnyTensor(),
                                              .reduction = reduction,
                                              .label_smoothing = smoothing};
            const std::string where = name(type) + (" " + std::to_string(n)) + (weighted ? " weighted" : "");
            // By the definition in double. Gradients are compared as many times as large as they are small.
            AnyTensor exact = leaf.detach().to(kCPU).to(DType::float64).requires_grad_();
            CrossEntropyOptions wide = options;
            if (weighted) wide.weight = options.weight.to(kCPU).to(DType::float64);
            const AnyTensor expected_loss = cross_entropy(exact, target.to(kCPU), wide);
            auto scaled = [&](const AnyTensor& g) { return g.to(kCPU).to(DType::float64) * double(n); };
            const AnyTensor expected = scaled(grad({expected_loss}, {exact})[0]);
            const double least = n == 1 ? 1 : 1e-4;  // one class: 1 - 1
            // Some last places of the type.
            const double tolerance = type == DType::float64 ? 1e-14 : type == DType::float32 ? 2e-6 : 8e-3;

            AnyTensor logits = logits_of(leaf), at;
            const void* place = logits.raw_data();
            register_hook(logits, [&](const AnyTensor& g) { return at = g, AnyTensor(); });
            AnyTensor loss = cross_entropy(std::move(logits), target, options);
            EXPECT_LT(distance(loss, expected_loss), tolerance) << where;
            AnyTensor first = grad({loss}, {leaf}, {}, {.retain_graph = true})[0];
            EXPECT_NE(at.raw_data(), place) << where << ": it will be read again";
            EXPECT_LT(distance(scaled(first), expected, least), tolerance) << where;
            at = {};
            EXPECT_EQ(distance(grad({loss * 1}, {leaf})[0], first), 0) << where;
            EXPECT_EQ(at.raw_data(), place) << where;

            loss = cross_entropy(logits_of(leaf), target, options);
            const AnyTensor three = grad({loss * 3}, {leaf})[0];
            EXPECT_LT(distance(scaled(three), expected * 3, least), 3 * tolerance) << where;
          }
}

DEVICE_TEST(CrossEntropy, OnlyWhatNobodyElseReadsIsWrittenOver) {
  const AnyTensor target = placed(Tensor<int64_t>{3, 0});
  AnyTensor leaf = draw({2, 8}, -2, 2).requires_grad_(), before = leaf.detach().clone();
  AnyTensor logits = logits_of(leaf), view = logits.reshape({16});
  cross_entropy(logits, target).backward();
  EXPECT_EQ(distance(logits, before), 0);  // they have a name
  logits = logits_of(leaf), view = logits.reshape({16});
  cross_entropy(std::move(logits), target).backward();
  EXPECT_EQ(distance(view, before.reshape({16})), 0);  // a view of them has
  AnyTensor same = leaf;
  cross_entropy(std::move(same), target).backward();
  EXPECT_EQ(distance(leaf, before), 0);
  AnyTensor narrow = logits_of(leaf.detach().to(DType::float16).requires_grad_());
  const AnyTensor halves = narrow.detach().clone();
  AnyTensor loss = cross_entropy(std::move(narrow), target);
  EXPECT_LT(distance(loss, cross_entropy(halves, target)), 1e-3);
  const AnyTensor kept = draw({2, 8}, -2, 2);
  cross_entropy(AnyTensor(kept), target);
  EXPECT_EQ(distance(kept, draw({2, 8}, -2, 2)), 0);
  {
    NoGrad no_grad;
    logits = logits_of(leaf);
    const void* place = logits.raw_data();
    AnyTensor other = as_view(logits, {2, 8}, {8, 1}, 0);
    cross_entropy(std::move(logits), target);
    EXPECT_EQ(other.raw_data(), place);
    EXPECT_EQ(distance(other, before), 0);  // no gradient is wanted
  }
}

DEVICE_TEST(CrossEntropy, GradientsOfBothOrdersOfLogitsThatAreHandedOver) {
  AnyTensor x = draw({4, 7}, -2, 2).requires_grad_(), w = draw({7}, 0.5, 2, 9);
  Tensor<int64_t> target = placed(Tensor<int64_t>{3, 0, -1, 6});
  for (Reduction r : {Reduction::mean, Reduction::sum})
    for (double eps : {0.0, 0.2, 1.0})
      for (bool weighted : {false, true}) {
        CrossEntropyOptions o{.weight = weighted ? w : AnyTensor(), .ignore_index = -1, .reduction = r, .label_smoothing = eps};
        EXPECT_EQ(gradcheck([&](const auto& in) { return cross_entropy(logits_of(in[0]) * in[0], target, o); }, {x}), "")
            << int(r) << eps << weighted;
      }
  // The gradient's gradient goes through what the loss is multiplied by, too.
  EXPECT_EQ(gradcheck([&](const auto& in) { return cross_entropy(logits_of(in[0]), target, {.ignore_index = -1}) * in[1]; },
                      {x, draw({}, 1, 2).requires_grad_()}),
            "");
}

DEVICE_TEST(CrossEntropy, OfImagesAndOfOneSample) {
  AnyTensor x = draw({2, 5, 3, 4}, -2, 2).requires_grad_();
  Tensor<int64_t> target = placed(randint<int64_t>(0, 5, {2, 3, 4}));
  AnyTensor each = cross_entropy(x, target, {.reduction = Reduction::none});
  EXPECT_EQ(each.shape(), (Shape{2, 3, 4}));
  AnyTensor rows = x.detach().permute({0, 2, 3, 1}).reshape({24, 5});
  EXPECT_LT(distance(each.reshape({24}), cross_entropy(rows, target.reshape({24}), {.reduction = Reduction::none})), 1e-13);
  EXPECT_EQ(gradcheck([&](const auto& in) { return cross_entropy(in[0], target); }, {x}), "");
  for (const Shape& shape : {Shape{0, 5}, Shape{0, 5, 3}, Shape{2, 5, 0}, Shape{0, 0}, Shape{0, 0, 3}, Shape{2, 0, 0}}) {
    Shape of_classes = shape;
    of_classes.erase(1);
    AnyTensor nothing = draw(shape).requires_grad_(), nobody = placed(zeros(of_classes, DType::int64));
    EXPECT_EQ(cross_entropy(nothing, nobody, {.reduction = Reduction::none}).shape(), of_classes) << to_string(shape);
    EXPECT_EQ(cross_entropy(nothing, nobody, {.reduction = Reduction::sum}).item(), 0) << to_string(shape);
    EXPECT_TRUE(std::isnan(cross_entropy(nothing, nobody).item())) << to_string(shape);
    EXPECT_TRUE(std::isnan(nll_loss(nothing, nobody).item())) << to_string(shape);
    EXPECT_EQ(grad({cross_entropy(nothing, nobody)}, {nothing})[0].shape(), shape);
  }
  AnyTensor one = draw({5}).requires_grad_();
  EXPECT_EQ(gradcheck([&](const auto& in) { return cross_entropy(in[0], placed(Tensor<int64_t>{2}).reshape({})); }, {one}), "");
}

DEVICE_TEST(CrossEntropy, OfProbabilities) {
  AnyTensor x = draw({4, 7}, -2, 2).requires_grad_(), q = softmax(draw({4, 7}, -2, 2, 5), 1).detach().requires_grad_(),
            w = draw({7}, 0.5, 2, 9);
  EXPECT_EQ(gradcheck([&](const auto& in) { return cross_entropy(in[0], in[1], {.weight = w, .label_smoothing = 0.1}); }, {x, q}),
            "");
  AnyTensor hot = zeros({4, 7}, DType::float64);
  std::vector<int64_t> classes = {3, 0, 5, 6};
  for (int64_t r = 0; r < 4; ++r) put(hot, r * 7 + classes[r], 1);
  EXPECT_NEAR(cross_entropy(x, hot).item(), cross_entropy(x, Tensor<int64_t>{std::span<const int64_t>(classes)}).item(), 1e-13);
}

DEVICE_TEST(CrossEntropy, LargeLogitsAndNaN) {
  Tensor<float> x = placed(Tensor<float>{{1000, 0, -1000}, {0, NAN, 0}});
  std::vector<float> got = cross_entropy(x, placed(Tensor<int64_t>{1, 0}), {.reduction = Reduction::none}).vector();
  EXPECT_EQ(got[0], 1000);
  EXPECT_TRUE(std::isnan(got[1]));
  EXPECT_TRUE(std::isnan(cross_entropy(x, placed(Tensor<int64_t>{-100, -100})).item()));  // a mean of nothing
}

DEVICE_TEST(CrossEntropy, WrongTargetsAreNamed) {
  Tensor<float> x = zeros<float>({4, 10});
  EXPECT_EQ(message_of<IndexError>([&] {
              cross_entropy(x, Tensor<int64_t>{1, 2, 3, 12});
            }),
            "cross_entropy: target 12 at index 3 is outside [0, 10); did you mean ignore_index?");
  message_of<IndexError>([&] { cross_entropy(x, Tensor<int64_t>{1, -2, 3, 1}); });
  message_of<IndexError>([&] { nll_loss(x, Tensor<int64_t>{1, 10, 3, 1}); });
  message_of<ShapeError>([&] { cross_entropy(x, Tensor<int64_t>{1, 2, 3}); });
  message_of<DTypeError>([&] { cross_entropy(static_cast<const AnyTensor&>(x), Tensor<int32_t>{1, 2, 3, 4}); });
  message_of<ShapeError>([&] { cross_entropy(x, Tensor<int64_t>{1, 2, 3, 4}, {.weight = ones<float>({9})}); });
  message_of<ValueError>([&] { cross_entropy(x, Tensor<int64_t>{1, 2, 3, 4}, {.label_smoothing = 1.5}); });
  message_of<ShapeError>([&] { mse_loss(x, zeros<float>({10})); });
}

DEVICE_TEST(NllLoss, IsCrossEntropyOfLogarithms) {
  AnyTensor x = draw({5, 6}, -2, 2).requires_grad_(), w = draw({6}, 0.5, 2, 9);
  Tensor<int64_t> target = {0, 5, 2, -100, 1};
  for (Reduction r : {Reduction::none, Reduction::mean, Reduction::sum}) {
    EXPECT_LT(distance(nll_loss(log_softmax(x, 1), target, {.weight = w, .reduction = r}),
                       cross_entropy(x, target, {.weight = w, .reduction = r})),
              1e-13);
    EXPECT_EQ(gradcheck([&](const auto& in) { return nll_loss(in[0], target, {.weight = w, .reduction = r}); }, {x}), "");
  }
}

DEVICE_TEST(Regression, FormulasAndGradients) {
  AnyTensor x = draw({3, 5}, -3, 3).requires_grad_(), t = draw({3, 5}, -3, 3, 8).requires_grad_();
  std::vector<double> a = values(x), b = values(t);
  auto check = [&](const char* what, auto loss, auto formula) {
    std::vector<double> got = values(loss(x, t));
    for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(got[i], formula(a[i], b[i]), 1e-12) << what;
    EXPECT_EQ(gradcheck([&](const auto& in) { return loss(in[0], in[1]); }, {x, t}), "") << what;
  };
  constexpr Reduction kNone = Reduction::none;
  check(
      "mse", [](auto& x, auto& t) { return mse_loss(x, t, {kNone}); }, [](double x, double t) { return (x - t) * (x - t); });
  check(
      "l1", [](auto& x, auto& t) { return l1_loss(x, t, {kNone}); }, [](double x, double t) { return std::abs(x - t); });
  check(
      "smooth_l1", [](auto& x, auto& t) { return smooth_l1_loss(x, t, {.beta = 0.7, .reduction = kNone}); },
      [](double x, double t) {
        double d = std::abs(x - t);
        return d < 0.7 ? d * d / 1.4 : d - 0.35;
      });
  check(
      "huber", [](auto& x, auto& t) { return huber_loss(x, t, {.delta = 0.7, .reduction = kNone}); },
      [](double x, double t) {
        double d = std::abs(x - t);
        return d < 0.7 ? d * d / 2 : 0.7 * (d - 0.35);
      });
  check(
      "margin",
      [](auto& x, auto& t) { return margin_ranking_loss(x, t, ones_like(x.detach()), {.margin = 0.3, .reduction = kNone}); },
      [](double x, double t) { return std::max(0.0, t - x + 0.3); });
  AnyTensor far = placed(Tensor<double>{HUGE_VAL, -HUGE_VAL, 1e200, NAN, 0}).requires_grad_(), none = zeros({5}, DType::float64);
  for (auto [loss, slope] : {std::pair(smooth_l1_loss(far, none, {.beta = 0.5, .reduction = Reduction::sum}), 1.0),
                             std::pair(huber_loss(far, none, {.delta = 0.5, .reduction = Reduction::sum}), 0.5)}) {
    EXPECT_TRUE(std::isnan(loss.item()));
    EXPECT_EQ(distance(grad({loss}, {far})[0], Tensor<double>{slope, -slope, slope, NAN, 0}), 0);
  }
  EXPECT_NEAR(mse_loss(x, t).item() * 15, mse_loss(x, t, {Reduction::sum}).item(), 1e-11);
}

DEVICE_TEST(Binary, FormulasAndGradients) {
  AnyTensor x = draw({3, 4}, -3, 3).requires_grad_(), p = draw({3, 4}, 0.1, 0.9, 5).requires_grad_(),
            t = draw({3, 4}, 0.05, 0.95, 8).requires_grad_();
  AnyTensor w = draw({4}, 0.5, 2, 9), pos = draw({4}, 0.5, 2, 10);
  EXPECT_LT(distance(binary_cross_entropy_with_logits(x, t, {.weight = w}), binary_cross_entropy(sigmoid(x), t, {.weight = w})),
            1e-12);
  AnyTensor manual = neg(pos * t * log(sigmoid(x)) + (1 - t) * log(1 - sigmoid(x))) * w;
  EXPECT_LT(
      distance(binary_cross_entropy_with_logits(x, t, {.weight = w, .pos_weight = pos, .reduction = Reduction::none}), manual),
      1e-12);
  EXPECT_EQ(gradcheck([&](const auto& in) { return binary_cross_entropy(in[0], in[1], {.weight = w}); }, {p, t}), "");
  EXPECT_EQ(gradcheck([&](const auto& in) { return binary_cross_entropy_with_logits(in[0], in[1], {.pos_weight = pos}); }, {x, t}),
            "");
  EXPECT_EQ(binary_cross_entropy(Tensor<double>{0.0, 1.0}, Tensor<double>{1.0, 1.0}, {.reduction = Reduction::none}).vector(),
            (std::vector<double>{100, 0}));
  EXPECT_EQ(binary_cross_entropy_with_logits(Tensor<double>{1000, -1000}, Tensor<double>{1, 0}).item(), 0);
}

DEVICE_TEST(Binary, BothOrdersAreFiniteAtZeroAndOne) {
  AnyTensor x = Tensor<double>{0, 0, 1, 1, 0.25}, t = Tensor<double>{0, 1, 0, 1, 1};
  x.requires_grad_(), t.requires_grad_();
  AnyTensor losses = binary_cross_entropy(x, t, {.reduction = Reduction::none});
  EXPECT_LT(distance(losses, Tensor<double>{0, 100, 100, 0, -std::log(0.25)}), 1e-15);
  AnyTensor ones = ones_like(losses.detach());
  auto slopes = grad({losses}, {x, t}, {ones}, {.create_graph = true});
  EXPECT_LT(distance(slopes[0], Tensor<double>{0, -1e12, 1e12, 0, -4}), 1e-15);
  EXPECT_LT(distance(slopes[1], Tensor<double>{100, 100, -100, -100, std::log(3)}), 1e-14);
  AnyTensor bend = grad({slopes[0]}, {x}, {ones})[0];
  EXPECT_LT(distance(bend, Tensor<double>{0, 1e24, 1e24, 0, 16}), 1e-10);
  for (DType type : {DType::float32, DType::float16, DType::bfloat16}) {
    AnyTensor y = Tensor<double>{0, 1, 0.5}.to(type).requires_grad_();
    binary_cross_entropy(y, Tensor<double>{0, 1, 1}.to(type), {.weight = Tensor<double>{1, 2, 3}.to(type)}).backward();
    EXPECT_EQ(values(y.grad()), (std::vector<double>{0, 0, -2})) << name(type);
  }
}

DEVICE_TEST(Gaussian, TargetsAndVariancesBroadcast) {
  AnyTensor x = draw({3, 4}).requires_grad_(), v = draw({3, 4}, 0.5, 2, 5), row = draw({1, 4}, -1, 1, 8).requires_grad_(),
            each = draw({3}, 0.5, 2, 6).requires_grad_();
  auto full = [](const AnyTensor& y) { return expand(y, {3, 4}).clone(); };
  EXPECT_EQ(distance(gaussian_nll_loss(x, row, v), gaussian_nll_loss(x, full(row), v)), 0);
  EXPECT_EQ(distance(gaussian_nll_loss(x, row, each), gaussian_nll_loss(x, row, full(each.unsqueeze(1)))), 0);
  EXPECT_EQ(distance(gaussian_nll_loss(narrow(x, 1, 0, 1), full(row), each.unsqueeze(1)),
                     gaussian_nll_loss(full(narrow(x, 1, 0, 1)), full(row), each)),
            0);
  EXPECT_EQ(gradcheck([](const auto& in) { return gaussian_nll_loss(in[0], in[1], in[2], {.full = true}); }, {x, row, each}), "");
  EXPECT_EQ(
      message_of<ShapeError>([&] {
        gaussian_nll_loss(x, draw({3, 2}), v);
      }),
      "gaussian_nll_loss: the prediction has shape [3, 4], the target [3, 2]; sizes must be equal or 1, and a variance may lack "
      "the last axis");
  message_of<ShapeError>([&] { gaussian_nll_loss(x, draw({4}), v); });
  message_of<ShapeError>([&] { gaussian_nll_loss(x, row, draw({2}, 1, 2)); });
  message_of<ValueError>([&] { gaussian_nll_loss(x, row, v - 1); });
}

DEVICE_TEST(Divergences, FormulasAndGradients) {
  AnyTensor x = log_softmax(draw({3, 4}, -2, 2), 1).detach().requires_grad_(),
            t = softmax(draw({3, 4}, -2, 2, 5), 1).detach().requires_grad_();
  EXPECT_NEAR(kl_div(x, t, {.batchmean = true}).item(), values((t * (log(t) - x)).sum())[0] / 3, 1e-13);
  EXPECT_EQ(gradcheck([](const auto& in) { return kl_div(in[0], in[1]); }, {x, t}), "");
  AnyTensor lt = log(t).detach().requires_grad_();
  EXPECT_LT(distance(kl_div(x, lt, {.log_target = true}), kl_div(x, t)), 1e-13);
  EXPECT_EQ(gradcheck([](const auto& in) { return kl_div(in[0], in[1], {.log_target = true}); }, {x, lt}), "");
  EXPECT_EQ(kl_div(Tensor<double>{-1, -2}, Tensor<double>{0, 1}, {.reduction = Reduction::sum}).item(), 2);
  EXPECT_TRUE(std::isnan(kl_div(Tensor<double>{-1}, Tensor<double>{-0.5}).item())) << "no probability";
  AnyTensor sign = where(draw({3, 4}, -1, 1, 4) > 0, ones({3, 4}, DType::float64), -1.0);
  EXPECT_EQ(gradcheck([&](const auto& in) { return soft_margin_loss(in[0], sign); }, {x}), "");
  EXPECT_EQ(gradcheck([&](const auto& in) { return hinge_embedding_loss(in[0], sign, {.margin = 0.5}); }, {x}), "");
  EXPECT_EQ(gradcheck([&](const auto& in) { return poisson_nll_loss(in[0], in[1], {.full = true}); }, {x, t}), "");
  EXPECT_EQ(gradcheck([&](const auto& in) { return gaussian_nll_loss(in[0], in[0] * 2, in[1], {.full = true}); }, {x, t}), "");
}

DEVICE_TEST(CrossEntropy, OfHalfTypesInFloat) {
  Tensor<float> exact = Tensor<float>(draw({6, 5}, -3, 3, 21, DType::float32));
  Tensor<int64_t> target = {0, 4, 2, 2, 1, 3};
  auto check = [&]<class T>(T) {
    Tensor<T> x = exact.to<T>();
    x.requires_grad_();
    Tensor<float> same = x.detach().template to<float>();
    same.requires_grad_();
    Tensor<float> loss = cross_entropy<float>(x, target, {.label_smoothing = 0.1}),
                  wide = cross_entropy<float>(same, target, {.label_smoothing = 0.1});
    EXPECT_FLOAT_EQ(loss.item(), wide.item());  // of the same logits: nothing is rounded
    EXPECT_NE(loss.item(), float(cross_entropy(x, target, {.label_smoothing = 0.1}).item()));  // where it is
    loss.backward(), wide.backward();
    EXPECT_EQ(x.grad().dtype(), dtype_of<T>);
    EXPECT_LT(distance(x.grad(), same.grad()), 0x1p-9);
    EXPECT_EQ(cross_entropy_in_float(x, target, {.reduction = Reduction::none}).dtype(), DType::float32);
  };
  check(half()), check(bfloat16());
}
