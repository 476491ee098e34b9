// Values of the rows of ops.def where they are easily wrong: division by zero, powers of and to zero, floor division by fractions,
// integers in functions of floats.
#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

const DType kIntegers[] = {DType::int8, DType::int16, DType::int32, DType::int64, DType::uint8};

TEST(RowValues, IntegersDividedByZeroAreRefusedInEveryForm) {
  for (DType type : kIntegers) {
    SCOPED_TRACE(name(type));
    const AnyTensor x = ones({3}, type), with_zero = arange(3, type);
    AnyTensor at = x.clone();
    const std::vector<std::function<void()>> calls = {
        [&] { x / with_zero; },
        [&] { fmod(x, with_zero); },
        [&] { remainder(x, with_zero); },
        [&] { floor_divide(x, with_zero); },
        [&] { div_(at, with_zero); },
        [&] { fmod_(at, with_zero); },
        [&] { remainder_(at, with_zero); },
        [&] { floor_divide_(at, with_zero); },
        [&] { x / 0; },
        [&] { div_scalar(x, 0); },
        [&] { at /= 0; },
        [&] { div_scalar_(at, 0); },
        [&] { 1 / with_zero; },
        [&] { rdiv_scalar(with_zero, 7); },
        [&] {
          AnyTensor z = with_zero.clone();
          rdiv_scalar_(z, 7);
        },
        [&] { fmod(x, 0); },
        [&] { remainder(x, 0); },
        [&] { floor_divide(x, 0); },
        [&] { x % 0; },
    };
    for (const auto& call : calls) {
      std::string message = message_of<ValueError>(call);
      EXPECT_NE(message.find("division of"), std::string::npos) << message;
      EXPECT_NE(message.find(name(type)), std::string::npos) << message;
    }
    EXPECT_EQ(distance(at, x), 0) << "a refused call wrote";
    EXPECT_EQ(values(6 / ones({2}, type)), std::vector<double>(2, 6));
  }
}

DEVICE_TEST(RowValues, GradientsOfPowersOfAndToZero) {
  const double inf = HUGE_VAL;
  for (DType type : {DType::float64, DType::float32, DType::float16, DType::bfloat16}) {
    SCOPED_TRACE(name(type));
    for (bool graph : {false, true}) {
      // x^p: where p is 0 the slope is 0, also at 0.
      AnyTensor x = placed(Tensor<double>{0, 2, -3, inf}).to(type).requires_grad_();
      AnyTensor g = grad({sum(pow(x, 0))}, {x}, {}, {.create_graph = graph})[0];
      EXPECT_EQ(values(g), std::vector<double>(4, 0));
      EXPECT_EQ(values(grad({sum(pow(x.slice(0, 0, 2), 3))}, {x}, {}, {.create_graph = graph})[0]),
                (std::vector<double>{0, 12, 0, 0}));
      EXPECT_EQ(values(grad({sum(pow(x.slice(0, 0, 1), 0.5))}, {x}, {}, {.create_graph = graph})[0])[0], inf);
      // 0^x, for exponents from 0 on.
      AnyTensor e = placed(Tensor<double>{0, 1, 2.5}).to(type).requires_grad_();
      EXPECT_EQ(values(grad({sum(pow(0, e))}, {e}, {}, {.create_graph = graph})[0]), std::vector<double>(3, 0));
      AnyTensor below = placed(Tensor<double>{-1}).to(type).requires_grad_();
      EXPECT_EQ(values(grad({sum(pow(0, below))}, {below}, {}, {.create_graph = graph})[0])[0], -inf);
    }
  }
  // Of the second order, where x^1 has no curvature and 0^x none either.
  AnyTensor x = placed(Tensor<double>{0.0, 1.5}).requires_grad_();
  for (auto f : {+[](const AnyTensor& x) { return pow(x, 0); }, +[](const AnyTensor& x) { return pow_scalar(x, 1); },
                 +[](const AnyTensor& x) { return pow(0, x); }}) {
    AnyTensor g = grad({sum(f(x))}, {x}, {}, {.create_graph = true})[0];
    AnyTensor second = g.requires_grad() ? grad({sum(g)}, {x}, {}, {.allow_unused = true})[0] : AnyTensor();
    if (second.defined()) {
      EXPECT_EQ(values(second), std::vector<double>(2, 0));
    }
  }
}

