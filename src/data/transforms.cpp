#include "gradus/data/transforms.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "gradus/ops/create.h"
#include "gradus/ops/elementwise.h"

namespace gradus::data::detail {
namespace {

/// Row-major on the CPU, without a graph.
AnyTensor image(const char* who, const AnyTensor& x) {
  if (!x.defined()) throw ValueError(std::string(who) + ": the image is undefined");
  if (x.dim() < 2) throw ShapeError(std::string(who) + ": an image has at least two axes, this one is " + to_string(x.shape()));
  if (x.device() != kCPU) throw DeviceError(std::string(who) + ": the image is on " + to_string(x.device()) + ", not on the CPU");
  return x.detach().contiguous();
}

}  // namespace

AnyTensor random_crop(const AnyTensor& x, Pair size, Pair padding, double fill, Generator& g) {
  const AnyTensor from = image("RandomCrop", x);
  const int64_t height = from.size(-2), width = from.size(-1);
  const int64_t rows = height + 2 * padding.height - size.height,
                columns = width + 2 * padding.width - size.width;  // that are left over
  if (padding.height < 0 || padding.width < 0 || size.height < 1 || size.width < 1 || rows < 0 || columns < 0)
    throw ShapeError("RandomCrop: " + std::to_string(size.height) + " x " + std::to_string(size.width) + " cannot be cut out of " +
                     to_string(x.shape()) + " with padding " + std::to_string(padding.height) + " and " +
                     std::to_string(padding.width));
  // In the image, where the window begins: draws come first and always, so that the stream does not depend on sizes.
  const int64_t top = g.below(rows + 1) - padding.height, left = g.below(columns + 1) - padding.width;
  Shape shape = from.shape();
  shape[shape.rank - 2] = size.height, shape[shape.rank - 1] = size.width;
  const bool inside = top >= 0 && left >= 0 && top + size.height <= height && left + size.width <= width;
  AnyTensor y = inside ? empty(shape, from.dtype(), kCPU) : full(shape, fill, from.dtype(), kCPU);
  const int64_t first = std::max<int64_t>(0, left), last = std::min(width, left + size.width);
  const int64_t item = int64_t(item_size(from.dtype())), planes = y.numel() / (size.height * size.width);
  if (first >= last) return y;
  for (int64_t plane = 0; plane < planes; ++plane)
    for (int64_t row = std::max<int64_t>(0, -top); row < size.height && top + row < height; ++row)
      std::memcpy(static_cast<char*>(y.raw_data()) + ((plane * size.height + row) * size.width + first - left) * item,
                  static_cast<const char*>(from.raw_data()) + ((plane * height + top + row) * width + first) * item,
                  size_t((last - first) * item));
  return y;
}

AnyTensor random_flip(const AnyTensor& x, double p, bool upside_down, Generator& g) {
  const char* who = upside_down ? "RandomVerticalFlip" : "RandomHorizontalFlip";
  if (!(p >= 0 && p <= 1)) throw ValueError(std::string(who) + ": p is " + std::to_string(p) + ", outside [0, 1]");
  const AnyTensor from = image(who, x);
  if (g.uniform() >= p) return from;
  AnyTensor y = empty(from.shape(), from.dtype(), kCPU);
  const int64_t width = from.size(-1), height = from.size(-2), item = int64_t(item_size(from.dtype()));
  const int64_t lines = from.numel() ? from.numel() / width : 0;
  const char* source = static_cast<const char*>(from.raw_data());
  char* to = static_cast<char*>(y.raw_data());
  for (int64_t line = 0; line < lines; ++line)
    if (upside_down) {
      const int64_t plane = line / height, row = line % height;
      std::memcpy(to + line * width * item, source + (plane * height + height - 1 - row) * width * item, size_t(width * item));
    } else {
      for (int64_t i = 0; i < width; ++i)
        std::memcpy(to + (line * width + i) * item, source + (line * width + width - 1 - i) * item, size_t(item));
    }
  return y;
}

AnyTensor normalize(const AnyTensor& x, const std::vector<double>& mean, const std::vector<double>& deviation) {
  const AnyTensor from = image("Normalize", x);
  if (!is_float(from.dtype()))
    throw DTypeError(std::string("Normalize: the image is ") + name(from.dtype()) +
                     ", not floating point; cast it with to<float>()");
  if (from.dim() < 3 || from.size(-3) != int64_t(mean.size()) || mean.size() != deviation.size())
    throw ShapeError("Normalize: " + std::to_string(mean.size()) + " means and " + std::to_string(deviation.size()) +
                     " deviations for an image of shape " + to_string(x.shape()));
  AnyTensor shift = empty({int64_t(mean.size()), 1, 1}, DType::float64, kCPU), scale = empty_like(shift);
  for (size_t c = 0; c < mean.size(); ++c) {
    if (!(deviation[c] > 0)) throw ValueError("Normalize: the deviation of channel " + std::to_string(c) + " is not positive");
    static_cast<double*>(shift.raw_data())[c] = mean[c], static_cast<double*>(scale.raw_data())[c] = deviation[c];
  }
  return (from - shift.to(from.dtype())) / scale.to(from.dtype());
}

}  // namespace gradus::data::detail
