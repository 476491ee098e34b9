// Every row of ops.def: packets against the scalar functor in double in every float type, gradient and second gradient against
// central differences, the fused kernel against the same text on tensors; integers against plain C++.
#include <cstring>

#include "kernels/functors.h"
#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;
using Double = Number<double, 1>;

namespace {

using RowFunction = std::function<AnyTensor(const AnyTensor&, const AnyTensor&)>;

template <class Row> void check_row(const RowFunction& f, double lo, double hi, double s, double t) {
  constexpr int64_t n = 37;  // whole packets and a ragged end
  AnyTensor a = draw({n}, lo, hi, 1), b = draw({n}, lo, hi, 2);
  // Forward in each type, on the values that the type can hold. The tolerance is a few units of the type's last place, and for
  // float the few ulp that the packet polynomials promise.
  const double tolerance[] = {2e-6, 1e-14, 2e-3, 1.6e-2};
  for (DType type : {DType::float64, DType::float32, DType::float16, DType::bfloat16}) {
    AnyTensor x = a.to(type), z = b.to(type), expected = empty({n}, DType::float64, kCPU);
    std::vector<double> xs = values(x), zs = values(z);
    for (int i = 0; i < n; ++i) {
      Values<Double> v;
      v.a = xs[i], v.b = zs[i], v.s = s, v.t = t;
      static_cast<double*>(expected.raw_data())[i] = Row::forward(v).v;
    }
    EXPECT_LT(distance(f(x, z), expected), tolerance[int(type)]) << name(type);
  }
  a.requires_grad_(), b.requires_grad_();
  std::vector<AnyTensor> inputs = {a};
  if (Row::kInputs == 2) inputs.push_back(b);
  EXPECT_EQ(gradcheck([&](const auto& in) { return f(in[0], in[Row::kInputs - 1]); }, inputs), "");
  // The fused backward in the narrower types against double.
  AnyTensor v = draw({n}, -1, 1, 3);
  for (DType type : {DType::float32, DType::float16, DType::bfloat16}) {
    AnyTensor x = a.detach().to(type).requires_grad_(), z = b.detach().to(type).requires_grad_(), c = v.to(type);
    AnyTensor xd = x.detach().to(DType::float64).requires_grad_(), zd = z.detach().to(DType::float64).requires_grad_();
    std::vector<AnyTensor> narrow = grad({f(x, z)}, {x, z}, {c}, {.allow_unused = true});
    std::vector<AnyTensor> wide = grad({f(xd, zd)}, {xd, zd}, {c.to(DType::float64)}, {.allow_unused = true});
    for (int k = 0; k < Row::kInputs; ++k) {
      ASSERT_EQ(narrow[k].defined(), wide[k].defined());
      // A gradient may read y, which was rounded to the type: twice the forward's tolerance, scaled by the slope's condition.
      if (!narrow[k].defined()) continue;
      EXPECT_LT(distance(narrow[k], wide[k]), 4 * tolerance[int(type)]) << name(type) << " input " << k;
    }
  }
}

}  // namespace

#define GRADUS_UNARY(name, of, f, g, lo, hi)                                             \
  DEVICE_TEST(Rows, name) {                                                              \
    check_row<name##_row>([](auto& x, auto&) { return gradus::name(x); }, lo, hi, 0, 0); \
  }
#define GRADUS_UNARY1(name, of, s, s_test, f, g, lo, hi)                                              \
  DEVICE_TEST(Rows, name) {                                                                           \
    check_row<name##_row>([](auto& x, auto&) { return gradus::name(x, s_test); }, lo, hi, s_test, 0); \
  }
#define GRADUS_UNARY2(name, of, s, s_test, t, t_test, f, g, lo, hi)                                                \
  DEVICE_TEST(Rows, name) {                                                                                        \
    check_row<name##_row>([](auto& x, auto&) { return gradus::name(x, s_test, t_test); }, lo, hi, s_test, t_test); \
  }
#define GRADUS_BINARY(name, of, f, ga, gb, lo, hi)                                            \
  DEVICE_TEST(Rows, name) {                                                                   \
    check_row<name##_row>([](auto& a, auto& b) { return gradus::name(a, b); }, lo, hi, 0, 0); \
  }
#include "gradus/ops/ops.def"

DEVICE_TEST(RowHarness, CatchesAWrongGradient) {
  AnyTensor x = draw({8}).requires_grad_();
  auto wrong_tanh = custom_function(
      "wrong_tanh",
      [](FunctionContext& c, const std::vector<AnyTensor>& in) {
        AnyTensor y = tanh(in[0]);
        c.save({y});
        return std::vector{y};
      },
      [](FunctionContext& c, const std::vector<AnyTensor>& g) { return std::vector{g[0] * (1 - c.saved()[0])}; });
  EXPECT_NE(gradcheck([&](const auto& in) { return wrong_tanh(in)[0]; }, {x}), "");
}

TEST(RowHarness, CatchesAWrongSecondGradient) {
  AnyTensor x = draw({8}).requires_grad_();
  // The gradient of x * x is right; that of the gradient, which takes one of the factors as a constant, is half of what it should be.
  auto half_square = custom_function(
      "half_square",
      [](FunctionContext& c, const std::vector<AnyTensor>& in) {
        c.save({in[0]});
        return std::vector{in[0] * in[0]};
      },
      [](FunctionContext& c, const std::vector<AnyTensor>& g) {
        AnyTensor x = c.saved()[0];
        return std::vector{g[0] * (x + x.detach())};
      });
  auto f = [&](const std::vector<AnyTensor>& in) { return half_square(in)[0]; };
  EXPECT_EQ(gradcheck(f, {x}, {.second = false}), "");
  EXPECT_NE(gradcheck(f, {x}).find("second gradient"), std::string::npos);
}

TEST(RowHarness, NaNAgreesWithNothing) {
  AnyTensor x = draw({8}).requires_grad_();
  EXPECT_NE(gradcheck([](const auto& in) { return in[0] * NAN; }, {x}), "");
  EXPECT_NE(gradcheck([](const auto& in) { return sqrt(in[0] - 2); }, {x}), "");
}

TEST(RowHarness, TheCompilerFindsWhatMustBeSaved) {
  EXPECT_EQ(Gradients<mul_row>::kSeen, kUsesA | kUsesB);
  EXPECT_EQ(Gradients<tanh_row>::kSeen, kUsesY);
  EXPECT_EQ(Gradients<add_row>::kSeen, 0u);
  EXPECT_TRUE(Gradients<add_row>::kA.is_g && Gradients<sub_row>::kA.is_g && !Gradients<sub_row>::kB.is_g);
}
