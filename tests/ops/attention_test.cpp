// Attention against the formula written out, with masks, dropout and odd sizes, in every type.
#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

/// softmax(q k' * scale + mask) v in double.
AnyTensor reference(const AnyTensor& q, const AnyTensor& k, const AnyTensor& v, const AttentionOptions& o) {
  DType wide = DType::float64;
  AnyTensor scores = matmul(q.to(wide), k.to(wide).transpose(-2, -1)) * (o.scale ? *o.scale : 1 / std::sqrt(double(q.size(-1))));
  if (o.is_causal)
    scores = where(arange(k.size(-2), DType::int64, k.device()) <= arange(q.size(-2), DType::int64, k.device()).reshape({-1, 1}),
                   scores, -HUGE_VAL);
  if (o.mask && o.mask.dtype() == DType::boolean) scores = where(o.mask, scores, -HUGE_VAL);
  if (o.mask && o.mask.dtype() != DType::boolean) scores = scores + o.mask.to(wide);
  return matmul(softmax(scores, -1), v.to(wide));
}

struct Sizes {
  Shape outer;
  int64_t queries, keys, size, value_size;
};
const Sizes kSizes[] = {{{}, 1, 1, 1, 1},          {{2}, 3, 6, 8, 8},       {{2, 3}, 17, 17, 5, 5}, {{1, 2}, 70, 33, 32, 20},
                        {{2, 2}, 40, 300, 16, 70}, {{3}, 130, 130, 64, 64}, {{1}, 5, 600, 33, 3}};

Shape with(Shape outer, int64_t a, int64_t b) {
  outer.push_back(a), outer.push_back(b);
  return outer;
}

}  // namespace

DEVICE_TEST(Attention, IsTheFormulaInEveryType) {
  const std::pair<DType, double> types[] = {
      {DType::float64, 1e-14}, {DType::float32, 4e-6}, {DType::float16, 2e-3}, {DType::bfloat16, 1.6e-2}};  // a few last places
  for (auto [type, tolerance] : types)
    for (const Sizes& s : kSizes)
      for (int kind = 0; kind < 4; ++kind) {  // plain, causal, masked, both
        AnyTensor q = draw(with(s.outer, s.queries, s.size), -2, 2, 3).to(type),
                  k = draw(with(s.outer, s.keys, s.size), -2, 2, 4).to(type);
        AnyTensor v = draw(with(s.outer, s.keys, s.value_size), -2, 2, 5).to(type);
        AttentionOptions o{.is_causal = kind % 2 == 1};
        if (kind == 2) o.mask = draw({s.queries, s.keys}, -2, 2, 6).to(type), o.scale = 0.3;
        if (kind == 3) {
          o.mask = draw(with(s.outer, 1, s.keys), -1, 3, 7) > 0;
          o.mask.narrow(-1, 0, 1).fill_(true);  // every query sees something
        }
        EXPECT_LT(distance(scaled_dot_product_attention(q, k, v, o), reference(q, k, v, o)), tolerance)
            << name(type) << to_string(q.shape()) << to_string(v.shape()) << kind;
      }
}

DEVICE_TEST(Attention, OuterAxesBroadcastAndAnyLayoutWorks) {
  AnyTensor q = draw({4, 3, 8}, -1, 1, 3), k = draw({2, 4, 6, 8}, -1, 1, 4), v = draw({2, 4, 6, 8}, -1, 1, 5);
  AnyTensor y = scaled_dot_product_attention(q, k, v);
  EXPECT_EQ(y.shape(), (Shape{2, 4, 3, 8}));
  EXPECT_LT(distance(y, reference(q, k, v, {})), 1e-14);
  // Heads cut from one row: the result has the same order in memory, so putting them back together is a view.
  AnyTensor rows = draw({2, 5, 3, 4, 8}, -1, 1, 6);
  AnyTensor a = rows.select(2, 0).transpose(1, 2), b = rows.select(2, 1).transpose(1, 2), c = rows.select(2, 2).transpose(1, 2);
  AnyTensor together = scaled_dot_product_attention(a, b, c, {.is_causal = true});
  EXPECT_LT(distance(together, reference(a, b, c, {.is_causal = true})), 1e-14);
  EXPECT_TRUE(together.transpose(1, 2).is_contiguous());
  AnyTensor turned = draw({2, 8, 5}, -1, 1, 7).transpose(1, 2);  // sizes are not adjacent
  EXPECT_LT(distance(scaled_dot_product_attention(turned, turned, turned), reference(turned, turned, turned, {})), 1e-14);
  EXPECT_EQ(scaled_dot_product_attention(zeros({0, 3, 4}, DType::float32), zeros({0, 2, 4}, DType::float32),
                                         zeros({0, 2, 4}, DType::float32))
                .shape(),
            (Shape{0, 3, 4}));
}

