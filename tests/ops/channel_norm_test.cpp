// Batch, group and instance normalisation against the definition in double, in both layouts.
#include "tests/channels_last.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

struct Reference {
  AnyTensor y;
  std::vector<double> mean, var;  // of each statistic; var is the biased one
};
/// groups = 0: over the batch.
Reference reference(const AnyTensor& x, int64_t groups, const AnyTensor& w, const AnyTensor& b, double eps) {
  int64_t n = x.shape()[0], c = x.shape()[1], d = n * c > 0 ? x.numel() / (n * c) : 0, stats = groups ? n * groups : c;
  std::vector<double> v = values(x), mean(stats), var(stats), scale = w ? values(w) : std::vector<double>(c, 1),
                      shift = b ? values(b) : std::vector<double>(c, 0);
  double count = groups ? double(d * c / groups) : double(n * d);
  auto of = [&](int64_t i) {
    int64_t k = i / d % c;
    return groups ? i / (d * c) * groups + k / (c / groups) : k;
  };
  for (int64_t i = 0; i < x.numel(); ++i) mean[of(i)] += v[i] / count;
  for (int64_t i = 0; i < x.numel(); ++i) var[of(i)] += (v[i] - mean[of(i)]) * (v[i] - mean[of(i)]) / count;
  AnyTensor y = empty(x.shape(), DType::float64, kCPU);
  for (int64_t i = 0; i < x.numel(); ++i)
    static_cast<double*>(y.raw_data())[i] =
        (v[i] - mean[of(i)]) / std::sqrt(var[of(i)] + eps) * scale[i / d % c] + shift[i / d % c];
  return {y, mean, var};
}

const Shape kShapes[] = {{6, 5}, {40, 70}, {3, 6, 7}, {2, 4, 1, 1}, {2, 66, 9, 5}, {3, 3, 70, 40}, {2, 1, 3, 3}, {5, 80, 3, 2, 2}};
const std::pair<DType, double> kTypes[] = {
    {DType::float64, 1e-13}, {DType::float32, 6e-6}, {DType::float16, 4e-3}, {DType::bfloat16, 3e-2}};  // a few last places

AnyTensor column(const std::vector<double>& v) { return Tensor<double>(std::span<const double>(v)); }

}  // namespace

DEVICE_TEST(BatchNorm, IsTheDefinitionInEveryTypeAndLayout) {
  for (auto [type, tolerance] : kTypes)
    for (const Shape& shape : kShapes)
      for (bool last : {false, true}) {
        AnyTensor x = draw(shape, -1, 3, 3).to(type), w = draw({shape[1]}, 0.5, 2, 4).to(type),
                  b = draw({shape[1]}, -1, 1, 5).to(type);
        if (last) x = channels_last(x);
        AnyTensor rm = draw({shape[1]}, -1, 1, 6, DType::float64).to(type), rv = draw({shape[1]}, 0.5, 2, 7).to(type);
        AnyTensor rm0 = rm.clone(), rv0 = rv.clone();
        AnyTensor y = batch_norm(x, rm, rv, w, b, {.training = true, .momentum = 0.3});
        Reference expected = reference(x, 0, w, b, 1e-5);
        EXPECT_LT(distance(y, expected.y), tolerance) << name(type) << to_string(shape) << last;
        EXPECT_TRUE(!last || y.stride() == x.stride());
        double n = double(x.numel() / shape[1]);
        EXPECT_LT(distance(rm, rm0.to(DType::float64) * 0.7 + placed(column(expected.mean)) * 0.3), tolerance);
        EXPECT_LT(distance(rv, rv0.to(DType::float64) * 0.7 + placed(column(expected.var)) * (0.3 * n / (n - 1))), tolerance);
        EXPECT_LT(distance(batch_norm(x, {}, {}, {}, {}, {.training = true, .eps = 0.1}), reference(x, 0, {}, {}, 0.1).y),
                  tolerance);
        // Evaluation: given statistics, which stay as they are.
        AnyTensor rm1 = rm.clone();
        AnyTensor view = rm1.reshape({1, shape[1]}), bias = b.reshape({1, shape[1]}), scale = w.reshape({1, shape[1]}),
                  var = rv.reshape({1, shape[1]});
        for (int d = 2; d < shape.rank; ++d)
          view = view.unsqueeze(-1), bias = bias.unsqueeze(-1), scale = scale.unsqueeze(-1), var = var.unsqueeze(-1);
        DType wide = DType::float64;
        AnyTensor fixed = (x.to(wide) - view.to(wide)) / sqrt(var.to(wide) + 1e-5) * scale.to(wide) + bias.to(wide);
        EXPECT_LT(distance(batch_norm(x, rm, rv, w, b), fixed), tolerance);
        EXPECT_EQ(distance(rm, rm1), 0);
      }
}

