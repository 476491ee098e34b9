// Convolutions against plain loops in double, whoever computes them (Winograd's method, oneDNN, windows times weights); the three maps
// as each other's gradients; what the errors say.
#include "gradus/ops/conv.h"

#include <algorithm>
#include <random>

#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

struct Images {
  std::vector<double> v;
  Shape shape;
  explicit Images(const AnyTensor& x) : v(values(x)), shape(x.shape()) {}
  explicit Images(const Shape& shape) : v(shape.numel()), shape(shape) {}
  double& at(int64_t a, int64_t b, int64_t c, int64_t d) { return v[((a * shape[1] + b) * shape[2] + c) * shape[3] + d]; }
  AnyTensor tensor() const {
    AnyTensor x = empty(shape, DType::float64, kCPU);
    std::copy(v.begin(), v.end(), static_cast<double*>(x.raw_data()));
    return placed(x);
  }
};

/// Calls f(image n, out channel, out row, out column, in channel within the group, tap row, tap column, in channel, row, column).
template <class F> void each_term(const Shape& x, const Shape& w, const Shape& y, const Conv2dOptions& o, F&& f) {
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t k = 0; k < y[1]; ++k)
      for (int64_t r = 0; r < y[2]; ++r)
        for (int64_t s = 0; s < y[3]; ++s)
          for (int64_t c = 0; c < w[1]; ++c)
            for (int64_t i = 0; i < w[2]; ++i)
              for (int64_t j = 0; j < w[3]; ++j) {
                int64_t h = r * o.stride.height - o.padding.height + i * o.dilation.height;
                int64_t v = s * o.stride.width - o.padding.width + j * o.dilation.width;
                int64_t in = k / (y[1] / o.groups) * w[1] + c;
                if (h >= 0 && h < x[2] && v >= 0 && v < x[3]) f(n, k, r, s, c, i, j, in, h, v);
              }
}

Shape result_shape(const Shape& x, const Shape& w, const Conv2dOptions& o) {
  return {x[0], w[0], (x[2] + 2 * o.padding.height - o.dilation.height * (w[2] - 1) - 1) / o.stride.height + 1,
          (x[3] + 2 * o.padding.width - o.dilation.width * (w[3] - 1) - 1) / o.stride.width + 1};
}

struct Reference {
  AnyTensor y, dx, dw, db;
  Reference() = default;
  Reference(const AnyTensor& tx, const AnyTensor& tw, const AnyTensor& tb, const AnyTensor& tg, const Conv2dOptions& o) {
    Images x(tx), w(tw), g(tg), out(tg.shape()), gx(tx.shape()), gw(tw.shape()), gb({1, 1, 1, tw.size(0)});
    std::vector<double> b = values(tb);
    each_term(x.shape, w.shape, g.shape, o, [&](auto n, auto k, auto r, auto s, auto c, auto i, auto j, auto in, auto h, auto v) {
      out.at(n, k, r, s) += x.at(n, in, h, v) * w.at(k, c, i, j);
      gx.at(n, in, h, v) += g.at(n, k, r, s) * w.at(k, c, i, j);
      gw.at(k, c, i, j) += g.at(n, k, r, s) * x.at(n, in, h, v);
    });
    int64_t pixels = g.shape[2] * g.shape[3];
    for (size_t i = 0; i < g.v.size(); ++i) {
      int64_t k = int64_t(i) / pixels % g.shape[1];
      out.v[i] += b[k], gb.v[k] += g.v[i];
    }
    y = out.tensor(), dx = gx.tensor(), dw = gw.tensor(), db = gb.tensor().reshape({tw.size(0)});
  }
};

/// By the library in double, which the plain loops vouch for: for shapes that these are too slow for.
Reference in_double(const AnyTensor& x, const AnyTensor& w, const AnyTensor& b, const AnyTensor& g, const Conv2dOptions& o) {
  auto leaf = [](const AnyTensor& t) { return t.to(DType::float64).detach().requires_grad_(); };
  AnyTensor lx = leaf(x), lw = leaf(w), lb = leaf(b);
  Reference r;
  r.y = conv2d(lx, lw, lb, o);
  std::vector<AnyTensor> grads = grad({r.y}, {lx, lw, lb}, {g.to(DType::float64)});
  r.dx = grads[0], r.dw = grads[1], r.db = grads[2];
  return r;
}

AnyTensor as_channels_last(const AnyTensor& x) {
  AnyTensor y = empty_channels_last(x.shape(), x.dtype());
  y.copy_(x);
  return y;
}

