#include "gradus/data/collate.h"

#include <cstring>

#include "gradus/data/dataset.h"

namespace gradus::data::detail {

void check_index(const char* who, int64_t i, int64_t size) {
  if (i < 0 || i >= size)
    throw IndexError(std::string(who) + ": sample " + std::to_string(i) + " is outside [0, " + std::to_string(size) + ")");
}

AnyTensor stack_samples(std::span<const AnyTensor> samples) {
  if (samples.empty()) return {};
  for (size_t i = 0; i < samples.size(); ++i) {
    const std::string at = "collate: sample " + std::to_string(i) + " of the batch ";
    if (!samples[i].defined()) throw ValueError(at + "is an undefined tensor");
    if (!(samples[i].shape() == samples[0].shape()))
      throw ShapeError(at + "has shape " + to_string(samples[i].shape()) + ", the first has " + to_string(samples[0].shape()) +
                       "; give the loader a collate function that pads or crops");
    if (samples[i].dtype() != samples[0].dtype())
      throw DTypeError(at + "is " + name(samples[i].dtype()) + ", the first is " + name(samples[0].dtype()));
  }
  Shape shape = samples[0].shape();
  if (shape.rank == Shape::kMaxRank)
    throw ShapeError("collate: samples of shape " + to_string(shape) + " leave no axis for the batch");
  shape.insert(0, int64_t(samples.size()));
  AnyTensor batch = empty(shape, samples[0].dtype(), kCPU);
  const size_t bytes = size_t(samples[0].numel()) * item_size(samples[0].dtype());
  char* to = static_cast<char*>(batch.raw_data());
  for (const AnyTensor& sample : samples) {
    AnyTensor row = sample.detach().to(kCPU).contiguous();
    if (bytes) std::memcpy(to, row.raw_data(), bytes);
    to += bytes;
  }
  return batch;
}

AnyTensor gather_rows(const AnyTensor& x, std::span<const int64_t> indices) {
  Shape shape = x.shape();
  shape[0] = int64_t(indices.size());
  AnyTensor rows = empty(shape, x.dtype(), kCPU);
  const size_t bytes = x.shape()[0] ? size_t(x.numel() / x.shape()[0]) * item_size(x.dtype()) : 0;
  const char* from = static_cast<const char*>(x.raw_data());
  char* to = static_cast<char*>(rows.raw_data());
  for (int64_t i : indices) {
    check_index("dataset", i, x.shape()[0]);
    if (bytes) std::memcpy(to, from + size_t(i) * bytes, bytes);
    to += bytes;
  }
  return rows;
}

AnyTensor numbers(const void* values, int64_t count, DType dtype) {
  return gradus::detail::from_values(values, size_t(count), {count}, dtype);
}

}  // namespace gradus::data::detail
