// Augmentations: what they do to pixels, how often, and that workers change nothing.
#include <set>

#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

/// Numbers that are all different, from 1 on.
Tensor<float> numbered(const Shape& shape) { return arange<float>(shape.numel()).reshape(shape) + 1.f; }

}  // namespace

TEST(RandomCrop, CutsAWindowOutOfThePaddedImage) {
  Tensor<float> x = numbered({2, 5, 4}), padded = pad(x, {3, 3, 2, 2});
  Generator g(1);
  std::set<std::pair<int64_t, int64_t>> seen;
  for (int draw = 0; draw < 400; ++draw) {
    Generator same(99);
    same.set_state(g.state());
    Tensor<float> y = data::RandomCrop{.size = {4, 6}, .padding = {2, 3}}(x, g);
    ASSERT_EQ(y.shape(), (Shape{2, 4, 6}));
    const int64_t top = same.below(6), left = same.below(5);
    ASSERT_EQ(distance(y, padded(_, slice(top, top + 4), slice(left, left + 6))), 0) << top << " " << left;
    seen.insert({top, left});
  }
  EXPECT_EQ(seen.size(), 30u);  // every place
  EXPECT_EQ(distance(data::RandomCrop{.size = {5, 4}}(x, g), x), 0);
}

TEST(RandomCrop, FillsAndTakesAnyDtypeAndLayout) {
  Tensor<uint8_t> x = full<uint8_t>({6, 6}, 7);
  Generator g(2);
  for (int draw = 0; draw < 30; ++draw) {
    Tensor<uint8_t> y = data::RandomCrop{.size = 12, .padding = 3, .fill = 9}(x, g);  // the whole of it
    EXPECT_EQ(y.sum().item(), 36 * 7 + 108 * 9);
    EXPECT_EQ(y(slice(3, 9), slice(3, 9)).sum().item(), 36 * 7);
    Tensor<uint8_t> outside = data::RandomCrop{.size = 1, .padding = 30, .fill = 9}(x, g);
    EXPECT_TRUE(outside.item() == 9 || outside.item() == 7);
  }
  Tensor<double> turned = Tensor<double>(draw({3, 4, 5})).permute({0, 2, 1});
  EXPECT_EQ(distance(data::RandomCrop{.size = {5, 4}}(turned, g), turned), 0);
}

TEST(RandomFlips, TurnImagesHalfOfTheTime) {
  Tensor<float> x = numbered({2, 3, 5});
  Generator g(3);
  int flipped = 0, upside_down = 0;
  for (int draw = 0; draw < 1000; ++draw) {
    Tensor<float> y = data::RandomHorizontalFlip()(x, g), z = data::RandomVerticalFlip{.p = 0.25}(x, g);
    const bool turned = y.data()[0] != 1, over = z.data()[0] != 1;
    flipped += turned, upside_down += over;
    ASSERT_EQ(distance(y, turned ? flip(x, 2) : x), 0);
    ASSERT_EQ(distance(z, over ? flip(x, 1) : x), 0);
  }
  EXPECT_NEAR(flipped, 500, 80);  // five standard deviations
  EXPECT_NEAR(upside_down, 250, 69);
  for (int draw = 0; draw < 20; ++draw) {
    EXPECT_EQ(distance(data::RandomHorizontalFlip{.p = 0}(x, g), x), 0);
    EXPECT_EQ(distance(data::RandomHorizontalFlip{.p = 1}(x, g), flip(x, 2)), 0);
  }
}

TEST(Normalize, EachChannelByItself) {
  Tensor<float> x = numbered({3, 2, 2}), y = data::Normalize{.mean = {1, 2, 3}, .deviation = {1, 2, 4}}(x);
  for (int c = 0; c < 3; ++c)
    for (int i = 0; i < 4; ++i) EXPECT_FLOAT_EQ(y.data()[4 * c + i], (float(4 * c + i + 1) - float(c + 1)) / float(1 << c));
  Tensor<half> batch = numbered({2, 3, 2, 2}).to<half>();
  EXPECT_EQ(data::Normalize({{1, 2, 3}, {1, 2, 4}})(batch).shape(), batch.shape());
}

TEST(Augment, BatchesDoNotDependOnWorkers) {
  Tensor<float> images = numbered({20, 3, 8, 8});
  auto epochs = [&](int workers) {
    auto dataset = data::augment(data::TensorDataset(images, arange(20)), data::RandomCrop{.size = 8, .padding = 2},
                                 data::RandomHorizontalFlip(), data::Normalize{.mean = {1, 1, 1}, .deviation = {2, 2, 2}});
    data::DataLoader loader(dataset, {.batch_size = 6, .shuffle = true, .workers = workers, .seed = 5});
    std::vector<std::vector<float>> batches;
    for (int epoch = 0; epoch < 2; ++epoch)
      for (auto& [x, y] : loader) batches.push_back(x.vector());
    return batches;
  };
  const auto alone = epochs(0);
  EXPECT_EQ(alone.size(), 8u);
  EXPECT_EQ(epochs(1), alone);
  EXPECT_EQ(epochs(3), alone);
  EXPECT_EQ(std::set<std::vector<float>>(alone.begin(), alone.end()).size(), 8u);
  EXPECT_EQ(distance(images, numbered({20, 3, 8, 8})), 0) << "the dataset's own images stay as they are";
}

TEST(Transforms, SayWhatIsWrong) {
  Generator g(1);
  Tensor<float> x = numbered({3, 4, 4}), row = numbered({4});
  EXPECT_EQ(message_of<ShapeError>([&] { data::RandomCrop{.size = 7, .padding = 1}(x, g); }),
            "RandomCrop: 7 x 7 cannot be cut out of [3, 4, 4] with padding 1 and 1");
  EXPECT_EQ(message_of<ShapeError>([&] { data::RandomCrop{.size = 4, .padding = -1}(x, g); }),
            "RandomCrop: 4 x 4 cannot be cut out of [3, 4, 4] with padding -1 and -1");
  EXPECT_EQ(message_of<ShapeError>([&] { data::RandomHorizontalFlip()(row, g); }),
            "RandomHorizontalFlip: an image has at least two axes, this one is [4]");
  EXPECT_NE(message_of<ValueError>([&] { data::RandomVerticalFlip{.p = 1.5}(x, g); }).find("outside [0, 1]"), std::string::npos);
  EXPECT_EQ(message_of<ShapeError>([&] {
              data::Normalize({{1, 2}, {1, 2}})(x);
            }),
            "Normalize: 2 means and 2 deviations for an image of shape [3, 4, 4]");
  EXPECT_EQ(message_of<ValueError>([&] {
              data::Normalize({{1, 2, 3}, {1, 0, 2}})(x);
            }),
            "Normalize: the deviation of channel 1 is not positive");
  EXPECT_NE(message_of<DTypeError>([&] {
              data::Normalize({{1}, {1}})(zeros<uint8_t>({1, 2, 2}));
            }).find("uint8"),
            std::string::npos);
  EXPECT_EQ(message_of<ValueError>([&] { data::RandomHorizontalFlip()(Tensor<float>(), g); }),
            "RandomHorizontalFlip: the image is undefined");
}
