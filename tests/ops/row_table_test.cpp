// Rows of ops.def against plain C++: comparisons, predicates, bits and shifts in every dtype, arithmetic of integers with what wraps
// around, and every row on special values in the four float types against <cmath> in double.
#include <bit>
#include <cstring>
#include <limits>

#include "kernels/functors.h"
#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

template <class T> constexpr bool kFloat =
    std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, half> || std::is_same_v<T, bfloat16>;

/// Numbers at the edges of T, as T holds them.
template <class T> std::vector<T> edges() {
  if constexpr (std::is_same_v<T, bool>) {
    return {false, true};
  } else if constexpr (kFloat<T>) {
    std::vector<T> all;
    for (double v : {0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 1e-3, HUGE_VAL, -HUGE_VAL, double(NAN)}) all.push_back(T(accumulate_t<T>(v)));
    return all;
  } else {
    using L = std::numeric_limits<T>;
    return {T(0), T(1), T(2), T(3), T(7), T(-1), T(-2), T(-7), L::min(), T(L::min() + 1), L::max(), T(L::max() - 1), T(100)};
  }
}
/// Each with each, more than a packet of them.
template <class T> void pairs(std::vector<T>& a, std::vector<T>& b) {
  for (T x : edges<T>())
    for (T y : edges<T>()) a.push_back(x), b.push_back(y);
}
template <class T> AnyTensor made_of(const std::vector<T>& v) {
  AnyTensor x = empty({int64_t(v.size())}, dtype_of<T>, kCPU);
  for (size_t i = 0; i < v.size(); ++i) static_cast<T*>(x.raw_data())[i] = v[i];
  return placed(x);
}
template <class T> std::vector<T> elements(const AnyTensor& x) {
  AnyTensor y = x.to(kCPU).contiguous();
  const T* p = static_cast<const T*>(y.raw_data());
  return std::vector<T>(p, p + y.numel());
}
template <class T> double number(T x) {
  if constexpr (kFloat<T>)
    return double(accumulate_t<T>(x));
  else
    return double(x);
}
/// Exact for int64 too.
template <class T> bool less(T a, T b) {
  if constexpr (kFloat<T>)
    return number(a) < number(b);
  else
    return a < b;
}
template <class T> bool is_equal(T a, T b) {
  if constexpr (kFloat<T>)
    return number(a) == number(b);
  else
    return a == b;
}
template <class T> bool is_unordered(T a, T b) { return kFloat<T> && (std::isnan(number(a)) || std::isnan(number(b))); }

template <class T, class F, class G> void check_pairs(const char* op, F of_tensors, G of_elements) {
  SCOPED_TRACE(std::string(op) + " of " + name(dtype_of<T>));
  std::vector<T> a, b;
  pairs(a, b);
  AnyTensor y = of_tensors(made_of(a), made_of(b));
  using R = decltype(of_elements(a[0], b[0]));
  ASSERT_EQ(y.dtype(), dtype_of<R>);
  std::vector<R> got = elements<R>(y);
  for (size_t i = 0; i < a.size(); ++i)
    EXPECT_TRUE(got[i] == of_elements(a[i], b[i])) << number(a[i]) << ", " << number(b[i]) << " at " << i;
  // One against all, which is a packet that is broadcast.
  AnyTensor first = made_of(std::vector<T>{a.back()}), row = of_tensors(first, made_of(b));
  got = elements<R>(row);
  for (size_t i = 0; i < b.size(); ++i) EXPECT_TRUE(got[i] == of_elements(a.back(), b[i])) << number(b[i]) << " broadcast";
}

template <class F> void in_every_dtype(F&& f) {
  f(float()), f(double()), f(half(0.f)), f(bfloat16(0.f)), f(int8_t()), f(int16_t()), f(int32_t()), f(int64_t()), f(uint8_t()),
      f(bool());
}
template <class F> void in_integers(F&& f) { f(int8_t()), f(int16_t()), f(int32_t()), f(int64_t()), f(uint8_t()); }

#define CHECK_COMPARE(op, expression)                                                 \
  in_every_dtype([](auto zero) {                                                      \
    using T = decltype(zero);                                                         \
    check_pairs<T>(                                                                   \
        #op, [](const AnyTensor& a, const AnyTensor& b) { return gradus::op(a, b); }, \
        [](T a, T b) -> bool { return expression; });                                 \
  })

