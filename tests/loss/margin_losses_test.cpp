// Losses of margins and the distances under them: formulas element by element, gradients of both orders, wrong calls.
#include <algorithm>

#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

constexpr Reduction kEach = Reduction::none;

/// Mean and sum are those of the losses kept apart.
template <class F> void expect_reductions(const char* what, F loss) {
  AnyTensor each = loss(kEach);
  EXPECT_LT(distance(loss(Reduction::sum), sum(each)), 1e-13) << what;
  EXPECT_LT(distance(loss(Reduction::mean), mean(each)), 1e-13) << what;
}

}  // namespace

DEVICE_TEST(Distance, Cosines) {
  AnyTensor a = draw({3, 4}).requires_grad_(), b = draw({3, 4}, -1, 1, 5).requires_grad_();
  std::vector<double> u = values(a), v = values(b), got = values(cosine_similarity(a, b));
  for (size_t r = 0; r < 3; ++r) {
    double uv = 0, uu = 0, vv = 0;
    for (size_t i = r * 4; i < r * 4 + 4; ++i) uv += u[i] * v[i], uu += u[i] * u[i], vv += v[i] * v[i];
    EXPECT_NEAR(got[r], uv / std::sqrt(uu * vv), 1e-15);
  }
  EXPECT_LT(distance(cosine_similarity(a.t(), b.t(), 0), cosine_similarity(a, b)), 1e-15);
  EXPECT_EQ(cosine_similarity(Tensor<double>{3, 4}, Tensor<double>{0, 0}, 0).item(), 0) << "a length of eps";
  EXPECT_EQ(to_string(cosine_similarity(draw({2, 1, 4}), draw({3, 4}), -1).shape()), "[2, 3]");
  EXPECT_EQ(gradcheck([](const auto& in) { return cosine_similarity(in[0], in[1]); }, {a, b}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return cosine_similarity(in[0].unsqueeze(1), in[1], -1); }, {a, b}), "");
  // One number that stands for all along the axis.
  EXPECT_LT(distance(cosine_similarity(a, Tensor<double>{{2}}), cosine_similarity(a, full({3, 4}, 2, DType::float64))), 1e-15);
  EXPECT_EQ(gradcheck([](const auto& in) { return cosine_similarity(in[0], in[1].narrow(1, 0, 1)); }, {a, b}), "");
  EXPECT_EQ(values(cosine_similarity(draw({2, 0}), draw({2, 0}))), (std::vector<double>{0, 0}));
  message_of<ShapeError>([&] { cosine_similarity(a, b, 2); });
  message_of<DTypeError>([&] { cosine_similarity(a, b.to(DType::float32)); });
}

DEVICE_TEST(Distance, Norms) {
  AnyTensor a = draw({3, 4}).requires_grad_(), b = draw({3, 4}, -1, 1, 5).requires_grad_();
  for (double p : {1.0, 2.0, 3.5}) {
    EXPECT_LT(distance(pairwise_distance(a, b, {.p = p, .eps = 0}), norm(a - b, p, 1)), 1e-15);
    EXPECT_LT(distance(pdist(a, p), Tensor<double>{norm(a.select(0, 0) - a.select(0, 1), p).item(),
                                                   norm(a.select(0, 0) - a.select(0, 2), p).item(),
                                                   norm(a.select(0, 1) - a.select(0, 2), p).item()}),
              1e-15);
    EXPECT_EQ(gradcheck([&](const auto& in) { return pairwise_distance(in[0], in[1], {.p = p, .keepdim = true}); }, {a, b}), "");
    EXPECT_EQ(gradcheck([&](const auto& in) { return pdist(in[0], p); }, {a}), "");
    EXPECT_EQ(gradcheck([&](const auto& in) { return dist(in[0], in[1], p); }, {a, b}), "");
  }
  EXPECT_EQ(dist(Tensor<double>{1, 2}, Tensor<double>{4, -2}).item(), 5);
  EXPECT_NEAR(pairwise_distance(Tensor<double>{1, 1}, Tensor<double>{1, 1}, {.eps = 0.5}).item(), std::sqrt(0.5), 1e-15);
  EXPECT_EQ(pdist(draw({1, 4})).numel(), 0);
  message_of<ShapeError>([&] { pdist(draw({4})); });
  message_of<ShapeError>([&] { pairwise_distance(draw({}), draw({})); });
}

DEVICE_TEST(MarginLosses, CosineEmbedding) {
  AnyTensor a = draw({4, 3}).requires_grad_(), b = draw({4, 3}, -1, 1, 5).requires_grad_(), target = Tensor<double>{1, -1, -1, 1};
  auto loss = [&](Reduction r) { return cosine_embedding_loss(a, b, target, {.margin = 0.1, .reduction = r}); };
  std::vector<double> c = values(cosine_similarity(a, b)), got = values(loss(kEach)), t = values(target);
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(got[i], t[i] > 0 ? 1 - c[i] : std::max(0.0, c[i] - 0.1), 1e-11);
  expect_reductions("cosine", loss);
  EXPECT_EQ(gradcheck([&](const auto& in) { return cosine_embedding_loss(in[0], in[1], target, {.margin = -0.9}); }, {a, b}), "");
  EXPECT_NEAR(cosine_embedding_loss(a.select(0, 0), b.select(0, 0), Tensor<double>{1}.reshape({})).item(), 1 - c[0], 1e-11);
  message_of<ShapeError>([&] { cosine_embedding_loss(a, b, draw({3})); });
  message_of<ShapeError>([&] { cosine_embedding_loss(a, b, draw({4, 3})); });
}