/// Values and gradients of one convolution in one type; the messages name what is off.
void check_conv(const Shape& sx, const Shape& sw, const Conv2dOptions& o, DType type, bool last = false) {
  std::string label = std::string(name(type)) + " " + to_string(sx) + " * " + to_string(sw) + " stride " +
                      std::to_string(o.stride.height) + " padding " + std::to_string(o.padding.height) + " groups " +
                      std::to_string(o.groups);
  Shape sy = result_shape(sx, sw, o);
  // Numbers the type can hold, so that only the arithmetic is compared.
  auto fresh = [&](const Shape& s, uint64_t seed) { return draw(s, -1, 1, seed).to(type); };
  AnyTensor x = fresh(sx, 1), w = fresh(sw, 2), b = fresh({sw[0]}, 3), g = fresh(sy, 4);
  if (last) x = as_channels_last(x), g = as_channels_last(g);
  bool small = sy.numel() * sw[1] * sw[2] * sw[3] < (kSanitized ? 200000 : 2000000);
  Reference want = small ? Reference(x, w, b, g, o) : in_double(x, w, b, g, o);
  x.requires_grad_(), w.requires_grad_(), b.requires_grad_();
  AnyTensor y = conv2d(x, w, b, o);
  std::vector<AnyTensor> got = grad({y}, {x, w, b}, {g});
  // Partial sums of k products below 1 grow as sqrt(k) and are rounded k times; Winograd's transforms double what that costs. Half types
  // are rounded once more at the end, relative to the result.
  double held = type == DType::float64 ? 1e-16 : 1e-7, own = type == DType::float16 ? 1e-3 : type == DType::bfloat16 ? 8e-3 : 0;
  auto tolerance = [&](double k) { return held * (20 + 2 * k) + own; };
  double taps = double(sw[1] * sw[2] * sw[3]);
  EXPECT_LT(distance(y, want.y), tolerance(taps)) << label;
  EXPECT_LT(distance(got[0], want.dx), tolerance(taps * double(sw[0]) / double(sw[1]) / double(o.groups))) << label << " input";
  EXPECT_LT(distance(got[1], want.dw), tolerance(double(sy[0] * sy[2] * sy[3]))) << label << " weight";
  EXPECT_LT(distance(got[2], want.db), tolerance(double(sy[0] * sy[2] * sy[3]))) << label << " bias";
}

}  // namespace

DEVICE_TEST(Conv2d, EveryTypeAndShape) {
  struct Case {
    Shape x, w;
    Conv2dOptions o;
  };
  const Case cases[] = {
      {{2, 3, 7, 6}, {4, 3, 3, 3}, {}},
      {{2, 3, 7, 6}, {4, 3, 3, 3}, {.padding = 1}},
      {{1, 1, 9, 9}, {5, 1, 3, 3}, {.stride = 2, .padding = 1}},
      {{2, 4, 8, 9}, {6, 2, 3, 2}, {.stride = {2, 1}, .padding = {1, 0}, .groups = 2}},
      {{2, 4, 9, 8}, {4, 1, 3, 3}, {.padding = 1, .groups = 4}},
      {{1, 2, 11, 12}, {3, 2, 3, 3}, {.padding = 2, .dilation = {2, 3}}},
      {{3, 5, 4, 4}, {7, 5, 1, 1}, {}},
      {{3, 6, 5, 4}, {8, 3, 1, 1}, {.stride = 2, .groups = 2}},
      {{1, 3, 1, 1}, {2, 3, 1, 1}, {}},
      {{2, 2, 3, 3}, {2, 2, 3, 3}, {}},
      {{2, 2, 2, 3}, {2, 2, 5, 5}, {.padding = 3}},
      {{1, 16, 10, 10}, {16, 16, 5, 5}, {.stride = 3, .padding = 2}},
      {{0, 3, 5, 5}, {4, 3, 3, 3}, {.padding = 1}},
  };
  for (const Case& c : cases)
    for (DType type : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
      check_conv(c.x, c.w, c.o, type);
      check_conv(c.x, c.w, c.o, type, true);
    }
}

DEVICE_TEST(Conv2d, ShapesOfWinogradsMethod) {
  check_conv({2, 32, 16, 16}, {48, 32, 3, 3}, {.padding = 1}, DType::float32, true);
  check_conv({3, 48, 14, 11}, {32, 48, 3, 3}, {.padding = {0, 1}}, DType::float32);
  check_conv({16, 32, 4, 4}, {64, 32, 3, 3}, {.padding = 1}, DType::float32, true);
  check_conv({4, 32, 10, 9}, {80, 32, 3, 3}, {.padding = 2}, DType::float32, true);
  check_conv({8, 144, 7, 8}, {144, 144, 3, 3}, {.padding = 1}, DType::float32, true);
}

