// Layer and RMS normalisation against the definition in double.
#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

/// (x - mean) / sqrt(var + eps) * w + b over the last n elements; without center, the mean is not subtracted.
AnyTensor reference(const AnyTensor& x, int64_t n, const AnyTensor& w, const AnyTensor& b, double eps, bool center) {
  AnyTensor y = empty(x.shape(), DType::float64, kCPU);
  std::vector<double> v = values(x), scale, shift;
  if (w) scale = values(w);
  if (b) shift = values(b);
  for (int64_t r = 0; n > 0 && r < x.numel() / n; ++r) {
    double mean = 0, square = 0;
    for (int64_t i = 0; i < n; ++i) mean += center ? v[r * n + i] / double(n) : 0;
    for (int64_t i = 0; i < n; ++i) square += (v[r * n + i] - mean) * (v[r * n + i] - mean) / double(n);
    for (int64_t i = 0; i < n; ++i)
      static_cast<double*>(y.raw_data())[r * n + i] =
          (v[r * n + i] - mean) / std::sqrt(square + eps) * (w ? scale[i] : 1) + (b ? shift[i] : 0);
  }
  return y;
}

const std::pair<Shape, Shape> kShapes[] = {{{5}, {5}},       {{1}, {1}},          {{3, 1}, {1}},          {{40, 70}, {70}},
                                           {{2, 3, 4}, {4}}, {{2, 3, 4}, {3, 4}}, {{2, 3, 4}, {2, 3, 4}}, {{2, 0, 3}, {3}}};

}  // namespace

DEVICE_TEST(LayerNorm, IsTheDefinitionInEveryType) {
  // A few last places; rounding of half types happens once, at the end.
  const std::pair<DType, double> types[] = {
      {DType::float64, 1e-14}, {DType::float32, 4e-6}, {DType::float16, 2e-3}, {DType::bfloat16, 1.6e-2}};
  for (auto [type, tolerance] : types)
    for (const auto& [shape, last] : kShapes) {
      AnyTensor x = draw(shape, -1, 3, 3).to(type), w = draw(last, 0.5, 2, 4).to(type), b = draw(last, -1, 1, 5).to(type);
      int64_t n = last.numel();
      EXPECT_LT(distance(layer_norm(x, last, w, b), reference(x, n, w, b, 1e-5, true)), tolerance)
          << name(type) << to_string(shape);
      EXPECT_LT(distance(layer_norm(x, last, w, {}, 0.5), reference(x, n, w, {}, 0.5, true)), tolerance);
      EXPECT_LT(distance(layer_norm(x, last, {}, b), reference(x, n, {}, b, 1e-5, true)), tolerance);
      EXPECT_LT(distance(layer_norm(x, last), reference(x, n, {}, {}, 1e-5, true)), tolerance);
      EXPECT_LT(distance(rms_norm(x, last, w, 1e-3), reference(x, n, w, {}, 1e-3, false)), tolerance);
      double epsilon = type == DType::float64   ? 0x1p-52
                       : type == DType::float32 ? 0x1p-23
                       : type == DType::float16 ? 0x1p-10
                                                : 0x1p-7;
      EXPECT_LT(distance(rms_norm(x, last), reference(x, n, {}, {}, epsilon, false)), tolerance);
    }
}

DEVICE_TEST(LayerNorm, ALargeMeanCostsNoDigitsOfTheVariance) {
  AnyTensor x = (draw({4, 1000}, -1, 1, 9) + 4096.0).to(DType::float32);  // spaced by 2^-11, so sums of squares would have no digit
  EXPECT_LT(distance(layer_norm(x, {1000}), reference(x, 1000, {}, {}, 1e-5, true)),
            2e-3);  // two last places of the mean, over the deviation
}

DEVICE_TEST(LayerNorm, AnyLayout) {
  AnyTensor x = draw({4, 5, 6}), w = draw({6}, 0.5, 2, 4), b = draw({12}, 0, 1, 5).slice(0, 0, 12, 2);
  AnyTensor t = x.transpose(0, 1).contiguous().transpose(0, 1);
  EXPECT_EQ(distance(layer_norm(t, {6}, w, b), layer_norm(x, {6}, w, b.contiguous())), 0);
}

