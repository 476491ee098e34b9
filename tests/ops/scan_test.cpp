// Scans, differences and areas against plain loops in double; gradients of both orders, with zeros among the factors.
#include <cstring>
#include <limits>

#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

const double kInf = std::numeric_limits<double>::infinity();
using Step = std::function<double(double sum, double x)>;

AnyTensor expected(const AnyTensor& x, int axis, double start, const Step& step) {
  std::vector<double> v = values(x);
  int64_t inner = 1, n = x.dim() ? x.shape()[axis] : 1;
  for (int d = axis + 1; d < x.dim(); ++d) inner *= x.shape()[d];
  AnyTensor y = empty(x.shape(), DType::float64, kCPU);
  double* to = static_cast<double*>(y.raw_data());
  for (size_t i = 0; i < v.size(); ++i) {
    bool first = int64_t(i) / inner % n == 0;
    to[i] = step(first ? start : to[i - size_t(inner)], v[i]);
  }
  return y;
}
double plus(double a, double b) { return a + b; }
double times(double a, double b) { return a * b; }
double log_add(double a, double b) {
  double m = std::max(a, b);
  return m == -kInf ? m : m + std::log(std::exp(a - m) + std::exp(b - m));
}

std::vector<AnyTensor> layouts(DType type, double low, double high) {
  auto of = [&](const Shape& shape) { return draw(shape, low, high, 5, type); };
  return {of({}),
          of({1}),
          of({50}),
          of({3000}),
          of({20, 33}),
          of({7, 5, 90}),
          of({70, 70}).t(),
          of({40, 60}).slice(1, 1, 60, 3),
          of({4, 6, 7, 5}).permute({0, 3, 1, 2}),
          of({1, 9}).expand({6, 9}),
          of({0, 3}),
          of({3, 0}),
          of({200, 300})};
}
const double kTolerance[] = {2e-6, 1e-12, 2e-3, 1.6e-2};

}  // namespace

DEVICE_TEST(Scan, EveryLayoutAndType) {
  for (DType type : {DType::float64, DType::float32, DType::float16, DType::bfloat16}) {
    for (const AnyTensor& x : layouts(type, -1, 1)) {
      for (int axis = 0; axis < std::max(1, x.dim()); ++axis) {
        double tolerance = kTolerance[int(type)];
        EXPECT_LT(distance(cumsum(x, axis), expected(x, axis, 0, plus)), tolerance) << to_string(x.shape()) << axis << name(type);
        EXPECT_LT(distance(cumprod(x * 2, axis), expected(x * 2, axis, 1, times)), tolerance) << to_string(x.shape()) << name(type);
        EXPECT_LT(distance(logcumsumexp(x, axis), expected(x, axis, -kInf, log_add)), tolerance)
            << to_string(x.shape()) << name(type);
      }
    }
  }
  AnyTensor x = draw({3, 4});
  EXPECT_EQ(distance(cumsum(x, -1), cumsum(x, 1)), 0);
}
DEVICE_TEST(Scan, Integers) {
  for (DType type : {DType::int8, DType::int16, DType::int32, DType::int64, DType::uint8, DType::boolean}) {
    AnyTensor x = draw({4, 9}, 0, 4, 6, type);
    EXPECT_EQ(cumsum(x, 1).dtype(), DType::int64);
    EXPECT_EQ(distance(cumsum(x, 0), expected(x, 0, 0, plus)), 0) << name(type);
    EXPECT_EQ(distance(cumprod(x, 1), expected(x, 1, 1, times)), 0) << name(type);
  }
  static_assert(std::is_same_v<decltype(cumsum(Tensor<bool>(), 0)), Tensor<int64_t>>);
}
DEVICE_TEST(Scan, Extremes) {
  for (DType type : {DType::float64, DType::float16, DType::int32}) {
    for (const AnyTensor& x : layouts(type, -50, 50)) {
      for (int axis = 0; axis < std::max(1, x.dim()); ++axis) {
        auto [high, at_high] = cummax(x, axis);
        auto [low, at_low] = cummin(x, axis);
        EXPECT_EQ(high.dtype(), type);
        EXPECT_EQ(distance(high, expected(x, axis, -kInf, [](double a, double b) { return std::max(a, b); })), 0);
        EXPECT_EQ(distance(low, expected(x, axis, kInf, [](double a, double b) { return std::min(a, b); })), 0);
        if (x.dim() > 0) {
          EXPECT_EQ(distance(gather(x, axis, at_high), high), 0);
          EXPECT_EQ(distance(gather(x, axis, at_low), low), 0);
        }
      }
    }
  }
  const float nan = std::numeric_limits<float>::quiet_NaN();
  auto [high, at] = cummax(Tensor<float>{1, 1, nan, 5}, 0);
  EXPECT_EQ(at.vector(), (std::vector<int64_t>{0, 1, 2, 2}));
  EXPECT_TRUE(std::isnan(high.vector()[3]));
}
DEVICE_TEST(Scan, SpecialValues) {
  AnyTensor x = Tensor<float>{float(-kInf), 1, float(kInf), 2};
  EXPECT_EQ(values(logcumsumexp(x, 0)), (std::vector<double>{-kInf, 1, kInf, kInf}));
  EXPECT_NEAR(values(logcumsumexp(Tensor<float>{1000, 1000}, 0))[1], 1000 + std::log(2.0), 1e-4);
  for (DType type : {DType::float16, DType::bfloat16}) {  // a large first one, whose logarithm has few digits
    AnyTensor big = placed(Tensor<double>{8192, 0, -5}).to(type).requires_grad_();
    AnyTensor g = grad({logcumsumexp(big, 0)}, {big}, {placed(Tensor<double>{0.25, -0.5, 0.75}).to(type)})[0];
    EXPECT_LT(distance(g, Tensor<double>{0.5, 0, 0}), 4e-3) << name(type);
  }
  std::vector<double> holes = values(logcumsumexp(Tensor<float>{0, NAN, 1}, 0));
  EXPECT_EQ(holes[0], 0);
  EXPECT_TRUE(std::isnan(holes[1]) && std::isnan(holes[2]));
  EXPECT_EQ(values(cumsum(full({3000}, 1, DType::float16), 0)).back(), 3000) << "accumulated in float";
}

