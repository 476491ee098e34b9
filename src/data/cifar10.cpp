#include "gradus/data/cifar10.h"

#include <unistd.h>

#include <cmath>
#include <cstring>

#include "gradus/data/collate.h"
#include "src/io/file.h"

namespace gradus::data {
namespace {

// A file is a row of records: the class in one byte, then a byte for each pixel, all red ones before all green and all blue ones.
constexpr int64_t kSide = 32, kColours = 3, kPixels = kColours * kSide * kSide, kRecord = 1 + kPixels;
constexpr int kClasses = 10;
constexpr uint64_t kMostBytes = uint64_t{1} << 30;  // of a file; the real ones have 31 MB

struct File {
  std::string path;
  std::vector<uint8_t> records;
  int64_t images() const { return int64_t(records.size()) / kRecord; }
};

File read(const std::string& path) {
  auto fail = [&](const std::string& what) { throw IoError("Cifar10: " + path + " " + what); };
  const io::InputFile file(path);
  const std::string bytes = std::to_string(file.size()) + " bytes";
  if (file.size() > kMostBytes) fail("has " + bytes + "; the limit is " + std::to_string(kMostBytes));
  if (file.size() == 0) fail("is empty");
  if (file.size() % kRecord)
    fail("has " + bytes + ", no whole number of images of " + std::to_string(kRecord) +
         "; is it cut off, or not the binary version of CIFAR-10?");
  File f{path, std::vector<uint8_t>(file.size())};
  file.read(f.records.data(), f.records.size(), 0);
  for (int64_t i = 0; i < f.images(); ++i)
    if (const int label = f.records[size_t(i * kRecord)]; label >= kClasses)
      fail("says that image " + std::to_string(i) + " is of class " + std::to_string(label) + "; there are " +
           std::to_string(kClasses) + ", from 0");
  return f;
}

bool exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

}  // namespace

Cifar10::Cifar10(const std::string& folder, Split split, const Cifar10Options& options) {
  for (int c = 0; c < kColours; ++c)
    if (!(options.deviation[c] > 0) || !std::isfinite(options.mean[c]))
      throw ValueError("Cifar10: mean " + std::to_string(options.mean[c]) + " and deviation " +
                       std::to_string(options.deviation[c]));
  const std::string first = split == data::train ? "data_batch_1.bin" : "test_batch.bin", inner = folder + "/cifar-10-batches-bin";
  const bool nested = !exists(folder + "/" + first) && exists(inner + "/" + first);
  if (!nested && !exists(folder + "/" + first))
    throw IoError("Cifar10: there is neither " + folder + "/" + first + " nor " + inner + "/" + first +
                  "; did you unpack cifar-10-binary.tar.gz into another folder?");
  std::vector<File> files;
  int64_t count = 0;
  for (int i = 1; i <= (split == data::train ? 5 : 1); ++i) {
    const std::string name = split == data::train ? "data_batch_" + std::to_string(i) + ".bin" : first;
    files.push_back(read((nested ? inner : folder) + "/" + name));
    count += files.back().images();
  }

  images_ = Tensor<uint8_t>(empty({count, kColours, kSide, kSide}, DType::uint8, kCPU));
  labels_ = Tensor<int64_t>(empty({count}, DType::int64, kCPU));
  int64_t at = 0;
  for (const File& file : files)
    for (int64_t i = 0; i < file.images(); ++i, ++at) {
      const uint8_t* record = file.records.data() + i * kRecord;
      labels_.data()[at] = record[0];
      std::memcpy(images_.data() + at * kPixels, record + 1, size_t(kPixels));
    }
  for (int c = 0; c < kColours; ++c)
    for (int i = 0; i < 256; ++i) value_of_.push_back((float(i) / 255 - options.mean[c]) / options.deviation[c]);
}

void Cifar10::normalize(float* to, int64_t image) const {
  detail::check_index("Cifar10", image, size());
  const uint8_t* from = images_.data() + image * kPixels;
  for (int c = 0; c < kColours; ++c)
    for (int64_t i = 0; i < kSide * kSide; ++i) *to++ = value_of_[size_t(c) * 256 + *from++];
}

std::pair<Tensor<float>, int64_t> Cifar10::get(int64_t i) const {
  Tensor<float> image(empty({kColours, kSide, kSide}, DType::float32, kCPU));
  normalize(image.data(), i);
  return {image, labels_.data()[i]};
}

std::pair<Tensor<float>, Tensor<int64_t>> Cifar10::get_batch(std::span<const int64_t> indices) const {
  Tensor<float> images(empty({int64_t(indices.size()), kColours, kSide, kSide}, DType::float32, kCPU));
  for (size_t i = 0; i < indices.size(); ++i) normalize(images.data() + int64_t(i) * kPixels, indices[i]);
  return {images, Tensor<int64_t>(detail::gather_rows(labels_, indices))};
}

const std::vector<std::string>& Cifar10::class_names() {
  static const std::vector<std::string> names = {"airplane", "automobile", "bird",  "cat",  "deer",
                                                 "dog",      "frog",       "horse", "ship", "truck"};
  return names;
}

}  // namespace gradus::data
