// relu behind a batch norm, and behind its sum with a residual: against the ops that it is made of, and its gradient's judgement of what passed
// against the result itself, to the bit.
#include "tests/channels_last.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

/// Every second row of a larger tensor.
AnyTensor sliced(const AnyTensor& x) { return cat({unsqueeze(x, 1), unsqueeze(x, 1) + 9.0}, 1).select(1, 0); }

const Shape kShapes[] = {{6, 5},        {40, 70},       {300, 1},      {3, 6, 7},       {2, 4, 1, 2},
                         {2, 66, 9, 5}, {3, 3, 70, 40}, {2, 16, 8, 8}, {5, 80, 3, 2, 2}};
const std::pair<DType, double> kTypes[] = {
    {DType::float64, 1e-13}, {DType::float32, 6e-6}, {DType::float16, 4e-3}, {DType::bfloat16, 3e-2}};  // a few last places

struct Parameters {
  AnyTensor mean, var, weight, bias;
  Parameters(int64_t channels, DType t)
      : mean(draw({channels}, -1, 1, 6).to(t)),
        var(draw({channels}, 0.5, 2, 7).to(t)),
        weight(draw({channels}, 0.5, 2, 4).to(t)),
        bias(draw({channels}, -1, 1, 5).to(t)) {}
  Parameters in(DType t) const {
    Parameters p = *this;
    for (AnyTensor* x : {&p.mean, &p.var, &p.weight, &p.bias}) *x = x->to(t).clone();
    return p;
  }
  AnyTensor norm(const AnyTensor& x, const BatchNormOptions& o) const { return batch_norm(x, mean, var, weight, bias, o); }
  AnyTensor fused(const AnyTensor& x, const AnyTensor& residual, const BatchNormOptions& o) const {
    return batch_norm_relu(x, residual, mean, var, weight, bias, o);
  }
};

const BatchNormOptions kModes[] = {{.training = true, .momentum = 0.3}, {}};

double zeros_in(const AnyTensor& x) {
  double n = 0;
  for (double v : values(x)) n += v == 0;
  return n;
}

}  // namespace

DEVICE_TEST(BatchNormRelu, IsReluOfTheSumInEveryTypeAndLayout) {
  for (auto [type, tolerance] : kTypes)
    for (const Shape& shape : kShapes)
      for (bool last : {false, true})
        for (const BatchNormOptions& mode : kModes) {
          AnyTensor x = draw(shape, -1, 3, 3).to(type), r = draw(shape, -2, 1, 8).to(type);
          if (last) x = channels_last(x);
          Parameters plain(shape[1], type), moved = plain.in(type), wide = plain.in(DType::float64);
          AnyTensor norm = plain.norm(x, mode), y = moved.fused(x, {}, mode);
          const std::string where =
              name(type) + std::string(" ") + to_string(shape) + (last ? " last" : "") + (mode.training ? " training" : "");
          EXPECT_EQ(distance(y, relu(norm)), 0) << where;
          EXPECT_EQ(distance(moved.mean, plain.mean), 0) << where;
          EXPECT_EQ(distance(moved.var, plain.var), 0) << where;
          EXPECT_TRUE(!last || y.stride() == x.stride()) << where;
          AnyTensor expected = relu(wide.norm(x.to(DType::float64), mode) + r.to(DType::float64));
          EXPECT_GT(zeros_in(expected), 0);
          for (const AnyTensor& residual : {r, channels_last(r), sliced(r), r.transpose(0, 1).contiguous().transpose(0, 1)}) {
            moved = Parameters(shape[1], type);
            y = moved.fused(x, residual, mode);
            EXPECT_LT(distance(y, expected), tolerance) << where;
            EXPECT_EQ(distance(moved.mean, plain.mean), 0) << where;
            EXPECT_EQ(distance(moved.var, plain.var), 0) << where;
            EXPECT_TRUE(!last || y.stride() == x.stride()) << where;
          }
          EXPECT_LT(distance(moved.in(type).fused(sliced(x), r, {}), relu(moved.norm(x, {}) + r)), 4 * tolerance) << where;
          EXPECT_LT(distance(batch_norm_relu(x, r, {}, {}, {}, {}, {.training = true}),
                             relu(batch_norm(x, {}, {}, {}, {}, {.training = true}) + r)),
                    4 * tolerance)
              << where;
        }
}

