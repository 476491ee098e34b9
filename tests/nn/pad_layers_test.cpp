// Padding layers are pad() with what they were made with.
#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

DEVICE_TEST(PadLayers, AreTheirFunction) {
  AnyTensor row = draw({2, 3, 5}), image = draw({2, 3, 5, 4}), volume = draw({1, 2, 3, 4, 5});
  const std::vector<int64_t> two{2, 1}, four{1, 2, 0, 3}, six{1, 1, 2, 0, 0, 1};
  auto same = [](const AnyTensor& got, const AnyTensor& wanted) { EXPECT_EQ(distance(got, wanted), 0); };
  same(nn::ZeroPad1d(2)(row), pad(row, {2, 2}));
  same(nn::ZeroPad1d(two)(row), pad(row, two));
  same(nn::ZeroPad2d({1, 2, 0, 3})(image), pad(image, four));
  same(nn::ZeroPad3d(six)(volume), pad(volume, six));
  same(nn::ReflectionPad1d(two)(row), pad(row, two, PadMode::reflect));
  same(nn::ReflectionPad2d(2)(image), pad(image, {2, 2, 2, 2}, PadMode::reflect));
  same(nn::ReflectionPad3d(1)(volume), pad(volume, {1, 1, 1, 1, 1, 1}, PadMode::reflect));
  same(nn::ReplicationPad1d(two)(row), pad(row, two, PadMode::replicate));
  same(nn::ReplicationPad2d(four)(image), pad(image, four, PadMode::replicate));
  same(nn::ReplicationPad3d(six)(volume), pad(volume, six, PadMode::replicate));
  same(nn::CircularPad1d(two)(row), pad(row, two, PadMode::circular));
  same(nn::CircularPad2d(four)(image), pad(image, four, PadMode::circular));
  same(nn::CircularPad3d(six)(volume), pad(volume, six, PadMode::circular));
  same(nn::ConstantPad1d(1, 2.5)(row), pad(row, {1, 1}, PadMode::constant, 2.5));
  same(nn::ConstantPad2d({1, 2, 0, 3}, -1)(image), pad(image, four, PadMode::constant, -1));
  same(nn::ConstantPad3d(six, 7)(volume), pad(volume, six, PadMode::constant, 7));
  Tensor<float> y = nn::ZeroPad2d(1)(Tensor<float>(draw({1, 2, 3}).to(DType::float32)));
  EXPECT_EQ(to_string(y.shape()), "[1, 4, 5]");
  EXPECT_EQ(nn::type_name(nn::ZeroPad2d(1)), "ZeroPad2d");
  nn::Sequential net(nn::ReflectionPad2d(1), nn::Conv2d({.in = 3, .out = 2, .kernel = 3}));
  EXPECT_EQ(to_string(net(image.to(DType::float32)).shape()), "[2, 2, 5, 4]");
}
DEVICE_TEST(PadLayers, WrongAmounts) {
  EXPECT_EQ(message_of<ValueError>([] {
              nn::ZeroPad2d({1, 2});
            }),
            "ZeroPad2d: got 2 amounts; 4 are needed, before and after each axis from the last");
  message_of<ValueError>([] { nn::ConstantPad1d({1, 2, 3, 4}, 0); });
  message_of<ShapeError>([] { nn::ReflectionPad1d(5)(draw({2, 3})); });
}