DEVICE_TEST(RowTable, ComparisonsAndLogic) {
  CHECK_COMPARE(eq, is_equal(a, b));
  CHECK_COMPARE(ne, !is_equal(a, b));
  CHECK_COMPARE(lt, less(a, b));
  CHECK_COMPARE(gt, less(b, a));
  CHECK_COMPARE(le, !is_unordered(a, b) && !less(b, a));
  CHECK_COMPARE(ge, !is_unordered(a, b) && !less(a, b));
  CHECK_COMPARE(logical_and, number(a) != 0 && number(b) != 0);
  CHECK_COMPARE(logical_or, number(a) != 0 || number(b) != 0);
  CHECK_COMPARE(logical_xor, (number(a) != 0) != (number(b) != 0));
}

DEVICE_TEST(RowTable, Predicates) {
  in_every_dtype([](auto zero) {
    using T = decltype(zero);
    SCOPED_TRACE(name(dtype_of<T>));
    std::vector<T> x;
    for (int repeat = 0; repeat < 7; ++repeat)
      for (T e : edges<T>()) x.push_back(e);
    auto check = [&](const char* op, const AnyTensor& y, bool (*expected)(double)) {
      SCOPED_TRACE(op);
      std::vector<bool> got;
      for (bool b : elements<bool>(y)) got.push_back(b);
      for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(got[i], expected(number(x[i]))) << number(x[i]);
    };
    AnyTensor t = made_of(x);
    check("logical_not", logical_not(t), [](double x) { return x == 0; });
    check("isnan", isnan(t), [](double x) { return std::isnan(x); });
    check("isinf", isinf(t), [](double x) { return std::isinf(x); });
    check("isfinite", isfinite(t), [](double x) { return std::isfinite(x); });
  });
}

/// What a register of any width would give, cut to T. A shift by less than nothing, too.
template <class T> T shifted_left(T a, T n) {
  if (n < 0 || n >= int(sizeof(T) * 8)) return 0;
  return T(uint64_t(a) << n);
}
template <class T> T shifted_right(T a, T n) {
  if (n < 0 || n >= int(sizeof(T) * 8)) return a < 0 ? T(-1) : T(0);
  return T(a >> n);
}

DEVICE_TEST(RowTable, BitsAndShifts) {
  auto bits = [](auto zero) {
    using T = decltype(zero);
    check_pairs<T>(
        "bitwise_and", [](const AnyTensor& a, const AnyTensor& b) { return a & b; }, [](T a, T b) { return T(a & b); });
    check_pairs<T>(
        "bitwise_or", [](const AnyTensor& a, const AnyTensor& b) { return a | b; }, [](T a, T b) { return T(a | b); });
    check_pairs<T>(
        "bitwise_xor", [](const AnyTensor& a, const AnyTensor& b) { return a ^ b; }, [](T a, T b) { return T(a ^ b); });
    check_pairs<T>(
        "bitwise_not",
        [](const AnyTensor& a, const AnyTensor& b) {
          return broadcast_tensors({~a, b})[0];
        },
        [](T a, T) { return std::is_same_v<T, bool> ? T(!a) : T(~int64_t(a)); });
  };
  in_integers(bits);
  bits(bool());
  in_integers([](auto zero) {
    using T = decltype(zero);
    check_pairs<T>(
        "bitwise_left_shift", [](const AnyTensor& a, const AnyTensor& b) { return bitwise_left_shift(a, b); },
        [](T a, T b) { return shifted_left(a, b); });
    check_pairs<T>(
        "bitwise_right_shift", [](const AnyTensor& a, const AnyTensor& b) { return bitwise_right_shift(a, b); },
        [](T a, T b) { return shifted_right(a, b); });
    // At the width of the type and beside it.
    constexpr int kBits = sizeof(T) * 8;
    std::vector<T> a, n;
    for (T x : edges<T>())
      for (int s : {0, 1, kBits - 2, kBits - 1, kBits, kBits + 1, -1}) a.push_back(x), n.push_back(T(s));
    std::vector<T> left = elements<T>(bitwise_left_shift(made_of(a), made_of(n))),
                   right = elements<T>(bitwise_right_shift(made_of(a), made_of(n)));
    for (size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(left[i], shifted_left(a[i], n[i])) << +a[i] << " << " << +n[i];
      EXPECT_EQ(right[i], shifted_right(a[i], n[i])) << +a[i] << " >> " << +n[i];
    }
  });
  for (DType type : {DType::float32, DType::float64}) EXPECT_THROW(ones({2}, type) & ones({2}, type), DTypeError);
}