DEVICE_TEST(ScanGradient, OfEveryScan) {
  AnyTensor x = draw({3, 4, 5}, -1, 1).requires_grad_();
  for (int64_t axis : {0, 1, -1}) {
    EXPECT_EQ(gradcheck([&](auto& in) { return square(cumsum(in[0], axis)); }, {x}), "");
    EXPECT_EQ(gradcheck([&](auto& in) { return cumprod(in[0] * 2, axis); }, {x}), "");
    EXPECT_EQ(gradcheck([&](auto& in) { return logcumsumexp(in[0], axis); }, {x}), "");
    EXPECT_EQ(gradcheck([&](auto& in) { return square(cummax(in[0], axis).values); }, {x}), "");
    EXPECT_EQ(gradcheck([&](auto& in) { return square(cummin(in[0], axis).values); }, {x}), "");
  }
  AnyTensor scalar = draw({}).requires_grad_();
  EXPECT_EQ(gradcheck([&](auto& in) { return square(cumsum(in[0], 0)); }, {scalar}), "");
  EXPECT_EQ(gradcheck([&](auto& in) { return cumprod(in[0], -1); }, {scalar}), "");
  EXPECT_EQ(gradcheck([&](auto& in) { return cumprod(in[0], 0); }, {draw({4, 3}).t().requires_grad_()}), "");
}
DEVICE_TEST(ScanGradient, OfProductsWithZeros) {
  for (std::vector<double> v : {std::vector<double>{2, 0, 3, 4}, {0, 2, 3, 4}, {2, 3, 4, 0}, {0, 0, 3, 4}, {0, 0, 0, 0}}) {
    AnyTensor x = AnyTensor(Tensor<double>(v)).requires_grad_();
    EXPECT_EQ(gradcheck([&](auto& in) { return cumprod(in[0], 0); }, {x}), "");
  }
}

DEVICE_TEST(Areas, DifferencesAndTrapezoids) {
  Tensor<double> x = {1, 4, 9, 16};
  EXPECT_EQ(diff(x).vector(), (std::vector<double>{3, 5, 7}));
  EXPECT_EQ(diff(x, 2).vector(), (std::vector<double>{2, 2}));
  EXPECT_EQ(diff(x, 0).vector(), x.vector());
  EXPECT_EQ(diff(x, 9).numel(), 0);
  EXPECT_EQ(diff(Tensor<bool>{true, false, false}).vector(), (std::vector<bool>{true, false}));
  EXPECT_EQ(trapezoid(x).item(), 21.5);
  EXPECT_EQ(trapezoid(x, 2).item(), 43);
  EXPECT_EQ(trapezoid(x, Tensor<double>{0, 1, 3, 4}).item(), 2.5 + 13 + 12.5);
  EXPECT_EQ(cumulative_trapezoid(x).vector(), (std::vector<double>{2.5, 9, 21.5}));
  AnyTensor y = draw({3, 4}), places = draw({3, 4}), line = draw({3});
  EXPECT_LT(distance(trapezoid(y, line, 0), sum(diff(line).unsqueeze(1) * (y.slice(0, 1, 3) + y.slice(0, 0, 2)) / 2, 0)), 1e-15);
  y.requires_grad_(), places.requires_grad_(), line.requires_grad_();
  EXPECT_EQ(gradcheck([&](auto& in) { return diff(in[0], 2, 1); }, {y}), "");
  EXPECT_EQ(gradcheck([&](auto& in) { return trapezoid(in[0], in[1]); }, {y, places}), "");
  EXPECT_EQ(gradcheck([&](auto& in) { return cumulative_trapezoid(in[0], in[1], 0); }, {y, line}), "");
}

DEVICE_TEST(Scan, Messages) {
  AnyTensor x = draw({2, 3});
  EXPECT_EQ(message_of<ShapeError>([&] { cumsum(x, 2); }), "cumsum: axis 2 is out of range for 2 dimensions; valid are -2 to 1");
  EXPECT_EQ(message_of<DTypeError>([&] { logcumsumexp(full({2}, 1, DType::int32), 0); }),
            "logcumsumexp: needs a floating point tensor, got int32; cast with to<float>()");
  EXPECT_EQ(message_of<ValueError>([&] { diff(x, -1); }), "diff: n is -1; it is how many times differences are taken");
  message_of<ShapeError>([&] { diff(draw({})); });
  message_of<ShapeError>([&] { trapezoid(draw({})); });
  EXPECT_EQ(message_of<ShapeError>([&] { trapezoid(x, draw({5})); }),
            "trapezoid: places of shape [5] for axis 1 of [2, 3]; there must be as many");
  message_of<ValueError>([&] { cumprod(AnyTensor(), 0); });
}