DEVICE_TEST(Attention, WhoMaySeeNothingGetsZeros) {
  AnyTensor q = draw({3, 4}).requires_grad_(), k = draw({5, 4}).requires_grad_(), v = draw({5, 2}).requires_grad_();
  AnyTensor mask = ones({3, 5}, DType::boolean);
  mask.select(0, 1).fill_(false);
  AnyTensor y = scaled_dot_product_attention(q, k, v, {.mask = mask});
  EXPECT_EQ(distance(y.select(0, 1), zeros({2}, DType::float64)), 0);
  for (bool graph : {false, true})
    for (const AnyTensor& g : grad({y}, {q, k, v}, {draw({3, 2})}, {.retain_graph = true, .create_graph = graph}))
      for (double x : values(g)) EXPECT_FALSE(std::isnan(x));
  Tensor<double> bad = full<double>({2, 3}, std::nan(""));
  for (double x : values(scaled_dot_product_attention(bad, bad, bad))) EXPECT_TRUE(std::isnan(x));
}

DEVICE_TEST(Attention, Gradients) {
  AnyTensor q = draw({2, 3, 4}, -1, 1, 3).requires_grad_(), k = draw({2, 5, 4}, -1, 1, 4).requires_grad_();
  AnyTensor v = draw({2, 5, 3}, -1, 1, 5).requires_grad_(), mask = draw({3, 5}, -1, 1, 6).requires_grad_(),
            bools = draw({3, 5}, -1, 3, 8) > 0;
  auto check = [&](AttentionOptions o) {
    return gradcheck([&](const auto& in) { return scaled_dot_product_attention(in[0], in[1], in[2], o); }, {q, k, v});
  };
  EXPECT_EQ(check({}), "");
  EXPECT_EQ(check({.is_causal = true}), "");
  EXPECT_EQ(check({.mask = bools, .scale = 0.7}), "");
  EXPECT_EQ(check({.mask = mask.detach()}), "");
  EXPECT_EQ(gradcheck([&](const auto& in) { return scaled_dot_product_attention(in[0], k.detach(), v.detach(), {.mask = in[1]}); },
                      {q, mask}),
            "");
  AnyTensor one = draw({3, 4}, -1, 1, 9).requires_grad_();  // broadcast, and all three at once
  EXPECT_EQ(gradcheck([&](const auto& in) { return scaled_dot_product_attention(in[0], in[1], in[2]); }, {one, k, v}), "");
  EXPECT_EQ(
      gradcheck([&](const auto& in) { return scaled_dot_product_attention(in[0], in[0], in[0], {.is_causal = true}); }, {one}), "");
}

DEVICE_TEST(Attention, DropoutIsOfTheWeights) {
  Generator g(9);
  GeneratorState start = g.state();
  AnyTensor q = draw({2, 5, 4}, -1, 1, 3).requires_grad_(), k = draw({2, 7, 4}, -1, 1, 4).requires_grad_();
  AnyTensor v = draw({2, 7, 3}, -1, 1, 5).requires_grad_();
  auto run = [&](const auto& in) {
    g.set_state(start);
    return scaled_dot_product_attention(in[0], in[1], in[2], {.is_causal = true, .dropout_p = 0.4}, g);
  };
  AnyTensor scores = matmul(q, k.transpose(-2, -1)) * 0.5;
  scores = where(arange(7, DType::int64) <= arange(5, DType::int64).reshape({-1, 1}), scores, -HUGE_VAL);
  g.set_state(start);
  AnyTensor expected = matmul(dropout(softmax(scores, -1), 0.4, true, g), v);  // the same words
  EXPECT_LT(distance(run(std::vector{q, k, v}), expected), 1e-14);
  EXPECT_EQ(gradcheck(run, {q, k, v}), "");
  AnyTensor long_keys = draw({1, 700, 4}, -1, 1, 4), long_values = draw({1, 700, 3}, -1, 1, 5), one = draw({1, 3, 4});
  g.set_state(start);
  AnyTensor weights = dropout(softmax(matmul(one, long_keys.transpose(-2, -1)) * 0.5, -1), 0.3, true, g);
  g.set_state(start);
  EXPECT_LT(
      distance(scaled_dot_product_attention(one, long_keys, long_values, {.dropout_p = 0.3}, g), matmul(weights, long_values)),
      1e-14);
}

