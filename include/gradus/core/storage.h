// Bytes on a device, shared by all views of them.
#pragma once
#include <atomic>
#include <cstddef>

#include "gradus/core/device.h"
#include "gradus/core/pool.h"
#include "gradus/core/ref.h"

namespace gradus {

/// `version` counts writes in place, so that backward can tell whether what it saved is still true; `graph_writes` counts those
/// that the tape recorded, so that views taken before one can be refused afterwards.
struct Storage {
  std::atomic<uint32_t> refs{1}, version{0}, graph_writes{0};
  Device device;
  size_t bytes = 0;  // usable at data
  void* data = nullptr;
  void (*release)(Storage*) = nullptr;  // frees the bytes and this header
  void* context = nullptr;              // for release

  /// Uninitialised bytes, aligned to 64. Throws OutOfMemory.
  static Ref<Storage> make(size_t bytes, Device device = kCPU);
  static void destroy(Storage* s) { s->release(s); }
};

/// What an allocator holds, in bytes. Blocks of up to 2 KiB on the CPU are counted by the slab.
struct MemoryStats {
  size_t in_use = 0;           // by living tensors
  size_t cached = 0;           // free, kept for the next request
  size_t peak_in_use = 0;      // since the start or reset_peak_memory()
  size_t allocations = 0;      // requests served
  size_t system_requests = 0;  // of those, how many had to ask the system
};
MemoryStats memory_stats(Device device = kCPU);
void reset_peak_memory(Device device = kCPU);
/// Gives the cached blocks back to the system.
void empty_cache(Device device = kCPU);
/// A request that would take in_use + cached over this raises OutOfMemory; 0 means no limit but the machine's.
void set_memory_limit(size_t bytes, Device device = kCPU);

}  // namespace gradus