/// pow(a, b) and its derivatives, as PyTorch 2.15 gives them. Where that has NaN for a number that is finite (of and to 0), the number; kOpen where the
/// true one is infinite or there is none.
DEVICE_TEST(RowValues, SecondGradientsOfPowers) {
  constexpr double kOpen = 12345, inf = HUGE_VAL, nan = NAN;
  struct Case {
    double a, b, y, da, db, daa, dab, dba, dbb;
  };
  const Case cases[] = {
      {0, 0, 1, 0, 0, 0, kOpen, kOpen, 0},
      {0, 1, 0, 1, 0, 0, 1, kOpen, 0},
      {0, 2, 0, 0, 0, 2, 0, 0, 0},
      {0, 3, 0, 0, 0, 0, 0, 0, 0},
      {0, 0.5, 0, inf, 0, -inf, kOpen, kOpen, 0},
      {0, 1.5, 0, 0, 0, inf, 0, 0, 0},
      {0, 2.5, 0, 0, 0, 0, 0, 0, 0},
      {0, -1, inf, -inf, -inf, inf, inf, inf, inf},
      {-2, 0, 1, 0, nan, 0, kOpen, kOpen, nan},
      {-2, 1, -2, 1, nan, 0, nan, nan, nan},
      {-2, 2, 4, -4, nan, 2, nan, nan, nan},
      {-2, 3, -8, 12, nan, -12, nan, nan, nan},
      {-2, 0.5, nan, nan, nan, nan, nan, nan, nan},
      {-2, -1, -0.5, -0.25, nan, -0.25, nan, nan, nan},
      {2, 0, 1, 0, 0.6931471805599453, 0, 0.5, 0.5, 0.4804530139182014},  // there 0 comes for dab
      {2, 1, 2, 1, 1.3862943611198906, 0, 1.6931471805599454, 1.6931471805599454, 0.9609060278364028},
      {2, 2, 4, 4, 2.772588722239781, 2, 4.772588722239782, 4.772588722239782, 1.9218120556728056},
      {2, 3, 8, 12, 5.545177444479562, 12, 12.317766166719343, 12.317766166719343, 3.843624111345611},
      {2, 0.5, 1.4142135623730951, 0.3535533905932738, 0.9802581434685472, -0.08838834764831845, 0.9521713170536844,
       0.9521713170536844, 0.6794631683661498},
      {2, -1, 0.5, -0.25, 0.34657359027997264, 0.25, 0.07671320486001368, 0.07671320486001368, 0.2402265069591007},
  };
  auto close = [&](double got, double wanted, const char* what) {
    if (wanted == kOpen) return;
    if (std::isfinite(wanted))
      EXPECT_NEAR(got, wanted, 1e-14 * (1 + std::abs(wanted))) << what;
    else
      EXPECT_TRUE(got == wanted || (std::isnan(got) && std::isnan(wanted))) << what << ": " << got << ", not " << wanted;
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(std::to_string(c.a) + " to the " + std::to_string(c.b));
    for (bool graph : {false, true}) {  // for the second one too
      AnyTensor a = full({3}, c.a, DType::float64).requires_grad_(), b = full({3}, c.b, DType::float64).requires_grad_();
      AnyTensor y = pow(a, b);
      std::vector<AnyTensor> first = grad({y}, {a, b}, {ones_like(y)}, {.create_graph = true});
      close(values(y)[2], c.y, "y");
      close(values(first[0])[2], c.da, "da"), close(values(first[1])[2], c.db, "db");
      const double second[2][2] = {{c.daa, c.dab}, {c.dba, c.dbb}};
      for (int i = 0; i < 2; ++i) {
        std::vector<AnyTensor> g = grad({first[size_t(i)]}, {a, b}, {ones_like(y)}, {.retain_graph = true, .create_graph = graph});
        for (int j = 0; j < 2; ++j)
          close(values(g[size_t(j)])[2], second[i][j], i == 0 ? (j == 0 ? "daa" : "dab") : (j == 0 ? "dba" : "dbb"));
      }
      // With an exponent that is a number.
      AnyTensor x = full({3}, c.a, DType::float64).requires_grad_(),
                slope = grad({sum(pow(x, c.b))}, {x}, {}, {.create_graph = true})[0];
      close(values(slope)[2], c.da, "the slope of a number's power");
      if (slope.requires_grad()) {
        AnyTensor g = grad({sum(slope)}, {x}, {}, {.create_graph = graph, .allow_unused = true})[0];
        close(g.defined() ? values(g)[2] : 0, c.daa, "the curvature of a number's power");
      }
      AnyTensor e = full({3}, c.b, DType::float64).requires_grad_(),
                rise = grad({sum(pow(c.a, e))}, {e}, {}, {.create_graph = true})[0];
      close(values(rise)[2], c.db, "the slope of a power of a number");
    }
  }
}