DEVICE_TEST(Conv2d, BitsDoNotDependOnTheRunOrTheNumberOfThreads) {
  struct Case {
    Shape x, w;
    Conv2dOptions o;
  };
  const Case cases[] = {{{8, 32, 16, 16}, {32, 32, 3, 3}, {.padding = 1}},
                        {{16, 1, 28, 28}, {32, 1, 3, 3}, {}},
                        {{8, 32, 16, 16}, {64, 32, 3, 3}, {.stride = 2}},
                        {{8, 64, 16, 16}, {128, 64, 1, 1}, {}},
                        {{16, 160, 8, 8}, {160, 160, 3, 3}, {.padding = 1}},
                        {{4, 128, 16, 16}, {128, 128, 3, 3}, {.stride = 2}},
                        {{4, 32, 20, 20}, {32, 1, 3, 3}, {.padding = 1, .groups = 32}}};
  for (const Case& c : cases)
    for (DType type : {DType::float32, DType::float64, DType::bfloat16}) {
      AnyTensor x = draw(c.x, -1, 1, 1, type).requires_grad_(), w = draw(c.w, -1, 1, 2, type).requires_grad_();
      AnyTensor b = draw({c.w[0]}, -1, 1, 3, type).requires_grad_();
      auto run = [&](int threads) {
        ThreadLimit limit(threads);
        AnyTensor y = conv2d(x, w, b, c.o);
        std::vector<AnyTensor> g = grad({y}, {x, w, b}, {y.detach()});
        return std::vector<std::vector<double>>{values(y), values(g[0]), values(g[1]), values(g[2])};
      };
      auto once = run(1);
      for (int threads : {1, 2, 3, 7})
        EXPECT_TRUE(run(threads) == once) << name(type) << " " << to_string(c.x) << " * " << to_string(c.w) << " on " << threads;
    }
}

DEVICE_TEST(Conv2d, ResultsLieChannelsLast) {
  AnyTensor y = conv2d(draw({2, 3, 8, 8}), draw({4, 3, 3, 3}));
  EXPECT_EQ(y.stride(), (Shape{4 * 36, 1, 24, 4}));
  // A view whose rows are not adjacent.
  AnyTensor wide = draw({2, 3, 8, 16});
  EXPECT_LT(distance(conv2d(wide.slice(3, 0, 16, 2), draw({4, 3, 3, 3}, -1, 1, 2)),
                     conv2d(wide.slice(3, 0, 16, 2).clone(), draw({4, 3, 3, 3}, -1, 1, 2))),
            1e-15);
}

DEVICE_TEST(Conv2d, GradientsOfBothOrders) {
  struct Case {
    Shape x, w;
    Conv2dOptions o;
  };
  const Case cases[] = {{{1, 2, 4, 3}, {2, 2, 2, 2}, {}},
                        {{2, 1, 4, 4}, {2, 1, 3, 3}, {.stride = 2, .padding = 1}},
                        {{1, 2, 5, 4}, {2, 1, 2, 2}, {.padding = {1, 0}, .dilation = {2, 1}, .groups = 2}},
                        {{1, 2, 3, 2}, {2, 2, 1, 1}, {}}};
  for (const Case& c : cases) {
    AnyTensor x = draw(c.x, -1, 1, 1).requires_grad_(), w = draw(c.w, -1, 1, 2).requires_grad_(),
              b = draw({c.w[0]}, -1, 1, 3).requires_grad_();
    EXPECT_EQ(gradcheck([&](auto& in) { return conv2d(in[0], in[1], in[2], c.o); }, {x, w, b}), "");
    Shape y = result_shape(c.x, c.w, c.o);
    AnyTensor g = draw(y, -1, 1, 4).requires_grad_();
    EXPECT_EQ(gradcheck([&](auto& in) { return conv2d_backward_input(c.x, in[0], in[1], c.o); }, {g, w}), "");
    EXPECT_EQ(gradcheck([&](auto& in) { return conv2d_backward_weight(c.w, in[0], in[1], c.o); }, {g, x}), "");
  }
}

