// CIFAR-10: 32 x 32 colour images of ten kinds of things.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "gradus/data/mnist.h"

namespace gradus::data {

struct Cifar10Options {
  // Pixels become (value / 255 - mean) / deviation, for red, green and blue.
  float mean[3] = {0.4914f, 0.4822f, 0.4465f}, deviation[3] = {0.2470f, 0.2435f, 0.2616f};
};

/// Images as float (3, 32, 32) and their classes. The folder holds the binary version of the data set, data_batch_1.bin to
/// data_batch_5.bin and test_batch.bin, or a folder cifar-10-batches-bin that does, as it comes out of cifar-10-binary.tar.gz. Files
/// may hold any number of images. Copies share the images. Throws IoError for files that are missing or not what they should be.
///   data::Cifar10 train("data", data::train);
class Cifar10 {
 public:
  Cifar10(const std::string& folder, Split split, const Cifar10Options& options = {});

  int64_t size() const { return labels_.numel(); }
  std::pair<Tensor<float>, int64_t> get(int64_t i) const;
  /// (N, 3, 32, 32) and (N).
  std::pair<Tensor<float>, Tensor<int64_t>> get_batch(std::span<const int64_t> indices) const;

  /// The pixels as stored, (N, 3, 32, 32), and the classes, (N).
  const Tensor<uint8_t>& images() const { return images_; }
  const Tensor<int64_t>& labels() const { return labels_; }
  /// "airplane", "automobile", ...
  static const std::vector<std::string>& class_names();

 private:
  void normalize(float* to, int64_t image) const;

  Tensor<uint8_t> images_;
  Tensor<int64_t> labels_;
  std::vector<float> value_of_;  // of each value of each colour
};

}  // namespace gradus::data
