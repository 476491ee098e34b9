// What the allocators of a GPU's memory and of pinned memory ask the CUDA runtime for, and the device that a thread's calls are for.
#pragma once
#include <cuda_runtime_api.h>

#include <array>
#include <cstdint>
#include <mutex>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "kernels/caching_allocator.h"
#include "kernels/cuda/runtime.h"

namespace gradus::cuda {

inline constexpr int kMostDevices = 64;

/// This thread's; -1: none was asked for. Other libraries may select another device behind our back: whoever does so gives it back, as is usual.
extern thread_local constinit int selected;

/// Selects a device for one call that needs it, and comes back.
class On {
 public:
  explicit On(int device) : before_(selected) {
    if (device != before_) check("cudaSetDevice", cudaSetDevice(device)), selected = device;
  }
  /// Where nothing may be thrown: at the end of a program, or after a failed kernel, no device can be selected.
  On(int device, std::nothrow_t) noexcept : before_(selected) {
    if (device == before_) return;
    if (cudaSetDevice(device) == cudaSuccess)
      selected = device;
    else
      cudaGetLastError();
  }
  ~On() {
    if (before_ >= 0 && before_ != selected) cudaSetDevice(before_), selected = before_;
  }

 private:
  int before_;
};

inline cudaStream_t stream_of(void* handle) { return static_cast<cudaStream_t>(handle); }
inline cudaEvent_t event_of(void* handle) { return static_cast<cudaEvent_t>(handle); }

/// Events of a device without times, used again and again. An event belongs to the device that was selected when it was made, and only
/// its streams can record it.
class EventPool {
 public:
  struct Pooled {
    cudaEvent_t event;
    EventPool* home;
  };
  /// The device is selected.
  Pooled* take() noexcept {
    std::lock_guard lock(mutex_);
    if (free_.empty()) {
      cudaEvent_t event = nullptr;
      return cudaEventCreateWithFlags(&event, cudaEventDisableTiming) == cudaSuccess ? new Pooled{event, this} : nullptr;
    }
    Pooled* event = free_.back();
    free_.pop_back();
    return event;
  }
  static void give_back(Pooled* event) noexcept {
    std::lock_guard lock(event->home->mutex_);
    event->home->free_.push_back(event);
  }

 private:
  std::mutex mutex_;
  std::vector<Pooled*> free_;
};

class Source : public MemorySource {
 public:
  bool is_done(void* event) noexcept override {
    const cudaError_t error = cudaEventQuery(pooled(event)->event);
    if (error != cudaSuccess) cudaGetLastError();  // not yet is no error, and what failed will say so elsewhere
    return error != cudaErrorNotReady;
  }
  void wait(void* event) noexcept override {
    if (cudaEventSynchronize(pooled(event)->event) != cudaSuccess) cudaGetLastError();
  }
  void release(void* event) noexcept override { EventPool::give_back(pooled(event)); }
  void fill(void* to, unsigned char value, size_t bytes, void* stream) noexcept override {
    if (cudaMemsetAsync(to, value, bytes, stream_of(stream)) != cudaSuccess) cudaGetLastError();
  }
  void read(void* to_host, const void* from, size_t bytes, void* stream) noexcept override {
    if (cudaMemcpyAsync(to_host, from, bytes, cudaMemcpyDefault, stream_of(stream)) != cudaSuccess) cudaGetLastError();
    if (cudaStreamSynchronize(stream_of(stream)) != cudaSuccess) cudaGetLastError();
  }

 protected:
  static void* record_from(EventPool& events, cudaStream_t stream) noexcept {
    EventPool::Pooled* event = events.take();
    if (event && cudaEventRecord(event->event, stream) == cudaSuccess) return event;
    cudaGetLastError();
    if (event) EventPool::give_back(event);
    if (cudaStreamSynchronize(stream) != cudaSuccess) cudaGetLastError();  // no event is to be had: then the stream's end is
    return nullptr;
  }

 private:
  static EventPool::Pooled* pooled(void* event) { return static_cast<EventPool::Pooled*>(event); }
};

/// A refusal is no failure: the process goes on. Anything else is said; a kernel that failed before is often met first by who asks for memory.
inline bool has_taken(const char* what, cudaError_t error) {
  if (error == cudaSuccess) return true;
  if (error != cudaErrorMemoryAllocation) fail_runtime(what, error);
  cudaGetLastError();
  return false;
}

class DeviceSource final : public Source {
 public:
  void* allocate(size_t bytes) override {
    void* p = nullptr;
    return has_taken("cudaMalloc", cudaMalloc(&p, bytes)) ? p : nullptr;
  }
  void free(void* p) noexcept override {
    if (cudaFree(p) != cudaSuccess) cudaGetLastError();
  }
  void* record(void* stream) noexcept override { return record_from(events_, stream_of(stream)); }
  std::string state() override {
    size_t free = 0, total = 0;
    if (cudaMemGetInfo(&free, &total) != cudaSuccess) cudaGetLastError();
    return "the GPU has " + std::to_string(free) + " of " + std::to_string(total) + " bytes free";
  }

 private:
  EventPool events_;
};

/// Host memory: every task that uses it is waited for, so no stream has a right to it.
class PinnedSource final : public Source {
 public:
  void* allocate(size_t bytes) override {
    void* p = nullptr;
    return has_taken("cudaHostAlloc", cudaHostAlloc(&p, bytes, cudaHostAllocPortable)) ? p : nullptr;
  }
  void free(void* p) noexcept override {
    if (cudaFreeHost(p) != cudaSuccess) cudaGetLastError();
  }
  std::string state() override { return "the system pins no more memory"; }
  /// Standard streams are all null, and a stream does not tell its device: users are known by a number.
  void* user(int device, void* stream) {
    std::lock_guard lock(mutex_);
    const User wanted{device, stream_of(stream)};
    size_t i = 0;
    while (i < users_.size() && users_[i] != wanted) ++i;
    if (i == users_.size()) users_.push_back(wanted);
    return reinterpret_cast<void*>(i + 1);
  }
  void* record(void* user) noexcept override {
    User u;
    {
      std::lock_guard lock(mutex_);
      u = users_[reinterpret_cast<uintptr_t>(user) - 1];
    }
    On on(u.first, std::nothrow);
    return record_from(events_[size_t(u.first)], u.second);
  }

 private:
  using User = std::pair<int, cudaStream_t>;
  std::mutex mutex_;
  std::vector<User> users_;
  std::array<EventPool, kMostDevices> events_;
};

}  // namespace gradus::cuda
