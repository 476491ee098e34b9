// Libraries of CUDA are loaded when something first needs them: a program starts without them, and goes on with this library's own kernels.
#pragma once
#include <string>

namespace gradus::cuda {

/// One that stays loaded until the program ends. Derive from it, with a member for each function:
///
///   struct Cublas : Library {
///     Cublas() : Library("libcublas.so.13", "...") { complete(); }
///     decltype(&::cublasCreate) create = find<decltype(&::cublasCreate)>("cublasCreate_v2");
class Library {
 public:
  /// False where the library, or a function of it, is missing; it has then been said.
  explicit operator bool() const { return there_; }
  /// Says on stderr why it cannot be used, and what is done in its stead.
  void say(const std::string& why) const;

 protected:
  Library(const char* file, const char* instead);
  ~Library() = default;
  Library(const Library&) = delete;

  template <class Function> Function find(const char* name) { return reinterpret_cast<Function>(address(name)); }
  /// Called when all functions have been looked for.
  void complete();

 private:
  void* address(const char* name);

  const char *file_, *instead_;
  void* handle_;
  std::string missing_;
  bool there_ = false;
};

}  // namespace gradus::cuda
