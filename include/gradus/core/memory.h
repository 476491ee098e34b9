// What is held of a device's memory, and how much may be.
#pragma once
#include <cstddef>

#include "gradus/core/device.h"

namespace gradus {

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