DEVICE_TEST(Conv2d, GradcheckCatchesAWrongOne) {
  AnyTensor x = draw({1, 1, 4, 4}, -1, 1, 1).requires_grad_(), w = draw({1, 1, 3, 3}, -1, 1, 2).requires_grad_();
  auto wrong = custom_function(
      "wrong_conv", [](FunctionContext&, const std::vector<AnyTensor>& in) { return std::vector{conv2d(in[0], in[1])}; },
      [](FunctionContext&, const std::vector<AnyTensor>& g) {  // the taps are not turned around
        return std::vector{conv2d(g[0], ones({1, 1, 3, 3}, DType::float64), {}, {.padding = 2}),
                           zeros({1, 1, 3, 3}, DType::float64)};
      });
  EXPECT_NE(gradcheck([&](auto& in) { return wrong(in)[0]; }, {x, w}), "");
}

DEVICE_TEST(Conv2d, SamePaddingAndLoneImages) {
  AnyTensor x = draw({2, 3, 7, 6}, -1, 1, 1);
  for (int k : {1, 2, 3, 4})
    for (int d : {1, 2}) {
      AnyTensor w = draw({4, 3, k, k}, -1, 1, 2), y = conv2d(x, w, {}, {.padding = "same", .dilation = d});
      int64_t both = d * (k - 1), front = both / 2;
      AnyTensor padded = zeros({2, 3, 7 + both, 6 + both}, DType::float64);
      {
        NoGrad no_grad;
        padded.narrow(2, front, 7).narrow(3, front, 6).copy_(x);
      }
      EXPECT_LT(distance(y, conv2d(padded, w, {}, {.dilation = d})), 1e-14) << k << " " << d;
    }
  AnyTensor w = draw({4, 3, 3, 3}, -1, 1, 2);
  EXPECT_LT(distance(conv2d(x.select(0, 1), w), conv2d(x, w).select(0, 1)), 1e-14);
  EXPECT_LT(distance(conv2d(x, w, {}, {.padding = "valid"}), conv2d(x, w)), 1e-15);
}

DEVICE_TEST(Conv1d, IsConv2dWithOneRow) {
  AnyTensor x = draw({2, 4, 9}, -1, 1, 1), w = draw({6, 2, 3}, -1, 1, 2), b = draw({6}, -1, 1, 3);
  AnyTensor y = conv1d(x, w, b, {.stride = 2, .padding = 1, .dilation = 2, .groups = 2});
  EXPECT_LT(
      distance(y, conv2d(x.unsqueeze(2), w.unsqueeze(2), b, {.stride = {1, 2}, .padding = {0, 1}, .dilation = {1, 2}, .groups = 2})
                      .squeeze(2)),
      1e-15);
  EXPECT_LT(distance(conv1d(x, w, b, {.padding = "same", .groups = 2}), conv1d(x, w, b, {.padding = 1, .groups = 2})), 1e-15);
  EXPECT_LT(distance(conv1d(x.select(0, 0), w, b, {.groups = 2}), conv1d(x, w, b, {.groups = 2}).select(0, 0)), 1e-15);
  AnyTensor p = draw({1, 2, 5}, -1, 1, 1).requires_grad_(), q = draw({2, 2, 2}, -1, 1, 2).requires_grad_(),
            r = draw({2}).requires_grad_();
  EXPECT_EQ(gradcheck([](auto& in) { return conv1d(in[0], in[1], in[2], {.stride = 2, .padding = 1}); }, {p, q, r}), "");
}

DEVICE_TEST(ConvTranspose2d, IsTheAdjoint) {
  // <conv2d(x, w), g> = <x, conv_transpose2d(g, w)>.
  for (const Conv2dOptions& o :
       {Conv2dOptions{}, Conv2dOptions{.stride = 2, .padding = 1}, Conv2dOptions{.stride = {3, 2}, .dilation = 2},
        Conv2dOptions{.stride = 2, .padding = 1, .groups = 2}}) {
    AnyTensor x = draw({2, 4, 11, 10}, -1, 1, 1), w = draw({6, 4 / o.groups, 3, 3}, -1, 1, 2);
    AnyTensor y = conv2d(x, w, {}, o), g = draw(y.shape(), -1, 1, 3);
    auto left = [&](int64_t size, int64_t out, int64_t stride, int64_t padding, int64_t dilation) {
      return size - ((out - 1) * stride - 2 * padding + dilation * 2 + 1);
    };
    Pair extra(left(11, y.size(2), o.stride.height, o.padding.height, o.dilation.height),
               left(10, y.size(3), o.stride.width, o.padding.width, o.dilation.width));
    AnyTensor back = conv_transpose2d(
        g, w, {}, {.stride = o.stride, .padding = o.padding, .output_padding = extra, .groups = o.groups, .dilation = o.dilation});
    EXPECT_NEAR((y * g).sum().item(), (x * back).sum().item(), 1e-10);
  }
  AnyTensor x = draw({1, 2, 3, 3}, -1, 1, 1).requires_grad_(), w = draw({2, 1, 2, 3}, -1, 1, 2).requires_grad_(),
            b = draw({2}).requires_grad_();
  EXPECT_EQ(gradcheck(
                [](auto& in) {
                  return conv_transpose2d(in[0], in[1], in[2], {.stride = 2, .padding = {0, 1}, .output_padding = 1, .groups = 2});
                },
                {x, w, b}),
            "");
  AnyTensor r = draw({2, 2, 4}, -1, 1, 1), v = draw({2, 3, 3}, -1, 1, 2);
  EXPECT_LT(
      distance(conv_transpose1d(r, v, {}, {.stride = 2, .padding = 1, .output_padding = 1}),
               conv_transpose2d(r.unsqueeze(2), v.unsqueeze(2), {}, {.stride = {1, 2}, .padding = {0, 1}, .output_padding = {0, 1}})
                   .squeeze(2)),
      1e-15);
}