DEVICE_TEST(Attention, FusedBackwardIsTheComposedOne) {
  const std::pair<DType, double> types[] = {
      {DType::float64, 1e-12}, {DType::float32, 2e-5}, {DType::float16, 1e-2}, {DType::bfloat16, 8e-2}};
  for (auto [type, tolerance] : types)
    for (const Sizes& s : kSizes)
      for (bool causal : {false, true}) {
        std::vector<AnyTensor> in = {draw(with(s.outer, s.queries, s.size), -1, 1, 3).to(type),
                                     draw(with(s.outer, s.keys, s.size), -1, 1, 4).to(type),
                                     draw(with(s.outer, s.keys, s.value_size), -1, 1, 5).to(type)};
        AnyTensor g = draw(with(s.outer, s.queries, s.value_size), -1, 1, 6).to(type);
        auto gradients = [&](DType as, bool graph) {
          std::vector<AnyTensor> leaves;
          for (const AnyTensor& x : in) leaves.push_back(x.to(as).detach().requires_grad_());
          AnyTensor y = scaled_dot_product_attention(leaves[0], leaves[1], leaves[2], {.is_causal = causal});
          return grad({y}, leaves, {g.to(as)}, {.create_graph = graph});
        };
        std::vector<AnyTensor> fused = gradients(type, false), composed = gradients(DType::float64, true);
        for (int k = 0; k < 3; ++k)
          EXPECT_LT(distance(fused[k], composed[k]), tolerance)
              << name(type) << to_string(in[0].shape()) << causal << " input " << k;
      }
}

TEST(Attention, SameBitsForAnyNumberOfThreads) {
  AnyTensor q = draw({3, 70, 16}, -1, 1, 3, DType::float32), g = draw({3, 70, 16}, -1, 1, 4, DType::float32);
  auto run = [&] {
    AnyTensor x = q.detach().requires_grad_();
    return grad({scaled_dot_product_attention(x, x, x, {.is_causal = true})}, {x}, {g})[0];
  };
  AnyTensor before = run();
  int threads = get_num_threads();
  set_num_threads(threads == 1 ? 2 : 1);
  EXPECT_EQ(distance(run(), before), 0);
  set_num_threads(threads);
}

DEVICE_TEST(Attention, ErrorsNameTheShapes) {
  AnyTensor q = draw({2, 3, 4}), k = draw({2, 5, 4});
  EXPECT_EQ(message_of<ShapeError>([&] {
              scaled_dot_product_attention(q, draw({2, 5, 3}), k);
            }),
            "scaled_dot_product_attention: q [2, 3, 4] and k [2, 5, 3]: sizes 4 and 3 differ");
  EXPECT_EQ(message_of<ShapeError>([&] {
              scaled_dot_product_attention(q, k, draw({2, 6, 4}));
            }),
            "scaled_dot_product_attention: k [2, 5, 4] and v [2, 6, 4]: 5 keys and 6 values");
  EXPECT_EQ(message_of<ShapeError>([&] {
              scaled_dot_product_attention(q, draw({3, 5, 4}), draw({3, 5, 4}));
            }),
            "scaled_dot_product_attention: outer axes of q [2, 3, 4], k [3, 5, 4], v [3, 5, 4] do not broadcast");
  EXPECT_EQ(message_of<ShapeError>([&] {
              scaled_dot_product_attention(q, k, k, {.mask = draw({4, 5})});
            }),
            "scaled_dot_product_attention: mask of shape [4, 5] does not broadcast to [2, 3, 5]");
  EXPECT_EQ(message_of<DTypeError>([&] {
              scaled_dot_product_attention(q, k, k, {.mask = ones({3, 5}, DType::int64)});
            }),
            "scaled_dot_product_attention: mask is int64; bool or float64 is needed");
  EXPECT_EQ(message_of<ShapeError>([&] { scaled_dot_product_attention(draw({4}), k, k); }),
            "scaled_dot_product_attention: q [4], k [2, 5, 4], v [2, 5, 4]; at least two dimensions each are needed");
  EXPECT_EQ(message_of<ValueError>([&] { scaled_dot_product_attention(q, k, k, {.dropout_p = 2}); }),
            "scaled_dot_product_attention: dropout_p 2 is outside [0, 1]");
}