// norm + residual in a half type lies between two of its numbers as often as not: one rounding takes the nearer one always.
DEVICE_TEST(BatchNormRelu, RoundsTheSumOnce) {
  for (DType type : {DType::float16, DType::bfloat16}) {
    AnyTensor x = draw({7, 33, 5}, -1, 1, 3).to(type), r = draw({7, 33, 5}, 0, 4, 8).to(type);
    Parameters p(33, type), exact = p.in(DType::float32);
    AnyTensor once = relu(exact.norm(x.to(DType::float32), {}) + r.to(DType::float32)).to(type);
    EXPECT_EQ(distance(p.fused(x, r, {}), once), 0);
    EXPECT_GT(distance(relu(p.norm(x, {}) + r), once), 0) << "rounding twice would not show";
  }
}

DEVICE_TEST(BatchNormRelu, Gradients) {
  for (const Shape& shape : {Shape{6, 3}, Shape{3, 4, 2}, Shape{2, 4, 3, 2}})
    for (bool last : {false, true}) {
      AnyTensor x = draw(shape, -1, 3, 3), r = draw(shape, -1, 1, 8);
      if (last) x = channels_last(x);
      x.requires_grad_(), r.requires_grad_();
      AnyTensor w = draw({shape[1]}, 0.5, 2, 4).requires_grad_(), b = draw({shape[1]}, -1, 1, 5).requires_grad_();
      AnyTensor rm = draw({shape[1]}, -1, 1, 6), rv = draw({shape[1]}, 0.5, 2, 7);
      const std::string where = to_string(shape) + (last ? " last" : "");
      for (const BatchNormOptions& o : {BatchNormOptions{.training = true, .eps = 0.1}, BatchNormOptions{.eps = 0.1}}) {
        auto of = [&](const AnyTensor& x, const AnyTensor& r, const AnyTensor& w, const AnyTensor& b) {
          return batch_norm_relu(x, r, o.training ? AnyTensor() : rm, o.training ? AnyTensor() : rv, w, b, o);
        };
        EXPECT_EQ(gradcheck([&](const auto& in) { return of(in[0], in[1], in[2], in[3]); }, {x, r, w, b}), "") << where;
        EXPECT_EQ(gradcheck([&](const auto& in) { return of(in[0], {}, in[1], in[2]); }, {x, w, b}), "") << where;
        EXPECT_EQ(gradcheck([&](const auto& in) { return of(in[0], {}, {}, {}); }, {x}), "") << where;
        EXPECT_EQ(gradcheck([&](const auto& in) { return of(in[0], in[1], {}, {}); }, {x, r}), "") << where;
        EXPECT_EQ(gradcheck([&](const auto& in) { return of(in[0], r.detach(), w.detach(), {}); }, {x}), "") << where;
        EXPECT_EQ(gradcheck([&](const auto& in) { return of(x.detach(), in[0], {}, b.detach()); }, {r}), "") << where;
        EXPECT_EQ(gradcheck([&](const auto& in) { return of(x.detach(), {}, in[0], in[1]); }, {w, b}), "") << where;
        EXPECT_EQ(gradcheck([&](const auto& in) { return of(in[0], in[0], in[1], in[2]); }, {x, w, b}), "") << where;
      }
    }
}

DEVICE_TEST(BatchNormRelu, OfNothing) {
  Parameters p(4, DType::float64);
  AnyTensor w = p.weight.requires_grad_(), b = p.bias.requires_grad_();
  for (const Shape& shape : {Shape{0, 4}, Shape{0, 4, 3}, Shape{2, 4, 0}}) {
    AnyTensor x = draw(shape).requires_grad_(), r = draw(shape).requires_grad_();
    EXPECT_EQ(gradcheck([&](const auto& in) { return batch_norm_relu(in[0], in[1], p.mean, p.var, in[2], in[3]); }, {x, r, w, b}),
              "");
    EXPECT_EQ(gradcheck([&](const auto& in) { return batch_norm_relu(in[0], {}, p.mean, p.var, in[1], in[2]); }, {x, w, b}), "");
  }
}

