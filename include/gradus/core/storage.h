// Bytes on a device, shared by all views of them.
#pragma once
#include <atomic>
#include <cstddef>

#include "gradus/core/memory.h"
#include "gradus/core/pool.h"
#include "gradus/core/ref.h"

namespace gradus {

class Stream;

/// `version` counts writes in place, so that backward can tell whether what it saved is still true; `graph_writes` counts those
/// that the tape recorded, so that views taken before one can be refused afterwards.
struct Storage {
  std::atomic<uint32_t> refs{1}, version{0}, graph_writes{0};
  Device device;
  size_t bytes = 0;  // usable at data
  void* data = nullptr;
  void (*release)(Storage*) = nullptr;  // frees the bytes and this header
  void* context = nullptr;              // for release
  void (*used_on)(Storage*,
                  const Stream&) = nullptr;  // work in a stream of the device uses the bytes: they are handed on behind it

  /// Uninitialised bytes, aligned to 64. Throws OutOfMemory.
  static Ref<Storage> make(size_t bytes, Device device = kCPU);
  /// On the CPU, in memory that the devices of `type` reach while the program goes on; ordinary memory where they have none such.
  static Ref<Storage> make_pinned(size_t bytes, DeviceType type);
  bool is_pinned() const;
  static void destroy(Storage* s) { s->release(s); }
};

}  // namespace gradus
