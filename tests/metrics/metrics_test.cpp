// Metrics on values worked out by hand.
#include "tests/check.h"

using namespace gradus;
using gradus::testing::message_of;

TEST(Accuracy, CountsRightAnswersOverBatches) {
  metrics::Accuracy accuracy;
  accuracy.update(Tensor<float>{{1, 2, 0}, {3, 1, 2}}, Tensor<int64_t>{1, 1});
  EXPECT_EQ(accuracy.compute(), 0.5);
  accuracy.update(Tensor<double>{{0, 0.1, 0.2}, {5, 6, 7}}, Tensor<int64_t>{2, 2});
  EXPECT_EQ(accuracy.compute(), 0.75);
  EXPECT_EQ(accuracy.count(), 4);
  accuracy.reset();
  EXPECT_EQ(message_of<ValueError>([&] { accuracy.compute(); }), "Accuracy: compute() before any update()");
}

TEST(Accuracy, TopKTiesAndNaN) {
  metrics::Accuracy two({.top_k = 2});
  two.update(Tensor<float>{{1, 3, 2}, {1, 3, 2}, {1, 3, 2}}, Tensor<int64_t>{0, 1, 2});
  EXPECT_EQ(two.compute(), 2.0 / 3);
  metrics::Accuracy one;
  one.update(Tensor<float>{{1, 1}, {1, 1}}, Tensor<int64_t>{0, 1});  // of equal ones the first counts
  EXPECT_EQ(one.compute(), 0.5);
  const float nan = NAN;
  one.reset();
  one.update(Tensor<float>{{nan, nan}, {nan, 1}, {nan, 1}}, Tensor<int64_t>{0, 0, 1});
  EXPECT_EQ(one.compute(), 0);
  metrics::Accuracy many({.top_k = 99});
  many.update(Tensor<float>{{1, 2}}, Tensor<int64_t>{0});
  EXPECT_EQ(many.compute(), 1);
}

TEST(Accuracy, TakesHalfTypesStridesAndIgnoredTargets) {
  Tensor<float> logits = {{0, 9}, {1, 0}, {2, 0}};  // (classes 3, samples 2), to be transposed
  metrics::Accuracy accuracy({.ignore_index = -1});
  accuracy.update(logits.t().to<bfloat16>(), Tensor<int64_t>{2, 0});
  accuracy.update(logits.t(), Tensor<int64_t>{-1, 1});
  EXPECT_EQ(accuracy.count(), 3);
  EXPECT_EQ(accuracy.compute(), 2.0 / 3);
}

TEST(Accuracy, AgreesWithAPlainCountOnRandomLogits) {
  AnyTensor logits = gradus::testing::draw({200, 7});
  Tensor<int64_t> target(zeros({200}, DType::int64));
  for (int k = 1; k <= 7; ++k) {
    metrics::Accuracy accuracy({.top_k = k});
    int64_t right = 0;
    for (int64_t i = 0; i < 200; ++i) {
      target.data()[i] = i % 7;
      auto row = gradus::testing::values(logits.select(0, i));
      const double mine = row[size_t(i % 7)];
      right += std::count_if(row.begin(), row.end(), [&](double v) { return v > mine; }) < k;
    }
    accuracy.update(logits, target);
    EXPECT_EQ(accuracy.compute(), double(right) / 200);
  }
}

TEST(Accuracy, RefusesWhatDoesNotFit) {
  metrics::Accuracy a;
  Tensor<float> logits = zeros<float>({2, 3});
  Tensor<int64_t> target = {0, 1};
  EXPECT_EQ(message_of<ShapeError>([&] { a.update(logits, Tensor<int64_t>{0}); }),
            "Accuracy: target has shape [1], the predictions are for [2]");
  EXPECT_EQ(message_of<IndexError>([&] {
              a.update(logits, Tensor<int64_t>{0, 3});
            }),
            "Accuracy: target 3 at index 1 is outside [0, 3)");
  EXPECT_EQ(message_of<DTypeError>([&] {
              a.update(logits, Tensor<int32_t>{0, 1});
            }),
            "Accuracy: target is int32; did you mean target.to<int64_t>()?");
  EXPECT_EQ(message_of<DTypeError>([&] { a.update(logits.to<int32_t>(), target); }),
            "Accuracy: logits are int32, not floating point");
  EXPECT_EQ(message_of<ShapeError>([&] { a.update(target.to<float>(), target); }),
            "Accuracy: logits have shape [2], not (samples, classes)");
  EXPECT_EQ(message_of<ValueError>([&] { a.update(AnyTensor(), target); }), "Accuracy: logits are undefined");
  EXPECT_EQ(message_of<ValueError>([&] { metrics::Accuracy b({.top_k = 0}); }), "Accuracy: top_k is 0; at least 1 is needed");
  EXPECT_EQ(a.count(), 0);  // nothing of a refused batch counts
}

