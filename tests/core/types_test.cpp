// What the compiler must refuse, and which types come out.
#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {
template <class A, class B> constexpr bool adds = requires(A a, B b) { a + b; };
template <class A, class B> constexpr bool adds_in_place = requires(A a, B b) { a += b; };
template <class A, class B> constexpr bool compares = requires(A a, B b) { a < b; };
template <class A, class B> constexpr bool takes_maximum = requires(A a, B b) { maximum(a, b); };
}  // namespace

static_assert(adds<Tensor<float>, Tensor<float>> && !adds<Tensor<float>, Tensor<double>> && !adds<Tensor<half>, Tensor<bfloat16>>);
static_assert(adds<Tensor<float>, double> && adds<int, Tensor<int64_t>> && adds<AnyTensor, AnyTensor>);
static_assert(adds_in_place<Tensor<float>&, Tensor<float>> && !adds_in_place<Tensor<float>&, Tensor<int32_t>>);
static_assert(!compares<Tensor<float>, Tensor<half>> && !takes_maximum<Tensor<float>, Tensor<double>>);
static_assert(std::is_same_v<decltype(Tensor<half>() < Tensor<half>()), Tensor<bool>>);
static_assert(std::is_same_v<decltype(isnan(Tensor<float>())), Tensor<bool>>);
static_assert(std::is_same_v<decltype(Tensor<float>().to<bfloat16>()), Tensor<bfloat16>>);
static_assert(std::is_same_v<decltype(sum(Tensor<int32_t>())), Tensor<int64_t>>);
static_assert(std::is_same_v<decltype(2.0 * Tensor<float>()), Tensor<float>>);
static_assert(sizeof(AnyTensor) == sizeof(void*) && sizeof(Tensor<double>) == sizeof(void*));

TEST(Types, AnUntypedTensorOfAnotherDtypeIsRefused) {
  EXPECT_NE(message_of<DTypeError>([] { Tensor<float>(zeros({2}, DType::float64)); }).find("float64"), std::string::npos);
  EXPECT_FALSE(Tensor<float>{AnyTensor()}.defined());
}

TEST(Types, SizesComeApart) {
  auto [rows, columns] = sizes<2>(Tensor<float>{{1, 2, 3}, {4, 5, 6}});
  EXPECT_EQ(rows, 2);
  EXPECT_EQ(columns, 3);
  EXPECT_EQ(sizes<0>(AnyTensor(full({}, 1, DType::float32))).size(), 0u);
  EXPECT_EQ(message_of<ShapeError>([] {
              sizes<3>(zeros<float>({2, 5}));
            }),
            "sizes: the tensor has shape [2, 5], 2 axes, not 3; reshape() it, or ask for as many");
  EXPECT_EQ(message_of<ShapeError>([] { sizes<2>(zeros<float>({5})); }),
            "sizes: the tensor has shape [5], 1 axis, not 2; reshape() it, or ask for as many");
  EXPECT_THROW(sizes<1>(AnyTensor()), ValueError);
}

TEST(Types, CastsRoundAndCutAsTheTypesDo) {
  Tensor<double> x = {1.5, -1.5, 2.5, 300.0, 1e-9};
  EXPECT_EQ(x.to<int32_t>().vector(), (std::vector<int32_t>{1, -1, 2, 300, 0}));
  EXPECT_EQ(x.to<bool>().vector(), (std::vector<bool>{true, true, true, true, true}));
  EXPECT_EQ(float(x.to<half>().vector()[3]), 300.f);
  EXPECT_EQ(float(Tensor<float>{1.00390625f}.to<bfloat16>().item()), 1.f);  // a tie, to even
  EXPECT_EQ(Tensor<int64_t>{(int64_t(1) << 53) + 1}.item(), (int64_t(1) << 53) + 1);
  for (int from = 0; from < kDTypes; ++from) {
    for (int to = 0; to < kDTypes; ++to) {
      AnyTensor one = draw({37}, 0, 2).to(DType::int32).to(DType(from));
      EXPECT_EQ(values(one.to(DType(to))), values(one)) << name(DType(from)) << " to " << name(DType(to));
    }
  }
}

TEST(Types, AFractionDoesNotEnterAnIntegerTensor) {
  Tensor<int32_t> x = {1, 2};
  EXPECT_NE(message_of<DTypeError>([&] { x + 0.5; }).find("0.5"), std::string::npos);
  EXPECT_EQ((x + 2.0).vector(), (std::vector<int32_t>{3, 4}));
}

