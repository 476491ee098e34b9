#include "kernels/cuda/library.h"

#include <dlfcn.h>

namespace gradus::cuda {

Library::Library(const char* file) : file_(file), handle_(dlopen(file, RTLD_NOW | RTLD_LOCAL)) {
  if (handle_) return;
  const char* why = dlerror();
  missing_ = why ? why : file;
  handle_ = dlopen((std::string(GRADUS_CUDA_FOLDER "/") + file).c_str(), RTLD_NOW | RTLD_LOCAL);  // of the toolkit of the build
  if (handle_) missing_.clear();
}

void* Library::address(const char* name) {
  void* found = handle_ ? dlsym(handle_, name) : nullptr;
  if (!found && missing_.empty()) missing_ = std::string(file_) + " has no " + name;
  return found;
}

}  // namespace gradus::cuda
