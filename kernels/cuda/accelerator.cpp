// Memory, streams and copies through the CUDA runtime. The runtime is linked into the library; it looks for the driver when it is first
// asked for something, so a program starts without one.
#include "kernels/accelerator.h"

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "gradus/core/error.h"
#include "kernels/caching_allocator.h"
#include "kernels/cuda/backend.h"
#include "kernels/cuda/put.h"
#include "kernels/cuda/runtime.h"
#include "kernels/recording.h"

namespace gradus::cuda {

void fail_runtime(const char* what, cudaError_t error) {
  cudaGetLastError();
  std::string text = std::string(what) + ": CUDA says: " + cudaGetErrorString(error) + " (" + cudaGetErrorName(error) + ")";
  if (error == cudaErrorMemoryAllocation) throw OutOfMemory(text);
  if (error == cudaErrorIllegalAddress || error == cudaErrorLaunchFailure || error == cudaErrorAssert ||
      error == cudaErrorMisalignedAddress)
    text +=
        "; an earlier kernel may be the cause: run with CUDA_LAUNCH_BLOCKING=1 to see which. The GPU cannot be used again in this "
        "process";
  if (error == cudaErrorNoKernelImageForDevice) text += "; build with this GPU's architecture in GRADUS_CUDA_ARCHITECTURES";
  throw Error(text);
}

namespace {

constexpr int kMostDevices = 64, kStreams = 32;

// Where this thread's work goes. Other libraries may select another device behind our back: whoever does so gives it back, as is usual.
thread_local int selected = -1;
thread_local cudaStream_t current[kMostDevices] = {};  // null: the legacy default stream, which all threads share
thread_local cudaStream_t before_recording = nullptr;  // where this thread's work went, while its step is recorded

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

cudaStream_t stream_of(void* handle) { return static_cast<cudaStream_t>(handle); }
cudaEvent_t event_of(void* handle) { return static_cast<cudaEvent_t>(handle); }

/// Events without times, used again and again.
class EventPool {
 public:
  cudaEvent_t take() noexcept {
    std::lock_guard lock(mutex_);
    if (free_.empty()) {
      cudaEvent_t event = nullptr;
      return cudaEventCreateWithFlags(&event, cudaEventDisableTiming) == cudaSuccess ? event : nullptr;
    }
    cudaEvent_t event = free_.back();
    free_.pop_back();
    return event;
  }
  void give_back(cudaEvent_t event) noexcept {
    std::lock_guard lock(mutex_);
    free_.push_back(event);
  }

 private:
  std::mutex mutex_;
  std::vector<cudaEvent_t> free_;
};

/// An event belongs to the device that was selected when it was made, and only its streams can record it.
class Source : public MemorySource {
 public:
  void* record(void* stream) noexcept override {
    cudaEvent_t event = events_.take();
    if (event && cudaEventRecord(event, stream_of(stream)) == cudaSuccess) return event;
    cudaGetLastError();
    if (event) events_.give_back(event);
    cudaStreamSynchronize(stream_of(stream));  // no event is to be had: then the stream's end is
    return nullptr;
  }
  bool is_done(void* event) noexcept override {
    bool done = cudaEventQuery(event_of(event)) != cudaErrorNotReady;
    if (!done) cudaGetLastError();  // not yet: no error
    return done;
  }
  void wait(void* event) noexcept override { cudaEventSynchronize(event_of(event)); }
  void release(void* event) noexcept override { events_.give_back(event_of(event)); }
  void fill(void* to, unsigned char value, size_t bytes, void* stream) noexcept override {
    cudaMemsetAsync(to, value, bytes, stream_of(stream));
  }
  void read(void* to_host, const void* from, size_t bytes, void* stream) noexcept override {
    cudaMemcpyAsync(to_host, from, bytes, cudaMemcpyDefault, stream_of(stream));
    cudaStreamSynchronize(stream_of(stream));
  }

