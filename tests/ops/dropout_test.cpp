// Dropout: the share that stays, the same mask in backward, layouts, seeds, threads.
#include "kernels/philox.h"
#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

DEVICE_TEST(Dropout, KeepsTheWordsOfTheStream) {
  Generator g(5);
  g.take(3);
  for (DType type : {DType::float64, DType::float32, DType::float16, DType::bfloat16}) {
    g.set_state({5, 3});
    AnyTensor y = dropout(ones({1001}, type), 0.3, true, g);
    std::vector<double> v = values(y);
    double kept = values(full({1}, 1 / 0.7, type))[0];
    for (int i = 0; i < 1001; ++i) {
      bool drops = uniform_float(Philox::at(5, uint64_t(3 + i / 4)).word[i % 4]) < 0.3f;
      EXPECT_NEAR(v[i], drops ? 0 : kept, type == DType::float64 ? 1e-15 : kept * 1e-2) << i;
    }
    EXPECT_EQ(g.state(), (GeneratorState{5, 3 + 251}));  // four elements a block
  }
}

DEVICE_TEST(Dropout, TheShareThatStaysAndTheEnds) {
  AnyTensor x = draw({200000}, 1, 2);
  for (double p : {0.1, 0.5, 0.9}) {
    double zeros = values(sum((dropout(x, p) == 0).to(DType::int64)))[0] / 200000;
    EXPECT_NEAR(zeros, p, 5 * std::sqrt(p * (1 - p) / 200000));  // five deviations
  }
  EXPECT_EQ(distance(dropout(x, 1), zeros_like(x)), 0);
  EXPECT_TRUE(dropout(x, 0).is_same(x));
  EXPECT_TRUE(dropout(x, 0.5, false).is_same(x));
  AnyTensor inf = full({1000}, HUGE_VAL, DType::float64);  // dropped infinities are zeros, not NaN
  for (double v : values(dropout(inf, 0.5))) EXPECT_FALSE(std::isnan(v));
}

DEVICE_TEST(Dropout, GradientsHaveTheMaskOfForward) {
  Generator g(1);
  GeneratorState start = g.state();
  AnyTensor x = draw({5, 7}).requires_grad_();
  EXPECT_EQ(gradcheck(
                [&](const auto& in) {
                  g.set_state(start);
                  return dropout(in[0], 0.4, true, g);
                },
                {x}),
            "");
  AnyTensor t = draw({3, 4, 2}).requires_grad_();  // the gradient comes in another layout
  EXPECT_EQ(gradcheck(
                [&](const auto& in) {
                  g.set_state(start);
                  return dropout(in[0].transpose(0, 2), 0.4, true, g) * in[0].transpose(0, 2).contiguous();
                },
                {t}),
            "");
}

DEVICE_TEST(Dropout, KeepsTheLayout) {
  Generator g(2);
  AnyTensor last = empty_channels_last({2, 5, 3, 4}, DType::float32, device_of_tests());
  last.copy_(draw({2, 5, 3, 4}, 1, 2, 3, DType::float32));
  AnyTensor y = dropout(last, 0.5, true, g);
  EXPECT_EQ(y.stride(), last.stride());
  g.set_state({2, 0});  // places are counted in memory
  AnyTensor same = dropout(last.permute({0, 2, 3, 1}).contiguous(), 0.5, true, g).permute({0, 3, 1, 2});
  EXPECT_EQ(distance(y, same), 0);
  AnyTensor gaps = draw({10, 10}).slice(1, 0, 10, 2);
  EXPECT_TRUE(dropout(gaps, 0.5).is_contiguous());
}

TEST(Dropout, SameBitsForAnyNumberOfThreads) {
  AnyTensor x = draw({100003}, 1, 2, 3, DType::float32);
  auto run = [&] {
    Generator g(7);
    return dropout(x, 0.5, true, g);
  };
  AnyTensor before = run();
  int threads = get_num_threads();
  set_num_threads(threads == 1 ? 2 : 1);
  EXPECT_EQ(distance(run(), before), 0);
  set_num_threads(threads);
}

DEVICE_TEST(Dropout, WholeChannels) {
  Generator g(3);
  AnyTensor x = draw({40, 30, 3, 2}, 1, 2), y = dropout2d(x, 0.25, true, g);
  std::vector<double> share = values(y / x);
  int dropped = 0;
  for (int i = 0; i < 1200; ++i) {
    dropped += share[i * 6] == 0;
    for (int k = 0; k < 6; ++k) EXPECT_NEAR(share[i * 6 + k], share[i * 6] == 0 ? 0 : 1 / 0.75, 1e-15);
  }
  EXPECT_NEAR(dropped / 1200.0, 0.25, 0.07);
  EXPECT_EQ(dropout1d(draw({4, 6}), 0.5, true, g).shape(), (Shape{4, 6}));
  EXPECT_EQ(dropout3d(draw({2, 3, 2, 2, 2}), 0.5, true, g).shape(), (Shape{2, 3, 2, 2, 2}));
  GeneratorState start = g.state();
  AnyTensor leaf = draw({2, 3, 2}).requires_grad_();
  EXPECT_EQ(gradcheck(
                [&](const auto& in) {
                  g.set_state(start);
                  return dropout1d(in[0], 0.4, true, g);
                },
                {leaf}),
            "");
}

DEVICE_TEST(AlphaDropout, KeepsMeanAndVariance) {
  Generator g(4);
  AnyTensor x = randn({400000}, DType::float64, g);
  for (double p : {0.2, 0.5}) {
    for (AnyTensor y : {alpha_dropout(x, p, true, g), feature_alpha_dropout(x.reshape({400, 1000}), p, true, g)}) {
      double m = mean(y).item(), v = mean(square(y)).item() - m * m;
      EXPECT_NEAR(m, 0, 0.02);
      EXPECT_NEAR(v, 1, 0.02);
    }
  }
  EXPECT_EQ(distance(alpha_dropout(x, 1, true, g), zeros_like(x)), 0);
  GeneratorState start = g.state();
  AnyTensor leaf = draw({3, 4}).requires_grad_();
  EXPECT_EQ(gradcheck(
                [&](const auto& in) {
                  g.set_state(start);
                  return alpha_dropout(in[0], 0.4, true, g);
                },
                {leaf}),
            "");
}

DEVICE_TEST(Dropout, ErrorsNameTheOp) {
  AnyTensor x = draw({2, 3});
  EXPECT_EQ(message_of<ValueError>([&] { dropout(x, 1.5); }), "dropout: probability 1.5 is outside [0, 1]");
  EXPECT_EQ(message_of<ValueError>([&] { alpha_dropout(x, -0.5); }), "alpha_dropout: probability -0.5 is outside [0, 1]");
  EXPECT_EQ(message_of<ShapeError>([&] { dropout2d(x, 0.5); }), "dropout2d: x has shape [2, 3]; 3 or 4 dimensions are needed");
  EXPECT_EQ(message_of<DTypeError>([&] { dropout(x.to(DType::int32)); }),
            "dropout: needs a floating point tensor, got int32; cast with to<float>()");
}
