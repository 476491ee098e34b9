// Tensors in files, in the safetensors format: a header in JSON, then the bytes. Nothing in a file is ever executed, and all of it is
// checked before anything is allocated. Files are written under a temporary name, synced, and renamed: a reader sees the old file or the
// new one, whatever happens in between.
#pragma once
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "gradus/core/named_tensor.h"

namespace gradus {

using Metadata = std::vector<std::pair<std::string, std::string>>;

struct TensorFile {
  NamedTensors tensors;  // in the order of their bytes in the file
  Metadata metadata;
};

/// Throws IoError, naming the file and the tensor, for a file that cannot be read or is not what it says.
TensorFile read_tensors(const std::string& path);
inline NamedTensors load_tensors(const std::string& path) { return read_tensors(path).tensors; }
/// The same from memory; `name` stands for the path in errors. The tensors are copies.
TensorFile parse_tensors(const void* bytes, size_t count, const std::string& name = "memory");

/// Writes tensors of any layout and device, replacing the file. Throws ValueError for names that repeat or are no UTF-8; IoError where
/// the file cannot be written, and then what was there before is untouched.
void save_tensors(const NamedTensors& tensors, const std::string& path, const Metadata& metadata = {});

}  // namespace gradus