DEVICE_TEST(LayerNorm, Gradients) {
  for (const auto& [shape, over] : kShapes) {
    if (shape.numel() > 200) continue;
    const Shape& last = over;  // which lambdas can take
    AnyTensor x = draw(shape, -1, 3, 3).requires_grad_();
    AnyTensor w = draw(last, 0.5, 2, 4).requires_grad_(), b = draw(last, -1, 1, 5).requires_grad_();
    auto full = [&](const auto& in) { return layer_norm(in[0], last, in[1], in[2], 0.1); };
    EXPECT_EQ(gradcheck(full, {x, w, b}), "") << to_string(shape);
    EXPECT_EQ(gradcheck([&](const auto& in) { return layer_norm(in[0], last, {}, {}, 0.1); }, {x}), "");
    EXPECT_EQ(gradcheck([&](const auto& in) { return layer_norm(x.detach(), last, in[0], in[1], 0.1); }, {w, b}), "");
    EXPECT_EQ(gradcheck([&](const auto& in) { return layer_norm(x.detach(), last, {}, in[0], 0.1); }, {b}), "");
    EXPECT_EQ(gradcheck([&](const auto& in) { return rms_norm(in[0], last, in[1], 0.1); }, {x, w}), "");
    EXPECT_EQ(gradcheck([&](const auto& in) { return rms_norm(in[0], last, {}, 0.1); }, {x}), "");
  }
  AnyTensor x = draw({3, 5, 2}, -1, 3, 3).requires_grad_();  // seen transposed
  EXPECT_EQ(gradcheck([&](const auto& in) { return layer_norm(in[0].transpose(0, 2), {5, 3}, {}, {}, 0.1); }, {x}), "");
}

DEVICE_TEST(LayerNorm, FusedBackwardIsTheComposedOne) {
  // Rows enough for several stretches of the parameters' sums.
  const std::pair<DType, double> types[] = {{DType::float32, 2e-5}, {DType::float16, 1e-2}, {DType::bfloat16, 8e-2}};
  for (auto [type, tolerance] : types)
    for (int64_t rows : {1, 17, 700})
      for (bool center : {true, false}) {
        AnyTensor x = draw({rows, 37}, -1, 1, 3).to(type), g = draw({rows, 37}, -1, 1, 6).to(type);
        AnyTensor w = draw({37}, 0.5, 2, 4).to(type), b = draw({37}, -1, 1, 5).to(type);
        auto gradients = [&, type = type](DType t, bool graph) {
          AnyTensor xs = x.to(t).detach().requires_grad_(), ws = w.to(t).detach().requires_grad_(),
                    bs = b.to(t).detach().requires_grad_();
          AnyTensor y = center ? layer_norm(xs, {37}, ws, bs) : rms_norm(xs, {37}, ws, 1e-5) + bs;
          return grad({y}, {xs, ws, bs}, {g.to(t)}, {.create_graph = graph});
        };
        std::vector<AnyTensor> fused = gradients(type, false), composed = gradients(DType::float64, true);
        for (int k = 0; k < 3; ++k) EXPECT_LT(distance(fused[k], composed[k]), tolerance) << name(type) << rows << " input " << k;
      }
}

DEVICE_TEST(LayerNorm, ParametersOfHalfTypesMayBeFloat) {
  for (DType type : {DType::float16, DType::bfloat16}) {
    AnyTensor x = draw({20, 33}, -1, 1, 3).to(type).requires_grad_();
    AnyTensor w = draw({33}, 0.5, 2, 4, DType::float32).requires_grad_(), b = draw({33}, -1, 1, 5, DType::float32).requires_grad_();
    AnyTensor y = layer_norm(x, {33}, w, b), v = draw({20, 33}, -1, 1, 6).to(type);
    EXPECT_EQ(y.dtype(), type);
    std::vector<AnyTensor> fused = grad({y}, {x, w, b}, {v}, {.retain_graph = true});
    std::vector<AnyTensor> composed = grad({y}, {x, w, b}, {v}, {.create_graph = true});
    for (int k = 0; k < 3; ++k) {
      EXPECT_EQ(fused[k].dtype(), k ? DType::float32 : type);
      EXPECT_EQ(composed[k].dtype(), k ? DType::float32 : type);
      EXPECT_LT(distance(fused[k], composed[k]), type == DType::float16 ? 2e-2 : 0.15) << k;  // the composed one rounds at every op
    }
  }
}

