// Volumes against loops over their windows; gradients of both orders; adjoints; wrong calls.
#include <algorithm>

#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

/// Calls f(image, output channel or channel, place in the output as three numbers).
template <class F> void each(const Shape& shape, F f) {
  for (int64_t n = 0; n < shape[0]; ++n)
    for (int64_t c = 0; c < shape[1]; ++c)
      for (int64_t d = 0; d < shape[2]; ++d)
        for (int64_t h = 0; h < shape[3]; ++h)
          for (int64_t w = 0; w < shape[4]; ++w) f(n, c, d, h, w);
}
struct Volume {
  Shape shape;
  std::vector<double> v;
  explicit Volume(const AnyTensor& x) : shape(x.shape()), v(values(x)) {}
  bool has(int64_t d, int64_t h, int64_t w) const {
    return d >= 0 && h >= 0 && w >= 0 && d < shape[2] && h < shape[3] && w < shape[4];
  }
  int64_t at(int64_t d, int64_t h, int64_t w) const { return (d * shape[3] + h) * shape[4] + w; }
  double operator()(int64_t n, int64_t c, int64_t d, int64_t h, int64_t w) const {
    return has(d, h, w) ? v[size_t((n * shape[1] + c) * shape[2] * shape[3] * shape[4] + at(d, h, w))] : 0;
  }
};

}  // namespace

DEVICE_TEST(Volume, Convolutions) {
  AnyTensor x = draw({2, 4, 5, 4, 6}).requires_grad_(), w = draw({6, 2, 3, 2, 3}, -1, 1, 5).requires_grad_(),
            b = draw({6}, -1, 1, 6).requires_grad_();
  Conv3dOptions o{.stride = {2, 1, 2}, .padding = {1, 0, 2}, .dilation = {1, 2, 1}, .groups = 2};
  AnyTensor y = conv3d(x, w, b, o);
  ASSERT_EQ(to_string(y.shape()), "[2, 6, 3, 2, 4]");
  Volume in(x), taps(w), got(y);
  std::vector<double> bias = values(b);
  each(y.shape(), [&](int64_t n, int64_t c, int64_t d, int64_t h, int64_t k) {
    double sum = bias[size_t(c)];
    for (int64_t i = 0; i < 2; ++i)
      for (int64_t p = 0; p < 3; ++p)
        for (int64_t q = 0; q < 2; ++q)
          for (int64_t r = 0; r < 3; ++r)
            sum += taps(c, i, p, q, r) * in(n, c / 3 * 2 + i, d * 2 + p - 1, h + 2 * q, k * 2 + r - 2);
    EXPECT_NEAR(got(n, c, d, h, k), sum, 1e-13);
  });
  EXPECT_LT(distance(conv3d(x.select(0, 1), w, b, o), y.select(0, 1)), 1e-14);
  EXPECT_EQ(conv3d(x, w, b, {.same = true, .groups = 2}).shape()[2], 5);
  AnyTensor one = draw({1, 2, 3, 3, 2}).requires_grad_(), few = draw({2, 2, 2, 2, 1}, -1, 1, 5).requires_grad_(),
            two = draw({2}, -1, 1, 6).requires_grad_();
  EXPECT_EQ(gradcheck([](const auto& in) { return conv3d(in[0], in[1], in[2], {.padding = 1}); }, {one, few, two}), "");

  // <conv(x), c> = <x, conv_transpose(c)>, with what the stride leaves open added.
  AnyTensor plain = conv3d(x, w, {}, o), c = draw(plain.shape(), -1, 1, 8);
  ConvTranspose3dOptions back{
      .stride = o.stride, .padding = o.padding, .output_padding = {0, 0, 1}, .groups = 2, .dilation = o.dilation};
  AnyTensor t = conv_transpose3d(c, w, {}, back);
  ASSERT_EQ(to_string(t.shape()), to_string(x.shape()));
  EXPECT_NEAR(sum(plain * c).item(), sum(x * t).item(), 1e-11);
  AnyTensor four = draw({4}, -1, 1, 9);
  EXPECT_LT(distance(conv_transpose3d(c, w, four, back), t + reshape(four, {4, 1, 1, 1})), 1e-14);
  EXPECT_EQ(gradcheck([](const auto& in) { return conv_transpose3d(in[0], in[1], in[2], {.stride = 2}); }, {one, few, two}), "");
  message_of<ShapeError>([&] { conv3d(draw({2, 4, 5}), w); });
  message_of<ShapeError>([&] { conv3d(x, w, draw({5}), o); });
  message_of<ShapeError>([&] { conv3d(draw({2, 4, 2, 4, 6}), w, {}, {.groups = 2}); });
  message_of<ValueError>([&] { conv3d(x, w, b, {.stride = 2, .same = true, .groups = 2}); });
  message_of<ShapeError>([&] { conv_transpose3d(one, few, {}, {.padding = {4, 0, 0}}); });
}

