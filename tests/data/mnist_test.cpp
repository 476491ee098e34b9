// Mnist on small files made here, and on the real ones where they are installed.
#include "tests/check.h"
#include "tests/data/files.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

constexpr const char* kFashion = "/usr/share/datasets/fashion-mnist";

Bytes pixels(size_t images) {
  Bytes bytes(images * 784);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = uint8_t(i * 31 >> 3);
  return bytes;
}

void write_digits(const Folder& folder, uint32_t count) {
  Bytes labels;
  for (uint32_t i = 0; i < count; ++i) labels.push_back(uint8_t(i % 10));
  folder.write("train-images-idx3-ubyte", idx(0x08, {count, 28, 28}, pixels(count)));
  folder.write("train-labels-idx1-ubyte.gz", gzip(idx(0x08, {count}, labels)));
}

}  // namespace

TEST(Mnist, NormalisesImages) {
  Folder folder;
  write_digits(folder, 12);
  data::Mnist mnist(folder.path(), data::train);
  EXPECT_EQ(mnist.size(), 12);
  EXPECT_EQ(mnist.class_names()[9], "9");
  auto [image, label] = mnist.get(11);
  EXPECT_EQ(label, 1);
  ASSERT_EQ(image.shape(), (Shape{1, 28, 28}));
  const Bytes raw = pixels(12);
  for (int i = 0; i < 784; ++i) ASSERT_FLOAT_EQ(image.data()[i], (raw[size_t(11 * 784 + i)] / 255.f - 0.1307f) / 0.3081f);

  const std::vector<int64_t> some = {11, 0};
  auto [images, labels] = mnist.get_batch(some);
  EXPECT_EQ(images.shape(), (Shape{2, 1, 28, 28}));
  EXPECT_EQ(distance(images.select(0, 0), image), 0);
  EXPECT_EQ(labels.vector(), (std::vector<int64_t>{1, 0}));

  data::Mnist plain(folder.path(), data::train, {.mean = 0, .deviation = 1});
  EXPECT_EQ(plain.get(0).first.data()[5], float(raw[5]) / 255);
  EXPECT_EQ(message_of<IndexError>([&] { mnist.get(12); }), "Mnist: sample 12 is outside [0, 12)");
  EXPECT_NE(message_of<ValueError>([&] { data::Mnist(folder.path(), data::train, {.deviation = 0}); }).find("deviation 0"),
            std::string::npos);
}

TEST(Mnist, IsReadInTheLoopOfTheReadme) {
  Folder folder;
  write_digits(folder, 10);
  data::DataLoader train(data::Mnist(folder.path(), data::train), {.batch_size = 4, .shuffle = true, .workers = 2});
  int64_t seen = 0;
  for (auto [x, y] : progress(train, "epoch 1")) {
    static_assert(std::is_same_v<decltype(x), Tensor<float>> && std::is_same_v<decltype(y), Tensor<int64_t>>);
    EXPECT_EQ(x.shape(), (Shape{y.numel(), 1, 28, 28}));
    seen += y.numel();
  }
  EXPECT_EQ(seen, 10);
}

TEST(Mnist, SaysWhichFileIsWrong) {
  Folder folder;
  const std::string images = folder.path("train-images-idx3-ubyte"), labels = folder.path("train-labels-idx1-ubyte");
  auto refused = [&] { return message_of<IoError>([&] { data::Mnist(folder.path(), data::train); }); };
  EXPECT_EQ(refused(),
            "Mnist: there is neither " + images + " nor " + images + ".gz; did you mean another folder, or {.download = true}?");
  folder.write("train-images-idx3-ubyte", idx(0x08, {2, 28, 28}, pixels(2)));
  folder.write("train-labels-idx1-ubyte", idx(0x08, {3}, {1, 2, 3}));
  EXPECT_EQ(refused(), "Mnist: " + images + " holds 2 images, " + labels + " 3 labels");
  folder.write("train-labels-idx1-ubyte", idx(0x09, {2}, {1, 2}));
  EXPECT_EQ(refused(), "Mnist: " + labels + " holds int8 [2], not one uint8 per image");
  folder.write("train-labels-idx1-ubyte", idx(0x08, {2}, {1, 2}));
  folder.write("train-images-idx3-ubyte", idx(0x08, {2, 32, 32}, Bytes(2048)));
  EXPECT_EQ(refused(), "Mnist: " + images + " holds uint8 [2, 32, 32], not 28 x 28 images of uint8");
  folder.write("train-images-idx3-ubyte", idx(0x08, {3, 28, 28}, pixels(2)));
  EXPECT_EQ(refused(), "IDX file " + images + ": its header announces 2352 bytes of uint8 [3, 28, 28], but 1568 follow");
}

TEST(Mnist, FashionIsRecognised) {
  if (!std::filesystem::exists(kFashion)) GTEST_SKIP() << "dataset-fashion-mnist is not installed";
  data::Mnist test(kFashion, data::test), train(kFashion, data::train);
  EXPECT_EQ(test.size(), 10000);
  EXPECT_EQ(train.size(), 60000);
  EXPECT_EQ(test.class_names()[size_t(test.get(0).second)], "Ankle boot");
  EXPECT_EQ(train.class_names()[size_t(train.get(1).second)], "T-shirt/top");
  double sum = 0, squares = 0;  // normalised: mean 0 and deviation 1 over the training set
  std::vector<int64_t> all(60000);
  for (size_t i = 0; i < all.size(); ++i) all[i] = int64_t(i);
  for (size_t i = 0; i < all.size(); i += 1000) {
    const auto [x, y] = train.get_batch(std::span<const int64_t>(all).subspan(i, 1000));
    for (int64_t k = 0; k < x.numel(); ++k) sum += x.data()[k], squares += double(x.data()[k]) * x.data()[k];
  }
  EXPECT_NEAR(sum / 47040000, 0, 1e-3);
  EXPECT_NEAR(squares / 47040000, 1, 1e-3);
}
