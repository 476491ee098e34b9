#include "kernels/cuda/library.h"

#include <dlfcn.h>

#include <cstdio>

namespace gradus::cuda {

Library::Library(const char* file, const char* instead)
    : file_(file), instead_(instead), handle_(dlopen(file, RTLD_NOW | RTLD_LOCAL)) {
  if (handle_) return;
  const char* why = dlerror();
  missing_ = why ? why : file;
}

void* Library::address(const char* name) {
  void* found = handle_ ? dlsym(handle_, name) : nullptr;
  if (!found && missing_.empty()) missing_ = std::string(file_) + " has no " + name;
  return found;
}

void Library::complete() {
  there_ = missing_.empty();
  if (!there_) say(missing_);
}

void Library::say(const std::string& why) const { std::fprintf(stderr, "gradus: %s: %s\n", why.c_str(), instead_); }

}  // namespace gradus::cuda
