// Memory of the GPU for the time of one call. It comes from the thread's stream and goes back to it, so it may go before the kernels ran.
#pragma once
#include "kernels/accelerator.h"
#include "kernels/cuda/backend.h"
#include "kernels/cuda/runtime.h"
#include "kernels/recording.h"

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

/// Waits for the kernels launched before, and brings what they have written to the host: few bytes, by way of pinned memory of the thread's.
/// The driver would copy to ordinary memory through its own, and waits for that besides.
void to_host(void* to, const void* from, size_t bytes);

/// Whether make() could make something of a library's, which takes memory of its own for that: where it fails, once more after this library
/// has given back what it keeps for later. Without a device, where plans are made to see whether they can be, it keeps nothing.
template <class F> bool with_room(F make) {
  if (make()) return true;
  cudaGetLastError();
  if (accelerator().count() == 0) return false;
  accelerator().empty_cache(selected_device());
  return make();
}

/// Counters that kernels raise from 0 and the host reads, the first of which says at `count` - what place an index was outside. In a recorded
/// step nobody reads them: the first one is a fault of the recording, the others are lost.
template <int n> class Found {
 public:
  Found(const char* op, int64_t count) : scratch_(n * sizeof(int64_t)) {
    check(op, cudaMemsetAsync(scratch_.as<void>(), 0, n * sizeof(int64_t), stream()));
    if (Recording* r = Recording::current()) fault_ = r->fault(count);
  }
  unsigned long long* counter(int i) const {
    return i == 0 && fault_ ? reinterpret_cast<unsigned long long*>(fault_) : scratch_.as<unsigned long long>() + i;
  }
  /// Waits for them. False, at once, in a recorded step.
  bool read(int64_t (&here)[n]) const {
    if (fault_) return false;
    to_host(here, scratch_.as<void>(), sizeof here);
    return true;
  }

 private:
  Scratch scratch_;
  uint64_t* fault_ = nullptr;
};

}  // namespace gradus::cuda
