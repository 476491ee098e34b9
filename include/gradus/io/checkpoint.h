// Modules in files, under PyTorch's names: its safetensors files load as they are, and ours load there.
#pragma once
#include "gradus/io/safetensors.h"
#include "gradus/nn/module.h"

namespace gradus {

/// Writes a module's parameters and buffers. Throws as save_tensors.
void save(const nn::Module& module, const std::string& path, const Metadata& metadata = {});

struct LoadOptions {
  bool strict = true;  // a name that is only in the file or only in the module is an error
};
/// Reads them back, converting dtypes. The module is unchanged unless all fits. Throws IoError for a file that cannot be read or is not
/// what it says, or where names or shapes differ.
nn::Module::Unmatched load(nn::Module& module, const std::string& path, const LoadOptions& options = {});

}  // namespace gradus