 private:
  EventPool events_;
};

class DeviceSource final : public Source {
 public:
  void* allocate(size_t bytes) noexcept override {
    void* p = nullptr;
    if (cudaMalloc(&p, bytes) == cudaSuccess) return p;
    cudaGetLastError();  // a refusal is no failure: the process goes on
    return nullptr;
  }
  void free(void* p) noexcept override { cudaFree(p); }
  std::string state() override {
    size_t free = 0, total = 0;
    cudaMemGetInfo(&free, &total);
    return "the GPU has " + std::to_string(free) + " of " + std::to_string(total) + " bytes free";
  }
};

/// Host memory: every task that uses it is waited for, so no stream has a right to it.
class PinnedSource final : public Source {
 public:
  void* allocate(size_t bytes) noexcept override {
    void* p = nullptr;
    if (cudaHostAlloc(&p, bytes, cudaHostAllocPortable) == cudaSuccess) return p;
    cudaGetLastError();
    return nullptr;
  }
  void free(void* p) noexcept override { cudaFreeHost(p); }
  std::string state() override { return "the system pins no more memory"; }
  /// Standard streams are all null: their users are known by device.
  static void* user(int device, void* stream) { return stream ? stream : reinterpret_cast<void*>(uintptr_t(device) + 1); }
  void* record(void* user) noexcept override {
    auto number = reinterpret_cast<uintptr_t>(user);
    if (number > kMostDevices) return Source::record(user);
    On on(int(number) - 1, std::nothrow);
    return Source::record(nullptr);
  }
};
void* const kNoStream = reinterpret_cast<void*>(~uintptr_t(0));

struct OneDevice {
  explicit OneDevice(int index) : allocator(source, "cuda:" + std::to_string(index), block_layout_of_environment()) {}
  DeviceSource source;
  CachingAllocator allocator;
  std::mutex mutex;
  std::array<cudaStream_t, kStreams> streams{};
  unsigned next_stream = 0;
  std::vector<cudaStream_t> recording_streams;  // that no recording uses now
};

/// What the driver said when it was first asked.
struct Survey {
  int count = 0;
  std::string why;
  Survey() {
    cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess) {
      cudaGetLastError();
      count = 0;
      why = error == cudaErrorInsufficientDriver ? "there is no NVIDIA driver, or one older than this build's CUDA"
                                                 : std::string("the NVIDIA driver says: ") + cudaGetErrorString(error);
    } else if (count == 0) {
      why = "the NVIDIA driver knows no GPU";
    } else if (cudaDeviceProp p{}; cudaGetDeviceProperties(&p, 0) == cudaSuccess && p.major < 8) {
      count = 0;
      why = std::string(p.name) + " has compute capability " + std::to_string(p.major) + "." + std::to_string(p.minor) +
            "; 8.0 or later is needed";
    }
    if (count > kMostDevices) count = kMostDevices;
  }
};
const Survey& survey() {
  static const Survey once;
  return once;
}

class Cuda final : public Accelerator {
 public:
  Cuda() : pinned_(pinned_source_, "pinned host memory") {
    for (int i = 0; i < survey().count; ++i) devices_[size_t(i)] = std::make_unique<OneDevice>(i);
  }

  int count() override { return survey().count; }
  DeviceProperties properties(int device) override {
    cudaDeviceProp p{};
    check("device_properties", cudaGetDeviceProperties(&p, device));
    return {p.name, p.totalGlobalMem, p.major, p.minor, p.multiProcessorCount, size_t(p.l2CacheSize), p.sharedMemPerBlockOptin};
  }
  void select(int device) override {
    if (device == selected) [[likely]]
      return;
    check("cudaSetDevice", cudaSetDevice(device));
    selected = device;
  }

  Memory allocate(int device, size_t bytes) override {
    On on(device);
    CachingAllocator::Block* block = at(device).allocator.allocate(bytes, current[device]);
    return {block->data, block->bytes, block};
  }
  void free(int device, void* block) noexcept override {
    On on(device, std::nothrow);
    at(device).allocator.free(static_cast<CachingAllocator::Block*>(block));
  }
  void used_on(int device, void* block, void* stream) override {
    at(device).allocator.used_on(static_cast<CachingAllocator::Block*>(block), stream);
  }
  MemoryStats memory_stats(int device) override { return at(device).allocator.stats(); }
  void reset_peak_memory(int device) override { at(device).allocator.reset_peak(); }
  void empty_cache(int device) override {
    On on(device);
    at(device).allocator.empty_cache();
    pinned_.empty_cache();
  }
  void set_memory_limit(int device, size_t bytes) override { at(device).allocator.set_limit(bytes); }

  Memory allocate_pinned(size_t bytes) override {
    CachingAllocator::Block* block = pinned_.allocate(bytes, kNoStream);
    return {block->data, block->bytes, block};
  }
  void free_pinned(void* block) noexcept override { pinned_.free(static_cast<CachingAllocator::Block*>(block)); }
  void pinned_used_on(void* block, int device, void* stream) override {
    pinned_.used_on(static_cast<CachingAllocator::Block*>(block), PinnedSource::user(device, stream));
  }

  void copy(void* to, int to_device, const void* from, int from_device, size_t bytes, bool wait) override {
    if (wait) refuse_while_recording("waits for the GPU");
    if (to_device < 0 || from_device < 0) refuse_while_recording("copies between the GPU and the host");
    int device = to_device >= 0 ? to_device : from_device;
    On on(device);
    if (to_device >= 0 && from_device >= 0 && to_device != from_device) {  // both streams stand still: simple, and rare
      synchronize_stream(from_device, current[from_device]);
      check("to", cudaMemcpyPeerAsync(to, to_device, from, from_device, bytes, current[device]));
      return synchronize_stream(device, current[device]);
    }
    check("to", cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, current[device]));
    if (wait) synchronize_stream(device, current[device]);
  }

