// Losses as modules: they are the functions, with the options that they were made with.
#include "tests/check.h"

namespace gradus {
namespace {

using testing::draw;
using testing::values;

DEVICE_TEST(LossModules, AreTheirFunctions) {
  AnyTensor x = draw({4, 3}, -2, 2, 1), t = draw({4, 3}, -2, 2, 2), p = draw({4, 3}, 0.1, 0.9, 3), q = draw({4, 3}, 0.1, 0.9, 4);
  Tensor<int64_t> y{2, 0, 1, 1};
  AnyTensor signs = where(t > 0, ones_like(t), -1);
  auto same = [](const AnyTensor& got, const AnyTensor& wanted) { EXPECT_EQ(values(got), values(wanted)); };
  same(nn::CrossEntropyLoss()(x, y), cross_entropy(x, y));
  same(nn::CrossEntropyLoss({.label_smoothing = 0.1})(x, y), cross_entropy(x, y, {.label_smoothing = 0.1}));
  same(nn::NLLLoss()(log_softmax(x, 1), y), cross_entropy(x, y));
  same(nn::MSELoss()(x, t), mean(square(x - t)));
  same(nn::MSELoss({.reduction = Reduction::sum})(x, t), sum(square(x - t)));
  same(nn::L1Loss({.reduction = Reduction::none})(x, t), abs(x - t));
  same(nn::SmoothL1Loss({.beta = 0.5})(x, t), smooth_l1_loss(x, t, {.beta = 0.5}));
  same(nn::HuberLoss({.delta = 0.5})(x, t), huber_loss(x, t, {.delta = 0.5}));
  same(nn::BCELoss()(p, q), binary_cross_entropy(p, q));
  same(nn::BCEWithLogitsLoss()(x, q), binary_cross_entropy_with_logits(x, q));
  same(nn::KLDivLoss({.batchmean = true})(log(p), q), kl_div(log(p), q, {.batchmean = true}));
  same(nn::SoftMarginLoss()(x, signs), soft_margin_loss(x, signs));
  same(nn::HingeEmbeddingLoss({.margin = 2})(x, signs), hinge_embedding_loss(x, signs, {.margin = 2}));
  same(nn::PoissonNLLLoss()(x, q), poisson_nll_loss(x, q));
  same(nn::MarginRankingLoss()(x, t, signs), margin_ranking_loss(x, t, signs));
  same(nn::GaussianNLLLoss()(x, t, p), gaussian_nll_loss(x, t, p));
  AnyTensor one = select(signs, 1, 0);
  same(nn::CosineEmbeddingLoss()(x, t, one), cosine_embedding_loss(x, t, one, {.margin = 0}));
  same(nn::TripletMarginLoss({.margin = 2})(x, t, p), triplet_margin_loss(x, t, p, {.margin = 2}));
  same(nn::MultiMarginLoss({.p = 2})(x, y), multi_margin_loss(x, y, {.p = 2}));
  same(nn::MultiLabelSoftMarginLoss()(x, q), multilabel_soft_margin_loss(x, q));
  Tensor<int64_t> several{{2, -1, 0}, {0, 1, -1}, {-1, 0, 0}, {1, -1, 0}};
  same(nn::MultiLabelMarginLoss()(x, several), multilabel_margin_loss(x, several));
}

DEVICE_TEST(LossModules, KeepTheTypeOfTheirTensors) {
  nn::MSELoss loss;
  Tensor<float> x(draw({4}, -1, 1, 1, DType::float32)), t(draw({4}, -1, 1, 2, DType::float32));
  x.requires_grad_();
  Tensor<float> value = loss(x, t);
  value.backward();
  EXPECT_LT(testing::distance(x.grad(), (x.detach() - t) * 0.5f), 1e-6);
  Tensor<float> logits(draw({2, 3}, -1, 1, 3, DType::float32));
  Tensor<float> other = nn::CrossEntropyLoss()(logits, Tensor<int64_t>{0, 2});
  EXPECT_EQ(other.numel(), 1);
}

}  // namespace
}  // namespace gradus