DEVICE_TEST(BatchNorm, ALargeMeanCostsNoDigitsOfTheVariance) {
  for (bool last : {false, true}) {
    AnyTensor x = (draw({30, 20, 30, 7}, -1, 1, 9) + 4096.0).to(DType::float32);  // sums of squares would have no digit
    if (last) x = channels_last(x);
    EXPECT_LT(distance(batch_norm(x, {}, {}, {}, {}, {.training = true}), reference(x, 0, {}, {}, 1e-5).y), 2e-3);
  }
}

DEVICE_TEST(GroupNorm, IsTheDefinitionInEveryTypeAndLayout) {
  for (auto [type, tolerance] : kTypes)
    for (const Shape& shape : kShapes)
      for (int64_t groups : {int64_t(1), int64_t(2), int64_t(3), shape[1]})
        for (bool last : {false, true}) {
          if (shape[1] % groups) continue;
          AnyTensor x = draw(shape, -1, 3, 3).to(type), w = draw({shape[1]}, 0.5, 2, 4).to(type),
                    b = draw({shape[1]}, -1, 1, 5).to(type);
          if (last) x = channels_last(x);
          EXPECT_LT(distance(group_norm(x, groups, w, b, 0.01), reference(x, groups, w, b, 0.01).y), tolerance)
              << name(type) << to_string(shape) << groups << last;
          EXPECT_LT(distance(group_norm(x, groups, {}, {}, 0.01), reference(x, groups, {}, {}, 0.01).y), tolerance);
        }
}

DEVICE_TEST(InstanceNorm, IsTheDefinitionAndMovesTheRunningAverages) {
  AnyTensor x = draw({4, 3, 5, 2}, -1, 3, 3), w = draw({3}, 0.5, 2, 4), b = draw({3}, -1, 1, 5);
  AnyTensor rm = zeros({3}, DType::float64), rv = ones({3}, DType::float64);
  Reference expected = reference(x, 3, w, b, 1e-5);
  EXPECT_LT(distance(instance_norm(x, rm, rv, w, b, {.momentum = 0.25}), expected.y), 1e-13);
  EXPECT_LT(distance(rm, mean(column(expected.mean).reshape({4, 3}), 0) * 0.25), 1e-14);
  EXPECT_LT(distance(rv, mean(column(expected.var).reshape({4, 3}), 0) * (0.25 * 10 / 9) + 0.75), 1e-14);
  EXPECT_LT(distance(instance_norm(x, rm, rv, w, b, {.use_input_stats = false}), batch_norm(x, rm, rv, w, b)), 1e-15);
}