DEVICE_TEST(MarginLosses, Triplets) {
  AnyTensor a = draw({5, 3}).requires_grad_(), p = draw({5, 3}, -1, 1, 5).requires_grad_(),
            n = draw({5, 3}, -1, 1, 6).requires_grad_();
  for (bool swap : {false, true}) {
    auto loss = [&](Reduction r) { return triplet_margin_loss(a, p, n, {.margin = 0.4, .swap = swap, .reduction = r}); };
    std::vector<double> near = values(pairwise_distance(a, p)), far = values(pairwise_distance(a, n)),
                        other = values(pairwise_distance(p, n)), got = values(loss(kEach));
    for (size_t i = 0; i < 5; ++i)
      EXPECT_NEAR(got[i], std::max(0.0, near[i] - (swap ? std::min(far[i], other[i]) : far[i]) + 0.4), 1e-15);
    expect_reductions("triplets", loss);
    EXPECT_EQ(gradcheck([&](const auto& in) { return triplet_margin_loss(in[0], in[1], in[2], {.swap = swap}); }, {a, p, n}), "");
  }
  message_of<ShapeError>([&] { triplet_margin_loss(a, p, draw({5, 2})); });
}

DEVICE_TEST(MarginLosses, OneClassARow) {
  AnyTensor x = draw({4, 5}, -2, 2).requires_grad_(), w = draw({5}, 0.5, 2, 9);
  std::vector<int64_t> classes = {3, 0, 4, 1};
  Tensor<int64_t> target{std::span<const int64_t>(classes)};
  std::vector<double> v = values(x), weights = values(w);
  for (int64_t p : {1, 2}) {
    auto loss = [&](Reduction r) { return multi_margin_loss(x, target, {.p = p, .margin = 0.7, .weight = w, .reduction = r}); };
    std::vector<double> got = values(loss(kEach));
    for (size_t r = 0; r < 4; ++r) {
      double total = 0;
      for (size_t c = 0; c < 5; ++c)
        if (int64_t(c) != classes[r])
          total += std::pow(std::max(0.0, 0.7 - v[r * 5 + size_t(classes[r])] + v[r * 5 + c]), p) * weights[size_t(classes[r])];
      EXPECT_NEAR(got[r], total / 5, 1e-14);
    }
    expect_reductions("one class", loss);
    EXPECT_EQ(gradcheck([&](const auto& in) { return multi_margin_loss(in[0], target, {.p = p, .weight = w}); }, {x}), "");
    EXPECT_NEAR(multi_margin_loss(x.select(0, 2), target.select(0, 2), {.p = p, .margin = 0.7, .weight = w}).item(), got[2], 1e-15);
  }
  EXPECT_EQ(message_of<IndexError>([&] {
              multi_margin_loss(x, Tensor<int64_t>{1, 5, 0, 0});
            }),
            "multi_margin_loss: target 5 is outside [0, 5)");
  message_of<IndexError>([&] { multi_margin_loss(x, Tensor<int64_t>{1, -1, 0, 0}); });
  message_of<ShapeError>([&] { multi_margin_loss(x, Tensor<int64_t>{1, 2}); });
  message_of<ShapeError>([&] { multi_margin_loss(x, target, {.weight = draw({4})}); });
  message_of<ValueError>([&] { multi_margin_loss(x, target, {.p = 3}); });
  message_of<DTypeError>([&] { multi_margin_loss(x, target.to(DType::float64)); });
}

DEVICE_TEST(MarginLosses, SeveralClassesARow) {
  AnyTensor x = draw({3, 4}, -2, 2).requires_grad_();
  Tensor<int64_t> target = {{2, 0, -1, 9}, {-1, 1, 1, 1}, {3, 2, 1, 0}};  // two classes, none, all
  std::vector<double> v = values(x);
  double first = 0;
  for (size_t t : {2, 0})
    for (size_t c : {1, 3}) first += std::max(0.0, 1 - v[t] + v[c]);
  auto loss = [&](Reduction r) { return multilabel_margin_loss(x, target, {r}); };
  EXPECT_LT(distance(loss(kEach), Tensor<double>{first / 4, 0, 0}), 1e-15);
  expect_reductions("several classes", loss);
  EXPECT_EQ(gradcheck([&](const auto& in) { return multilabel_margin_loss(in[0], target); }, {x}), "");
  EXPECT_NEAR(multilabel_margin_loss(x.select(0, 0), target.select(0, 0)).item(), first / 4, 1e-15);
  message_of<IndexError>([&] { multilabel_margin_loss(x.select(0, 0), Tensor<int64_t>{4, -1, 0, 0}); });
  message_of<ShapeError>([&] { multilabel_margin_loss(x, Tensor<int64_t>{1, 2, 0}); });

  AnyTensor hot = to(draw({3, 4}, -1, 1, 5) > 0, DType::float64), w = draw({4}, 0.5, 2, 9);
  auto soft = [&](Reduction r) { return multilabel_soft_margin_loss(x, hot, {.weight = w, .reduction = r}); };
  EXPECT_LT(distance(soft(kEach), mean(neg(hot * log(sigmoid(x)) + (1 - hot) * log(1 - sigmoid(x))) * w, 1)), 1e-14);
  expect_reductions("soft", soft);
  EXPECT_EQ(gradcheck([&](const auto& in) { return multilabel_soft_margin_loss(in[0], hot, {.weight = w}); }, {x}), "");
}
