// Pixels, channels and windows in other places: each against loops over indices, its inverse or adjoint, gradients, wrong shapes.
#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

DEVICE_TEST(Rearrange, PixelsAndChannels) {
  AnyTensor x = draw({2, 12, 3, 4}).requires_grad_(), y = pixel_shuffle(x, 2);
  ASSERT_EQ(to_string(y.shape()), "[2, 3, 6, 8]");
  std::vector<double> v = values(x), got = values(y);
  for (int64_t n = 0, at = 0; n < 2; ++n)
    for (int64_t c = 0; c < 3; ++c)
      for (int64_t i = 0; i < 6; ++i)
        for (int64_t j = 0; j < 8; ++j)
          EXPECT_EQ(got[size_t(at++)], v[size_t(((n * 12 + c * 4 + i % 2 * 2 + j % 2) * 3 + i / 2) * 4 + j / 2)]);
  EXPECT_EQ(distance(pixel_unshuffle(y, 2), x), 0);
  EXPECT_EQ(distance(pixel_shuffle(x.select(0, 1), 2), y.select(0, 1)), 0);
  EXPECT_EQ(to_string(pixel_shuffle(draw({1, 0, 2, 2}), 2).shape()), "[1, 0, 4, 4]");
  AnyTensor dealt = channel_shuffle(x, 3);
  for (int64_t c = 0; c < 12; ++c) EXPECT_EQ(distance(dealt.select(1, c), x.select(1, c % 3 * 4 + c / 3)), 0);
  EXPECT_EQ(distance(channel_shuffle(dealt, 4), x), 0);
  EXPECT_EQ(gradcheck([](const auto& in) { return square(pixel_shuffle(in[0], 2)); }, {x}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return square(pixel_unshuffle(in[0].transpose(2, 3), 1)); }, {x}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return square(channel_shuffle(in[0], 2)); }, {x}), "");
  message_of<ShapeError>([&] { pixel_shuffle(x, 5); });
  message_of<ShapeError>([&] { pixel_unshuffle(x, 2); });
  message_of<ShapeError>([&] { channel_shuffle(x, 5); });
  message_of<ValueError>([&] { pixel_shuffle(x, 0); });
}

DEVICE_TEST(Rearrange, WindowsAreColumns) {
  AnyTensor x = draw({2, 3, 5, 6}).requires_grad_();
  for (const UnfoldOptions& o :
       {UnfoldOptions{.kernel = 2}, UnfoldOptions{.kernel = {2, 3}, .dilation = {1, 2}, .padding = {1, 0}, .stride = {2, 1}},
        UnfoldOptions{.kernel = 3, .dilation = 2, .padding = 2, .stride = 3}}) {
    AnyTensor columns = unfold(x, o), w = draw({4, 3, o.kernel.height, o.kernel.width}, -1, 1, 5);
    AnyTensor y = conv2d(x, w, {}, {.stride = o.stride, .padding = o.padding, .dilation = o.dilation});
    EXPECT_LT(distance(reshape(matmul(flatten(w, 1), columns), y.shape()), y), 1e-14) << "a convolution is a product with columns";
    // <unfold(x), c> = <x, fold(c)>
    AnyTensor c = draw(columns.shape(), -1, 1, 6).requires_grad_();
    EXPECT_NEAR(sum(columns * c).item(), sum(x * fold(c, {5, 6}, o)).item(), 1e-12);
    EXPECT_EQ(gradcheck([&](const auto& in) { return square(unfold(in[0], o)); }, {x}), "");
    EXPECT_EQ(gradcheck([&](const auto& in) { return square(fold(in[0], {5, 6}, o)); }, {c}), "");
    EXPECT_EQ(distance(unfold(x.select(0, 1), o), columns.select(0, 1)), 0);
    EXPECT_EQ(distance(fold(c.select(0, 1), {5, 6}, o), fold(c, {5, 6}, o).select(0, 1)), 0);
  }
  EXPECT_EQ(to_string(unfold(draw({0, 1, 5, 5}), {.kernel = 2}).shape()), "[0, 4, 16]");
  message_of<ShapeError>([&] { unfold(x, {.kernel = 7}); });
  message_of<ShapeError>([&] { unfold(draw({5, 5}), {.kernel = 2}); });
  message_of<ValueError>([&] { unfold(x, {.kernel = 2, .stride = 0}); });
  message_of<ShapeError>([&] { fold(draw({2, 12, 19}), {5, 6}, {.kernel = 2}); });
}

DEVICE_TEST(Rearrange, MaximaGoBack) {
  AnyTensor x = draw({2, 3, 6, 4}).requires_grad_();
  auto [most, where_from] = max_pool2d_with_indices(x, {.kernel = 2});
  AnyTensor y = max_unpool2d(most, where_from, {6, 4});
  EXPECT_EQ(distance(y, where(y != 0, x, 0)), 0);
  EXPECT_EQ(count_nonzero(y).item(), most.numel());
  AnyTensor row = draw({3, 8});
  auto [peaks, places] = max_pool1d_with_indices(row, {.kernel = 2});
  EXPECT_EQ(distance(max_pool1d(max_unpool1d(abs(peaks), places, 8), {.kernel = 2}), abs(peaks)), 0);
  AnyTensor few = draw({2, 3, 3, 2}).requires_grad_();
  EXPECT_EQ(gradcheck([index = where_from](const auto& in) { return square(max_unpool2d(in[0], index, {6, 4})); }, {few}), "");
  message_of<IndexError>([&, p = most, i = where_from] { max_unpool2d(p, i, {3, 3}); });
  message_of<ShapeError>([&, p = most] { max_unpool2d(p, zeros({2}, DType::int64), {6, 4}); });
  message_of<DTypeError>([&, p = most] { max_unpool2d(p, p, {6, 4}); });
}
