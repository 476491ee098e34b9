#include "kernels/cuda/library.h"

#include <dlfcn.h>

namespace gradus::cuda {

Library::Library(const char* file) : file_(file), handle_(dlopen(file, RTLD_NOW | RTLD_LOCAL)) {
  if (handle_) return;
  const char* why = dlerror();
  missing_ = why ? why : file;
}

void* Library::address(const char* name) {
  void* found = handle_ ? dlsym(handle_, name) : nullptr;
  if (!found && missing_.empty()) missing_ = std::string(file_) + " has no " + name;
  return found;
}

}  // namespace gradus::cuda
