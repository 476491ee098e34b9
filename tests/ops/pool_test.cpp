// Pools and interpolation against plain loops in double, in both orders of axes; gradients of both orders; NaN; what the errors say.
#include "gradus/ops/pool.h"

#include <cstring>

#include "gradus/ops/interpolate.h"
#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

AnyTensor as_channels_last(const AnyTensor& x) {
  NoGrad no_grad;
  AnyTensor y = empty_channels_last(x.shape(), x.dtype(), x.device());
  y.copy_(x);
  return y;
}

AnyTensor from(const std::vector<double>& v, const Shape& shape) {
  AnyTensor x = empty(shape, DType::float64, kCPU);
  std::memcpy(x.raw_data(), v.data(), v.size() * sizeof(double));
  return placed(x);
}

struct Windows {
  Pair kernel, stride, padding = 0, dilation = 1;
  bool ceil = false;
};

int64_t out_size(int64_t n, int64_t k, int64_t s, int64_t p, int64_t d, bool ceil) {
  double out = double(n + 2 * p - d * (k - 1) - 1) / double(s) + 1;
  int64_t size = int64_t(ceil ? std::ceil(out) : std::floor(out));
  return ceil && (size - 1) * s >= n + p ? size - 1 : size;
}

/// f(values of the window inside the image, their indices, size of the window with its padding) for each output.
template <class F> AnyTensor windowed(const AnyTensor& x, const Windows& o, F&& f) {
  std::vector<double> v = values(x), out;
  int64_t H = x.size(2), W = x.size(3);
  int64_t OH = out_size(H, o.kernel.height, o.stride.height, o.padding.height, o.dilation.height, o.ceil);
  int64_t OW = out_size(W, o.kernel.width, o.stride.width, o.padding.width, o.dilation.width, o.ceil);
  for (int64_t plane = 0; plane < x.size(0) * x.size(1); ++plane)
    for (int64_t r = 0; r < OH; ++r)
      for (int64_t s = 0; s < OW; ++s) {
        std::vector<double> inside;
        std::vector<int64_t> where;
        int64_t padded = 0;
        for (int64_t i = 0; i < o.kernel.height; ++i)
          for (int64_t j = 0; j < o.kernel.width; ++j) {
            int64_t h = r * o.stride.height - o.padding.height + i * o.dilation.height;
            int64_t w = s * o.stride.width - o.padding.width + j * o.dilation.width;
            padded += h < H + o.padding.height && w < W + o.padding.width;
            if (h < 0 || h >= H || w < 0 || w >= W) continue;
            inside.push_back(v[(plane * H + h) * W + w]), where.push_back(h * W + w);
          }
        out.push_back(f(inside, where, padded));
      }
  return from(out, {x.size(0), x.size(1), OH, OW});
}

double largest(const std::vector<double>& v) { return *std::max_element(v.begin(), v.end()); }
double total(const std::vector<double>& v) {
  double sum = 0;
  for (double x : v) sum += x;
  return sum;
}

const Windows kWindows[] = {{2, 2},
                            {3, 2},
                            {3, 2, 1},
                            {{2, 3}, {1, 2}, {1, 0}},
                            {3, 1, 1, 1},
                            {2, 2, 0, 1, true},
                            {3, 2, 1, 1, true},
                            {2, 3, 1, 1, true},
                            {2, 1, 0, 2},
                            {{3, 2}, 2, 1, {1, 2}},
                            {1, 1},
                            {{7, 6}, 1}};

}  // namespace

