// Libraries of CUDA are loaded when something first needs them: a program starts without them.
#pragma once
#include <string>

/// A macro's value as text: the version that a library's file is named after.
#define GRADUS_TEXT(x) #x
#define GRADUS_TEXT_OF(x) GRADUS_TEXT(x)

namespace gradus::cuda {

/// One that stays loaded until the program ends. Derive from it, with a member for each function that is called:
///
///   struct Cublas : Library {
///     Cublas() : Library("libcublas.so.13") {}
///     decltype(&::cublasCreate) create = find<decltype(&::cublasCreate)>("cublasCreate_v2");
class Library {
 public:
  /// False where the library, or one of the functions, is missing.
  explicit operator bool() const { return missing_.empty(); }
  /// What is missing, and why.
  const std::string& missing() const { return missing_; }

 protected:
  explicit Library(const char* file);
  ~Library() = default;
  Library(const Library&) = delete;

  template <class Function> Function find(const char* name) { return reinterpret_cast<Function>(address(name)); }

 private:
  void* address(const char* name);

  const char* file_;
  void* handle_;
  std::string missing_;
};

}  // namespace gradus::cuda
