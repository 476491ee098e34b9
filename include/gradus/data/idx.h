// IDX files: arrays as MNIST's makers stored them, gzip or not.
#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "gradus/core/any_tensor.h"

namespace gradus::data {

struct IdxLimits {
  int64_t max_bytes = int64_t{1} << 30;  // of the array; a file that announces more is refused before anything is allocated
};

/// The array in a file: uint8, int8, int16, int32, float or double, in the machine's byte order. A file whose content begins with
/// gzip's magic number is unpacked. Throws IoError, naming the file and what is wrong with it: not there, not IDX, shorter or
/// longer than its header says, larger than the limit.
AnyTensor read_idx(const std::string& path, const IdxLimits& limits = {});

/// The same for a file's content in memory; `name` is what errors call it.
AnyTensor parse_idx(std::span<const uint8_t> file, const std::string& name, const IdxLimits& limits = {});

}  // namespace gradus::data