DEVICE_TEST(MaxPool2d, ValuesIndicesAndGradientsInEveryTypeAndLayout) {
  for (const Windows& o : kWindows)
    for (int64_t channels : {1, 3, 16, 37})
      for (DType type : {DType::float32, DType::float64, DType::float16, DType::bfloat16})
        for (bool last : {false, true}) {
          AnyTensor x = draw({2, channels, 7, 6}, -1, 1, 1).to(type);
          if (last) x = as_channels_last(x);
          MaxPool2dOptions options{o.kernel, o.stride, o.padding, o.dilation, o.ceil};
          AnyTensor want = windowed(x, o, [](auto& v, auto&, int64_t) { return largest(v); });
          AnyTensor places = windowed(
              x, o, [](auto& v, auto& at, int64_t) { return double(at[std::max_element(v.begin(), v.end()) - v.begin()]); });
          x.requires_grad_();
          auto [y, indices] = max_pool2d_with_indices(x, options);
          ASSERT_EQ(distance(y, want), 0) << name(type) << " " << channels << " " << last;
          EXPECT_EQ(distance(indices, places), 0);
          EXPECT_EQ(indices.dtype(), DType::int64);
          EXPECT_EQ(distance(max_pool2d(x, options), want), 0);
          AnyTensor g = draw(y.shape(), -1, 1, 2).to(type), dx = grad({y}, {x}, {g})[0];
          std::vector<double> sums(x.numel()), gs = values(g), at = values(places);
          int64_t per_plane = y.size(2) * y.size(3);
          for (size_t i = 0; i < gs.size(); ++i) sums[int64_t(i) / per_plane * 42 + int64_t(at[i])] += gs[i];
          // Up to nine gradients meet in a pixel: summed in float, rounded once.
          double tolerance[] = {1e-6, 1e-15, 2e-3, 1.6e-2};
          EXPECT_LT(distance(dx, from(sums, x.shape())), tolerance[int(type)]) << name(type) << " " << channels << " " << last;
          if (channels > 1 && y.size(2) * y.size(3) > 1) {
            EXPECT_EQ(y.stride()[1] == 1, last);
          }
        }
}

DEVICE_TEST(MaxPool2d, NanIsTheLargestAndMinusInfinityIsFound) {
  AnyTensor x = full({1, 20, 4, 4}, -INFINITY, DType::float32);
  put(x, 5, NAN);  // row 1, column 1 of the first plane
  for (bool last : {false, true}) {
    auto [y, indices] = max_pool2d_with_indices(last ? as_channels_last(x) : x, {.kernel = 2});
    std::vector<double> v = values(y), at = values(indices);
    EXPECT_TRUE(std::isnan(v[0]));
    EXPECT_EQ(at[0], 5);
    EXPECT_EQ(v[1], -INFINITY);
    EXPECT_EQ(at[1], 2);
  }
}

DEVICE_TEST(AvgPool2d, ValuesInEveryTypeAndLayout) {
  for (const Windows& o : kWindows) {
    if (o.dilation != Pair(1)) continue;
    for (int64_t channels : {1, 3, 16, 37})
      for (DType type : {DType::float32, DType::float64, DType::float16, DType::bfloat16})
        for (bool last : {false, true}) {
          AnyTensor x = draw({2, channels, 7, 6}, -1, 1, 1).to(type);
          if (last) x = as_channels_last(x);
          double tolerance[] = {1e-6, 1e-15, 1e-3, 8e-3};
          auto check = [&](AvgPool2dOptions options, auto&& f) {
            EXPECT_LT(distance(avg_pool2d(x, options), windowed(x, o, f)), tolerance[int(type)])
                << name(type) << " " << channels << last;
          };
          check({o.kernel, o.stride, o.padding, o.ceil}, [](auto& v, auto&, int64_t n) { return total(v) / double(n); });
          check({o.kernel, o.stride, o.padding, o.ceil, false},
                [](auto& v, auto&, int64_t) { return total(v) / double(v.size()); });
          check({o.kernel, o.stride, o.padding, o.ceil, true, 5}, [](auto& v, auto&, int64_t) { return total(v) / 5; });
        }
  }
}

DEVICE_TEST(AdaptivePool, PartsOfEverySize) {
  AnyTensor x = draw({2, 19, 7, 5}, -1, 1, 1);
  std::vector<double> v = values(x);
  for (Pair out : {Pair(1), Pair(3, 2), Pair(7, 5), Pair(9, 4)}) {
    std::vector<double> mean, most;
    for (int64_t plane = 0; plane < 38; ++plane)
      for (int64_t r = 0; r < out.height; ++r)
        for (int64_t s = 0; s < out.width; ++s) {
          std::vector<double> part;
          for (int64_t h = r * 7 / out.height; double(h) < double((r + 1) * 7) / double(out.height); ++h)
            for (int64_t w = s * 5 / out.width; double(w) < double((s + 1) * 5) / double(out.width); ++w)
              part.push_back(v[(plane * 7 + h) * 5 + w]);
          mean.push_back(total(part) / double(part.size())), most.push_back(largest(part));
        }
    Shape shape = {2, 19, out.height, out.width};
    for (const AnyTensor& in : {x, as_channels_last(x)}) {
      EXPECT_LT(distance(adaptive_avg_pool2d(in, out), from(mean, shape)), 1e-14);
      EXPECT_EQ(distance(adaptive_max_pool2d(in, out), from(most, shape)), 0);
    }
  }
}

