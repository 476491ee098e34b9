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

namespace {

template <class S> void load_into(S& stateful, const std::string& path) {
  NamedTensors state = load_tensors(path);
  try {
    stateful.load_state(state);
  } catch (const Error& e) {
    fail<IoError>(path, ": ", e.what());
  }
}

}  // namespace

void save(const optim::Optimizer& optimizer, const std::string& path, const Metadata& metadata) {
  save_tensors(optimizer.state(), path, metadata);
}
void load(optim::Optimizer& optimizer, const std::string& path) { load_into(optimizer, path); }

void save(const optim::GradScaler& scaler, const std::string& path, const Metadata& metadata) {
  save_tensors(scaler.state(), path, metadata);
}
void load(optim::GradScaler& scaler, const std::string& path) { load_into(scaler, path); }

}  // namespace gradus