TEST(Integers, ComputeAsInCxxAndDivisionByZeroIsRefused) {
  Tensor<int64_t> a = {7, -7, 7, -7, int64_t(1) << 60}, b = {2, 2, -2, -2, 3};
  EXPECT_EQ((a / b).vector(), (std::vector<int64_t>{3, -3, -3, 3, (int64_t(1) << 60) / 3}));
  EXPECT_EQ(remainder(a, b).vector(), (std::vector<int64_t>{1, 1, -1, -1, (int64_t(1) << 60) % 3}));
  EXPECT_EQ(fmod(a, b).vector(), (std::vector<int64_t>{1, -1, 1, -1, (int64_t(1) << 60) % 3}));
  EXPECT_EQ(floor_divide(a, b).vector(), (std::vector<int64_t>{3, -4, -4, 3, (int64_t(1) << 60) / 3}));
  message_of<ValueError>([&] { a / Tensor<int64_t>{1, 0, 1, 1, 1}; });
  message_of<ValueError>([&] { a / 0; });
  Tensor<int32_t> least = {INT32_MIN}, minus = {-1};
  EXPECT_EQ((least / minus).item(), INT32_MIN);  // wraps instead of trapping
  Tensor<uint8_t> u = {200, 100};
  EXPECT_EQ((u + u).vector(), (std::vector<uint8_t>{144, 200}));
  EXPECT_EQ(bitwise_not(u).vector(), (std::vector<uint8_t>{55, 155}));
}

TEST(Integers, EveryRowOfNumbersAgreesWithDoubleOnSmallValues) {
  AnyTensor a = draw({53}, -9, 9).to(DType::int8), b = draw({53}, 1, 9, 8).to(DType::int8);
  for (DType t : {DType::int8, DType::int16, DType::int32, DType::int64}) {
    AnyTensor x = a.to(t), y = b.to(t), p = a.to(DType::float64), q = b.to(DType::float64);
    auto same = [&](const AnyTensor& got, const AnyTensor& want) { EXPECT_EQ(values(got), values(want)) << name(t); };
    same(x + y, p + q), same(x - y, p - q), same(x * y, p * q), same(x / y, trunc(p / q)), same(-x, -p), same(abs(x), abs(p));
    same(sign(x), sign(p)), same(maximum(x, y), maximum(p, q)), same(minimum(x, y), minimum(p, q)),
        same(remainder(x, y), remainder(p, q));
    same(fmod(x, y), fmod(p, q)), same(floor_divide(x, y), floor_divide(p, q)), same(clamp(x, -3, 4), clamp(p, -3, 4)),
        same(relu(x), relu(p));
    same((x < y).to(t), (p < q).to(t)), same((x == y).to(t), (p == q).to(t)), same(where(x < y, x, y), minimum(p, q));
  }
}

TEST(Bools, LogicAndComparison) {
  Tensor<bool> a = {true, true, false, false}, b = {true, false, true, false};
  EXPECT_EQ((a & b).vector(), (std::vector<bool>{true, false, false, false}));
  EXPECT_EQ((a | b).vector(), (std::vector<bool>{true, true, true, false}));
  EXPECT_EQ((a ^ b).vector(), (std::vector<bool>{false, true, true, false}));
  EXPECT_EQ((~a).vector(), (std::vector<bool>{false, false, true, true}));
  EXPECT_EQ((a == b).vector(), (std::vector<bool>{true, false, false, true}));
  EXPECT_EQ(logical_and(Tensor<float>{0, 2, NAN}, Tensor<float>{1, 3, 1}).vector(), (std::vector<bool>{false, true, true}));
  message_of<DTypeError>([&] { a + b; });
}

TEST(NotANumber, SurvivesWhereItMust) {
  for (DType t : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
    AnyTensor p = Tensor<double>{NAN, 1, NAN}.AnyTensor::to(t), q = Tensor<double>{1, NAN, NAN}.AnyTensor::to(t);
    for (const AnyTensor& r :
         {maximum(p, q), minimum(p, q), p + q, p * q, relu(p + q), clamp(p + q, -1, 1), abs(p + q), sign(p + q)})
      EXPECT_EQ(values(isnan(r)), std::vector<double>(3, 1)) << name(t);
    EXPECT_EQ(values(p == p), (std::vector<double>{0, 1, 0}));
    EXPECT_EQ(values(p != p), (std::vector<double>{1, 0, 1}));
    AnyTensor inf = Tensor<double>{INFINITY, -INFINITY, 0}.AnyTensor::to(t);
    EXPECT_EQ(values(isinf(inf)), (std::vector<double>{1, 1, 0}));
    EXPECT_EQ(values(isfinite(inf)), (std::vector<double>{0, 0, 1}));
    EXPECT_EQ(values(exp(inf)), (std::vector<double>{INFINITY, 0, 1}));
    EXPECT_EQ(values(tanh(inf)), (std::vector<double>{1, -1, 0}));
  }
}