/// Where a function bends or jumps, and where its argument is no number: the slopes that PyTorch 2.15 gives.
DEVICE_TEST(RowValues, GradientsAtTheKinks) {
  struct Case {
    const char* name;
    std::function<AnyTensor(const AnyTensor&)> f;
    std::vector<std::pair<double, double>> slopes;  // (x, dy/dx)
  };
  const double inf = HUGE_VAL, nan = NAN, tolerance[] = {1e-6, 1e-15, 1e-3, 1e-2};
  const std::vector<Case> cases = {
      {"abs", [](auto& x) { return abs(x); }, {{0, 0}, {-0.0, 0}, {inf, 1}, {-inf, -1}}},
      {"relu", [](auto& x) { return relu(x); }, {{0, 0}, {-0.0, 0}, {inf, 1}, {-inf, 0}}},
      {"relu6", [](auto& x) { return relu6(x); }, {{0, 0}, {6, 0}, {inf, 0}}},
      {"leaky_relu", [](auto& x) { return leaky_relu(x, 0.25); }, {{0, 0.25}, {-0.0, 0.25}, {inf, 1}, {-inf, 0.25}}},
      {"prelu", [](auto& x) { return prelu(x, full({1}, 0.25, x.dtype(), x.device())); }, {{0, 0.25}, {-0.0, 0.25}, {inf, 1}}},
      {"elu", [](auto& x) { return elu(x, 0.5); }, {{0, 0.5}, {-0.0, 0.5}, {inf, 1}, {-inf, 0}, {nan, nan}}},
      {"celu", [](auto& x) { return celu(x, 0.5); }, {{0, 1}, {inf, 1}, {-inf, 0}, {nan, nan}}},
      {"selu", [](auto& x) { return selu(x); }, {{0, 1.7580993408473766}, {inf, 1.0507009873554805}, {-inf, 0}, {nan, nan}}},
      {"hardswish", [](auto& x) { return hardswish(x); }, {{-3, 0}, {0, 0.5}, {3, 1}, {inf, 1}, {-inf, 0}}},
      {"hardsigmoid", [](auto& x) { return hardsigmoid(x); }, {{-3, 0}, {3, 0}, {inf, 0}, {-inf, 0}}},
      {"hardtanh", [](auto& x) { return hardtanh(x, -1, 2); }, {{-1, 0}, {2, 0}, {1.5, 1}, {inf, 0}}},
      {"hardshrink", [](auto& x) { return hardshrink(x, 0.5); }, {{-0.5, 0}, {0.5, 0}, {0.75, 1}, {inf, 1}}},
      {"softshrink", [](auto& x) { return softshrink(x, 0.5); }, {{-0.5, 0}, {0.5, 0}, {0.75, 1}, {inf, 1}}},
      {"threshold", [](auto& x) { return threshold(x, 0.5, 3); }, {{0.5, 0}, {0.75, 1}, {-inf, 0}, {nan, 1}}},
      {"clamp", [](auto& x) { return clamp(x, -1, 2); }, {{-1, 1}, {2, 1}, {-1.5, 0}, {inf, 0}, {-inf, 0}}},
      {"softsign", [](auto& x) { return softsign(x); }, {{0, 1}, {inf, 0}}},
      {"sqrt", [](auto& x) { return sqrt(x); }, {{0, inf}, {inf, 0}}},
      {"floor", [](auto& x) { return floor(x); }, {{0, 0}, {1, 0}, {inf, 0}}},
      {"frac", [](auto& x) { return frac(x); }, {{0, 1}, {1, 1}}},
      {"atan2 of y", [](auto& x) { return atan2(x, zeros_like(x.detach())); }, {{0, 0}, {2, 0}, {inf, 0}}},
      {"atan2 of x", [](auto& x) { return atan2(full_like(x.detach(), 2), x); }, {{0, -0.5}, {2, -0.25}}},
      {"atan2 at the origin", [](auto& x) { return atan2(zeros_like(x.detach()), x); }, {{0, 0}}},
      {"xlogy", [](auto& x) { return xlogy(x, full_like(x.detach(), 1)); }, {{0, 0}, {2, 0}}},
  };
  for (DType type : {DType::float64, DType::float32, DType::float16, DType::bfloat16})
    for (const Case& c : cases)
      for (bool graph : {false, true}) {
        SCOPED_TRACE(std::string(c.name) + " of " + name(type));
        std::vector<double> points;
        for (auto [x, slope] : c.slopes) points.push_back(x);
        AnyTensor x = placed(Tensor<double>(std::span<const double>(points))).to(type).requires_grad_();
        std::vector<double> got = values(grad({c.f(x)}, {x}, {ones_like(x.detach())}, {.create_graph = graph})[0]);
        for (size_t i = 0; i < points.size(); ++i) {
          const double slope = c.slopes[i].second;
          if (got[i] == slope || (std::isnan(got[i]) && std::isnan(slope))) continue;
          EXPECT_NEAR(got[i], slope, tolerance[int(type)]) << "at " << points[i];
        }
      }
}