/// In 64 bits without a sign, where wrapping is defined.
template <class T> T wrap(uint64_t x) { return T(x); }
template <class T> T quotient_of(T a, T b) { return b == T(-1) && std::is_signed_v<T> ? wrap<T>(0 - uint64_t(a)) : T(a / b); }
template <class T> T floored(T a, T b) {
  T q = quotient_of(a, b), r = wrap<T>(uint64_t(a) - uint64_t(q) * uint64_t(b));
  return r != 0 && (r < 0) != (b < 0) ? T(q - 1) : q;
}

DEVICE_TEST(RowTable, ArithmeticOfIntegersWrapsAround) {
  in_integers([](auto zero) {
    using T = decltype(zero);
    auto check = [](const char* op, auto f, auto g) { check_pairs<T>(op, f, [g](T a, T b) -> T { return g(a, b); }); };
    check(
        "add", [](const AnyTensor& a, const AnyTensor& b) { return a + b; },
        [](T a, T b) { return wrap<T>(uint64_t(a) + uint64_t(b)); });
    check(
        "sub", [](const AnyTensor& a, const AnyTensor& b) { return a - b; },
        [](T a, T b) { return wrap<T>(uint64_t(a) - uint64_t(b)); });
    check(
        "mul", [](const AnyTensor& a, const AnyTensor& b) { return a * b; },
        [](T a, T b) { return wrap<T>(uint64_t(a) * uint64_t(b)); });
    check(
        "maximum", [](const AnyTensor& a, const AnyTensor& b) { return maximum(a, b); }, [](T a, T b) { return std::max(a, b); });
    check(
        "minimum", [](const AnyTensor& a, const AnyTensor& b) { return minimum(a, b); }, [](T a, T b) { return std::min(a, b); });
    // Divisors other than zero.
    auto safe = [](const AnyTensor& b) { return where(b == 0, 5, b); };
    auto divisor = [](T b) { return b == 0 ? T(5) : b; };
    check(
        "div", [&](const AnyTensor& a, const AnyTensor& b) { return a / safe(b); },
        [&](T a, T b) { return quotient_of(a, divisor(b)); });
    check(
        "floor_divide", [&](const AnyTensor& a, const AnyTensor& b) { return floor_divide(a, safe(b)); },
        [&](T a, T b) { return floored(a, divisor(b)); });
    check(
        "fmod", [&](const AnyTensor& a, const AnyTensor& b) { return fmod(a, safe(b)); },
        [&](T a, T b) { return wrap<T>(uint64_t(a) - uint64_t(quotient_of(a, divisor(b))) * uint64_t(divisor(b))); });
    check(
        "remainder", [&](const AnyTensor& a, const AnyTensor& b) { return remainder(a, safe(b)); },
        [&](T a, T b) { return wrap<T>(uint64_t(a) - uint64_t(floored(a, divisor(b))) * uint64_t(divisor(b))); });
    // Of one tensor, and with numbers.
    check(
        "neg", [](const AnyTensor& a, const AnyTensor& b) { return -a + (b - b); },
        [](T a, T) { return wrap<T>(0 - uint64_t(a)); });
    check(
        "abs", [](const AnyTensor& a, const AnyTensor& b) { return abs(a) + (b - b); },
        [](T a, T) { return a < 0 ? wrap<T>(0 - uint64_t(a)) : a; });
    check(
        "sign", [](const AnyTensor& a, const AnyTensor& b) { return sign(a) + (b - b); },
        [](T a, T) { return T((a > 0) - (a < 0)); });
    check(
        "square", [](const AnyTensor& a, const AnyTensor& b) { return square(a) + (b - b); },
        [](T a, T) { return wrap<T>(uint64_t(a) * uint64_t(a)); });
    check(
        "relu", [](const AnyTensor& a, const AnyTensor& b) { return relu(a) + (b - b); }, [](T a, T) { return std::max(a, T(0)); });
    check(
        "add_scalar", [](const AnyTensor& a, const AnyTensor& b) { return a + 3 + (b - b); },
        [](T a, T) { return wrap<T>(uint64_t(a) + 3); });
    check(
        "rsub_scalar", [](const AnyTensor& a, const AnyTensor& b) { return 3 - a + (b - b); },
        [](T a, T) { return wrap<T>(3 - uint64_t(a)); });
    check(
        "mul_scalar", [](const AnyTensor& a, const AnyTensor& b) { return a * 3 + (b - b); },
        [](T a, T) { return wrap<T>(uint64_t(a) * 3); });
    check(
        "div_scalar", [](const AnyTensor& a, const AnyTensor& b) { return a / 3 + (b - b); },
        [](T a, T) { return quotient_of(a, T(3)); });
    check(
        "rdiv_scalar", [&](const AnyTensor& a, const AnyTensor& b) { return 100 / safe(a) + (b - b); },
        [&](T a, T) { return quotient_of(T(100), divisor(a)); });
    check(
        "clamp_min", [](const AnyTensor& a, const AnyTensor& b) { return clamp_min(a, 3) + (b - b); },
        [](T a, T) { return std::max(a, T(3)); });
    check(
        "clamp_max", [](const AnyTensor& a, const AnyTensor& b) { return clamp_max(a, 3) + (b - b); },
        [](T a, T) { return std::min(a, T(3)); });
    check(
        "clamp", [](const AnyTensor& a, const AnyTensor& b) { return clamp(a, 2, 5) + (b - b); },
        [](T a, T) { return std::clamp(a, T(2), T(5)); });
  });
}

