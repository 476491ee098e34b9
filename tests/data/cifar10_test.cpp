// Cifar10 on small files made here, good ones and bad ones.
#include "tests/check.h"
#include "tests/data/files.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

/// `count` images; pixel k of image i is (k + 7 i) % 256, its class (i + first) % 10.
Bytes records(int count, int first = 0) {
  Bytes bytes;
  for (int i = 0; i < count; ++i) {
    bytes.push_back(uint8_t((i + first) % 10));
    for (int k = 0; k < 3072; ++k) bytes.push_back(uint8_t(k + 7 * i));
  }
  return bytes;
}

void write_all(const Folder& folder, const std::string& inner = "") {
  if (!inner.empty()) std::filesystem::create_directory(folder.path(inner));
  for (int i = 1; i <= 5; ++i) folder.write(inner + "/data_batch_" + std::to_string(i) + ".bin", records(i, i));
  folder.write(inner + "/test_batch.bin", records(2, 8));
}

}  // namespace

TEST(Cifar10, ReadsRecordsOfAllFiles) {
  for (const char* inner : {"", "cifar-10-batches-bin"}) {
    Folder folder;
    write_all(folder, inner);
    data::Cifar10 train(folder.path(), data::train), test(folder.path(), data::test);
    ASSERT_EQ(train.size(), 15);
    EXPECT_EQ(test.size(), 2);
    EXPECT_EQ(train.labels().vector(), (std::vector<int64_t>{1, 2, 3, 3, 4, 5, 4, 5, 6, 7, 5, 6, 7, 8, 9}));
    EXPECT_EQ(test.labels().vector(), (std::vector<int64_t>{8, 9}));
    EXPECT_EQ(train.images().shape(), (Shape{15, 3, 32, 32}));
    EXPECT_EQ(train.class_names()[9], "truck");

    auto [image, label] = train.get(9);  // the last one of data_batch_4
    EXPECT_EQ(label, 7);
    ASSERT_EQ(image.shape(), (Shape{3, 32, 32}));
    const float mean[] = {0.4914f, 0.4822f, 0.4465f}, deviation[] = {0.2470f, 0.2435f, 0.2616f};
    for (int k = 0; k < 3072; ++k) {
      ASSERT_EQ(train.images().data()[9 * 3072 + k], uint8_t(k + 21));
      ASSERT_FLOAT_EQ(image.data()[k], (float(uint8_t(k + 21)) / 255 - mean[k / 1024]) / deviation[k / 1024]);
    }
    const std::vector<int64_t> some = {9, 0};
    auto [images, labels] = train.get_batch(some);
    EXPECT_EQ(images.shape(), (Shape{2, 3, 32, 32}));
    EXPECT_EQ(distance(images.select(0, 0), image), 0);
    EXPECT_EQ(labels.vector(), (std::vector<int64_t>{7, 1}));
    data::Cifar10 plain(folder.path(), data::test, {.mean = {0, 0, 0}, .deviation = {1, 1, 1}});
    EXPECT_EQ(plain.get(0).first.data()[5], 5.f / 255);
    EXPECT_EQ(message_of<IndexError>([&] { train.get(15); }), "Cifar10: sample 15 is outside [0, 15)");
  }
}

TEST(Cifar10, SaysWhichFileIsWrong) {
  struct Wrong {
    const char* file;
    Bytes content;
    std::string says;
  };
  Bytes bad_class = records(3);
  bad_class[2 * 3073] = 10;
  const Wrong table[] = {
      {"data_batch_3.bin", {}, "is empty"},
      {"data_batch_1.bin", cut(records(2), 1),
       "has 6145 bytes, no whole number of images of 3073; is it cut off, or not the binary version"},
      {"data_batch_5.bin", with(records(2), {1, 2}), "has 6148 bytes, no whole number"},
      {"data_batch_2.bin", {1, 2, 3}, "has 3 bytes, no whole number"},
      {"data_batch_4.bin", bad_class, "says that image 2 is of class 10; there are 10, from 0"},
      {"data_batch_2.bin", gzip(records(2)), "no whole number of images"},
      {"data_batch_1.bin", Bytes(3073, 255), "says that image 0 is of class 255"},
  };
  for (const Wrong& wrong : table) {
    Folder folder;
    write_all(folder);
    folder.write(wrong.file, wrong.content);
    const std::string message = message_of<IoError>([&] { data::Cifar10(folder.path(), data::train); });
    EXPECT_EQ(message.find("Cifar10: " + folder.path(wrong.file) + " "), 0u) << message;
    EXPECT_NE(message.find(wrong.says), std::string::npos) << message;
    EXPECT_EQ(data::Cifar10(folder.path(), data::test).size(), 2) << "the other files are not touched";
  }
}

TEST(Cifar10, MissingAndHugeFiles) {
  Folder folder;
  const std::string first = folder.path("data_batch_1.bin"), inner = folder.path("cifar-10-batches-bin/data_batch_1.bin");
  EXPECT_EQ(
      message_of<IoError>([&] { data::Cifar10(folder.path(), data::train); }),
      "Cifar10: there is neither " + first + " nor " + inner + "; did you unpack cifar-10-binary.tar.gz into another folder?");
  write_all(folder);
  std::filesystem::remove(folder.path("data_batch_4.bin"));
  EXPECT_NE(message_of<IoError>([&] { data::Cifar10(folder.path(), data::train); }).find("data_batch_4.bin"), std::string::npos);
  std::filesystem::resize_file(folder.path("test_batch.bin"), 3073ull * 400000);  // sparse: nothing is on the disk
  EXPECT_NE(message_of<IoError>([&] { data::Cifar10(folder.path(), data::test); }).find("the limit is 1073741824"),
            std::string::npos);
  EXPECT_NE(message_of<ValueError>([&] {
              data::Cifar10(folder.path(), data::train, {.deviation = {1, 0, 1}});
            }).find("deviation 0"),
            std::string::npos);
}
