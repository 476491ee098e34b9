// Every function in place gives the bits of the one that returns a new tensor, in every dtype, on any layout, with the same gradients,
// and returns the tensor itself. The rows of ops.def come from there.
#include <cstring>

#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

const DType kAll[] = {DType::float32, DType::float64, DType::float16, DType::bfloat16, DType::int8,
                      DType::int16,   DType::int32,   DType::int64,   DType::uint8,    DType::boolean};

using Plain = std::function<AnyTensor(const AnyTensor&, const AnyTensor&)>;
using InPlace = std::function<AnyTensor&(AnyTensor&, const AnyTensor&)>;

/// The same bits; any NaN is as good as another.
bool same_bits(const AnyTensor& a, const AnyTensor& b) {
  if (!(a.shape() == b.shape()) || a.dtype() != b.dtype()) return false;
  std::vector<double> p = values(a), q = values(b);  // exact: every dtype but int64 fits, and int64 is compared as it is
  if (a.dtype() == DType::int64) return equal(a, b);
  for (size_t i = 0; i < p.size(); ++i)
    if (!(std::isnan(p[i]) && std::isnan(q[i])) && std::memcmp(&p[i], &q[i], sizeof(double)) != 0) return false;
  return true;
}

/// Tensors of which every second element is used, and a transposed one.
AnyTensor with_gaps(const AnyTensor& x) {
  AnyTensor wide = zeros({x.shape()[0], 2 * x.shape()[1]}, x.dtype(), x.device());
  slice(wide, 1, 0, wide.shape()[1], 2).copy_(x);
  return slice(wide, 1, 0, wide.shape()[1], 2);
}

void check_values(const char* op, const Plain& f, const InPlace& in_place, double lo, double hi, const AnyTensor& second = {}) {
  SCOPED_TRACE(op);
  int refused = 0;
  for (DType type : kAll) {
    SCOPED_TRACE(name(type));
    bool wide = !is_float(type);
    AnyTensor x = draw({5, 7}, wide ? 1 : lo, wide ? 9 : hi, 1).to(type);
    AnyTensor b = second.defined() ? second.to(type) : draw({5, 7}, wide ? 1 : lo, wide ? 9 : hi, 2).to(type), expected;
    NoGrad no_grad;
    try {
      expected = f(x, b);
    } catch (const Error&) {  // not for this dtype: then not in place either, and nothing is written
      AnyTensor y = x.clone();
      EXPECT_THROW(in_place(y, b), Error);
      EXPECT_TRUE(same_bits(y, x));
      ++refused;
      continue;
    }
    expected = expected.to(type);
    AnyTensor y = x.clone(), gaps = with_gaps(x), turned = x.t().contiguous().t();
    EXPECT_EQ(&in_place(y, b), &y);
    EXPECT_TRUE(same_bits(y, expected));
    // The order of a sum may depend on the layout, so each is compared with its own.
    AnyTensor of_gaps = f(gaps, b).to(type), of_turned = f(turned, b).to(type);
    in_place(gaps, b), in_place(turned, b);
    EXPECT_TRUE(same_bits(gaps, of_gaps)) << "with gaps";
    EXPECT_TRUE(same_bits(turned, of_turned)) << "transposed";
    EXPECT_LT(distance(gaps, expected), 0.02);
    EXPECT_FALSE(gaps.is_contiguous());
  }
  EXPECT_LT(refused, int(std::size(kAll))) << "no dtype was tested";
}

void check_gradients(const char* op, const InPlace& in_place, double lo, double hi, const AnyTensor& second = {}) {
  SCOPED_TRACE(op);
  AnyTensor x = draw({3, 4}, lo, hi, 1).requires_grad_(), b = second.defined() ? second : draw({3, 4}, lo, hi, 2);
  if (is_float(b.dtype())) b.requires_grad_();
  GradcheckOptions options;
  EXPECT_EQ(gradcheck(
                [&](const auto& in) {
                  AnyTensor y = in[0] * 1;
                  return in_place(y, in[1]) * 1;
                },
                {x, b}, options),
            "");
  // On a view: what lies beside it keeps its gradient.
  AnyTensor base = draw({3, 8}, lo, hi, 1).requires_grad_();
  EXPECT_EQ(gradcheck(
                [&](const auto& in) {
                  AnyTensor y = slice(in[0] * 1, 1, 1, 8, 2);
                  in_place(y, in[1]);
                  return y * 1;
                },
                {base, b}, options),
            "");
  AnyTensor leaf = draw({3, 4}, lo, hi, 1).requires_grad_();
  EXPECT_THROW(in_place(leaf, b), GraphError) << "a leaf";
}

}  // namespace