// ---------------------------------------------------------------- floats

using Double = Number<double, 1>;
const DType kFloats[] = {DType::float64, DType::float32, DType::float16, DType::bfloat16};

/// v as the type holds it.
double rounded(double v, DType type) { return values(full({1}, v, DType::float64).to(type))[0]; }

/// The distance from v to the next number of the type.
double unit(double v, DType type) {
  constexpr int kDigits[] = {24, 53, 11, 8}, kLeast[] = {-149, -1074, -24, -133};
  if (v == 0 || !std::isfinite(v)) return std::ldexp(1, kLeast[int(type)]);
  return std::ldexp(1, std::max(std::ilogb(v) + 1 - kDigits[int(type)], kLeast[int(type)]));
}

struct Row1 {
  const char* name;
  AnyTensor (*f)(const AnyTensor&);
  double (*expected)(double);
  double ulp;     // of float and double, on ordinary values
  double lo, hi;  // where accuracy is measured: from lo to hi, equally spaced in the logarithm; lo < 0: on both sides
};

double sign_of(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
const Row1 kRows[] = {
    {"neg", &gradus::neg, [](double x) { return -x; }, 0, -1e-3, 1e3},
    {"abs", &gradus::abs, [](double x) { return std::abs(x); }, 0, -1e-3, 1e3},
    {"sign", &gradus::sign, sign_of, 0, -1e-3, 1e3},
    {"square", &gradus::square, [](double x) { return x * x; }, 0.5, -1e-3, 1e3},
    {"reciprocal", &gradus::reciprocal, [](double x) { return 1 / x; }, 0.5, -1e-3, 1e3},
    {"sqrt", &gradus::sqrt, [](double x) { return std::sqrt(x); }, 0.5, 1e-6, 1e6},
    {"rsqrt", &gradus::rsqrt, [](double x) { return 1 / std::sqrt(x); }, 1.5, 1e-6, 1e6},
    {"exp", &gradus::exp, [](double x) { return std::exp(x); }, 2, -1e-6, 80},
    {"exp2", &gradus::exp2, [](double x) { return std::exp2(x); }, 2, -1e-6, 100},
    {"expm1", &gradus::expm1, [](double x) { return std::expm1(x); }, 3, -1e-6, 80},
    {"log", &gradus::log, [](double x) { return std::log(x); }, 2, 1e-30, 1e30},
    {"log1p", &gradus::log1p, [](double x) { return std::log1p(x); }, 3, 1e-20, 1e37},
    {"log2", &gradus::log2, [](double x) { return std::log2(x); }, 2, 1e-30, 1e30},
    {"log10", &gradus::log10, [](double x) { return std::log10(x); }, 2, 1e-30, 1e30},
    {"erf", &gradus::erf, [](double x) { return std::erf(x); }, 4, -1e-6, 6},
    {"erfc", &gradus::erfc, [](double x) { return std::erfc(x); }, 8, -1e-6, 8.5},
    {"floor", &gradus::floor, [](double x) { return std::floor(x); }, 0, -1e-3, 1e3},
    {"ceil", &gradus::ceil, [](double x) { return std::ceil(x); }, 0, -1e-3, 1e3},
    {"trunc", &gradus::trunc, [](double x) { return std::trunc(x); }, 0, -1e-3, 1e3},
    {"round", &gradus::round, [](double x) { return std::nearbyint(x); }, 0, -1e-3, 1e3},
    {"sin", &gradus::sin, [](double x) { return std::sin(x); }, 2, -1e-6, 1e4},
    {"cos", &gradus::cos, [](double x) { return std::cos(x); }, 2, -1e-6, 1e4},
    {"tan", &gradus::tan, [](double x) { return std::tan(x); }, 2, -1e-6, 1e4},
    {"asin", &gradus::asin, [](double x) { return std::asin(x); }, 2, -1e-6, 1},
    {"acos", &gradus::acos, [](double x) { return std::acos(x); }, 2, -1e-6, 1},
    {"atan", &gradus::atan, [](double x) { return std::atan(x); }, 2, -1e-6, 1e6},
    {"sinh", &gradus::sinh, [](double x) { return std::sinh(x); }, 2, -1e-6, 80},
    {"cosh", &gradus::cosh, [](double x) { return std::cosh(x); }, 2, -1e-6, 80},
    {"asinh", &gradus::asinh, [](double x) { return std::asinh(x); }, 2, -1e-6, 1e37},
    {"acosh", &gradus::acosh, [](double x) { return std::acosh(x); }, 2, 1, 1e37},
    {"atanh", &gradus::atanh, [](double x) { return std::atanh(x); }, 2, -1e-6, 0.999},
    {"tanh", &gradus::tanh, [](double x) { return std::tanh(x); }, 4, -1e-6, 20},
    {"sigmoid", &gradus::sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }, 4, -1e-6, 80},
    {"relu", &gradus::relu, [](double x) { return x < 0 ? 0 : x; }, 0, -1e-3, 1e3},
};

