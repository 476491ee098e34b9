#include "gradus/io/checkpoint.h"

#include "src/core/message.h"

namespace gradus {

void save(const nn::Module& module, const std::string& path, const Metadata& metadata) {
  Metadata all = metadata;
  bool has_format = false;
  for (auto& [key, text] : metadata) has_format = has_format || key == "format";
  if (!has_format) all.insert(all.begin(), {"format", "pt"});  // the names and layouts are PyTorch's: its loaders ask for this
  save_tensors(module.state(), path, all);
}

nn::Module::Unmatched load(nn::Module& module, const std::string& path, const LoadOptions& options) {
  NamedTensors state = load_tensors(path);
  try {
    return module.load_state(state, options.strict);
  } catch (const Error& e) {
    fail<IoError>(path, ": ", e.what());
  }
}

void save(const optim::Optimizer& optimizer, const std::string& path, const Metadata& metadata) {
  save_tensors(optimizer.state(), path, metadata);
}

void load(optim::Optimizer& optimizer, const std::string& path) {
  NamedTensors state = load_tensors(path);
  try {
    optimizer.load_state(state);
  } catch (const Error& e) {
    fail<IoError>(path, ": ", e.what());
  }
}

}  // namespace gradus