  void synchronize(int device) override {
    refuse_while_recording("waits for the GPU");
    On on(device);
    check("synchronize", cudaDeviceSynchronize());
  }
  /// Streams are never destroyed: the allocators know them by their handles.
  void* new_stream(int device) override {
    On on(device);
    OneDevice& d = at(device);
    std::lock_guard lock(d.mutex);
    cudaStream_t& stream = d.streams[d.next_stream++ % kStreams];
    if (!stream) check("Stream", cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    return stream;
  }
  void* current_stream(int device) override { return current[device]; }
  void set_current_stream(int device, void* stream) override { current[device] = stream_of(stream); }
  void synchronize_stream(int device, void* stream) override {
    refuse_while_recording("waits for the GPU");
    On on(device);
    check("synchronize", cudaStreamSynchronize(stream_of(stream)));
  }
  bool is_idle(int device, void* stream) override {
    On on(device);
    cudaError_t error = cudaStreamQuery(stream_of(stream));
    if (error == cudaErrorNotReady) return cudaGetLastError(), false;
    check("Stream", error);
    return true;
  }
  void* new_event(int device) override {
    On on(device);
    cudaEvent_t event = nullptr;
    check("Event", cudaEventCreate(&event));
    return event;
  }
  void free_event(int, void* event) noexcept override { cudaEventDestroy(event_of(event)); }
  void record(void* event, int device, void* stream) override {
    On on(device);
    check("Event::record", cudaEventRecord(event_of(event), stream_of(stream)));
  }
  void hold(void* event, int device, void* stream) override {
    On on(device);
    check("Event::hold", cudaStreamWaitEvent(stream_of(stream), event_of(event), 0));
  }
  bool is_done(void* event) override {
    cudaError_t error = cudaEventQuery(event_of(event));
    if (error == cudaErrorNotReady) return cudaGetLastError(), false;
    check("Event", error);
    return true;
  }
  void synchronize_event(void* event) override { check("Event", cudaEventSynchronize(event_of(event))); }
  double milliseconds(void* from, void* to) override {
    float ms = 0;
    check("Event", cudaEventElapsedTime(&ms, event_of(from), event_of(to)));
    return double(ms);
  }

  bool records() override { return true; }
  /// A stream of its own, which also names the memory that is taken meanwhile: nobody else is given that while the recording lives.
  void begin_recording(int device) override {
    On on(device);
    OneDevice& d = at(device);
    cudaStream_t stream = nullptr;
    {
      std::lock_guard lock(d.mutex);
      if (!d.recording_streams.empty()) stream = d.recording_streams.back(), d.recording_streams.pop_back();
    }
    if (!stream) check("capture", cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    d.allocator.keep(stream, true);
    // Relaxed: the allocator may ask the driver for memory, and other threads may go on with their work.
    check("capture", cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
    before_recording = current[device], current[device] = stream;
  }
  void* end_recording(int device) override {
    On on(device);
    cudaStream_t stream = current[device];
    cudaGraph_t graph = nullptr;
    check("capture", cudaStreamEndCapture(stream, &graph));
    cudaGraphExec_t step = nullptr;
    const cudaError_t error = cudaGraphInstantiate(&step, graph, 0);
    cudaGraphDestroy(graph);
    check("capture", error);
    current[device] = before_recording;
    return new Recorded{step, stream};
  }
  void abandon_recording(int device) noexcept override {
    On on(device, std::nothrow);
    cudaStream_t stream = current[device];
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    if (cudaStreamIsCapturing(stream, &status) == cudaSuccess && status != cudaStreamCaptureStatusNone) {
      cudaGraph_t graph = nullptr;
      if (cudaStreamEndCapture(stream, &graph) == cudaSuccess) cudaGraphDestroy(graph);
    }
    cudaGetLastError();
    current[device] = before_recording;
    retire(device, stream);
  }
  void step_aside(int device) noexcept override { std::swap(current[device], before_recording); }
  void replay(int device, void* recording) override {
    On on(device);
    check("capture", cudaGraphLaunch(static_cast<Recorded*>(recording)->step, current[device]));
  }
  void free_recording(int device, void* recording) noexcept override {
    On on(device, std::nothrow);
    auto* r = static_cast<Recorded*>(recording);
    cudaDeviceSynchronize();  // a replay may be on its way
    cudaGraphExecDestroy(r->step);
    cudaGetLastError();
    retire(device, r->stream);
    delete r;
  }
  void put(int device, void* to, const void* from, size_t bytes) override {
    On on(device);
    put_words(to, from, bytes);
  }

 private:
  struct Recorded {
    cudaGraphExec_t step;
    cudaStream_t stream;
  };
  /// Its memory may be given back, or serve the next recording.
  void retire(int device, cudaStream_t stream) noexcept {
    OneDevice& d = at(device);
    d.allocator.keep(stream, false);
    std::lock_guard lock(d.mutex);
    d.recording_streams.push_back(stream);
  }
  OneDevice& at(int device) { return *devices_[size_t(device)]; }
  std::array<std::unique_ptr<OneDevice>, kMostDevices> devices_;
  PinnedSource pinned_source_;
  CachingAllocator pinned_;
};

}  // namespace

cudaStream_t stream() { return current[selected < 0 ? 0 : selected]; }
int selected_device() { return selected < 0 ? 0 : selected; }

std::string why_absent() { return survey().why; }
Accelerator& accelerator() {
  static auto* cuda = new Cuda;  // never destroyed: static tensors are freed late
  return *cuda;
}

}  // namespace gradus::cuda
