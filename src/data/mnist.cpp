#include "gradus/data/mnist.h"

#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>

#include "gradus/data/collate.h"
#include "gradus/data/idx.h"
#include "gradus/io/download.h"

namespace gradus::data {
namespace {

constexpr int64_t kSide = 28, kPixels = kSide * kSide;

struct Known {
  const char *file, *digits, *fashion;  // SHA-256 of the unpacked file in MNIST and in Fashion-MNIST
};
constexpr Known kFiles[2][2] = {{{"train-images-idx3-ubyte", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                                  "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"},
                                 {"train-labels-idx1-ubyte", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                                  "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"}},
                                {{"t10k-images-idx3-ubyte", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                                  "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"},
                                 {"t10k-labels-idx1-ubyte", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
                                  "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"}}};
constexpr const char* kDigitsUrl = "https://ossci-datasets.s3.amazonaws.com/mnist/";
constexpr const char* kFashionUrl = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/";
// CRC-32 of Fashion-MNIST's labels, by which it is known whatever its folder is called.
constexpr uLong kFashionLabels[2] = {0x2ed6e46a, 0x242bc73f};

std::string find(const std::string& folder, const Known& known, const MnistOptions& options) {
  const std::string path = folder + "/" + known.file;
  std::string dotted = path;  // some unpackers write train-images.idx3-ubyte
  dotted[dotted.rfind("-idx")] = '.';
  for (const std::string& name : {path, path + ".gz", dotted, dotted + ".gz"})
    if (access(name.c_str(), F_OK) == 0) return name;
  if (!options.download)
    throw IoError("Mnist: there is neither " + path + " nor " + path + ".gz; did you mean another folder, or {.download = true}?");
  const std::string packed = std::string(known.file) + ".gz";
  io::download((options.fashion ? kFashionUrl : kDigitsUrl) + packed, folder + "/" + packed,
               {.sha256 = options.fashion ? known.fashion : known.digits, .max_bytes = 1 << 26, .timeout_s = 600});
  return path + ".gz";
}

}  // namespace

Mnist::Mnist(const std::string& folder, Split split, const MnistOptions& options) {
  const std::string images_path = find(folder, kFiles[split][0], options), labels_path = find(folder, kFiles[split][1], options);
  AnyTensor labels = read_idx(labels_path), images = read_idx(images_path);
  auto refuse = [](const std::string& path, const AnyTensor& x, const std::string& wanted) {
    throw IoError("Mnist: " + path + " holds " + name(x.dtype()) + " " + to_string(x.shape()) + ", not " + wanted);
  };
  if (labels.dim() != 1 || labels.dtype() != DType::uint8) refuse(labels_path, labels, "one uint8 per image");
  if (images.dim() != 3 || images.shape()[1] != kSide || images.shape()[2] != kSide || images.dtype() != DType::uint8)
    refuse(images_path, images, "28 x 28 images of uint8");
  if (images.shape()[0] != labels.shape()[0])
    throw IoError("Mnist: " + images_path + " holds " + std::to_string(images.shape()[0]) + " images, " + labels_path + " " +
                  std::to_string(labels.shape()[0]) + " labels");
  const auto* classes = static_cast<const Bytef*>(labels.raw_data());
  const bool fashion = crc32(0, classes, uInt(labels.numel())) == kFashionLabels[split];
  images_ = Tensor<uint8_t>(images);
  labels_ = Tensor<uint8_t>(labels).to<int64_t>();

  if (fashion) {
    class_names_ = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"};
  } else {
    const int last = labels.numel() ? *std::max_element(classes, classes + labels.numel()) : 0;
    for (int i = 0; i <= std::max(last, 9); ++i) class_names_.push_back(std::to_string(i));
  }
  const float mean = options.mean.value_or(fashion ? 0.2860f : 0.1307f),
              deviation = options.deviation.value_or(fashion ? 0.3530f : 0.3081f);
  if (!(deviation > 0) || !std::isfinite(mean))
    throw ValueError("Mnist: mean " + std::to_string(mean) + " and deviation " + std::to_string(deviation));
  for (int i = 0; i < 256; ++i) value_of_[i] = (float(i) / 255 - mean) / deviation;
}

void Mnist::normalize(float* to, int64_t image) const {
  detail::check_index("Mnist", image, size());
  const uint8_t* from = images_.data() + image * kPixels;
  for (int64_t i = 0; i < kPixels; ++i) to[i] = value_of_[from[i]];
}

std::pair<Tensor<float>, int64_t> Mnist::get(int64_t i) const {
  Tensor<float> image(empty({1, kSide, kSide}, DType::float32, kCPU));
  normalize(image.data(), i);
  return {image, labels_.data()[i]};
}

std::pair<Tensor<float>, Tensor<int64_t>> Mnist::get_batch(std::span<const int64_t> indices) const {
  Tensor<float> images(empty({int64_t(indices.size()), 1, kSide, kSide}, DType::float32, kCPU));
  for (size_t i = 0; i < indices.size(); ++i) normalize(images.data() + int64_t(i) * kPixels, indices[i]);
  return {images, Tensor<int64_t>(detail::gather_rows(labels_, indices))};
}

}  // namespace gradus::data