/// A hole in the data is seen at the end.
DEVICE_TEST(RowValues, NaNStaysNaN) {
  for (DType type : {DType::float64, DType::float32, DType::float16, DType::bfloat16}) {
    const AnyTensor x = full({19}, NAN, DType::float64).to(type);
    auto check = [&](const char* row, const AnyTensor& y) {
      for (double v : values(y)) ASSERT_TRUE(std::isnan(v)) << row << " of " << name(type) << " makes " << v << " of NaN";
    };
#define GRADUS_UNARY(name, of, f, g, lo, hi) check(#name, gradus::name(x));
#define GRADUS_UNARY1(name, of, s, s_test, f, g, lo, hi) check(#name, gradus::name(x, s_test));
#define GRADUS_UNARY2(name, of, s, s_test, t, t_test, f, g, lo, hi) check(#name, gradus::name(x, s_test, t_test));
#include "gradus/ops/ops.def"
  }
}

/// How often b goes into a decides the gradient of a remainder, not a / b, which is rounded: 0.1 goes nine times into 1.
DEVICE_TEST(RowValues, GradientsOfRemainders) {
  auto of = [](AnyTensor (*f)(const AnyTensor&, const AnyTensor&), DType type, bool graph) {
    AnyTensor a = placed(Tensor<double>{1, -1, 1, -1, 7, -7, 5.5, 0.3, 3, -3}).to(type);
    AnyTensor b = placed(Tensor<double>{0.1, 0.1, -0.1, -0.1, 2, 2, -2, 0.5, HUGE_VAL, HUGE_VAL}).to(type).requires_grad_();
    return values(grad({sum(f(a, b))}, {b}, {}, {.create_graph = graph})[0]);
  };
  for (bool graph : {false, true}) {
    EXPECT_EQ(of(&gradus::remainder, DType::float64, graph), (std::vector<double>{-9, 10, 10, -9, -3, 4, 3, 0, 0, 1}));
    EXPECT_EQ(of(&gradus::fmod, DType::float64, graph), (std::vector<double>{-9, 9, 9, -9, -3, 3, 2, 0, 0, 0}));
    // The float next to 0.1 is larger than it as well.
    EXPECT_EQ(of(&gradus::remainder, DType::float32, graph), (std::vector<double>{-9, 10, 10, -9, -3, 4, 3, 0, 0, 1}));
    EXPECT_EQ(of(&gradus::fmod, DType::float32, graph), (std::vector<double>{-9, 9, 9, -9, -3, 3, 2, 0, 0, 0}));
  }
}

