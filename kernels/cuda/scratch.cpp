#include "kernels/cuda/scratch.h"

#include <cstring>

namespace gradus::cuda {
namespace {

/// One a thread. It is in nobody's use between two calls, so it goes back without waiting.
struct Pinned {
  static constexpr size_t kBytes = 4096;
  Accelerator::Memory memory = accelerator().allocate_pinned(kBytes);
  ~Pinned() { accelerator().free_pinned(memory.block); }
};

}  // namespace

void to_host(void* to, const void* from, size_t bytes) {
  if (bytes > Pinned::kBytes) return accelerator().copy(to, -1, from, selected_device(), bytes, true);
  refuse_while_recording("waits for the GPU");
  static thread_local Pinned pinned;
  accelerator().copy(pinned.memory.data, -1, from, selected_device(), bytes, true);
  std::memcpy(to, pinned.memory.data, bytes);
}

}  // namespace gradus::cuda