TEST(LayerNorm, SameBitsForAnyNumberOfThreads) {
  AnyTensor x = draw({3000, 65}, -1, 1, 3).to(DType::float32), g = draw({3000, 65}, -1, 1, 6).to(DType::float32);
  auto gradients = [&] {
    AnyTensor xs = x.detach().requires_grad_(), w = draw({65}, 0.5, 2, 4, DType::float32).requires_grad_();
    return grad({layer_norm(xs, {65}, w)}, {xs, w}, {g});
  };
  std::vector<AnyTensor> before = gradients();
  int threads = get_num_threads();
  set_num_threads(threads == 1 ? 2 : 1);
  std::vector<AnyTensor> after = gradients();
  set_num_threads(threads);
  for (int k = 0; k < 2; ++k) EXPECT_EQ(distance(before[k], after[k]), 0);
}

DEVICE_TEST(LayerNorm, ErrorsNameTheOp) {
  AnyTensor x = draw({2, 3, 4});
  EXPECT_EQ(message_of<ShapeError>([&] { layer_norm(x, {3}); }),
            "layer_norm: x has shape [2, 3, 4], which does not end in normalized_shape [3]");
  EXPECT_EQ(message_of<ShapeError>([&] {
              add_layer_norm(x, draw({3, 4}), {4});
            }),
            "add_layer_norm: x has shape [2, 3, 4], residual [3, 4]; expand() the smaller one");
  EXPECT_EQ(message_of<ValueError>([&] { add_rms_norm(x, {}, {4}); }), "add_rms_norm: residual is undefined");
  EXPECT_EQ(message_of<ShapeError>([&] { layer_norm(x, {4}, draw({3})); }), "layer_norm: weight has shape [3], not [4]");
  EXPECT_EQ(message_of<ShapeError>([&] { rms_norm(x, {}); }),
            "rms_norm: normalized_shape is empty; name at least the last size of x");
  EXPECT_EQ(message_of<DTypeError>([&] { layer_norm(x, {4}, {}, draw({4}, 0, 1, 1, DType::float32)); }),
            "layer_norm: bias is float32 for a tensor of float64; cast one with to()");
  EXPECT_EQ(message_of<DTypeError>([&] { rms_norm(x.to(DType::int32), {4}); }),
            "rms_norm: needs a floating point tensor, got int32; cast with to<float>()");
}

DEVICE_TEST(LayerNorm, AddsToTheGradientThatIsThere) {
  const std::pair<DType, double> types[] = {
      {DType::float64, 1e-13}, {DType::float32, 4e-5}, {DType::float16, 4e-2}, {DType::bfloat16, 3e-1}};  // numbers up to 20
  for (auto [type, tolerance] : types)
    for (bool center : {true, false})
      for (int64_t n : {1, 7, 64, 1000}) {
        AnyTensor x = draw({6, n}, -1, 3, 3).to(type), w = draw({n}, 0.5, 2, 4).to(type), g = draw({6, n}, -1, 1, 5).to(type);
        AnyTensor held, before;
        auto gradient = [&](DType t, bool hold, bool composed) {
          AnyTensor leaf = x.to(t).requires_grad_(), h = leaf * 1;
          AnyTensor branch = center ? layer_norm(h, {n}, w.to(t), {}, 0.1) : rms_norm(h, {n}, w.to(t), 0.1);
          AnyTensor past = h + 0;  // made after the norm, so its gradient is there before the norm's
          if (hold) register_hook(past, [&](const AnyTensor& v) { return held = v, before = v.clone(), AnyTensor(); });
          return grad({past * 3 + branch * branch}, {leaf}, {g.to(t)}, {.create_graph = composed})[0].detach();
        };
        const AnyTensor expected = gradient(DType::float64, false, true);
        EXPECT_LT(distance(gradient(type, false, false), expected), tolerance) << name(type) << n << center;
        EXPECT_LT(distance(gradient(type, true, false), expected), tolerance) << name(type) << n << center;
        EXPECT_EQ(distance(held, before), 0) << "somebody else's gradient was written";
      }
}

