// Memory of the GPU for the time of one call. It comes from the thread's stream and goes back to it, so it may go before the kernels ran.
#pragma once
#include "kernels/accelerator.h"
#include "kernels/cuda/backend.h"
#include "kernels/cuda/runtime.h"

namespace gradus::cuda {

class Scratch {
 public:
  explicit Scratch(size_t bytes) : device_(selected_device()), memory_(accelerator().allocate(device_, bytes)) {}
  ~Scratch() { accelerator().free(device_, memory_.block); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  template <class T> T* as() const { return static_cast<T*>(memory_.data); }

 private:
  int device_;
  Accelerator::Memory memory_;
};

/// Waits for the kernels launched before, and brings what they have written to the host.
inline void to_host(void* to, const void* from, size_t bytes) { accelerator().copy(to, -1, from, selected_device(), bytes, true); }

}  // namespace gradus::cuda
