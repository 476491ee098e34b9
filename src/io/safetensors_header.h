// The header of a safetensors file: eight bytes of length, then JSON that says each tensor's dtype, shape and place.
#pragma once
#include <string>
#include <vector>

#include "gradus/core/shape.h"
#include "gradus/io/safetensors.h"

namespace gradus::io {

inline constexpr size_t kLengthBytes = 8;
inline constexpr size_t kLongestHeader = 100'000'000;  // the format's own limit

struct Entry {
  std::string name;
  DType dtype{};
  Shape shape;
  uint64_t begin = 0, end = 0;  // bytes, counted from the end of the header
};
struct Header {
  std::vector<Entry> entries;  // by place: each begins where the one before ends
  Metadata metadata;
};

/// Reads the JSON of a header that is followed by `data_bytes` bytes, and checks everything that it claims. Throws IoError.
Header parse_header(const char* json, size_t length, uint64_t data_bytes, const std::string& file);
/// Length and JSON, padded so that the data that follow are aligned. `order` is the order in which the tensors' bytes must be written.
std::string format_header(const NamedTensors& tensors, const Metadata& metadata, std::vector<size_t>& order);

}  // namespace gradus::io