// What passed is told from y; from there on the gradient is the plain norm's.
DEVICE_TEST(BatchNormRelu, FusedGradientIsTheNormsOfWhatPassed) {
  const std::pair<DType, double> types[] = {
      {DType::float64, 1e-12}, {DType::float32, 2e-5}, {DType::float16, 1e-2}, {DType::bfloat16, 8e-2}};
  for (auto [type, tolerance] : types)
    for (const Shape& shape : {Shape{300, 37}, Shape{4, 70, 33, 9}, Shape{2, 6, 130}, Shape{3, 32, 16, 8}, Shape{700, 1}})
      for (const BatchNormOptions& mode : kModes)
        for (bool last : {false, true})
          for (bool residual : {false, true}) {
            AnyTensor x = draw(shape, -1, 1, 3).to(type), g = draw(shape, -1, 1, 6).to(type), r;
            if (residual) r = draw(shape, -1, 1, 8).to(type).requires_grad_();
            if (last) x = channels_last(x);
            Parameters p(shape[1], type), wide = p.in(DType::float64);
            x.requires_grad_(), p.weight.requires_grad_(), p.bias.requires_grad_();
            AnyTensor y = p.fused(x, r, mode);
            std::vector<AnyTensor> leaves{x, p.weight, p.bias}, of_norm;
            if (residual) leaves.push_back(r);
            std::vector<AnyTensor> fused = grad({y}, leaves, {g});
            AnyTensor passed = where(y.detach() > 0, g, 0).to(DType::float64), in = x.detach().to(DType::float64).requires_grad_();
            wide.weight.requires_grad_(), wide.bias.requires_grad_();
            of_norm = grad({wide.norm(in, mode)}, {in, wide.weight, wide.bias}, {passed}, {.create_graph = true});
            of_norm.push_back(passed);
            for (size_t k = 0; k < fused.size(); ++k)
              EXPECT_LT(distance(fused[k], of_norm[k]), k < 3 ? tolerance : 1e-300)
                  << name(type) << to_string(shape) << mode.training << last << residual << " input " << k;
          }
}

