// Dropout, Embedding and MultiheadAttention.
#include "tests/check.h"

namespace gradus {
namespace {

using testing::distance;
using testing::draw;
using testing::message_of;
using testing::values;
using Names = std::vector<std::string>;

DEVICE_TEST(Dropout, DropsInTrainingAndNotInEval) {
  nn::Dropout drop(0.25);
  AnyTensor x = ones({100, 100}, DType::float32);
  AnyTensor y = drop(x);
  int64_t zeros = 0;
  for (double v : values(y)) {
    if (v == 0)
      ++zeros;
    else
      EXPECT_NEAR(v, 4.0 / 3, 1e-6);
  }
  EXPECT_NEAR(double(zeros), 2500, 200);  // 4.6 deviations
  drop.eval();
  EXPECT_EQ(values(drop(x)), values(x));
  EXPECT_EQ(values(nn::Dropout2d(1)(ones({2, 3, 2, 2}, DType::float32))), std::vector<double>(24, 0.0));
  nn::Sequential net(nn::Dropout(1), nn::AlphaDropout(0), nn::Dropout1d(0), nn::Dropout3d(0));
  net.eval();
  EXPECT_EQ(values(net(x)), values(x));
  message_of<ValueError>([&] { drop(AnyTensor()); });
  EXPECT_NE(message_of<ValueError>([] { nn::Dropout(1.5); }).find("Dropout: p is 1.5"), std::string::npos);
  message_of<ValueError>([] { nn::Dropout2d(-0.1); });
  message_of<ValueError>([] { nn::Dropout(NAN); });
}

DEVICE_TEST(Embedding, GivesRowsInTheTypeThatIsAskedFor) {
  nn::Embedding table(5, 3);
  EXPECT_EQ(table.names(), Names{"weight"});
  EXPECT_EQ(table.weight.shape(), (Shape{5, 3}));
  Tensor<int64_t> ids = {{0, 4}, {2, 2}};
  Tensor<float> x = table(ids);
  EXPECT_EQ(x.shape(), (Shape{2, 2, 3}));
  EXPECT_EQ(values(x.select(0, 1).select(0, 0)), values(table.weight.select(0, 2)));
  EXPECT_LT(distance(table.forward<bfloat16>(ids), x), 0.02);
  sum(x).backward();
  EXPECT_EQ(values(table.weight.grad()), (std::vector<double>{1, 1, 1, 0, 0, 0, 2, 2, 2, 0, 0, 0, 1, 1, 1}));
  nn::Sequential net(nn::Embedding(5, 3), nn::Linear(3, 2));
  EXPECT_EQ(net(static_cast<const AnyTensor&>(ids)).shape(), (Shape{2, 2, 2}));
}

DEVICE_TEST(Embedding, APaddingRowLearnsNothing) {
  nn::Embedding table(4, 2, {.padding_idx = -1});
  EXPECT_EQ(values(table.weight.select(0, 3)), (std::vector<double>{0, 0}));
  sum(table(Tensor<int64_t>{3, 1, 3})).backward();
  EXPECT_EQ(values(table.weight.grad()), (std::vector<double>{0, 0, 1, 1, 0, 0, 0, 0}));
  message_of<IndexError>([] { nn::Embedding(4, 2, {.padding_idx = 4}); });
  message_of<IndexError>([&] { table(Tensor<int64_t>{4}); });
  message_of<ValueError>([] { nn::Embedding(0, 2); });
}

// Attention.

struct Case {
  int64_t batch, queries, keys;
};
/// As the formula reads, one head after the other.
AnyTensor reference(const nn::MultiheadAttention& m, const AnyTensor& q, const AnyTensor& k, const AnyTensor& v, int64_t heads,
                    const AnyTensor& mask = {}) {
  int64_t e = q.size(-1), size = e / heads;
  auto project = [&](const AnyTensor& x, int64_t i) {
    return linear(x, m.in_proj_weight.narrow(0, i * e, e), m.in_proj_bias.narrow(0, i * e, e));
  };
  AnyTensor pq = project(q, 0), pk = project(k, 1), pv = project(v, 2), y = zeros({q.size(0), q.size(1), e}, q.dtype());
  for (int64_t h = 0; h < heads; ++h) {
    auto part = [&](const AnyTensor& x) { return x.narrow(2, h * size, size); };
    AnyTensor scores = matmul(part(pq), part(pk).transpose(1, 2)) / std::sqrt(double(size));
    if (mask.defined()) scores = scores + mask;
    NoGrad no_grad;
    AnyTensor out = y.narrow(2, h * size, size);
    out.copy_(matmul(softmax(scores, -1), part(pv)).detach());
  }
  return linear(y, m.out_proj.weight, m.out_proj.bias);
}

DEVICE_TEST(MultiheadAttention, IsItsFormula) {
  nn::MultiheadAttention m({.embed_dim = 6, .num_heads = 3, .batch_first = true});
  m.to<double>();
  EXPECT_EQ(m.names(), (Names{"in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"}));
  AnyTensor q = draw({2, 4, 6}, -1, 1, 1), k = draw({2, 5, 6}, -1, 1, 2), v = draw({2, 5, 6}, -1, 1, 3);
  EXPECT_LT(distance(m(q, k, v).output, reference(m, q, k, v, 3)), 1e-12);
  EXPECT_LT(distance(m(q, q, q).output, reference(m, q, q, q, 3)), 1e-12);  // one product for all three
  // With weights, another way is taken to the same result.
  nn::AttentionOutput<> with = m(q, k, v, {.need_weights = true});
  EXPECT_LT(distance(with.output, m(q, k, v).output), 1e-12);
  EXPECT_EQ(with.weights.shape(), (Shape{2, 4, 5}));
  EXPECT_LT(distance(sum(with.weights, -1), ones({2, 4}, DType::float64)), 1e-12);
  EXPECT_EQ(m(q, k, v, {.need_weights = true, .average_attn_weights = false}).weights.shape(), (Shape{2, 3, 4, 5}));
  EXPECT_FALSE(m(q, k, v).weights.defined());
}

template <class M, class... X> concept TakesTogether = requires(const M& m, const X&... x) { m.forward(x...); };

TEST(MultiheadAttention, WhatTypedTensorsGiveIsTyped) {
  nn::MultiheadAttention m({.embed_dim = 6, .num_heads = 3, .batch_first = true});
  const Tensor<float> x = randn<float>({2, 4, 6});
  const AnyTensor untyped = x;
  Tensor<float> y = m(x, x, x).output;
  EXPECT_EQ(distance(y, m(untyped, untyped, untyped).output), 0);
  auto [output, weights] = m(x, x, x, {.need_weights = true});
  static_assert(std::is_same_v<decltype(weights), Tensor<float>>);
  EXPECT_EQ(weights.shape(), (Shape{2, 4, 4}));
  static_assert(TakesTogether<nn::MultiheadAttention, Tensor<float>, Tensor<float>, AnyTensor>);
  static_assert(!TakesTogether<nn::MultiheadAttention, Tensor<float>, Tensor<float>, Tensor<double>>);
}

DEVICE_TEST(MultiheadAttention, Masks) {
  nn::MultiheadAttention m({.embed_dim = 4, .num_heads = 2, .batch_first = true});
  m.to<double>();
  AnyTensor x = draw({2, 3, 4}, -1, 1, 1);
  double no = -HUGE_VAL;
  AnyTensor causal = Tensor<double>{{0, no, no}, {0, 0, no}, {0, 0, 0}};
  AnyTensor wanted = reference(m, x, x, x, 2, causal);
  EXPECT_LT(distance(m(x, x, x, {.is_causal = true}).output, wanted), 1e-12);
  EXPECT_LT(distance(m(x, x, x, {.attn_mask = causal}).output, wanted), 1e-12);
  EXPECT_LT(distance(m(x, x, x, {.attn_mask = causal < 0}).output, wanted), 1e-12);  // true: left out
  EXPECT_LT(distance(m(x, x, x, {.is_causal = true, .need_weights = true}).output, wanted), 1e-12);
  EXPECT_LT(distance(m(x, x, x, {.attn_mask = expand(causal, {4, 3, 3})}).output, wanted), 1e-12);  // one for each head
  Tensor<bool> padding = {{false, false, true}, {false, false, false}};
  AnyTensor short_keys = x.narrow(1, 0, 2), y = m(x, x, x, {.key_padding_mask = padding}).output;
  EXPECT_LT(distance(y.narrow(0, 0, 1), m(x, short_keys, short_keys).output.narrow(0, 0, 1)), 1e-12);
  EXPECT_LT(distance(y.narrow(0, 1, 1), m(x, x, x).output.narrow(0, 1, 1)), 1e-12);
  EXPECT_NE(message_of<ShapeError>([&] {
              m(x, x, x, {.attn_mask = zeros({2, 3}, DType::float64)});
            }).find("attn_mask"),
            std::string::npos);
  EXPECT_NE(message_of<ShapeError>([&] {
              m(x, x, x, {.key_padding_mask = zeros({3, 3}, DType::float64)});
            }).find("key_padding_mask"),
            std::string::npos);
  message_of<DTypeError>([&] { m(x, x, x, {.attn_mask = zeros({3, 3}, DType::int64)}); });
}

DEVICE_TEST(MultiheadAttention, GradientsOfInputsAndParameters) {
  for (bool weights : {false, true}) {
    nn::MultiheadAttention m({.embed_dim = 4, .num_heads = 2, .add_bias_kv = true, .add_zero_attn = true, .batch_first = true});
    EXPECT_EQ(m.names(), (Names{"in_proj_weight", "in_proj_bias", "bias_k", "bias_v", "out_proj.weight", "out_proj.bias"}));
    m.to<double>();
    std::vector<AnyTensor> inputs{draw({2, 2, 4}, -1, 1, 1).requires_grad_(), draw({2, 3, 4}, -1, 1, 2).requires_grad_()};
    for (AnyTensor& p : m.parameters()) inputs.push_back(p);
    EXPECT_EQ(
        testing::gradcheck(
            [&](const std::vector<AnyTensor>& in) { return m(in[0], in[1], in[1], {.need_weights = weights}).output; }, inputs),
        "");
  }
}

DEVICE_TEST(MultiheadAttention, LayoutsAndWidths) {
  nn::MultiheadAttention first({.embed_dim = 4, .num_heads = 2, .batch_first = true}), second({.embed_dim = 4, .num_heads = 2});
  second.load_state(first.state());
  AnyTensor x = draw({3, 5, 4}, -1, 1, 1, DType::float32);
  AnyTensor turned = x.transpose(0, 1);
  EXPECT_LT(distance(second(turned, turned, turned).output.transpose(0, 1), first(x, x, x).output), 1e-6);
  AnyTensor alone = x.select(0, 1);
  EXPECT_LT(distance(first(alone, alone, alone).output, first(x, x, x).output.select(0, 1)), 1e-6);
  EXPECT_EQ(first(alone, alone, alone, {.need_weights = true}).weights.shape(), (Shape{5, 5}));
  nn::MultiheadAttention wide({.embed_dim = 4, .num_heads = 2, .bias = false, .kdim = 3, .vdim = 6, .batch_first = true});
  EXPECT_EQ(wide.names(), (Names{"q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight"}));
  AnyTensor k = draw({3, 2, 3}, -1, 1, 2, DType::float32), v = draw({3, 2, 6}, -1, 1, 3, DType::float32);
  EXPECT_EQ(wide(x, k, v).output.shape(), (Shape{3, 5, 4}));
  Tensor<bfloat16> y(first(x.to(DType::bfloat16), x.to(DType::bfloat16), x.to(DType::bfloat16)).output);
  EXPECT_LT(distance(y, first(x, x, x).output), 0.05);

  EXPECT_NE(message_of<ValueError>([] { nn::MultiheadAttention({.embed_dim = 4, .num_heads = 3}); }).find("3 heads"),
            std::string::npos);
  message_of<ShapeError>([&] { wide(x, x, x); });
  message_of<ShapeError>([&] { first(x, k, k); });
  message_of<ShapeError>([&] { first(x, x.narrow(0, 0, 2), x.narrow(0, 0, 2)); });
  message_of<ValueError>([&] { first(x, AnyTensor(), x); });
}

}  // namespace
}  // namespace gradus