DEVICE_TEST(Volume, Pools) {
  AnyTensor x = draw({2, 3, 5, 4, 6}).requires_grad_();
  Volume in(x);
  MaxPool3dOptions m{.kernel = {2, 3, 2}, .stride = {2, 1, 3}, .padding = {1, 1, 0}, .dilation = {2, 1, 1}};
  auto [top, where_from] = max_pool3d_with_indices(x, m);
  Volume most(top), places(where_from);
  each(top.shape(), [&](int64_t n, int64_t c, int64_t d, int64_t h, int64_t w) {
    double best = -1e9, place = 0;
    for (int64_t p = 0; p < 2; ++p)
      for (int64_t q = 0; q < 3; ++q)
        for (int64_t r = 0; r < 2; ++r) {
          int64_t i = d * 2 + 2 * p - 1, j = h + q - 1, k = w * 3 + r;
          if (in.has(i, j, k) && in(n, c, i, j, k) > best) best = in(n, c, i, j, k), place = double(in.at(i, j, k));
        }
    EXPECT_EQ(most(n, c, d, h, w), best);
    EXPECT_EQ(places(n, c, d, h, w), place);
  });
  EXPECT_EQ(distance(max_pool3d(x, m), top), 0);
  EXPECT_EQ(distance(max_pool3d(x.select(0, 1), m), top.select(0, 1)), 0);
  for (bool padded : {true, false})
    for (int64_t divisor : {0, 7}) {
      AvgPool3dOptions a{
          .kernel = {2, 3, 2}, .stride = {2, 1, 3}, .padding = {1, 1, 0}, .count_include_pad = padded, .divisor_override = divisor};
      AnyTensor y = avg_pool3d(x, a);
      Volume means(y);
      each(y.shape(), [&](int64_t n, int64_t c, int64_t d, int64_t h, int64_t w) {
        double total = 0, inside = 0;
        for (int64_t p = 0; p < 2; ++p)
          for (int64_t q = 0; q < 3; ++q)
            for (int64_t r = 0; r < 2; ++r) {
              int64_t i = d * 2 + p - 1, j = h + q - 1, k = w * 3 + r;
              total += in(n, c, i, j, k), inside += in.has(i, j, k);
            }
        EXPECT_NEAR(means(n, c, d, h, w), total / (divisor ? double(divisor) : padded ? 12 : inside), 1e-14);
      });
      EXPECT_EQ(gradcheck([&](const auto& in) { return square(avg_pool3d(in[0], a)); }, {draw({1, 2, 3, 3, 5}).requires_grad_()}),
                "");
    }
  EXPECT_LT(distance(adaptive_avg_pool3d(x, 1), mean(x, {2, 3, 4}, true)), 1e-15);
  EXPECT_EQ(distance(adaptive_avg_pool3d(x, {5, 4, 6}), x), 0);
  EXPECT_LT(distance(adaptive_avg_pool3d(x, {5, 2, 3}), avg_pool3d(x, {.kernel = {1, 2, 2}})), 1e-15);
  EXPECT_EQ(distance(adaptive_max_pool3d(x, {5, 2, 3}), max_pool3d(x, {.kernel = {1, 2, 2}})), 0);
  auto [peak, at] = adaptive_max_pool3d_with_indices(x, 1);
  EXPECT_EQ(distance(gather(flatten(x, 2), 2, flatten(at, 2)), flatten(peak, 2)), 0);
  AnyTensor small = draw({1, 2, 3, 4, 3}).requires_grad_();
  EXPECT_EQ(gradcheck([](const auto& in) { return square(max_pool3d(in[0], {.kernel = 2})); }, {small}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return square(adaptive_avg_pool3d(in[0], {2, 3, 2})); }, {small}), "");
  message_of<ShapeError>([] { max_pool3d(draw({3, 4, 5}), {.kernel = 2}); });
  message_of<ShapeError>([] { avg_pool3d(draw({1, 1, 2, 2, 2}), {.kernel = 3}); });
}

