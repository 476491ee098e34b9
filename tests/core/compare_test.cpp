// allclose, isclose, equal.
#include "gradus/core/compare.h"

#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

TEST(Close, TolerancesAreRelativeToTheSecond) {
  Tensor<double> a = {1, 100, 0}, b = {1.00001, 101, 1e-9};
  EXPECT_EQ(isclose(a, b).vector(), (std::vector<bool>{true, false, true}));
  EXPECT_EQ(isclose(a, b, 0.01, 0).vector(), (std::vector<bool>{true, true, false}));
  EXPECT_TRUE(allclose(a, b, 0.01));
  EXPECT_FALSE(allclose(a, b));
}

TEST(Close, NanAndInfinity) {
  Tensor<float> a = {NAN, INFINITY, INFINITY, -INFINITY, 1}, b = {NAN, INFINITY, -INFINITY, 1, INFINITY};
  EXPECT_EQ(isclose(a, b).vector(), (std::vector<bool>{false, true, false, false, false}));
  EXPECT_EQ(isclose(a, b, 1e-5, 1e-8, true).vector(), (std::vector<bool>{true, true, false, false, false}));
}

TEST(Close, EveryDtypeAndBroadcast) {
  for (int t = 0; t < kDTypes; ++t) {
    AnyTensor a = Tensor<int64_t>{0, 1}.to(DType(t)), b = Tensor<int64_t>{{0, 1}, {0, 1}}.to(DType(t));
    EXPECT_TRUE(allclose(a, b)) << name(DType(t));
    EXPECT_FALSE(allclose(a, full({2}, 1, DType(t)))) << name(DType(t));
  }
  EXPECT_TRUE(allclose(zeros({0}), zeros({0})));
}

TEST(Equal, ShapesAndElements) {
  EXPECT_TRUE(equal(Tensor<float>{1, 2}, Tensor<float>{1, 2}));
  EXPECT_FALSE(equal(Tensor<float>{1, 2}, Tensor<float>{1, 3}));
  EXPECT_FALSE(equal(Tensor<float>{1, 1}, Tensor<float>{{1, 1}}));
  EXPECT_FALSE(equal(Tensor<float>{NAN}, Tensor<float>{NAN}));
  EXPECT_TRUE(equal(arange(6).reshape({2, 3}), arange(6).reshape({2, 3}).t().contiguous().t()));
  EXPECT_FALSE(equal(Tensor<int64_t>{INT64_MAX}, Tensor<int64_t>{INT64_MAX - 1}));
}

TEST(Compare, Errors) {
  auto has = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  AnyTensor f = zeros({2}, DType::float32), d = zeros({2}, DType::float64);
  EXPECT_TRUE(has(message_of<DTypeError>([&] { allclose(f, d); }), "float32 and float64"));
  EXPECT_TRUE(has(message_of<DTypeError>([&] { equal(f, d); }), "equal"));
  EXPECT_TRUE(has(message_of<ValueError>([&] { isclose(f, f, -1); }), "-1"));
  message_of<ShapeError>([&] { allclose(f, zeros({3}, DType::float32)); });
}
