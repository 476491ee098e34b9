// What a backend offers besides kernels: memory, copies, order in time. Handles of streams, events and blocks are the backend's own; a
// null stream is the standard one. What has a body here suits a device that has finished when a call returns.
#pragma once
#include <cstddef>

#include "gradus/core/device.h"
#include "gradus/core/memory.h"

namespace gradus {

class Accelerator {
 public:
  virtual ~Accelerator() = default;

  /// How many devices there are. Asked first; the other functions get numbers below it.
  virtual int count() = 0;
  virtual DeviceProperties properties(int device) = 0;
  /// This thread's next kernels are meant for the device. Called before each, so it must be cheap.
  virtual void select(int /*device*/) {}

  // Memory. Throws OutOfMemory, and can be used as before.
  struct Memory {
    void* data = nullptr;
    size_t bytes = 0;       // usable
    void* block = nullptr;  // what free() is given
  };
  virtual Memory allocate(int device, size_t bytes) = 0;
  virtual void free(int device, void* block) noexcept = 0;
  /// Work in `stream` uses the block.
  virtual void used_on(int /*device*/, void* /*block*/, void* /*stream*/) {}
  virtual MemoryStats memory_stats(int device) = 0;
  virtual void reset_peak_memory(int device) = 0;
  virtual void empty_cache(int device) = 0;
  virtual void set_memory_limit(int device, size_t bytes) = 0;

  // Host memory for copies that overlap with the program. A null block: there is none such.
  virtual Memory allocate_pinned(size_t /*bytes*/) { return {}; }
  virtual void free_pinned(void* /*block*/) noexcept {}
  virtual void pinned_used_on(void* /*block*/, int /*device*/, void* /*stream*/) {}

  /// Bytes to, from or between devices of this kind (-1: the host), as a task of the current stream of `to`, or of `from` where `to` is
  /// the host. `wait`: both sides may be used by the program on return.
  virtual void copy(void* to, int to_device, const void* from, int from_device, size_t bytes, bool wait) = 0;

  // Order in time. An error of a task may be raised by any of these.
  virtual void synchronize(int /*device*/) {}
  virtual void* new_stream(int /*device*/) { return nullptr; }
  virtual void* current_stream(int /*device*/) { return nullptr; }
  virtual void set_current_stream(int /*device*/, void* /*stream*/) {}
  virtual void synchronize_stream(int /*device*/, void* /*stream*/) {}
  virtual bool is_idle(int /*device*/, void* /*stream*/) { return true; }
  virtual void* new_event(int device) = 0;
  virtual void free_event(int device, void* event) noexcept = 0;
  virtual void record(void* event, int device, void* stream) = 0;
  virtual void hold(void* /*event*/, int /*device*/, void* /*stream*/) {}
  virtual bool is_done(void* /*event*/) { return true; }
  virtual void synchronize_event(void* /*event*/) {}
  virtual double milliseconds(void* from, void* to) = 0;

  // A step that is recorded once and done again with one call. Between begin and end, tasks that this thread asks the device for are kept
  // and not done; memory that is taken meanwhile is the recording's until it is freed. A device that does not record runs each step.
  virtual bool records() { return false; }
  virtual void begin_recording(int /*device*/) {}
  virtual void* end_recording(int /*device*/) { return nullptr; }
  virtual void abandon_recording(int /*device*/) noexcept {}
  /// Called twice, between begin and end: memory that is taken between the calls is not the recording's, so none of its tasks has used it.
  virtual void step_aside(int /*device*/) noexcept {}
  /// As a task of the current stream.
  virtual void replay(int /*device*/, void* /*recording*/) {}
  virtual void free_recording(int /*device*/, void* /*recording*/) noexcept {}
  /// A few bytes of the host, as a task of the current stream; they may be changed on return.
  virtual void put(int device, void* to, const void* from, size_t bytes) { copy(to, device, from, -1, bytes, true); }
};

}  // namespace gradus