DEVICE_TEST(LpPool, AreNormsOfWindows) {
  AnyTensor x = draw({2, 3, 4, 6, 4}, 0.1, 2).requires_grad_(), image = draw({2, 3, 4, 6}, 0.1, 2).requires_grad_();
  EXPECT_LT(distance(lp_pool3d(x, {.p = 3, .kernel = {4, 6, 4}}), norm(x, 3, {2, 3, 4}, true)), 1e-14);
  AnyTensor windows = unflatten(unflatten(image, 3, {3, 2}), 2, {2, 2});  // (N, C, 2, 2, 3, 2)
  EXPECT_LT(distance(lp_pool2d(image, {.p = 1.5, .kernel = 2}), norm(windows, 1.5, {3, 5})), 1e-14);
  EXPECT_LT(distance(lp_pool1d(image.select(2, 0), {.p = 2, .kernel = 3, .stride = 1}).select(2, 1),
                     norm(narrow(image.select(2, 0), 2, 1, 3), 2, 2)),
            1e-14);
  EXPECT_EQ(gradcheck([](const auto& in) { return lp_pool2d(in[0], {.p = 3, .kernel = {2, 3}, .stride = 1}); }, {image}), "");
  AnyTensor none = zeros({1, 1, 4}, DType::float64).requires_grad_();
  EXPECT_EQ(distance(grad({lp_pool1d(none, {.p = 2, .kernel = 2})}, {none}, {ones({1, 1, 2}, DType::float64)})[0], none), 0);
  message_of<ValueError>([&] { lp_pool1d(none, {.p = 0, .kernel = 2}); });
}

DEVICE_TEST(VolumeLayers, AreTheirFunctions) {
  AnyTensor x = draw({2, 4, 5, 4, 6}, 0.1, 1, 7, DType::float32);
  nn::Conv3d conv({.in = 4, .out = 6, .kernel = {3, 2, 3}, .padding = {1, 0, 1}, .groups = 2});
  EXPECT_EQ(to_string(conv.weight.shape()), "[6, 2, 3, 2, 3]");
  EXPECT_LE(amax(abs(conv.weight.detach())).item(), 1 / std::sqrt(36.0));
  EXPECT_EQ(distance(conv(x), conv3d(x, conv.weight, conv.bias, {.padding = {1, 0, 1}, .groups = 2})), 0);
  nn::ConvTranspose3d back({.in = 4, .out = 2, .kernel = 2, .stride = 2});
  EXPECT_EQ(to_string(back.weight.shape()), "[4, 2, 2, 2, 2]");
  EXPECT_EQ(distance(back(x), conv_transpose3d(x, back.weight, back.bias, {.stride = 2})), 0);
  EXPECT_EQ(distance(nn::MaxPool3d({.kernel = 2})(x), max_pool3d(x, {.kernel = 2})), 0);
  EXPECT_EQ(distance(nn::AvgPool3d({.kernel = 2})(x), avg_pool3d(x, {.kernel = 2})), 0);
  EXPECT_EQ(distance(nn::AdaptiveAvgPool3d(2)(x), adaptive_avg_pool3d(x, 2)), 0);
  EXPECT_EQ(distance(nn::AdaptiveMaxPool3d({1, 2, 3})(x), adaptive_max_pool3d(x, {1, 2, 3})), 0);
  EXPECT_EQ(distance(nn::LPPool3d({.p = 2, .kernel = 2})(x), lp_pool3d(x, {.p = 2, .kernel = 2})), 0);
  EXPECT_EQ(distance(nn::LPPool2d({.p = 2, .kernel = 2})(x.select(0, 0)), lp_pool2d(x.select(0, 0), {.p = 2, .kernel = 2})), 0);
  EXPECT_EQ(distance(nn::LPPool1d({.p = 2, .kernel = 2})(x.select(0, 0).select(0, 0)),
                     lp_pool1d(x.select(0, 0).select(0, 0), {.p = 2, .kernel = 2})),
            0);
  message_of<ValueError>([] { nn::Conv3d({.in = 4, .out = 6, .kernel = 3, .groups = 3}); });
  message_of<ValueError>([] { nn::Conv3d({.in = 4, .out = 6, .kernel = {3, 0, 3}}); });
}