/// a == q * b + r with 0 <= r < b (or b < r <= 0), where q is whole: what Python promises of // and %.
DEVICE_TEST(RowValues, FloorDivisionAndRemainderBelongTogether) {
  std::vector<double> as, bs;
  for (double b : {0.1, 0.3, 1.0, 7.0, 1e-3, -0.1, -0.3, -7.0})
    for (int k = -60; k <= 60; ++k) as.push_back(k * 0.1), bs.push_back(b), as.push_back(k * b), bs.push_back(b);
  for (DType type : {DType::float64, DType::float32}) {
    SCOPED_TRACE(name(type));
    AnyTensor a = placed(Tensor<double>(std::span<const double>(as))).to(type),
              b = placed(Tensor<double>(std::span<const double>(bs))).to(type);
    std::vector<double> q = values(floor_divide(a, b)), r = values(remainder(a, b)), x = values(a), d = values(b);
    const double unit = type == DType::float64 ? 0x1p-52 : 0x1p-23;
    for (size_t i = 0; i < x.size(); ++i) {
      SCOPED_TRACE(std::to_string(x[i]) + " // " + std::to_string(d[i]));
      EXPECT_EQ(q[i], std::floor(q[i]));
      EXPECT_LE(std::abs(q[i] * d[i] + r[i] - x[i]), 2 * unit * std::max(std::abs(x[i]), std::abs(d[i])));
      EXPECT_LE(std::abs(r[i]), std::abs(d[i]));
      if (r[i] != 0) {
        EXPECT_EQ(r[i] < 0, d[i] < 0);
      }
      // The quotient of the same numbers with more digits, which are exact for float.
      if (type == DType::float32) {
        EXPECT_EQ(q[i], std::floor(x[i] / d[i]));
      }
    }
  }
  // 1 / 0.1 rounds up to 10, but 0.1 goes nine times into 1: 0.1 is a little more than a tenth.
  EXPECT_EQ(values(floor_divide(placed(Tensor<double>{1, -1, 1, -1, 5, -5}), placed(Tensor<double>{0.1, 0.1, -0.1, -0.1, 0, 0}))),
            (std::vector<double>{9, -10, -10, 9, HUGE_VAL, -HUGE_VAL}));
  std::vector<double> zeros = values(floor_divide(placed(Tensor<double>{0.5, -0.5}), placed(Tensor<double>{2, -2})));
  EXPECT_TRUE(zeros[0] == 0 && zeros[1] == 0 && !std::signbit(zeros[0]));
}

/// By multiplying, in the integer's own arithmetic.
int64_t power(int64_t base, int64_t exponent) {
  uint64_t y = 1;
  for (int64_t i = 0; i < exponent; ++i) y *= uint64_t(base);
  return int64_t(y);
}

