// Functions composed of the rows, and their other names.
#include "gradus/ops/composed.h"

#include "gradus/ops/aliases.h"
#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;
using V = std::vector<double>;

namespace {

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }
AnyTensor leaf(const Shape& shape, double lo = -1, double hi = 1, uint64_t seed = 7) {
  return draw(shape, lo, hi, seed).requires_grad_();
}

/// The op against std:: on numbers, in each float type, and its gradients.
void check_binary(const char* name, AnyTensor (*op)(const AnyTensor&, const AnyTensor&), double (*scalar)(double, double),
                  double lo, double hi) {
  AnyTensor a = draw({4, 1}, lo, hi), b = draw({1, 5}, lo, hi, 8);
  const double tolerance[] = {3e-6, 1e-13, 4e-3, 3e-2};  // a few roundings of the type
  for (DType t : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
    AnyTensor x = a.to(t), z = b.to(t), expected = empty({4, 5}, DType::float64, kCPU);
    V xs = values(x), zs = values(z);
    for (int i = 0; i < 4; ++i)
      for (int j = 0; j < 5; ++j) static_cast<double*>(expected.raw_data())[5 * i + j] = scalar(xs[size_t(i)], zs[size_t(j)]);
    EXPECT_LT(distance(op(x, z), expected), tolerance[int(t)]) << name << " in " << gradus::name(t);
  }
  a.requires_grad_(), b.requires_grad_();
  EXPECT_EQ(gradcheck([&](const auto& in) { return op(in[0], in[1]); }, {a, b}), "") << name;
}

}  // namespace

DEVICE_TEST(Composed, AgainstTheStandardLibrary) {
  check_binary("hypot", hypot, std::hypot, -2, 2);
  check_binary("copysign", copysign, std::copysign, -2, 2);
  check_binary(
      "logaddexp", logaddexp, [](double a, double b) { return std::log(std::exp(a) + std::exp(b)); }, -2, 2);
  check_binary(
      "logaddexp2", logaddexp2, [](double a, double b) { return std::log2(std::exp2(a) + std::exp2(b)); }, -2, 2);
  check_binary(
      "xlogy", xlogy, [](double a, double b) { return a * std::log(b); }, 0.5, 2);
}

DEVICE_TEST(Composed, BetweenAndSums) {
  AnyTensor a = leaf({3}), b = leaf({3}, -1, 1, 8), w = leaf({3}, 0, 1, 9), d = leaf({3}, 0.5, 2, 10);
  EXPECT_LT(distance(lerp(a, b, 0.25), a * 0.75 + b * 0.25), 1e-15);
  EXPECT_EQ(gradcheck([](const auto& in) { return lerp(in[0], in[1], in[2]); }, {a, b, w}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return addcmul(in[0], in[1], in[2], 0.5); }, {a, b, w}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return addcdiv(in[0], in[1], in[2], 0.5); }, {a, b, d}), "");
  EXPECT_EQ(gradcheck(
                [](const auto& in) {
                  AnyTensor y = in[0] * in[0];
                  lerp_(y, in[1], 0.3), addcmul_(y, in[1], in[2]), addcdiv_(y, in[1], in[2], -2);
                  return y * y;
                },
                {a, b, d}),
            "");
  Tensor<float> x = {1, 2};
  addcmul_(x, x, x, 2);
  EXPECT_EQ(values(x), (V{3, 10}));
  EXPECT_EQ(values(addcmul(Tensor<int64_t>{1}, Tensor<int64_t>{2}, Tensor<int64_t>{3}, 2)), V{13});
}

DEVICE_TEST(Composed, BetweenEndsThatAreFarApart) {
  for (DType type : {DType::float64, DType::float32}) {
    AnyTensor a = placed(Tensor<double>{1e20, -1e20, 3, 1}).to(type), b = placed(Tensor<double>{1, 7, 1e20, 2}).to(type);
    EXPECT_EQ(distance(lerp(a, b, 0), a), 0) << name(type);
    EXPECT_EQ(distance(lerp(a, b, 1), b), 0) << name(type);
    EXPECT_EQ(distance(lerp(a, b, zeros_like(a)), a), 0) << name(type);
    EXPECT_EQ(distance(lerp(a, b, ones_like(a)), b), 0) << name(type);
  }
  AnyTensor a = leaf({3}), b = leaf({3}, -1, 1, 8), outside = AnyTensor(Tensor<double>{-0.7, 1.6, 0.2}).requires_grad_();
  for (double w : {-0.6, 0.2, 0.5, 0.9, 1.0, 1.7}) {
    EXPECT_LT(distance(lerp(a, b, w), a * (1 - w) + b * w), 1e-15) << w;
    EXPECT_EQ(gradcheck([&](const auto& in) { return lerp(in[0], in[1], w); }, {a, b}), "") << w;
  }
  EXPECT_LT(distance(lerp(a, b, outside), a * (1 - outside) + b * outside), 1e-15);
  EXPECT_EQ(gradcheck([](const auto& in) { return lerp(in[0], in[1], in[2]); }, {a, b, outside}), "");
}

