// Activations that are more than one row: gated halves, learned and random slopes.
#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

// Half types are computed by coarser functions on a GPU. What is rounded has its error, 2^-11 or 2^-8, and little more.
DEVICE_TEST(Activations, OfHalfTypesAreRoundedOnce) {
  using Op = AnyTensor (*)(const AnyTensor&);
  const std::pair<const char*, Op> ops[] = {{"tanh", [](const AnyTensor& x) { return tanh(x); }},
                                            {"sigmoid", [](const AnyTensor& x) { return sigmoid(x); }},
                                            {"logsigmoid", [](const AnyTensor& x) { return logsigmoid(x); }},
                                            {"silu", [](const AnyTensor& x) { return silu(x); }},
                                            {"mish", [](const AnyTensor& x) { return mish(x); }},
                                            {"gelu_tanh", [](const AnyTensor& x) { return gelu_tanh(x); }},
                                            {"softsign", [](const AnyTensor& x) { return softsign(x); }},
                                            {"softplus", [](const AnyTensor& x) { return softplus(x, 1, 20); }},
                                            {"elu", [](const AnyTensor& x) { return elu(x, 1); }},
                                            {"selu", [](const AnyTensor& x) { return selu(x); }}};
  for (auto [type, unit, smallest] : {std::tuple(DType::float16, 0x1p-11, 0x1p-14), std::tuple(DType::bfloat16, 0x1p-8, 1e-30)}) {
    // Near zero, where differences leave few digits, and far from it.
    AnyTensor x = cat({draw({2000}, -12, 12, 3), draw({2000}, -0.2, 0.2, 4), draw({500}, -0.003, 0.003, 5)}).to(type);
    AnyTensor g = draw(x.shape(), 0.5, 1, 6).to(type), exact = x.to(DType::float64);
    for (auto [what, op] : ops) {
      // On a CPU, and in double, 1 + tanh loses what it had for the most negative.
      const double least = std::string(what) == "gelu_tanh" ? 8e-3 : smallest;
      auto far = [&, unit = unit](const AnyTensor& got, const AnyTensor& want, double units) {
        std::vector<double> a = values(got), b = values(want), at = values(x);
        for (size_t i = 0; i < a.size(); ++i)
          if (!(std::abs(a[i] - b[i]) <= units * unit * std::max(std::abs(b[i]), least)))
            return std::to_string(at[i]) + " gives " + std::to_string(a[i]) + ", not " + std::to_string(b[i]);
        return std::string();
      };
      EXPECT_EQ(far(op(x), op(exact), 1.01), "") << what << " " << name(type);
      if (std::string(what) == "mish" || std::string(what) == "silu" || std::string(what) == "gelu_tanh") {  // these read x alone
        AnyTensor half = x.detach().clone().requires_grad_(), wide = exact.detach().clone().requires_grad_();
        std::vector<double> a = values(grad({op(half)}, {half}, {g})[0]),
                            b = values(grad({op(wide)}, {wide}, {g.to(DType::float64)})[0]);
        for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], unit * (std::abs(b[i]) + 0.02)) << what << " " << name(type);
      }
    }
  }
  EXPECT_EQ(softsign(placed(Tensor<bfloat16>{bfloat16(1e38f), bfloat16(-3e38f)})).vector()[0], bfloat16(1.0f));
}

DEVICE_TEST(Glu, IsAHalfTimesTheSigmoidOfTheOther) {
  Tensor<double> x = {{1, -2, 0.5, 0}, {3, 0.25, -1, 2}};
  auto sigmoid_of = [](double v) { return 1 / (1 + std::exp(-v)); };
  EXPECT_LT(distance(glu(x), Tensor<double>{{sigmoid_of(0.5), -2 * 0.5}, {3 * sigmoid_of(-1), 0.25 * sigmoid_of(2)}}), 1e-15);
  EXPECT_LT(distance(glu(x, 0), Tensor<double>{{sigmoid_of(3), -2 * sigmoid_of(0.25), 0.5 * sigmoid_of(-1), 0}}), 1e-15);
  EXPECT_LT(distance(glu(x.t(), -1), glu(x, 0).t()), 1e-15) << "transposed";
  EXPECT_EQ(to_string(glu(zeros({0, 6, 2}, DType::float32), 1).shape()), "[0, 3, 2]");
  EXPECT_TRUE(std::isnan(glu(Tensor<float>{1, NAN}).item()));
  for (DType type : {DType::float32, DType::float16, DType::bfloat16})  // two roundings
    EXPECT_LT(distance(glu(x.to(type)), glu(x)), type == DType::float32 ? 1e-6 : type == DType::float16 ? 1e-3 : 1e-2);
}
DEVICE_TEST(Glu, GradientsOfBothOrders) {
  AnyTensor x = draw({3, 4, 5}, -3, 3).requires_grad_();
  EXPECT_EQ(gradcheck([](const auto& in) { return glu(in[0], 1); }, {x}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return glu(in[0].transpose(1, 2)); }, {x}), "");
}

DEVICE_TEST(Relu, LetsThroughTheGradientOfWhatIsNoNumber) {
  for (DType type : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
    AnyTensor x = placed(Tensor<float>{NAN, -1, 0, 2, -HUGE_VALF, HUGE_VALF}).to(type).requires_grad_(), y = relu(x);
    const std::vector<double> got = values(y), slopes = values(grad({y}, {x}, {full_like(y.detach(), 3)})[0]);
    EXPECT_TRUE(std::isnan(got[0]));
    EXPECT_EQ(slopes, (std::vector<double>{3, 0, 0, 3, 0, 3})) << name(type);
  }
}