/// Both NaN, equal with the same sign of zero, or (inexact) as near as `ulp` and the rounding to the type.
void expect_near(double got, double expected, double ulp, DType type, double x) {
  if (std::isnan(expected)) {
    EXPECT_TRUE(std::isnan(got)) << "f(" << x << ") is " << got << ", not NaN";
    return;
  }
  double nearest = rounded(expected, type);
  if (got == nearest) {
    // A zero must have the sign of the exact result, unless that is a number which was rounded away.
    if (expected == 0) {
      EXPECT_EQ(std::signbit(got), std::signbit(expected)) << "f(" << x << ")";
    }
    return;
  }
  if (std::isinf(nearest) || std::isinf(got)) {
    // Within the rounding of the largest number.
    ADD_FAILURE() << "f(" << x << ") is " << got << ", not " << nearest;
    return;
  }
  // Numbers below the least normal one keep only some of their digits.
  constexpr double kNormal[] = {0x1p-126, 0x1p-1022, 0, 0x1p-126};
  if (ulp > 0.5 && std::abs(expected) < kNormal[int(type)]) ulp = 64;
  double off = std::abs(got - expected) / unit(expected, type);
  EXPECT_LE(off, ulp + 0.5) << "ulp of f(" << x << "), which is " << got << ", not " << expected;
}

DEVICE_TEST(RowTable, SpecialValues) {
  for (DType type : kFloats) {
    constexpr double kMost[] = {3.4028234663852886e38, 1.7976931348623157e308, 65504, 3.3895313892515355e38};
    constexpr double kDenormal[] = {1e-40, 1e-310, 1e-6, 1e-40};
    std::vector<double> points;
    for (double v : {0.0, 1.0, HUGE_VAL, kMost[int(type)], kDenormal[int(type)]})
      points.push_back(rounded(v, type)), points.push_back(rounded(-v, type));
    points.push_back(NAN);
    AnyTensor x = placed(Tensor<double>(std::span<const double>(points))).to(type);
    for (const Row1& row : kRows) {
      SCOPED_TRACE(std::string(row.name) + " of " + name(type));
      std::vector<double> got = values(row.f(x));
      for (size_t i = 0; i < points.size(); ++i) expect_near(got[i], row.expected(points[i]), row.ulp, type, points[i]);
    }
  }
}

DEVICE_TEST(RowTable, AccuracyInUnitsOfTheLastPlace) {
  constexpr int n = 1500;
  for (DType type : kFloats)
    for (const Row1& row : kRows) {
      SCOPED_TRACE(std::string(row.name) + " of " + name(type));
      std::vector<double> points;
      double lo = std::abs(row.lo), hi = type == DType::float16 ? std::min(row.hi, 1e4) : row.hi;
      for (int i = 0; i <= n; ++i) {
        double v = rounded(lo * std::pow(hi / lo, double(i) / n), type);
        if (v == 0 || v > row.hi) continue;
        points.push_back(v);
        if (row.lo < 0) points.push_back(-v);
      }
      std::vector<double> got = values(row.f(placed(Tensor<double>(std::span<const double>(points))).to(type)));
      for (size_t i = 0; i < points.size(); ++i) {
        expect_near(got[i], row.expected(points[i]), row.ulp, type, points[i]);
        if (::testing::Test::HasFailure()) break;
      }
    }
}

}  // namespace
