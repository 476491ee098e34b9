// Tensors as text.
#include "gradus/core/print.h"

#include <sstream>

#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

TEST(Print, Floats) {
  EXPECT_EQ(to_string(Tensor<float>{{1, -2.5}, {0, 10}}),
            "[[ 1.0000, -2.5000],\n"
            " [ 0.0000, 10.0000]]  float32 [2, 2]");
  EXPECT_EQ(to_string(Tensor<double>{1, 2, 300}), "[  1.,   2., 300.]  float64 [3]");
  EXPECT_EQ(to_string(Tensor<half>{0.5, -1}), "[ 0.5000, -1.0000]  float16 [2]");
  EXPECT_EQ(to_string(Tensor<bfloat16>{0.5, 100}), "[  0.5000, 100.0000]  bfloat16 [2]");
}

TEST(Print, IsScientificWhereRangesDemand) {
  EXPECT_EQ(to_string(Tensor<double>{1e-6, 1.5}), "[1.0000e-06, 1.5000e+00]  float64 [2]");
  EXPECT_EQ(to_string(Tensor<double>{0.5, 123456}), "[5.0000e-01, 1.2346e+05]  float64 [2]");
  EXPECT_EQ(to_string(Tensor<double>{1, 3e12}), "[1.0000e+00, 3.0000e+12]  float64 [2]");
  EXPECT_EQ(to_string(Tensor<double>{0, 0.001}), "[0.0000, 0.0010]  float64 [2]");
  EXPECT_EQ(to_string(Tensor<double>{1e300}), "[1.0000e+300]  float64 [1]");
}

TEST(Print, NanAndInfinityStandInTheirColumns) {
  EXPECT_EQ(to_string(Tensor<float>{NAN, -INFINITY, INFINITY, 0.25}), "[   nan,   -inf,    inf, 0.2500]  float32 [4]");
  EXPECT_EQ(to_string(Tensor<float>{NAN, 3}), "[nan,  3.]  float32 [2]");
}

TEST(Print, OtherTypes) {
  EXPECT_EQ(to_string(Tensor<int64_t>{1, -20, INT64_MAX}),
            "[                  1,                 -20, 9223372036854775807]  int64 [3]");
  EXPECT_EQ(to_string(Tensor<uint8_t>{0, 255}), "[  0, 255]  uint8 [2]");
  EXPECT_EQ(to_string(Tensor<int8_t>{65, -1}), "[65, -1]  int8 [2]");
  EXPECT_EQ(to_string(Tensor<bool>{true, false}), "[ true, false]  bool [2]");
}

TEST(Print, ScalarsEmptyAndUndefined) {
  EXPECT_EQ(to_string(full({}, 0.25, DType::float32)), "0.2500");
  EXPECT_EQ(to_string(full({}, -7, DType::int32)), "-7");
  EXPECT_EQ(to_string(zeros({0, 3})), "[]  float32 [0, 3]");
  EXPECT_EQ(to_string(AnyTensor()), "undefined tensor");
}

TEST(Print, RequiresGradIsShown) {
  Tensor<float> x = {1.5};
  x.requires_grad_();
  EXPECT_EQ(to_string(x), "[1.5000]  float32 [1], requires_grad");
  EXPECT_EQ(to_string(x.sum()), "1.5000  requires_grad");
}

TEST(Print, ThreeAxesAndStrides) {
  EXPECT_EQ(to_string(arange(8).reshape({2, 2, 2}).transpose(0, 2)),
            "[[[0, 4],\n"
            "  [2, 6]],\n"
            "\n"
            " [[1, 5],\n"
            "  [3, 7]]]  int64 [2, 2, 2]");
}

TEST(Print, LongOnesAreSummarised) {
  EXPECT_EQ(to_string(arange(1001)), "[   0,    1,    2, ...,  998,  999, 1000]  int64 [1001]");
  EXPECT_EQ(to_string(arange(5000).reshape({1000, 5})),
            "[[   0,    1,    2,    3,    4],\n"
            " [   5,    6,    7,    8,    9],\n"
            " [  10,   11,   12,   13,   14],\n"
            " ...,\n"
            " [4985, 4986, 4987, 4988, 4989],\n"
            " [4990, 4991, 4992, 4993, 4994],\n"
            " [4995, 4996, 4997, 4998, 4999]]  int64 [1000, 5]");
  // Only what is shown decides the style.
  AnyTensor x = ones({2000}, DType::float32);
  static_cast<float*>(x.raw_data())[1000] = 1e-20f;
  EXPECT_EQ(to_string(x), "[1., 1., 1., ..., 1., 1., 1.]  float32 [2000]");
}

TEST(Print, LongLinesWrap) {
  EXPECT_EQ(to_string(arange(7), {.width = 12}),
            "[0, 1, 2,\n"
            " 3, 4, 5,\n"
            " 6]  int64 [7]");
}

TEST(Print, ToStreams) {
  std::ostringstream out;
  out << Tensor<int32_t>{1, 2} << '\n' << Shape{2, 3} << ' ' << DType::bfloat16 << ' ' << kCPU;
  EXPECT_EQ(out.str(), "[1, 2]  int32 [2]\n[2, 3] bfloat16 cpu");
}
