// Memory that a kernel needs for the length of one call. Each thread keeps a stack of it, so that a call in a training loop asks the
// system for nothing.
#pragma once
#include <cstddef>
#include <cstdint>

namespace gradus::cpu {

/// `bytes` of uninitialised memory, aligned to 64, until the end of the scope. Scratches of one thread end in the reverse of their
/// order. Throws OutOfMemory.
class Scratch {
 public:
  explicit Scratch(size_t bytes) {
    if (bytes > 0) take(bytes);
  }
  ~Scratch() {
    if (bytes_ > 0) give_back();
  }
  Scratch(const Scratch&) = delete;
  template <class T> T* as() const { return static_cast<T*>(data_); }

 private:
  void take(size_t bytes);
  void give_back();
  void* data_ = nullptr;
  size_t bytes_ = 0;
  bool own_ = false;  // did not fit the thread's stack
};

}  // namespace gradus::cpu