DEVICE_TEST(ChannelNorm, Gradients) {
  for (const Shape& shape : {Shape{6, 3}, Shape{3, 4, 2}, Shape{2, 4, 3, 2}})
    for (bool last : {false, true}) {
      AnyTensor x = draw(shape, -1, 3, 3);
      if (last) x = channels_last(x);
      x.requires_grad_();
      AnyTensor w = draw({shape[1]}, 0.5, 2, 4).requires_grad_(), b = draw({shape[1]}, -1, 1, 5).requires_grad_();
      AnyTensor rm = draw({shape[1]}, -1, 1, 6), rv = draw({shape[1]}, 0.5, 2, 7);
      BatchNormOptions training{.training = true, .eps = 0.1}, fixed{.eps = 0.1};
      EXPECT_EQ(gradcheck([&](const auto& in) { return batch_norm(in[0], {}, {}, in[1], in[2], training); }, {x, w, b}), "");
      EXPECT_EQ(gradcheck([&](const auto& in) { return batch_norm(in[0], {}, {}, {}, {}, training); }, {x}), "");
      EXPECT_EQ(gradcheck([&](const auto& in) { return batch_norm(in[0], rm, rv, in[1], in[2], fixed); }, {x, w, b}), "");
      EXPECT_EQ(gradcheck([&](const auto& in) { return batch_norm(x.detach(), rm, rv, in[0], in[1], fixed); }, {w, b}), "");
      EXPECT_EQ(gradcheck([&](const auto& in) { return batch_norm(x.detach(), {}, {}, {}, in[0], training); }, {b}), "");
      int64_t groups = shape[1] == 4 ? 2 : 1;
      EXPECT_EQ(gradcheck([&](const auto& in) { return group_norm(in[0], groups, in[1], in[2], 0.1); }, {x, w, b}), "");
      EXPECT_EQ(gradcheck([&](const auto& in) { return group_norm(in[0], groups, {}, {}, 0.1); }, {x}), "");
      if (shape.rank > 2) {
        EXPECT_EQ(gradcheck([&](const auto& in) { return instance_norm(in[0], {}, {}, in[1], in[2], {.eps = 0.1}); }, {x, w, b}),
                  "");
      }
    }
}

DEVICE_TEST(ChannelNorm, GradientsOfNothing) {
  AnyTensor w = draw({4}, 0.5, 2, 4).requires_grad_(), b = draw({4}, -1, 1, 5).requires_grad_(), v = draw({4}, 0.5, 2, 7);
  for (const Shape& shape : {Shape{0, 4}, Shape{0, 4, 3}, Shape{2, 4, 0}}) {
    AnyTensor x = draw(shape).requires_grad_();
    EXPECT_EQ(gradcheck([&](const auto& in) { return group_norm(in[0], 2, in[1], in[2]); }, {x, w, b}), "") << to_string(shape);
    EXPECT_EQ(gradcheck([&](const auto& in) { return batch_norm(in[0], v, v, in[1], in[2]); }, {x, w, b}), "") << to_string(shape);
  }
}

DEVICE_TEST(BatchNorm, WithFixedStatisticsOneElementDoesNotMoveTheOthers) {
  for (DType type : {DType::float64, DType::float32, DType::bfloat16}) {
    AnyTensor x = draw({3, 2, 4}).to(type), v = draw({2}, 0.5, 2, 7).to(type), g = draw({3, 2, 4}, -1, 1, 8).to(type);
    AnyTensor with_hole = x.clone(), w = draw({2}, 0.5, 2, 4).to(type).requires_grad_();
    put(with_hole, 2, NAN), put(with_hole, 13, HUGE_VAL);
    auto slopes = [&](const AnyTensor& x) {
      AnyTensor leaf = x.clone().requires_grad_();
      return values(grad({batch_norm(leaf, v, v, w)}, {leaf, w}, {g})[0]);
    };
    std::vector<double> plain = slopes(x), got = slopes(with_hole);
    for (size_t i = 0; i < got.size(); ++i) {
      if (i == 2 || i == 13) continue;
      EXPECT_EQ(got[i], plain[i]) << name(type) << " at " << i;
    }
  }
}

DEVICE_TEST(ChannelNorm, FusedBackwardIsTheComposedOne) {
  const std::pair<DType, double> types[] = {{DType::float32, 2e-5}, {DType::float16, 1e-2}, {DType::bfloat16, 8e-2}};
  for (auto [type, tolerance] : types)
    for (const Shape& shape : {Shape{300, 37}, Shape{4, 70, 33, 9}, Shape{2, 6, 130}})
      for (int mode = 0; mode < 3; ++mode)  // batch, fixed statistics, groups
        for (bool last : {false, true}) {
          AnyTensor x = draw(shape, -1, 1, 3).to(type), g = draw(shape, -1, 1, 6).to(type);
          AnyTensor w = draw({shape[1]}, 0.5, 2, 4).to(type), b = draw({shape[1]}, -1, 1, 5).to(type);
          AnyTensor rm = draw({shape[1]}, -1, 1, 8).to(type), rv = draw({shape[1]}, 0.5, 2, 9).to(type);
          if (last) x = channels_last(x);
          auto gradients = [&](DType t, bool graph) {
            AnyTensor xs = x.to(t).detach().requires_grad_(), ws = w.to(t).detach().requires_grad_(),
                      bs = b.to(t).detach().requires_grad_();
            AnyTensor y = mode == 2   ? group_norm(xs, shape[1] == 37 ? 1 : 2, ws, bs)
                          : mode == 1 ? batch_norm(xs, rm.to(t), rv.to(t), ws, bs)
                                      : batch_norm(xs, {}, {}, ws, bs, {.training = true});
            return grad({y}, {xs, ws, bs}, {g.to(t)}, {.create_graph = graph});
          };
          std::vector<AnyTensor> fused = gradients(type, false), composed = gradients(DType::float64, true);
          for (int k = 0; k < 3; ++k)
            EXPECT_LT(distance(fused[k], composed[k]), tolerance)
                << name(type) << to_string(shape) << mode << last << " input " << k;
        }
}