DEVICE_TEST(ConvTranspose, OutputPaddingBetweenStrideAndDilation) {
  // A window on the transpose without padding: what is added at the end reaches further into the dilated taps.
  AnyTensor x = draw({2, 2, 3, 4}), w = draw({2, 1, 2, 3}, -1, 1, 5);
  AnyTensor full = conv_transpose2d(x, w, {}, {.stride = 2, .groups = 2, .dilation = 4});
  ConvTranspose2dOptions o{.stride = 2, .padding = {1, 2}, .output_padding = {1, 2}, .groups = 2, .dilation = 4};
  AnyTensor y = conv_transpose2d(x, w, {}, o);
  EXPECT_LT(distance(y, full.narrow(2, 1, full.size(2) - 1).narrow(3, 2, full.size(3) - 2)), 1e-12);
  EXPECT_EQ(
      gradcheck([&](const auto& in) { return conv_transpose2d(in[0], in[1], {}, o); }, {x.requires_grad_(), w.requires_grad_()}),
      "");
}

DEVICE_TEST(Conv2d, Messages) {
  AnyTensor x = draw({2, 3, 8, 8}), w = draw({4, 3, 3, 3});
  auto says = [](auto&& f, const char* part) {
    std::string message = message_of(f);
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  says([&] { conv2d(x, draw({4, 2, 3, 3})); }, "input [2, 3, 8, 8] has 3 channels, weight [4, 2, 3, 3] with 1 group(s) wants 2");
  says([&] { conv2d(x, draw({4, 3, 9, 9})); }, "reaches over 9 does not fit an image of 8 with padding 0");
  says([&] { conv2d(x, w, draw({3})); }, "bias [3] for 4 output channels");
  says([&] { conv2d(x, w, {}, {.stride = 0}); }, "stride 0, 0 is less than 1");
  says([&] { conv2d(x, w, {}, {.padding = -1}); }, "padding -1, -1 is less than 0");
  says([&] { conv2d(x, w, {}, {.padding = "full"}); }, "\"same\" and \"valid\"");
  says([&] { conv2d(x, w, {}, {.stride = 2, .padding = "same"}); }, "needs a stride of 1");
  says([&] { conv2d(x, draw({4, 1, 3, 3}), {}, {.groups = 3}); }, "4 output channels do not divide into 3 groups");
  says([&] { conv2d(x, w, {}, {.groups = 0}); }, "0 groups");
  says([&] { conv2d(x.flatten(2), draw({4, 3, 3, 3}).select(0, 0)); }, "the weight has shape [3, 3, 3]; 4 dimensions are needed");
  says([&] { conv2d(x.flatten(), w); }, "(N, C, H, W) or (C, H, W) is needed");
  says([&] { conv2d(x, w.to(DType::float32)); }, "float64 and float32 differ");
  says([&] { conv2d(x.to(DType::int32), w.to(DType::int32)); }, "floating point");
  says([&] { conv2d(x, AnyTensor()); }, "undefined");
  says(
      [&] {
        conv_transpose2d(x, draw({3, 4, 3, 3}), {}, {.output_padding = 1});
      },
      "output_padding 1 must be less than the stride 1");
  says([&] { conv_transpose2d(x, w); }, "has 3 channels, weight [4, 3, 3, 3] wants 4");
  Tensor<float> typed = ones<float>({1, 1, 3, 3});
  static_assert(std::is_same_v<decltype(conv2d(typed, typed)), Tensor<float>>);
}