DEVICE_TEST(Pool, GradientsOfBothOrders) {
  for (bool last : {false, true}) {
    AnyTensor x = draw({1, 2, 5, 4}, -1, 1, 3);
    if (last) x = as_channels_last(x);
    x.requires_grad_();
    auto check = [&](auto f) { EXPECT_EQ(gradcheck([&](auto& in) { return f(in[0]) * f(in[0]); }, {x}), ""); };
    check([](auto& t) { return max_pool2d(t, {.kernel = 2}); });
    check([](auto& t) {
      return max_pool2d(t, {.kernel = 3, .stride = {1, 2}, .padding = 1, .dilation = {1, 2}, .ceil_mode = true});
    });
    check([](auto& t) { return avg_pool2d(t, {.kernel = {2, 3}, .stride = 1, .padding = 1}); });
    check([](auto& t) {
      return avg_pool2d(t, {.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true, .count_include_pad = false});
    });
    check([](auto& t) { return avg_pool2d(t, {.kernel = 2, .divisor_override = 3}); });
    check([](auto& t) { return adaptive_avg_pool2d(t, {3, 2}); });
    check([](auto& t) { return adaptive_max_pool2d(t, {3, 2}); });
    for (InterpolateMode mode : {InterpolateMode::nearest, InterpolateMode::nearest_exact, InterpolateMode::linear,
                                 InterpolateMode::bicubic, InterpolateMode::area})
      for (Pair size : {Pair(3, 7), Pair(9, 2)}) check([&](auto& t) { return interpolate(t, {.size = size, .mode = mode}); });
    check([](auto& t) {
      return interpolate(t, {.scale_factor = {1.7, 0.6}, .mode = InterpolateMode::linear, .align_corners = true});
    });
  }
}

DEVICE_TEST(Pool, RowsAndLoneImages) {
  AnyTensor x = draw({2, 3, 9}, -1, 1, 1), image = x.unsqueeze(2);
  EXPECT_EQ(distance(max_pool1d(x, {.kernel = 3, .stride = 2, .padding = 1}),
                     max_pool2d(image, {.kernel = {1, 3}, .stride = {1, 2}, .padding = {0, 1}}).squeeze(2)),
            0);
  EXPECT_EQ(distance(avg_pool1d(x, {.kernel = 3, .stride = 2, .padding = 1}),
                     avg_pool2d(image, {.kernel = {1, 3}, .stride = {1, 2}, .padding = {0, 1}}).squeeze(2)),
            0);
  EXPECT_EQ(distance(adaptive_avg_pool1d(x, 4), adaptive_avg_pool2d(image, {1, 4}).squeeze(2)), 0);
  EXPECT_EQ(distance(adaptive_max_pool1d(x, 4), adaptive_max_pool2d(image, {1, 4}).squeeze(2)), 0);
  EXPECT_EQ(distance(max_pool1d_with_indices(x, {.kernel = 3}).second,
                     max_pool2d_with_indices(image, {.kernel = {1, 3}}).second.squeeze(2)),
            0);
  AnyTensor y = draw({2, 3, 6, 6}, -1, 1, 1);
  EXPECT_EQ(distance(max_pool2d(y.select(0, 1), {.kernel = 2}), max_pool2d(y, {.kernel = 2}).select(0, 1)), 0);
  EXPECT_EQ(max_pool2d(empty({0, 3, 6, 6}, DType::float32), {.kernel = 2}).shape(), (Shape{0, 3, 3, 3}));
  AnyTensor strided = draw({2, 3, 6, 12}, -1, 1, 1).slice(3, 0, 12, 2);
  EXPECT_EQ(distance(max_pool2d(strided, {.kernel = 2}), max_pool2d(strided.clone(), {.kernel = 2})), 0);
  EXPECT_EQ(distance(avg_pool2d(strided, {.kernel = 2}), avg_pool2d(strided.clone(), {.kernel = 2})), 0);
}