DEVICE_TEST(RowValues, PowersOfIntegers) {
  for (DType type : kIntegers) {
    SCOPED_TRACE(name(type));
    AnyTensor base = placed(arange(type == DType::uint8 ? 0 : -9, 10, 1, type)), exponent = placed(arange(0, 9, 1, type));
    std::vector<double> xs = values(base), es = values(exponent), expected;
    auto wrapped = [&](int64_t y) {
      switch (type) {
        case DType::int8: return double(int8_t(y));
        case DType::int16: return double(int16_t(y));
        case DType::int32: return double(int32_t(y));
        case DType::uint8: return double(uint8_t(y));
        default: return double(y);
      }
    };
    for (double x : xs)
      for (double e : es) expected.push_back(wrapped(power(int64_t(x), int64_t(e))));
    AnyTensor table = pow(unsqueeze(base, 1), exponent);
    EXPECT_EQ(table.dtype(), type);
    EXPECT_EQ(values(table), expected);
    for (int64_t e = 0; e < 9; ++e) {
      AnyTensor column = select(table, 1, e), in_place = base.clone();
      EXPECT_EQ(distance(pow(base, e), column), 0) << e;
      EXPECT_EQ(distance(pow_scalar(base, e), column), 0) << e;
      pow_scalar_(in_place, e);
      EXPECT_EQ(distance(in_place, column), 0) << e;
    }
    for (int64_t b : {0, 1, 2, 3}) {
      std::vector<double> row;
      for (double e : es) row.push_back(wrapped(power(b, int64_t(e))));
      EXPECT_EQ(values(pow(b, exponent)), row) << b;
    }
    AnyTensor x = exponent.clone();
    EXPECT_TRUE(&pow_(x, full({}, 3, type, x.device())) == &x);
    EXPECT_EQ(distance(x, exponent * exponent * exponent), 0);
    if (type != DType::uint8) {
      EXPECT_NE(message_of<ValueError>([&] { pow(base, base); }).find("below 0"), std::string::npos);
      EXPECT_NE(message_of<ValueError>([&] { pow(base, -1); }).find("below 0"), std::string::npos);
    }
    EXPECT_NE(message_of<DTypeError>([&] { pow(base, 0.5); }).find("pow: scalar 0.5"), std::string::npos);
    EXPECT_NE(message_of<ShapeError>([&] { pow(ones({2}, type), ones({3}, type)); }).find("pow: shapes"), std::string::npos);
  }
  EXPECT_THROW(pow(ones({2}, DType::boolean), ones({2}, DType::boolean)), DTypeError);
}

DEVICE_TEST(RowValues, IntegersAreWholeAndFinite) {
  for (DType type : kIntegers) {
    SCOPED_TRACE(name(type));
    AnyTensor x = placed(arange(0, 7, 1, type)) - (type == DType::uint8 ? 0 : 3);
    using F = AnyTensor (*)(const AnyTensor&);
    for (F f : {F(&gradus::floor), F(&gradus::ceil), F(&gradus::round), F(&gradus::trunc)}) {
      AnyTensor y = f(x);
      EXPECT_EQ(y.dtype(), type);
      EXPECT_EQ(distance(y, x), 0);
      EXPECT_FALSE(y.impl()->storage.get() == x.impl()->storage.get()) << "a result of its own";
    }
    AnyTensor y = x.clone();
    EXPECT_EQ(distance(floor_(y), x), 0);
    EXPECT_EQ(values(isnan(x)), std::vector<double>(7, 0));
    EXPECT_EQ(values(isinf(x)), std::vector<double>(7, 0));
    EXPECT_EQ(values(isfinite(x)), std::vector<double>(7, 1));
    EXPECT_THROW(frac(x), DTypeError);
    EXPECT_THROW(sqrt(x), DTypeError);
  }
}

}  // namespace
