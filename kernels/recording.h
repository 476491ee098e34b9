// A step that is being recorded (gradus/core/capture.h), as kernels and backends see it. Until it is done, what this thread asks of the
// device is kept and not carried out: nothing can be waited for, and what differs from one replay to the next is read on the device.
#pragma once
#include <cstdint>

namespace gradus {

class Recording {
 public:
  /// That of this thread, or null.
  static Recording* current() { return current_; }
  /// What runs now, for messages.
  const char* op = "capture";

  /// A number on the device that is 0. Where a replay raises it, an error is reported that says which op it was and that
  /// `count` less the number is the place of an index outside.
  virtual uint64_t* fault(int64_t count) = 0;
  /// Throws Error("op: " + why + the way out).
  [[noreturn]] virtual void refuse(const char* why) const = 0;

 protected:
  Recording() = default;
  ~Recording() = default;
  static inline thread_local constinit Recording* current_ = nullptr;
};

/// Before a backend waits for its device, or copies from or to the host.
inline void refuse_while_recording(const char* why) {
  if (const Recording* r = Recording::current()) [[unlikely]]
    r->refuse(why);
}

}  // namespace gradus
