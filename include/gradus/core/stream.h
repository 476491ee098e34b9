// Order in time. A device works through a stream of tasks while the program goes on; two streams may overlap. On the CPU an op is done
// when it returns, so its streams are always idle, and a program that uses streams runs there too. A step that capture() records has one
// stream: within it, another stream, events and waiting throw an Error.
#pragma once
#include <cstdint>

#include "gradus/core/device.h"

namespace gradus {

/// Tasks of a device that are done one after the other. A handle: copies mean the same stream.
class Stream {
 public:
  /// Another stream than the standard one. A device has 32 of them that take turns, so the 33rd is the first again.
  explicit Stream(Device device);
  /// Where this thread's ops on the device go: the standard stream, unless a StreamGuard says otherwise. Throws DeviceError.
  static Stream current(Device device);
  /// A stream of another library's, by the backend's own handle: for CUDA a cudaStream_t, but for cudaStreamPerThread, which is another one in
  /// each thread. It must live as long as tensors that were used in it, and synchronize(device) does not wait for it.
  static Stream from_handle(Device device, void* handle);

  Device device() const { return device_; }
  void* handle() const { return handle_; }  // the backend's own: for CUDA, a cudaStream_t
  bool is_idle() const;
  /// Returns when all that was asked of the stream is done. Throws Error where a task failed.
  void synchronize() const;
  bool operator==(const Stream&) const = default;

 private:
  Stream(Device device, void* handle) : device_(device), handle_(handle) {}
  Device device_;
  void* handle_;
};

/// A moment in a stream: when all that was asked of it before record() is done.
class Event {
 public:
  Event() = default;
  Event(Event&& o) noexcept;
  Event& operator=(Event&& o) noexcept;
  ~Event();

  void record(const Stream& stream);
  /// The stream goes on only after this moment. Nothing happens where the event was never recorded.
  void hold(const Stream& stream) const;
  /// True also where the event was never recorded.
  bool is_done() const;
  void synchronize() const;
  /// Both must have been recorded on one device; waits for this one. Throws ValueError otherwise.
  double milliseconds_since(const Event& earlier) const;

 private:
  void free() noexcept;
  Device device_;
  bool recorded_ = false;
  void* handle_ = nullptr;
  int64_t nanoseconds_ = 0;  // on the CPU, the time itself
};

/// While one lives, this thread's ops on the stream's device go to the stream.
class StreamGuard {
 public:
  explicit StreamGuard(const Stream& stream);
  ~StreamGuard();
  StreamGuard(const StreamGuard&) = delete;
  StreamGuard& operator=(const StreamGuard&) = delete;

 private:
  Stream before_;
};

/// Returns when the device has done all that it was asked for, in every stream. Throws Error where a task failed.
void synchronize(Device device = best_device());

}  // namespace gradus