DEVICE_TEST(AddLayerNorm, IsTheNormOfTheSum) {
  // Widths that are whole packs of every type and that are not; rows that begin between two packs.
  for (DType type : {DType::float64, DType::float32, DType::float16, DType::bfloat16})
    for (int64_t n : {1, 7, 64, 768, 1000, 2056})
      for (bool center : {true, false}) {
        AnyTensor x = draw({5, n}, -1, 3, 3).to(type), r = draw({5, n}, -2, 1, 8).to(type);
        AnyTensor w = draw({n}, 0.5, 2, 4).to(type), b = draw({n}, -1, 1, 5).to(type);
        auto both = [&](const AnyTensor& x, const AnyTensor& r) {
          return center ? add_layer_norm(x, r, {n}, w, b) : add_rms_norm(x, r, {n}, w);
        };
        auto [sum, y] = both(x, r);
        EXPECT_EQ(distance(sum, x + r), 0) << name(type) << n;
        EXPECT_EQ(distance(y, center ? layer_norm(sum, {n}, w, b) : rms_norm(sum, {n}, w)), 0) << name(type) << n;
        AnyTensor longer = empty({5 * n + 1}, type, x.device()), odd = longer.narrow(0, 1, 5 * n).view({5, n});
        odd.copy_(x);
        auto [sum_of_odd, of_odd] = both(odd, r.t().contiguous().t());
        EXPECT_EQ(distance(sum_of_odd, sum), 0) << name(type) << n;
        // Rows that are held and rows that are read again are summed in another order; two last places of the type come of it.
        EXPECT_LT(distance(of_odd, y), type == DType::float64   ? 1e-14
                                       : type == DType::float32 ? 4e-6
                                       : type == DType::float16 ? 8e-3
                                                                : 6.4e-2)
            << name(type) << n;
      }
  AnyTensor none = draw({2, 0, 3});
  auto [sum, y] = add_layer_norm(none, none, {3});
  EXPECT_TRUE(sum.shape() == Shape({2, 0, 3}) && y.shape() == sum.shape());
}

DEVICE_TEST(AddLayerNorm, Gradients) {
  for (const auto& [shape, over] : kShapes) {
    if (shape.numel() > 200) continue;
    const Shape& last = over;  // which lambdas can take
    AnyTensor x = draw(shape, -1, 3, 3).requires_grad_(), r = draw(shape, -2, 1, 8).requires_grad_();
    AnyTensor w = draw(last, 0.5, 2, 4).requires_grad_(), b = draw(last, -1, 1, 5).requires_grad_();
    auto used_both = [](const std::pair<AnyTensor, AnyTensor>& p) { return p.first * 0.3 + p.second * p.second; };
    EXPECT_EQ(
        gradcheck([&](const auto& in) { return used_both(add_layer_norm(in[0], in[1], last, in[2], in[3], 0.1)); }, {x, r, w, b}),
        "")
        << to_string(shape);
    EXPECT_EQ(gradcheck([&](const auto& in) { return used_both(add_rms_norm(in[0], in[1], last, in[2], 0.1)); }, {x, r, w}), "");
    EXPECT_EQ(gradcheck([&](const auto& in) { return add_layer_norm(in[0], r.detach(), last, {}, {}, 0.1).second; }, {x}), "");
    EXPECT_EQ(gradcheck([&](const auto& in) { return add_layer_norm(x.detach(), in[0], last, {}, {}, 0.1).first; }, {r}), "");
    EXPECT_EQ(gradcheck([&](const auto& in) { return used_both(add_layer_norm(in[0], in[0], last, {}, {}, 0.1)); }, {x}), "");
  }
}

/// Sums of rows of every kind of width, in enough rows for several stretches and a last one that is short.
DEVICE_TEST(LayerNorm, GradientsOfLongAndOfManyRows) {
  const std::pair<DType, double> types[] = {{DType::float64, 1e-12}, {DType::float32, 2e-4}, {DType::bfloat16, 0.2}};
  for (auto [type, tolerance] : types)
    for (Shape shape : {Shape({333, 64}), Shape({130, 768}), Shape({67, 1024}), Shape({9, 2560}), Shape({9, 7000}),
                        Shape({3, 9000}), Shape({70, 97})})
      for (bool wants_input : {true, false}) {
        const int64_t n = shape[1];
        AnyTensor x = draw(shape, -1, 1, 3).to(type), g = draw(shape, -1, 1, 6).to(type);
        auto gradients = [&, type = type](DType t, bool graph) {
          AnyTensor xs = x.to(t).detach().requires_grad_(wants_input);
          AnyTensor w = draw({n}, 0.5, 2, 4).to(type).to(t).detach().requires_grad_();
          AnyTensor b = draw({n}, -1, 1, 5).to(t).detach().requires_grad_();
          std::vector<AnyTensor> inputs = {w, b};
          if (wants_input) inputs.push_back(xs);
          return grad({layer_norm(xs, {n}, w, b)}, inputs, {g.to(t)}, {.create_graph = graph});
        };
        std::vector<AnyTensor> fused = gradients(type, false), expected = gradients(DType::float64, true);
        for (size_t k = 0; k < fused.size(); ++k)
          EXPECT_LT(distance(fused[k], expected[k]), tolerance) << name(type) << to_string(shape) << " input " << k;
      }
}