/// Terms that nearly cancel leave what the type can hold of their sum, not what was rounded off on the way.
DEVICE_TEST(Composed, HalfTypesAreRoundedOnce) {
  using F = AnyTensor (*)(const AnyTensor&, const AnyTensor&, const AnyTensor&);
  const std::pair<const char*, F> ops[] = {
      {"addcmul", [](auto& x, auto& a, auto& b) { return addcmul(x, a, b, -1.0); }},
      {"addcdiv", [](auto& x, auto& a, auto& b) { return addcdiv(x, a, b, -2.5); }},
      {"lerp", [](auto& x, auto& a, auto& b) { return lerp(x, a, b); }},
      {"lerp by a number", [](auto& x, auto& a, auto&) { return lerp(x, neg(a), 0.5); }},
      {"smooth_l1", [](auto& x, auto& a, auto&) { return smooth_l1_loss(x, a, {.beta = 0.3, .reduction = Reduction::none}); }},
      {"huber", [](auto& x, auto& a, auto&) { return huber_loss(x, a, {.delta = 0.3, .reduction = Reduction::none}); }}};
  for (auto [type, unit] : {std::pair(DType::float16, 0x1p-11), std::pair(DType::bfloat16, 0x1p-8)}) {
    AnyTensor x = draw({500}, 0.9, 1.1, 1).to(type), a = draw({500}, 0.9, 1.1, 2).to(type), b = draw({500}, 0.9, 1.1, 3).to(type);
    for (auto [what, f] : ops) {
      std::vector<double> got = values(f(x, a, b)),
                          want = values(f(x.to(DType::float64), a.to(DType::float64), b.to(DType::float64)));
      for (size_t i = 0; i < got.size(); ++i)
        ASSERT_NEAR(got[i], want[i], 1.001 * unit * std::abs(want[i]) + 1e-6) << what << " in " << name(type);
    }
  }
}

DEVICE_TEST(Composed, EdgesOfTheRange) {
  const double inf = HUGE_VAL, nan = std::nan("");
  EXPECT_EQ(values(nan_to_num(Tensor<double>{nan, inf, -inf, 2}, 1, 5, -6)), (V{1, 5, -6, 2}));
  EXPECT_EQ(values(nan_to_num(Tensor<half>{half(float(inf)), half(float(-inf))})), (V{65504, -65504}));
  EXPECT_EQ(values(nan_to_num(Tensor<float>{float(inf)})), V{double(std::numeric_limits<float>::max())});
  EXPECT_EQ(values(logaddexp(Tensor<double>{-inf, inf, 1000, -inf}, Tensor<double>{-inf, 3, 0, 2})), (V{-inf, inf, 1000, 2}));
  EXPECT_EQ(values(xlogy(Tensor<double>{0, 0, 2}, Tensor<double>{0, inf, 1})), (V{0, 0, 0}));
  EXPECT_TRUE(std::isnan(values(xlogy(Tensor<double>{0}, Tensor<double>{nan}))[0]));
  AnyTensor none = placed(zeros({3}, DType::float64)).requires_grad_(), some = placed(Tensor<double>{2, 0.5, 0});
  EXPECT_LT(distance(grad({sum(xlogy(none, some))}, {none})[0], Tensor<double>{std::log(2), -std::log(2), 0}), 1e-15);
  EXPECT_LT(distance(grad({sum(xlog1py(none, some - 1))}, {none})[0], Tensor<double>{std::log(2), -std::log(2), 0}), 1e-15);
  EXPECT_EQ(values(hypot(Tensor<float>{3e30f, 0, float(inf)}, Tensor<float>{4e30f, 0, 1})), (V{double(5e30f), 0, inf}));
  EXPECT_EQ(values(signbit(Tensor<float>{-0.0f, 0, -1, 1})), (V{1, 0, 1, 0}));
  EXPECT_TRUE(std::signbit(values(copysign(Tensor<double>{3}, Tensor<double>{-0.0}))[0]));
  EXPECT_EQ(values(heaviside(Tensor<double>{-1, 0, 2}, Tensor<double>{0.5})), (V{0, 0.5, 1}));
  EXPECT_EQ(values(isposinf(Tensor<float>{float(inf), float(-inf), 1})), (V{1, 0, 0}));
  EXPECT_EQ(values(isneginf(Tensor<float>{float(inf), float(-inf), 1})), (V{0, 1, 0}));
  for (auto zero : {AnyTensor(Tensor<double>{0}).requires_grad_()}) {
    EXPECT_EQ(values(grad({hypot(zero, zero)}, {zero})[0]), V{0});
    EXPECT_EQ(values(grad({sinc(zero)}, {zero})[0]), V{0});
  }
}