// Around the numbers that just become zero in their type: the norm's product and sum meet there at every bit.
DEVICE_TEST(BatchNormRelu, WhatPassedIsToldToTheBit) {
  struct Case {
    DType type, parameters;
    double weight, x, g;
  };
  const Case cases[] = {
      {DType::float16, DType::float16, 0x1p-12, 0x1p-13, 0x1p10},    {DType::float16, DType::float32, 0x1p-12, 0x1p-13, 0x1p10},
      {DType::bfloat16, DType::bfloat16, 0x1p-100, 0x1p-34, 0x1p60}, {DType::bfloat16, DType::float32, 0x1p-100, 0x1p-34, 0x1p60},
      {DType::float32, DType::float32, 0x1p-75, 0x1p-74, 0x1p70},    {DType::float64, DType::float64, 0x1p-537, 0x1p-537, 0x1p530}};
  for (const Case& c : cases)
    for (const Shape& shape : {Shape{500, 7}, Shape{500, 16}, Shape{4, 3, 1001}, Shape{4, 8, 1024}})
      for (bool last : {false, true}) {
        // So small that the mean has to be 0 and 1 / deviation 1, then ties and zeros of either sign.
        AnyTensor x = draw(shape, -3 * c.x, 3 * c.x, 3).to(c.type);
        put(x, 1, c.x), put(x, 2, -c.x), put(x, 3, -0.0), put(x, 4, 0), put(x, 5, 2 * c.x), put(x, 6, 3 * c.x);
        if (last) x = channels_last(x);
        x.requires_grad_();
        AnyTensor w = full({shape[1]}, c.weight, c.parameters), mean = zeros({shape[1]}, c.parameters),
                  var = ones({shape[1]}, c.parameters);
        AnyTensor y = batch_norm_relu(x, {}, mean, var, w, {}, {.eps = 0});
        std::vector<double> result = values(y), dx = values(grad({y}, {x}, {full(shape, c.g, c.type)})[0]);
        int64_t wrong = 0, open = 0;
        for (size_t i = 0; i < dx.size(); ++i) wrong += (dx[i] != 0) != (result[i] > 0), open += result[i] > 0;
        EXPECT_EQ(wrong, 0) << name(c.type) << to_string(shape) << last;
        EXPECT_GT(open, 0) << name(c.type) << to_string(shape);
        EXPECT_LT(open, int64_t(dx.size()) / 2) << name(c.type) << to_string(shape);
      }
}
// A bias that takes the product away but for its rounding: y is what a product that was not rounded leaves.
DEVICE_TEST(BatchNormRelu, WhatPassedIsToldWhereTheSumCancels) {
  for (DType type : {DType::float32, DType::float64, DType::float16, DType::bfloat16})
    for (bool last : {false, true}) {
      const int64_t c = 1600;
      const DType wide = type == DType::float64 ? type : DType::float32;
      AnyTensor row = draw({1, c, 1}, -1, 1, 3).to(type), w = draw({c}, 0.5, 2, 4).to(wide), mean = zeros({c}, wide),
                var = ones({c}, wide);
      AnyTensor b = -(row.to(wide).reshape({c}) * w).requires_grad_();
      AnyTensor x = row.expand({2, c, 5}).contiguous();
      if (last) x = channels_last(x);
      AnyTensor y = batch_norm_relu(x, {}, mean, var, w, b, {.eps = 0});
      AnyTensor db = grad({y}, {b}, {ones({2, c, 5}, type)})[0];
      EXPECT_EQ(distance(db, (y.detach() > 0).to(wide).sum({0, 2})), 0) << name(type) << last;
    }
}
DEVICE_TEST(BatchNormRelu, WhatPassedIsToldWithoutWeightOrWithNone) {
  for (DType type : {DType::float32, DType::bfloat16})
    for (double weight : {0.0, -0.0})
      for (double bias : {0.0, -0.0, 1e-39, -1e-39, 2.0}) {
        const BatchNormOptions o{.training = true};
        AnyTensor x = draw({30, 8, 3}, -1, 1, 3).to(type).requires_grad_();
        AnyTensor w = full({8}, weight, DType::float32).requires_grad_(), b = full({8}, bias, DType::float32).requires_grad_();
        AnyTensor y = batch_norm_relu(x, {}, {}, {}, w, b, o);
        std::vector<AnyTensor> g = grad({y}, {x, w, b}, {ones({30, 8, 3}, type)});
        EXPECT_EQ(distance(g[2], full({8}, bias > 0 ? 90 : 0, DType::float32)), 0) << bias;
        EXPECT_EQ(zeros_in(g[0]), 720) << weight;
        if (bias > 0) continue;
        EXPECT_EQ(zeros_in(g[1]), 8);
      }
}

DEVICE_TEST(BatchNormRelu, NaNPassesAndInfinitiesAreNumbers) {
  for (auto [type, tolerance] : kTypes)
    for (bool last : {false, true}) {
      AnyTensor x = draw({3, 2, 4}, -1, 1, 3).to(type), r = draw({3, 2, 4}, -1, 1, 8).to(type),
                g = draw({3, 2, 4}, 1, 2, 6).to(type);
      put(x, 2, NAN), put(x, 13, HUGE_VAL), put(x, 17, -HUGE_VAL), put(r, 5, NAN), put(r, 6, HUGE_VAL), put(r, 7, -HUGE_VAL);
      if (last) x = channels_last(x), r = channels_last(r);
      Parameters p(2, type);
      x.requires_grad_(), r.requires_grad_();
      EXPECT_LT(distance(p.fused(x, {}, {}), relu(p.norm(x, {}))), tolerance);
      AnyTensor y = p.fused(x, r, {});
      EXPECT_LT(distance(y, relu(p.norm(x, {}) + r)), 4 * tolerance);
      std::vector<AnyTensor> got = grad({y}, {x, r}, {g});
      EXPECT_EQ(distance(got[1], where(y.detach() <= 0, 0, g)), 0);
      std::vector<double> dx = values(got[0]), one = values(grad({p.fused(x, {}, {})}, {x}, {g})[0]),
                          of_norm = values(grad({p.norm(x, {})}, {x}, {got[1]})[0]);
      EXPECT_TRUE(std::isnan(dx[2]) && std::isnan(one[2])) << "as the norm's own gradient";
      for (size_t i = 0; i < dx.size(); ++i) {
        if (i == 2 || i == 13 || i == 17) continue;
        EXPECT_EQ(dx[i], of_norm[i]) << i;
      }
      // In training one NaN is its channel's, and the other channel's result is as without it.
      Parameters trained(2, type);
      AnyTensor all = trained.fused(x, {}, kModes[0]);
      std::vector<double> v = values(all.select(1, 0));
      for (double e : v) EXPECT_TRUE(std::isnan(e));
      AnyTensor weight = p.weight.clone();
      put(weight, 1, NAN);
      std::vector<double> other = values(batch_norm_relu(x, r, p.mean, p.var, weight, p.bias).select(1, 1));
      for (double e : other) EXPECT_TRUE(std::isnan(e));
    }
}