TEST(ConfusionMatrix, CountsAndFiguresByHand) {
  metrics::ConfusionMatrix m(3, {"cat", "dog", "owl"});
  m.update(Tensor<int64_t>{0, 0, 1, 0, 1}, Tensor<int64_t>{0, 0, 1, 1, 0});
  EXPECT_EQ(m.counts().vector(), (std::vector<int64_t>{2, 1, 0, 1, 1, 0, 0, 0, 0}));
  EXPECT_EQ(m.count(1, 0), 1);
  EXPECT_EQ(m.accuracy(), 0.6);
  EXPECT_DOUBLE_EQ(m.precision(0), 2.0 / 3);
  EXPECT_DOUBLE_EQ(m.recall(1), 0.5);
  EXPECT_DOUBLE_EQ(m.f1(1), 0.5);
  EXPECT_TRUE(std::isnan(m.precision(2)) && std::isnan(m.recall(2)) && std::isnan(m.f1(2)));
  EXPECT_EQ(m.report(),
            "class  precision   recall       F1    count\n"
            "cat       0.6667   0.6667   0.6667        3\n"
            "dog       0.5000   0.5000   0.5000        2\n"
            "owl            -        -        -        0\n"
            "mean      0.5833   0.5833   0.5833        5\n");
  EXPECT_EQ(m.table(), "    0 1 2   <- predicted\ncat 2 1 0\ndog 1 1 0\nowl 0 0 0\n");
  m.reset();
  EXPECT_TRUE(std::isnan(m.accuracy()));
}

TEST(ConfusionMatrix, TakesLogits) {
  metrics::ConfusionMatrix m(2);
  m.update(Tensor<float>{{1, 2}, {4, 3}, {5, 5}}, Tensor<int64_t>{1, 1, 0});
  EXPECT_EQ(m.counts().vector(), (std::vector<int64_t>{1, 0, 1, 1}));
}

TEST(ConfusionMatrix, RefusesWhatDoesNotFit) {
  metrics::ConfusionMatrix m(2);
  EXPECT_EQ(message_of<ShapeError>([&] {
              m.update(zeros<float>({1, 3}), Tensor<int64_t>{0});
            }),
            "ConfusionMatrix: logits of shape [1, 3] for 2 classes");
  EXPECT_EQ(message_of<IndexError>([&] {
              m.update(Tensor<int64_t>{0, 1}, Tensor<int64_t>{0, 2});
            }),
            "ConfusionMatrix: target 2 at index 1 is outside [0, 2)");
  EXPECT_EQ(message_of<IndexError>([&] {
              m.update(Tensor<int64_t>{0, -1}, Tensor<int64_t>{0, 1});
            }),
            "ConfusionMatrix: predicted -1 at index 1 is outside [0, 2)");
  EXPECT_EQ(message_of<IndexError>([&] { m.count(0, 2); }), "ConfusionMatrix: class 2 is outside [0, 2)");
  EXPECT_EQ(message_of<ValueError>([&] { metrics::ConfusionMatrix bad(0); }), "ConfusionMatrix: 0 classes; 1 to 32768 can be");
  EXPECT_EQ(message_of<ValueError>([&] { metrics::ConfusionMatrix bad(2, {"a"}); }), "ConfusionMatrix: 1 names for 2 classes");
  EXPECT_EQ(m.counts().sum().item(), 0);
}

TEST(MeanMetric, WeighsWhatItIsGiven) {
  metrics::MeanMetric mean;
  EXPECT_TRUE(std::isnan(mean.compute()));
  mean.update(1, 3);
  mean.update(5);
  EXPECT_EQ(mean.compute(), 2);
  mean.reset();
  mean.update(7);
  EXPECT_EQ(mean.compute(), 7);
}
