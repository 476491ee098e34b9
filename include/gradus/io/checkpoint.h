// Modules and optimizers in files. A module's tensors have PyTorch's names: its safetensors files load as they are, and ours load there.
#pragma once
#include "gradus/io/safetensors.h"
#include "gradus/nn/module.h"
#include "gradus/optim/grad_scaler.h"
#include "gradus/optim/optimizer.h"

namespace gradus {

/// Writes a module's parameters and buffers. Throws as save_tensors.
void save(const nn::Module& module, const std::string& path, const Metadata& metadata = {});

struct LoadOptions {
  bool strict = true;  // a name that is only in the file or only in the module is an error
};
/// Reads them back, converting dtypes. The module is unchanged unless all fits. Throws IoError for a file that cannot be read or is not
/// what it says, or where names or shapes differ.
nn::Module::Unmatched load(nn::Module& module, const std::string& path, const LoadOptions& options = {});

/// An optimizer's states and rates, so that a run that stops and resumes equals one that never stopped.
void save(const optim::Optimizer& optimizer, const std::string& path, const Metadata& metadata = {});
/// Throws IoError for a file that cannot be read or does not fit the optimizer, which then is unchanged.
void load(optim::Optimizer& optimizer, const std::string& path);

/// The same for the scale of training in half.
void save(const optim::GradScaler& scaler, const std::string& path, const Metadata& metadata = {});
void load(optim::GradScaler& scaler, const std::string& path);

}  // namespace gradus