// The residual's gradient may take the place of the one that arrives, but of none that somebody else holds.
DEVICE_TEST(BatchNormRelu, WhatOthersHoldIsLeftAlone) {
  for (bool last : {false, true})
    for (const BatchNormOptions& mode : kModes) {
      const Shape shape{3, 8, 6, 4};
      auto order = [&](const AnyTensor& x) { return last ? channels_last(x) : x; };
      AnyTensor x = order(draw(shape, -1, 1, 3)).requires_grad_(), r = order(draw(shape, -1, 1, 8)).requires_grad_(),
                other = order(draw(shape, -1, 1, 9)).requires_grad_(), g = order(draw(shape, -1, 1, 6));
      Parameters p(8, DType::float64);
      const AnyTensor expected = where(p.in(DType::float64).fused(x.detach(), r.detach(), mode) > 0, g, 0), before = g.clone(),
                      held = r.detach().clone();
      {  // the caller's
        EXPECT_EQ(distance(grad({p.fused(x, r, mode)}, {r}, {g})[0], expected), 0);
        EXPECT_EQ(distance(g, before), 0);
      }
      {  // another input's of a sum, which hands one gradient to both
        std::vector<AnyTensor> got = grad({(p.fused(x, r, mode) + other) * 1}, {r, other}, {g});
        EXPECT_EQ(distance(got[0], expected), 0);
        EXPECT_EQ(distance(got[1], before), 0);
      }
      {  // retained, and seen by a hook
        AnyTensor y = p.fused(x, r, mode), seen;
        y.retain_grad();
        register_hook(y, [&](const AnyTensor& arrived) { return seen = arrived, AnyTensor(); });
        (y * 1).backward(g);
        EXPECT_EQ(distance(y.grad(), before), 0);
        EXPECT_EQ(distance(seen, before), 0);
        EXPECT_EQ(distance(r.grad(), expected), 0);
      }
      {  // a residual that goes on elsewhere
        std::vector<AnyTensor> got = grad({p.fused(x, r, mode), r * 2}, {r}, {g, g});
        EXPECT_LT(distance(got[0], expected + g * 2), 1e-15);
      }
      EXPECT_EQ(distance(r, held), 0);
      {  // nobody's: no new memory
        AnyTensor y = p.fused(x, r, mode);
        const void* place = nullptr;
        register_hook(y, [&](const AnyTensor& arrived) { return place = arrived.raw_data(), AnyTensor(); });
        AnyTensor got = grad({y * 1}, {r}, {g})[0];
        EXPECT_EQ(got.raw_data(), place);
        EXPECT_EQ(distance(got, expected), 0);
      }
    }
}