DEVICE_TEST(ChannelNorm, ParametersOfHalfTypesMayBeFloat) {
  AnyTensor x = draw({20, 33, 3}, -1, 1, 3).to(DType::bfloat16).requires_grad_();
  AnyTensor w = draw({33}, 0.5, 2, 4, DType::float32).requires_grad_(), b = draw({33}, -1, 1, 5, DType::float32).requires_grad_();
  AnyTensor rm = zeros({33}, DType::float32), rv = ones({33}, DType::float32);
  AnyTensor y = batch_norm(x, rm, rv, w, b, {.training = true});
  EXPECT_EQ(y.dtype(), DType::bfloat16);
  EXPECT_LT(distance(rm * 10.0, column(reference(x, 0, w, b, 1e-5).mean)), 1e-5);
  std::vector<AnyTensor> g = grad({y}, {x, w, b}, {draw({20, 33, 3}).to(DType::bfloat16)});
  EXPECT_EQ(g[0].dtype(), DType::bfloat16);
  EXPECT_EQ(g[1].dtype(), DType::float32);
  EXPECT_EQ(g[2].dtype(), DType::float32);
}

TEST(ChannelNorm, SameBitsForAnyNumberOfThreads) {
  for (bool last : {false, true})
    for (int64_t groups : {0, 2}) {
      AnyTensor x = draw({9, 34, 40, 11}, -1, 1, 3, DType::float32), g = draw({9, 34, 40, 11}, -1, 1, 4, DType::float32);
      if (last) x = channels_last(x);
      auto run = [&] {
        AnyTensor xs = x.detach().requires_grad_(), w = draw({34}, 0.5, 2, 4, DType::float32).requires_grad_();
        AnyTensor y = groups ? group_norm(xs, groups, w) : batch_norm(xs, {}, {}, w, {}, {.training = true});
        std::vector<AnyTensor> all = grad({y}, {xs, w}, {g});
        all.push_back(y.detach());
        return all;
      };
      std::vector<AnyTensor> before = run();
      int threads = get_num_threads();
      set_num_threads(threads == 1 ? 2 : 1);
      std::vector<AnyTensor> after = run();
      set_num_threads(threads);
      for (int k = 0; k < 3; ++k) EXPECT_EQ(distance(before[k], after[k]), 0);
    }
}

DEVICE_TEST(BatchNorm, RunningStatisticsAreWrittenInPlace) {
  AnyTensor x = draw({4, 2}), rm = zeros({2}, DType::float64), rv = ones({2}, DType::float64), w = ones({2}, DType::float64);
  w.requires_grad_();
  AnyTensor loss = sum(w * rm);  // saves rm
  batch_norm(x, rm, rv, {}, {}, {.training = true});
  EXPECT_NE(message_of<GraphError>([&] { loss.backward(); }).find("mul"), std::string::npos);
  // Training between an evaluation's forward and its backward does not disturb it.
  AnyTensor leaf = x.detach().requires_grad_();
  AnyTensor y = batch_norm(leaf, rm, rv), expected = grad({y}, {leaf}, {ones_like(x)}, {.retain_graph = true})[0];
  batch_norm(x, rm, rv, {}, {}, {.training = true});
  EXPECT_EQ(distance(grad({y}, {leaf}, {ones_like(x)})[0], expected), 0);
}