DEVICE_TEST(Attention, OfPartsOfOneProductHasTheGradientOfSeparateOnes) {
  AnyTensor x = draw({2, 9, 3 * 4 * 8}, -1, 1, 3, DType::float32), g = draw({2, 4, 9, 8}, -1, 1, 4, DType::float32);
  enum { kAlone, kHeld, kHooked, kTwice, kRetained, kRowMajor, kKeysAreQueries, kOtherOrder };
  auto gradient = [&](int how) {
    AnyTensor leaf = x.clone().requires_grad_(), held[3];
    AnyTensor parts = (leaf * 2).view({2, 9, 3, 4, 8}).permute({2, 0, 3, 1, 4});
    if (how == kRowMajor) parts = parts.contiguous();
    auto part = [&](int i) { return parts.select(0, how == kKeysAreQueries && i == 1 ? 0 : how == kOtherOrder ? 2 - i : i); };
    bool seen = false;
    AnyTensor y;
    {
      AnyTensor q = part(0), k = part(1), v = part(2);
      if (how == kHooked) register_hook(k, [&](const AnyTensor&) { return seen = true, AnyTensor(); });
      y = scaled_dot_product_attention(q, k, v, {.is_causal = true});
      if (how == kTwice) y = y + k.sum();
      if (how == kHeld) held[0] = q, held[1] = k, held[2] = v;
    }
    if (how == kRetained) y.backward(g, {.retain_graph = true}), leaf.set_grad({});
    if (how == kHeld) held[1].retain_grad();
    y.backward(g);
    EXPECT_EQ(seen, how == kHooked);
    if (how == kHeld) {
      EXPECT_EQ(held[1].grad().shape(), g.shape());
    }
    return leaf.grad();
  };
  AnyTensor expected = gradient(kHeld);
  for (int how : {kAlone, kHooked, kRetained, kRowMajor}) EXPECT_EQ(distance(gradient(how), expected), 0) << how;
  // What differs otherwise is known: the gradient of what was added, of queries in place of keys, of parts in another order.
  AnyTensor more = zeros({2, 9, 3, 4, 8}, DType::float32, x.device());
  more.select(2, 1).fill_(2 * double(g.sum().item()));
  EXPECT_LT(distance(gradient(kTwice), expected + more.view(x.shape())), 1e-4);
  for (int how : {kKeysAreQueries, kOtherOrder}) {
    AnyTensor leaf = x.to(DType::float64).requires_grad_();
    AnyTensor p = (leaf * 2).view({2, 9, 3, 4, 8}).permute({2, 0, 3, 1, 4});
    AnyTensor q = p.select(0, how == kOtherOrder ? 2 : 0), k = p.select(0, how == kOtherOrder ? 1 : 0),
              v = p.select(0, how == kOtherOrder ? 0 : 2);
    reference(q, k, v, {.is_causal = true}).backward(g.to(DType::float64));
    EXPECT_LT(distance(gradient(how), leaf.grad()), 2e-5) << how;
  }
}

DEVICE_TEST(Attention, TheGradientsOfPartsAreWrittenWhereTheyBelong) {
  AnyTensor leaf = draw({2, 64, 3 * 4 * 16}, -1, 1, 3, DType::float32).requires_grad_();
  auto step = [&] {
    AnyTensor parts = (leaf * 2).view({2, 64, 3, 4, 16}).permute({2, 0, 3, 1, 4}), whole;
    register_hook(parts, [&](const AnyTensor& g) { return whole = g, AnyTensor(); });
    AnyTensor y = scaled_dot_product_attention(parts.select(0, 0), parts.select(0, 1), parts.select(0, 2));
    y.backward(y.detach());
    return whole;
  };
  EXPECT_EQ(step().stride(),
            leaf.view({2, 64, 3, 4, 16}).permute({2, 0, 3, 1, 4}).stride());  // so it is read as rows without a copy
}