DEVICE_TEST(BatchNormRelu, TheGradientPastTheNormIsAddedTo) {
  for (DType type : {DType::float32, DType::bfloat16})
    for (bool residual : {false, true}) {
      const Shape shape{2, 16, 3, 8};
      AnyTensor x = draw(shape, -1, 3, 3).to(type).requires_grad_(), r = residual ? draw(shape, -2, 1, 8).to(type) : AnyTensor(),
                g = draw(shape, -1, 1, 6).to(type);
      AnyTensor sum = x * 1, y = batch_norm_relu(sum, r, {}, {}, {}, {}, {.training = true});
      AnyTensor apart = grad({batch_norm_relu(x, r, {}, {}, {}, {}, {.training = true})}, {x}, {g})[0] + g * 0.5;
      EXPECT_LT(distance(grad({sum * 0.5, y}, {x}, {g, g})[0], apart), type == DType::float32 ? 2e-6 : 3e-2)
          << name(type) << residual;
    }
}

DEVICE_TEST(BatchNormRelu, WritesInPlaceToWhatItsGradientReadsAreRefused) {
  AnyTensor x = draw({4, 3, 2}).requires_grad_(), r = draw({4, 3, 2}), w = draw({3}, 1, 2), b = draw({3}), g = draw({4, 3, 2});
  auto refused = [&](const AnyTensor& residual, auto write) {
    AnyTensor y = batch_norm_relu(x, residual, {}, {}, w, b, {.training = true});
    {
      NoGrad no_grad;
      write(y);
    }
    return message_of<GraphError>([&] { y.backward(g); }).find("batch_norm_relu") == 0;
  };
  EXPECT_TRUE(refused(r, [](AnyTensor& y) { y.fill_(1); }));
  EXPECT_TRUE(refused({}, [&](AnyTensor&) { b.fill_(1); }));
  EXPECT_TRUE(refused(r, [&](AnyTensor&) { w.fill_(1); }));
  // What it does not read may change: the residual, and the result where it is worked out again.
  for (const AnyTensor& residual : {AnyTensor(), r}) {
    AnyTensor y = batch_norm_relu(x, residual, {}, {}, w, b, {.training = true}),
              expected = grad({y}, {x}, {g}, {.retain_graph = true})[0];
    NoGrad no_grad;
    if (residual)
      r.fill_(3);
    else
      y.fill_(3);
    EXPECT_EQ(distance(grad({y}, {x}, {g})[0], expected), 0);
  }
}

TEST(BatchNormRelu, SameBitsForAnyNumberOfThreads) {
  for (bool last : {false, true})
    for (bool residual : {false, true}) {
      const Shape shape{9, 34, 40, 11};
      AnyTensor x = draw(shape, -1, 1, 3, DType::float32), g = draw(shape, -1, 1, 4, DType::float32), r;
      if (residual) r = draw(shape, -1, 1, 5, DType::float32).requires_grad_();
      if (last) x = channels_last(x);
      auto run = [&] {
        AnyTensor xs = x.detach().requires_grad_(), w = draw({34}, 0.5, 2, 4, DType::float32).requires_grad_();
        AnyTensor y = batch_norm_relu(xs, r, {}, {}, w, {}, {.training = true});
        std::vector<AnyTensor> all = grad({y}, residual ? std::vector<AnyTensor>{xs, w, r} : std::vector<AnyTensor>{xs, w}, {g});
        all.push_back(y.detach());
        return all;
      };
      std::vector<AnyTensor> before = run();
      int threads = get_num_threads();
      set_num_threads(threads == 1 ? 2 : 1);
      std::vector<AnyTensor> after = run();
      set_num_threads(threads);
      for (size_t k = 0; k < before.size(); ++k) EXPECT_EQ(distance(before[k], after[k]), 0);
    }
}

TEST(BatchNormRelu, Typed) {
  Tensor<float> x(draw({4, 3, 2}, -1, 1, 3, DType::float32)), r(draw({4, 3, 2}, -1, 1, 4, DType::float32));
  AnyTensor v = ones({3}, DType::float32);
  Tensor<float> y = batch_norm_relu(x, r, v, v), z = batch_norm_relu(x, {}, v, v);
  EXPECT_LT(distance(y, relu(batch_norm(x, v, v) + r)), 1e-6);
  EXPECT_EQ(distance(z, relu(batch_norm(x, v, v))), 0);
}