#define CHECK_ROW(op, of, call, lo, hi)                                                             \
  DEVICE_TEST(InPlace, op) {                                                                        \
    Plain f = [](auto& x, [[maybe_unused]] auto& b) { return gradus::op call; };                    \
    InPlace g = [](auto& x, [[maybe_unused]] auto& b) -> AnyTensor& { return gradus::op##_ call; }; \
    check_values(#op, f, g, lo, hi);                                                                \
    check_gradients(#op, g, lo, hi);                                                                \
  }
#define GRADUS_UNARY(name, of, f, g, lo, hi) CHECK_ROW(name, of, (x), lo, hi)
// A whole number for the parameter, so that integers take it too.
#define GRADUS_UNARY1(name, of, s, s_test, f, g, lo, hi)                                         \
  DEVICE_TEST(InPlace, name) {                                                                   \
    check_values(                                                                                \
        #name, [](auto& x, auto&) { return gradus::name(x, 2); },                                \
        [](auto& x, auto&) -> AnyTensor& { return gradus::name##_(x, 2); }, lo, hi);             \
    check_gradients(                                                                             \
        #name, [](auto& x, auto&) -> AnyTensor& { return gradus::name##_(x, s_test); }, lo, hi); \
  }
#define GRADUS_UNARY2(name, of, s, s_test, t, t_test, f, g, lo, hi)                                      \
  DEVICE_TEST(InPlace, name) {                                                                           \
    check_values(                                                                                        \
        #name, [](auto& x, auto&) { return gradus::name(x, 2, 5); },                                     \
        [](auto& x, auto&) -> AnyTensor& { return gradus::name##_(x, 2, 5); }, lo, hi);                  \
    check_gradients(                                                                                     \
        #name, [](auto& x, auto&) -> AnyTensor& { return gradus::name##_(x, s_test, t_test); }, lo, hi); \
  }
#define GRADUS_BINARY(name, of, f, ga, gb, lo, hi) CHECK_ROW(name, of, (x, b), lo, hi)
#define GRADUS_COMPARE(op, ...)                                                                                                    \
  DEVICE_TEST(InPlace, op) {                                                                                                       \
    AnyTensor b = round(draw({5, 7}, 1, 9, 2));                                                                                    \
    check_values(                                                                                                                  \
        #op, [](auto& x, auto& b) { return gradus::op(x, b); }, [](auto& x, auto& b) -> AnyTensor& { return op##_(x, b); }, -3, 3, \
        b);                                                                                                                        \
    check_values(                                                                                                                  \
        #op, [](auto& x, auto&) { return gradus::op(x, 1); }, [](auto& x, auto&) -> AnyTensor& { return op##_(x, 1); }, -3, 3);    \
    AnyTensor leaf = draw({4}).requires_grad_(), y = leaf * 1;                                                                     \
    EXPECT_FALSE(op##_(y, 0).requires_grad()) << "a comparison has no gradient";                                                   \
  }
#define GRADUS_BITWISE(op, ...)                                                                                                    \
  DEVICE_TEST(InPlace, op) {                                                                                                       \
    check_values(                                                                                                                  \
        #op, [](auto& x, auto& b) { return gradus::op(x, b); }, [](auto& x, auto& b) -> AnyTensor& { return op##_(x, b); }, 0, 9); \
    check_values(                                                                                                                  \
        #op, [](auto& x, auto&) { return gradus::op(x, 1); }, [](auto& x, auto&) -> AnyTensor& { return op##_(x, 1); }, 0, 9);     \
  }
#include "gradus/ops/ops.def"

namespace {

struct Form {
  const char* name;
  Plain f;
  InPlace in_place;
  bool has_gradient;
  double lo = 0.5, hi = 3;
};
/// FORM(tril, , (x, 1))
#define FORM(op, has_gradient, call, ...)                                                                          \
  Form {                                                                                                           \
#op, [=](auto& x, [[maybe_unused]] auto& b) -> AnyTensor { return gradus::op call; }, [=                       \
    ](auto& x, [[maybe_unused]] auto& b) -> AnyTensor& { return gradus::op##_ call; }, has_gradient, ##__VA_ARGS__ \
  }

DEVICE_TEST(InPlaceForms, GiveWhatTheOthersGive) {
  const AnyTensor columns = placed(Tensor<int64_t>{2, 0}), mask = draw({1, 4}) > 0;
  // Shaped for (5, 7) as for (3, 4): what depends on the shape is cut from x.
  auto part = [](const AnyTensor& x, const AnyTensor& mask) { return expand(narrow(mask, 1, 0, 1), x.shape()); };
  auto index = [](const AnyTensor& x) { return expand(full({}, 1, DType::int64, x.device()), {2, x.shape()[1]}); };
  const std::vector<Form> forms = {
      FORM(add, true, (x, 2)),
      FORM(sub, true, (x, 2)),
      FORM(mul, true, (x, 2)),
      FORM(div, true, (x, 2)),
      FORM(pow, true, (x, 3)),
      FORM(fmod, true, (x, 2)),
      FORM(remainder, true, (x, 2)),
      FORM(floor_divide, true, (x, 2)),
      FORM(logical_not, false, (x)),
      FORM(bitwise_not, false, (x)),
      FORM(lerp, true, (x, b, b)),
      FORM(lerp, true, (x, b, 0.25)),
      FORM(addcmul, true, (x, b, b, 3)),
      FORM(addcdiv, true, (x, b, b, 3)),
      FORM(nan_to_num, true, (x, 1)),
      FORM(clamp, true, (x, b, b + 1)),
      FORM(clamp_min, true, (x, b)),
      FORM(clamp_max, true, (x, b)),
      FORM(round, true, (x, 1)),
      FORM(xlogy, true, (x, b)),
      FORM(hypot, true, (x, b)),
      FORM(heaviside, false, (x, b)),
      FORM(copysign, true, (x, b)),
      FORM(fmax, true, (x, b)),
      FORM(fmin, true, (x, b)),
      FORM(gcd, false, (x, b)),
      FORM(lcm, false, (x, b)),
      FORM(logit, true, (x, 0.01), 0.2, 0.8),
      FORM(sinc, true, (x)),
      FORM(deg2rad, true, (x)),
      FORM(rad2deg, true, (x)),
      FORM(renorm, true, (x, 2, 0, 1)),
      FORM(tril, true, (x)),
      FORM(triu, true, (x, 1)),
      FORM(cumsum, true, (x, 1)),
      FORM(cumprod, true, (x, 1)),
      FORM(masked_fill, true, (x, part(x, mask), 2)),
      FORM(masked_fill, true, (x, part(x, mask), select(select(b, 0, 0), 0, 0))),
      FORM(masked_scatter, true, (x, part(x, mask), b)),
      FORM(index_fill, true, (x, 1, columns, 2)),
      FORM(index_fill, true, (x, 1, columns, select(select(b, 0, 0), 0, 0))),
      FORM(index_add, true, (x, 1, columns, narrow(b, 1, 0, 2))),
      FORM(index_copy, true, (x, 1, columns, narrow(b, 1, 0, 2))),
      FORM(put, true, (x, columns, narrow(select(b, 0, 0), 0, 0, 2))),
      FORM(scatter, true, (x, 0, index(x), b)),
      FORM(scatter_add, true, (x, 0, index(x), b)),
      FORM(scatter_reduce, true, (x, 0, index(x), b, ScatterReduction::prod)),
      FORM(index_reduce, true, (x, 1, columns, narrow(b, 1, 0, 2), ScatterReduction::amax)),
      FORM(addmm, true, (x, matmul(b, b.t()), b, {.beta = 2, .alpha = 3})),
      FORM(addr, true, (x, select(b, 1, 0), select(b, 0, 0), {.alpha = 2})),
  };
  for (const Form& form : forms) {
    check_values(form.name, form.f, form.in_place, form.lo, form.hi);
    if (form.has_gradient) check_gradients(form.name, form.in_place, form.lo, form.hi);
  }
}

DEVICE_TEST(InPlaceForms, OfOtherShapes) {
  AnyTensor x = draw({2, 3, 4}), a = draw({2, 3, 5}, -1, 1, 2), b = draw({2, 5, 4}, -1, 1, 3);
  AnyTensor y = x.clone(), matrix = draw({3, 4}), z = matrix.clone(), v = draw({3}), w = v.clone();
  EXPECT_EQ(distance(baddbmm_(y, a, b), baddbmm(x, a, b)), 0);
  EXPECT_EQ(distance(addbmm_(z, a, b), addbmm(matrix, a, b)), 0);
  EXPECT_EQ(distance(addmv_(w, select(a, 0, 0), draw({5})), addmv(v, select(a, 0, 0), draw({5}))), 0);
  for (auto f :
       {+[](AnyTensor& x) -> AnyTensor& { return squeeze_(x); }, +[](AnyTensor& x) -> AnyTensor& { return squeeze_(x, 1); },
        +[](AnyTensor& x) -> AnyTensor& { return unsqueeze_(x, 0); },
        +[](AnyTensor& x) -> AnyTensor& { return transpose_(x, 0, 2); }}) {
    AnyTensor x = draw({3, 1, 4}), y = x;
    EXPECT_EQ(&f(y), &y);
    EXPECT_FALSE(y.shape() == x.shape());
    EXPECT_EQ(y.impl()->storage.get(), x.impl()->storage.get()) << "a view";
  }
  AnyTensor turned = matrix;
  EXPECT_EQ(distance(t_(turned), matrix.t()), 0);
  // What does not fit is refused and leaves everything as it was.
  AnyTensor small = draw({1, 4}), before = small.clone();
  EXPECT_NE(message_of<ShapeError>([&] {
              clamp_min_(small, draw({3, 4}));
            }).find("clamp_min_: the result has shape [3, 4]"),
            std::string::npos);
  AnyTensor expanded = expand(small, {3, 4});
  EXPECT_THROW(tril_(expanded), ValueError);
  EXPECT_EQ(distance(small, before), 0);
  AnyTensor leaf = draw({3, 1}).requires_grad_();
  EXPECT_THROW(squeeze_(leaf), GraphError);
}

DEVICE_TEST(InPlaceForms, Operators) {
  AnyTensor x = placed(Tensor<int32_t>{7, 12, 5}), b = placed(Tensor<int32_t>{3, 5, 4});
#define CHECK_OPERATOR(symbol, other)                     \
  {                                                       \
    AnyTensor y = x.clone();                              \
    EXPECT_EQ(&(y symbol## = other), &y);                 \
    EXPECT_TRUE(same_bits(y, x symbol other)) << #symbol; \
  }
  CHECK_OPERATOR(+, b)
  CHECK_OPERATOR(-, b)
  CHECK_OPERATOR(*, b)
  CHECK_OPERATOR(/, b)
  CHECK_OPERATOR(%, b)
  CHECK_OPERATOR(&, b)
  CHECK_OPERATOR(|, b)
  CHECK_OPERATOR(^, b)
  CHECK_OPERATOR(+, 2)
  CHECK_OPERATOR(-, 2)
  CHECK_OPERATOR(*, 2)
  CHECK_OPERATOR(/, 2)
  CHECK_OPERATOR(%, 2)
  CHECK_OPERATOR(&, 2)
  CHECK_OPERATOR(|, 2)
  CHECK_OPERATOR(^, 2)
  AnyTensor y = x.clone();
  y <<= 2;
  EXPECT_EQ(values(y), (std::vector<double>{28, 48, 20}));
  y >>= b;
  EXPECT_EQ(values(y), (std::vector<double>{3, 1, 1}));
}

}  // namespace