DEVICE_TEST(Prelu, OneSlopeOrOneAChannel) {
  Tensor<double> x = {{-1, 2, -3}, {4, -5, 0}};
  EXPECT_EQ(distance(prelu(x, Tensor<double>{0.5}), Tensor<double>{{-0.5, 2, -1.5}, {4, -2.5, 0}}), 0);
  EXPECT_EQ(distance(prelu(x, Tensor<double>{0.5, 2, -1}), Tensor<double>{{-0.5, 2, 3}, {4, -10, 0}}), 0);
  EXPECT_EQ(prelu(full({}, -2, DType::float32), full({}, 0.25, DType::float32)).item(), -0.5);
  EXPECT_EQ(to_string(prelu(zeros({0, 3, 4}, DType::float32), ones({3}, DType::float32)).shape()), "[0, 3, 4]");
  AnyTensor image = draw({2, 3, 4, 5}), slopes = draw({3});
  AnyTensor pixels = empty_channels_last(image.shape(), image.dtype());
  pixels.copy_(image);
  EXPECT_EQ(distance(prelu(pixels, slopes), prelu(image, slopes)), 0);
  EXPECT_EQ(distance(prelu(image, slopes).select(1, 2), leaky_relu(image.select(1, 2), values(slopes)[2])), 0);
  EXPECT_TRUE(std::isnan(prelu(Tensor<float>{NAN}, Tensor<float>{0.5f}).item()));
}
DEVICE_TEST(Prelu, GradientsOfBothOrders) {
  AnyTensor x = draw({2, 3, 4}, -3, 3).requires_grad_(), each = draw({3}, -1, 1, 5).requires_grad_(),
            one = draw({1}, -1, 1, 6).requires_grad_();
  EXPECT_EQ(gradcheck([](const auto& in) { return prelu(in[0], in[1]); }, {x, each}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return prelu(in[0], in[1]); }, {x, one}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return prelu(in[0].transpose(1, 2).contiguous().transpose(1, 2), in[1]); }, {x, each}),
            "");
}

DEVICE_TEST(Rrelu, SlopesAreDrawnInTrainingAndMeantOtherwise) {
  AnyTensor x = draw({40, 50}, -3, 3), middle = rrelu(x, 0.1, 0.5);
  EXPECT_LT(distance(middle, leaky_relu(x, 0.3)), 1e-15);
  Generator g(5), same(5);
  AnyTensor y = rrelu(x, 0.1, 0.5, true, g);
  EXPECT_EQ(distance(y, rrelu(x, 0.1, 0.5, true, same)), 0) << "a seed is a draw";
  EXPECT_GT(distance(y, rrelu(x, 0.1, 0.5, true, g)), 0) << "and the next is another";
  std::vector<double> before = values(x), after = values(y);
  double least = 1, most = 0, total = 0;
  int64_t negative = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    if (before[i] >= 0) {
      EXPECT_EQ(after[i], before[i]);
      continue;
    }
    double slope = after[i] / before[i];
    least = std::min(least, slope), most = std::max(most, slope), total += slope, ++negative;
  }
  EXPECT_GE(least, 0.1 - 1e-15);
  EXPECT_LT(most, 0.5 + 1e-15);
  EXPECT_LT(least, 0.11);
  EXPECT_GT(most, 0.49);
  EXPECT_NEAR(total / double(negative), 0.3, 0.02);  // six deviations of the mean of some 1000 uniform draws
  EXPECT_EQ(distance(rrelu(x, 0.2, 0.2, true), leaky_relu(x, 0.2)), 0);
}
DEVICE_TEST(Rrelu, GradientsOfBothOrders) {
  AnyTensor x = draw({3, 4}, -3, 3).requires_grad_();
  EXPECT_EQ(gradcheck([](const auto& in) { return square(rrelu(in[0], 0.1, 0.5)); }, {x}), "");
  auto drawn = [](const auto& in) {
    Generator g(5);
    return square(rrelu(in[0], 0.1, 0.5, true, g));
  };
  EXPECT_EQ(gradcheck(drawn, {x}), "");
}

DEVICE_TEST(Activations, WrongCalls) {
  AnyTensor x = draw({2, 3});
  EXPECT_EQ(message_of<ShapeError>([&] { glu(x); }), "glu: axis -1 of [2, 3] has no two halves");
  message_of<ShapeError>([&] { glu(x, 2); });
  message_of<ShapeError>([&] { glu(draw({})); });
  message_of<DTypeError>([&] { glu(arange(4)); });
  EXPECT_EQ(message_of<ShapeError>([&] { prelu(x, draw({2})); }),
            "prelu: weight of shape [2] for x of shape [2, 3]; one element, or one a channel, is needed");
  message_of<ShapeError>([&] { prelu(draw({3}), draw({3})); });
  message_of<DTypeError>([&] { prelu(x, draw({3}).to(DType::float32)); });
  message_of<DTypeError>([&] { rrelu(arange(4)); });
  EXPECT_EQ(message_of<ValueError>([&] { rrelu(x, 0.5, 0.1); }).substr(0, 7), "rrelu: ");
}