DEVICE_TEST(LocalResponseNorm, IsTheDefinitionAndDifferentiable) {
  AnyTensor x = draw({2, 6, 3}, -2, 2, 3);
  for (int64_t size : {1, 2, 3, 5, 9}) {
    LocalResponseNormOptions o{.size = size, .alpha = 0.3, .beta = 0.6, .k = 1.25};
    std::vector<double> v = values(x), y = values(local_response_norm(x, o));
    for (int64_t i = 0; i < 36; ++i) {
      double total = 0;
      for (int64_t k = -(size / 2); k <= (size - 1) / 2; ++k) {
        int64_t c = i / 3 % 6 + k;
        if (c >= 0 && c < 6) total += v[i + k * 3] * v[i + k * 3];
      }
      EXPECT_NEAR(y[i], v[i] / std::pow(1.25 + 0.3 * total / double(size), 0.6), 1e-14);
    }
  }
  x.requires_grad_();
  EXPECT_EQ(gradcheck([](const auto& in) { return local_response_norm(in[0], {.size = 3, .alpha = 0.5}); }, {x}), "");
}

DEVICE_TEST(Normalize, IsTheDefinitionAndDifferentiable) {
  AnyTensor x = draw({3, 4, 2}, -2, 2, 3);
  for (double p : {1.0, 2.0, 3.0})
    for (int64_t axis : {0, 1, -1}) {
      AnyTensor norm = pow(sum(pow(abs(x), p), axis, true), 1 / p);
      EXPECT_LT(distance(normalize(x, {.p = p, .axis = axis}), x / norm), 1e-14);
      AnyTensor leaf = x.detach().requires_grad_();
      EXPECT_EQ(gradcheck([&](const auto& in) { return normalize(in[0], {.p = p, .axis = axis}); }, {leaf}), "");
    }
  for (DType type : {DType::float64, DType::float32, DType::float16}) {  // zeros stay zeros, and so does their gradient over eps
    AnyTensor none = zeros({2, 3}, type).requires_grad_();
    AnyTensor y = normalize(none), g = grad({y}, {none}, {ones({2, 3}, type)})[0];
    for (double v : values(y)) EXPECT_EQ(v, 0);
    for (double v : values(g)) EXPECT_FALSE(std::isnan(v));
  }
}

DEVICE_TEST(ChannelNorm, ErrorsNameTheOp) {
  AnyTensor x = draw({2, 4, 3}), four = draw({4}), three = draw({3});
  EXPECT_EQ(message_of<ShapeError>([&] { group_norm(x, 3); }), "group_norm: 4 channels do not form 3 equal groups");
  EXPECT_EQ(message_of<ShapeError>([&] { group_norm(x, 0); }), "group_norm: 4 channels do not form 0 equal groups");
  EXPECT_EQ(message_of<ShapeError>([&] { batch_norm(x, four, three); }), "batch_norm: running_var has shape [3], not [4]");
  EXPECT_EQ(message_of<ShapeError>([&] { batch_norm(four, four, four); }), "batch_norm: x has shape [4]; (N, C, ...) is needed");
  EXPECT_EQ(message_of<ValueError>([&] { batch_norm(x, {}, four); }),
            "batch_norm: running_mean and running_var are needed unless in training");
  EXPECT_EQ(message_of<ValueError>([&] {
              batch_norm(draw({1, 4}), {}, {}, {}, {}, {.training = true});
            }),
            "batch_norm: x has shape [1, 4], at most one value a channel: no variance to train on; use a larger batch");
  EXPECT_EQ(message_of<DTypeError>([&] { instance_norm(x.to(DType::int32)); }),
            "instance_norm: needs a floating point tensor, got int32; cast with to<float>()");
  EXPECT_EQ(message_of<ValueError>([&] {
              instance_norm(draw({2, 4}));
            }),
            "instance_norm: x has shape [2, 4], at most one value a channel: no variance");
  EXPECT_EQ(message_of<ValueError>([&] { normalize(x, {.p = -1}); }), "normalize: p is -1; a positive finite number is needed");
  EXPECT_EQ(message_of<ValueError>([&] { local_response_norm(x, {.size = 0}); }),
            "local_response_norm: size 0 of the neighbourhood; at least 1 is needed");
}

