// MNIST, Fashion-MNIST, and whatever else comes as 28 x 28 images in IDX files.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gradus/core/tensor.h"
#include "gradus/data/dataset.h"

namespace gradus::data {

enum Split { train, test };

struct MnistOptions {
  bool download = false;  // fetch what is missing in the folder (needs a build with libcurl and OpenSSL)
  bool fashion = false;   // which of the two to fetch
  // Pixels become (value / 255 - mean) / deviation. Unless given, these are 0.1307 and 0.3081, as is usual for MNIST, and 0.2860
  // and 0.3530 where the labels are Fashion-MNIST's.
  std::optional<float> mean = {}, deviation = {};
};

/// Images as float (1, 28, 28) and their classes. The folder holds train-images-idx3-ubyte, train-labels-idx1-ubyte,
/// t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, with or without .gz. Copies share the images. Throws IoError for files
/// that are missing or not what they should be.
///   data::Mnist digits("data/mnist", data::train);
class Mnist {
 public:
  Mnist(const std::string& folder, Split split, const MnistOptions& options = {});

  int64_t size() const { return labels_.numel(); }
  std::pair<Tensor<float>, int64_t> get(int64_t i) const;
  /// (N, 1, 28, 28) and (N).
  std::pair<Tensor<float>, Tensor<int64_t>> get_batch(std::span<const int64_t> indices) const;

  /// The pixels as stored, (N, 28, 28), and the classes, (N).
  const Tensor<uint8_t>& images() const { return images_; }
  const Tensor<int64_t>& labels() const { return labels_; }
  /// "T-shirt/top", "Trouser", ... for Fashion-MNIST, else "0", "1", ...
  const std::vector<std::string>& class_names() const { return class_names_; }

 private:
  void normalize(float* to, int64_t image) const;

  Tensor<uint8_t> images_;
  Tensor<int64_t> labels_;
  std::vector<std::string> class_names_;
  float value_of_[256];  // of each pixel value
};

}  // namespace gradus::data
