// Softmax, log-softmax, softmin against the definition in double, along every axis and layout.
#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

/// The definition, line by line.
AnyTensor reference(const AnyTensor& x, int64_t axis, bool log) {
  AnyTensor y = empty(x.shape(), DType::float64, kCPU);
  auto* to = static_cast<double*>(y.raw_data());
  std::vector<double> v = values(x);
  int64_t n = x.dim() ? x.size(axis) : 1, inner = 1;
  for (int d = x.dim() - 1; d > (axis < 0 ? axis + x.dim() : axis); --d) inner *= x.shape()[d];
  for (int64_t line = 0; n > 0 && line < x.numel() / n; ++line) {
    const int64_t first = line / inner * n * inner + line % inner;
    double top = -HUGE_VAL, total = 0;
    for (int64_t k = 0; k < n; ++k) top = std::max(top, v[first + k * inner]);
    for (int64_t k = 0; k < n; ++k) total += std::exp(v[first + k * inner] - top);
    for (int64_t k = 0; k < n; ++k) {
      const double d = v[first + k * inner] - top - std::log(total);
      to[first + k * inner] = log ? d : std::exp(d);
    }
  }
  return y;
}

const std::pair<Shape, int64_t> kShapes[] = {{{5}, 0},       {{}, 0},           {{1, 1}, 1},        {{3, 70}, 1},
                                             {{3, 70}, 0},   {{2, 130, 33}, 1}, {{4, 3, 5, 17}, 1}, {{2, 0, 3}, -1},
                                             {{2, 0, 3}, 1}, {{70, 1, 16}, -2}, {{5, 64}, 1},       {{9, 1000}, 1},
                                             {{2, 3000}, 1}, {{2, 8196}, 1},    {{2, 9001}, 1}};  // warps, blocks, whole packs, not

}  // namespace

DEVICE_TEST(Softmax, IsTheDefinitionInEveryType) {
  const std::pair<DType, double> types[] = {{DType::float64, 1e-14},
                                            {DType::float32, 1e-6},
                                            {DType::float16, 2e-3},
                                            {DType::bfloat16, 1.6e-2}};  // a few last places, and the reference's
  for (auto [type, tolerance] : types)
    for (const auto& [shape, axis] : kShapes) {
      AnyTensor x = draw(shape, -5, 5, 3).to(type);
      EXPECT_LT(distance(softmax(x, axis), reference(x, axis, false)), tolerance) << name(type) << to_string(shape);
      EXPECT_LT(distance(log_softmax(x, axis), reference(x, axis, true)), tolerance) << name(type) << to_string(shape);
      EXPECT_LT(distance(softmin(x, axis), reference(-x, axis, false)), tolerance) << name(type) << to_string(shape);
    }
}

DEVICE_TEST(Softmax, KeepsTheLayout) {
  AnyTensor x = draw({2, 5, 3, 4});
  AnyTensor last = empty_channels_last({2, 5, 3, 4}, DType::float64, device_of_tests());
  last.copy_(x);
  for (int64_t axis = 0; axis < 4; ++axis) {
    AnyTensor y = softmax(last, axis);
    EXPECT_EQ(y.stride(), last.stride());
    EXPECT_LT(distance(y, reference(x, axis, false)), 1e-15);
    EXPECT_LT(distance(log_softmax(x.transpose(1, 3), axis), reference(x.transpose(1, 3), axis, true)), 1e-15);
    EXPECT_LT(distance(softmax(x.slice(1, 1, 5, 2), axis), reference(x.slice(1, 1, 5, 2), axis, false)), 1e-15);
  }
}

DEVICE_TEST(Softmax, LargeAndInfiniteLogits) {
  double inf = HUGE_VAL;
  Tensor<double> x = {{1000, 1001, 1002}, {-inf, 0, 0}, {inf, 0, 0}, {-inf, -inf, -inf}, {std::nan(""), 0, 1}};
  for (DType type : {DType::float64, DType::float32}) {
    std::vector<double> p = values(softmax(x.to(type), 1)), l = values(log_softmax(x.to(type), 1));
    EXPECT_NEAR(p[0], 0.09003057, 1e-7);
    EXPECT_NEAR(l[2], -0.40760596, 1e-6);
    EXPECT_EQ(p[3], 0);
    EXPECT_EQ(p[4], 0.5);
    EXPECT_EQ(l[3], -inf);
    for (int i = 6; i < 15; ++i) EXPECT_TRUE(std::isnan(p[i])) << i;  // nothing to compare with
  }
}

DEVICE_TEST(Softmax, Gradients) {
  for (const auto& [shape, along] : kShapes) {
    if (shape.numel() > 200) continue;
    const int64_t axis = along;  // which lambdas can take
    AnyTensor x = draw(shape, -2, 2, 5).requires_grad_();
    EXPECT_EQ(gradcheck([&](const auto& in) { return softmax(in[0], axis); }, {x}), "") << to_string(shape);
    EXPECT_EQ(gradcheck([&](const auto& in) { return log_softmax(in[0], axis); }, {x}), "") << to_string(shape);
    EXPECT_EQ(gradcheck([&](const auto& in) { return softmin(in[0], axis); }, {x}), "") << to_string(shape);
  }
  AnyTensor x = draw({3, 4, 2}, -2, 2, 5).requires_grad_();  // seen transposed: neither row-major nor dense in that order
  for (int64_t axis = 0; axis < 3; ++axis)
    EXPECT_EQ(gradcheck([&](const auto& in) { return softmax(in[0].transpose(0, 2).slice(2, 0, 3, 2), axis); }, {x}), "");
}

DEVICE_TEST(Softmax, FusedBackwardIsTheComposedOne) {
  const std::pair<DType, double> types[] = {{DType::float32, 2e-6}, {DType::float16, 4e-3}, {DType::bfloat16, 3e-2}};
  for (auto [type, tolerance] : types)
    for (const auto& [shape, axis] : kShapes)
      for (auto* op : {&softmax_backward, &log_softmax_backward}) {
        bool log = op == &log_softmax_backward;
        AnyTensor x = draw(shape, -2, 2, 5).to(type), g = draw(shape, -1, 1, 6).to(type);
        AnyTensor y = log ? log_softmax(x, axis) : softmax(x, axis);
        AnyTensor wide = op(g.to(DType::float64), y.to(DType::float64), axis);  // gradients are on: composed
        NoGrad no_grad;
        EXPECT_LT(distance(op(g, y, axis), wide), tolerance) << name(type) << to_string(shape) << log;
      }
}

DEVICE_TEST(Softmax, ErrorsNameTheOp) {
  AnyTensor x = draw({2, 3});
  EXPECT_EQ(message_of<ShapeError>([&] { softmax(x, 2); }), "softmax: axis 2 is out of range for 2 dimensions; valid are -2 to 1");
  EXPECT_EQ(message_of<DTypeError>([&] { log_softmax(x.to(DType::int64), 0); }),
            "log_softmax: needs a floating point tensor, got int64; cast with to<float>()");
  EXPECT_EQ(message_of<ValueError>([&] { softmin(AnyTensor(), 0); }), "softmin: got an undefined tensor");
  EXPECT_EQ(message_of<ShapeError>([&] { softmax_backward(x, x.transpose(0, 1), 0); }),
            "softmax_backward: gradient of shape [2, 3] for an output of [3, 2]");
}