DEVICE_TEST(Composed, OthersAndTheirGradients) {
  AnyTensor p = leaf({4}, 0.1, 0.9), x = leaf({4}, 0.2, 2);
  EXPECT_LT(distance(logit(p), log(p / (1 - p))), 1e-15);
  EXPECT_LT(distance(logit(Tensor<double>{0, 1}, 0.25), Tensor<double>{std::log(1.0 / 3), std::log(3.0)}), 1e-15);
  EXPECT_LT(distance(sinc(Tensor<double>{0, 0.5}), Tensor<double>{1, 2 / M_PI}), 1e-15);
  EXPECT_LT(distance(rad2deg(deg2rad(x)), x), 1e-15);
  EXPECT_EQ(values(float_power(Tensor<int64_t>{2, 3}, 2)), (V{4, 9}));
  EXPECT_EQ(values(true_divide(Tensor<int64_t>{1}, Tensor<int64_t>{2})), V{0.5});
  EXPECT_EQ(values(ldexp(Tensor<float>{3}, Tensor<int64_t>{4})), V{48});
  EXPECT_EQ(gradcheck([](const auto& in) { return logit(in[0]); }, {p}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return sinc(in[0]); }, {x}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return nan_to_num(in[0]); }, {x}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return ldexp(in[0], AnyTensor(Tensor<int64_t>{2})); }, {x}), "");
}

DEVICE_TEST(Aliases, AreTheSame) {
  Tensor<float> x = {0.5, -0.25};
  EXPECT_EQ(values(absolute(x)), values(abs(x)));
  EXPECT_EQ(values(arctan2(x, x)), values(atan2(x, x)));
  EXPECT_EQ(values(clip(x, -0.1, 0.1)), values(clamp(x, -0.1, 0.1)));
  EXPECT_EQ(values(multiply(x, 2)), values(x * 2));
  static_assert(std::is_same_v<decltype(greater(x, x)), Tensor<bool>>);
  EXPECT_EQ(values(concat({x, x})), values(cat({x, x})));
  EXPECT_EQ(swapaxes(zeros({2, 3}), 0, 1).shape(), (Shape{3, 2}));
  EXPECT_EQ(moveaxis(zeros({2, 3, 4}), {0}, {2}).shape(), (Shape{3, 4, 2}));
}

DEVICE_TEST(Composed, Errors) {
  AnyTensor i = arange(3), f = zeros({3}, DType::float32);
  EXPECT_TRUE(has(message_of<DTypeError>([&] { lerp(i, i, 0.5); }), "lerp"));
  EXPECT_TRUE(has(message_of<DTypeError>([&] { addcdiv(i, i, i); }), "addcdiv"));
  EXPECT_TRUE(has(message_of<DTypeError>([&] { hypot(i, i); }), "hypot"));
  message_of<ShapeError>([&] { logaddexp(f, zeros({4}, DType::float32)); });
  EXPECT_TRUE(has(message_of<ShapeError>([&] { lerp_(f, zeros({2, 3}, DType::float32), 0.5); }), "written in place"));
  AnyTensor p = leaf({3});
  EXPECT_TRUE(has(message_of<GraphError>([&] { addcmul_(p, p, p); }), "NoGrad"));
}