DEVICE_TEST(AddGroupNorm, IsTheNormOfTheSum) {
  for (auto [type, tolerance] : kTypes)
    for (const Shape& shape : {Shape{6, 5}, Shape{3, 6, 7}, Shape{2, 64, 9, 5}, Shape{3, 16, 24, 10}, Shape{0, 4, 3}})
      for (bool last : {false, true}) {
        const int64_t groups = shape[1] % 2 ? shape[1] : 2;
        AnyTensor x = draw(shape, -1, 3, 3).to(type), r = draw(shape, -2, 1, 8).to(type);
        AnyTensor w = draw({shape[1]}, 0.5, 2, 4).to(type), b = draw({shape[1]}, -1, 1, 5).to(type);
        if (last) x = channels_last(x);
        auto [sum, y] = add_group_norm(x, r, groups, w, b, 0.01);  // of two layouts
        EXPECT_EQ(distance(sum, x + r), 0) << name(type) << to_string(shape) << last;
        EXPECT_TRUE(!last || (sum.stride() == x.stride() && y.stride() == x.stride()));
        EXPECT_EQ(distance(y, group_norm(sum, groups, w, b, 0.01)), 0) << name(type) << to_string(shape) << last;
        EXPECT_LT(distance(y, reference(sum, groups, w, b, 0.01).y), tolerance) << name(type) << to_string(shape) << last;
      }
}

DEVICE_TEST(AddGroupNorm, Gradients) {
  for (const Shape& shape : {Shape{6, 3}, Shape{2, 4, 3, 2}})
    for (bool last : {false, true}) {
      const int64_t groups = shape[1] == 4 ? 2 : 1;
      AnyTensor x = draw(shape, -1, 3, 3), r = draw(shape, -2, 1, 8);
      if (last) x = channels_last(x), r = channels_last(r);
      x.requires_grad_(), r.requires_grad_();
      AnyTensor w = draw({shape[1]}, 0.5, 2, 4).requires_grad_(), b = draw({shape[1]}, -1, 1, 5).requires_grad_();
      auto used_both = [](const std::pair<AnyTensor, AnyTensor>& p) { return p.first * 0.3 + p.second * p.second; };
      auto of = [&](const AnyTensor& x, const AnyTensor& r) { return add_group_norm(x, r, groups, w, b, 0.1); };
      EXPECT_EQ(gradcheck([&](const auto& in) { return used_both(add_group_norm(in[0], in[1], groups, in[2], in[3], 0.1)); },
                          {x, r, w, b}),
                "")
          << to_string(shape) << last;
      EXPECT_EQ(gradcheck([&](const auto& in) { return of(in[0], r.detach()).second; }, {x}), "");
      EXPECT_EQ(gradcheck([&](const auto& in) { return of(x.detach(), in[0]).first; }, {r}), "");
      EXPECT_EQ(gradcheck([&](const auto& in) { return used_both(of(in[0], in[0])); }, {x}), "");
    }
}

DEVICE_TEST(AddGroupNorm, TheGradientPastTheNormIsAddedTo) {
  for (DType type : {DType::float32, DType::bfloat16})
    for (const Shape& shape : {Shape{3, 6, 7}, Shape{2, 16, 3, 8}})
      for (bool last : {false, true}) {
        const double tolerance = type == DType::float32 ? 2e-6 : 3e-2;
        AnyTensor x = draw(shape, -1, 3, 3).to(type), r = draw(shape, -2, 1, 8).to(type), g = draw(shape, -1, 1, 6).to(type);
        if (last) x = channels_last(x), r = channels_last(r), g = channels_last(g);
        AnyTensor apart = (x + r).requires_grad_();
        AnyTensor past = grad({group_norm(apart, 2)}, {apart}, {g})[0] + g * 0.5;
        x.requires_grad_();
        auto [sum, y] = add_group_norm(x * 1, r, 2);
        EXPECT_LT(distance(grad({sum * 0.5, y}, {x}, {g, g})[0], past), tolerance) << name(type) << to_string(shape) << last;
      }
}