DEVICE_TEST(Interpolate, KnownValues) {
  Tensor<double> row = {{{0, 1, 2, 3}}};
  auto resized = [&](InterpolateOptions o) { return values(interpolate(row, o)); };
  using V = std::vector<double>;
  EXPECT_EQ(resized({.size = {1, 8}}), (V{0, 0, 1, 1, 2, 2, 3, 3}));
  EXPECT_EQ(resized({.size = {1, 2}}), (V{0, 2}));
  EXPECT_EQ(resized({.size = {1, 2}, .mode = InterpolateMode::nearest_exact}), (V{1, 3}));
  EXPECT_EQ(resized({.size = {1, 2}, .mode = InterpolateMode::area}), (V{0.5, 2.5}));
  EXPECT_EQ(resized({.scale_factor = 2, .mode = InterpolateMode::linear}), (V{0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3}));
  EXPECT_EQ(resized({.size = {1, 7}, .mode = InterpolateMode::linear, .align_corners = true}), (V{0, 0.5, 1, 1.5, 2, 2.5, 3}));
  // A plane is reproduced by linear and cubic interpolation away from the border; weights of a cubic sum to one.
  AnyTensor ones = full({1, 1, 6, 6}, 1, DType::float64);
  EXPECT_LT(
      distance(interpolate(ones, {.size = {9, 11}, .mode = InterpolateMode::bicubic}), full({1, 1, 9, 11}, 1, DType::float64)),
      1e-14);
  // The order of axes does not matter.
  AnyTensor x = draw({2, 21, 5, 6}, -1, 1, 1, DType::float32);
  for (InterpolateMode mode : {InterpolateMode::nearest, InterpolateMode::linear, InterpolateMode::bicubic}) {
    InterpolateOptions o{.size = {7, 4}, .mode = mode};
    EXPECT_LT(distance(interpolate(x, o), interpolate(as_channels_last(x), o)), 1e-6);
    EXPECT_LT(distance(interpolate(x, o), interpolate(x.to(DType::float64), o)), 1e-5);
  }
}

DEVICE_TEST(Pool, Messages) {
  AnyTensor x = draw({2, 3, 8, 8});
  auto says = [](auto&& f, const char* part) {
    std::string message = message_of(f);
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  says([&] { max_pool2d(x, {.kernel = 9}); }, "max_pool2d: a window of 9 does not fit an image of 8 with padding 0");
  says([&] { max_pool2d(x, {.kernel = 0}); }, "kernel 0 is less than 1");
  says([&] { max_pool2d(x, {.kernel = 2, .stride = -1}); }, "stride -1 is less than 1");
  says([&] { avg_pool2d(x, {.kernel = 2, .padding = 2}); }, "padding 2 is not within 0 and half of the window's 2");
  says([&] { max_pool2d(x, {.kernel = 2, .dilation = 0}); }, "dilation 0 is less than 1");
  says([&] { max_pool2d(x.flatten(), {.kernel = 2}); }, "(N, C, H, W) or (C, H, W) is needed");
  says([&] { max_pool1d(x, {.kernel = 2}); }, "max_pool1d: input [2, 3, 8, 8]: (N, C, L) or (C, L) is needed");
  says([&] { max_pool2d(x.to(DType::int32), {.kernel = 2}); }, "floating point");
  says([&] { adaptive_avg_pool2d(x, 0); }, "sizes must be positive");
  says([&] { interpolate(x, {}); }, "neither was given");
  says([&] { interpolate(x, {.size = 3, .scale_factor = 2}); }, "not both");
  says([&] { interpolate(x, {.scale_factor = 0.01}); }, "sizes must be positive");
  says([&] { interpolate(x, {.size = 3, .align_corners = true}); }, "linear and bicubic only");
  says([&] { interpolate(x.flatten(), {.size = 3}); }, "is needed");
  Tensor<float> typed = full<float>({1, 1, 4, 4}, 1);
  static_assert(std::is_same_v<decltype(max_pool2d(typed, {.kernel = 2})), Tensor<float>>);
  static_assert(std::is_same_v<decltype(max_pool2d_with_indices(typed, {.kernel = 2}).second), Tensor<int64_t>>);
}
