// Devices, streams, copies and recorded steps through the CUDA runtime. The runtime is linked into the library; it looks for the driver when
// it is first asked for something, so a program starts without one.
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
#include "kernels/cuda/dnn/dnn.h"
#include "kernels/cuda/memory_sources.h"
#include "kernels/cuda/put.h"
#include "kernels/cuda/runtime.h"
#include "kernels/recording.h"

namespace gradus::cuda {

namespace {
/// Errors after which every call fails.
bool stays(cudaError_t error) {
  switch (error) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorMisalignedAddress:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable: return true;
    default: return false;
  }
}
}  // namespace

void fail_runtime(const char* what, cudaError_t error) {
  cudaGetLastError();
  std::string text = std::string(what) + ": CUDA says: " + cudaGetErrorString(error) + " (" + cudaGetErrorName(error) + ")";
  if (error == cudaErrorMemoryAllocation) throw OutOfMemory(text);
  if (stays(error))
    text +=
        "; an earlier kernel may be the cause: run with CUDA_LAUNCH_BLOCKING=1 to see which. The GPU cannot be used again in this "
        "process";
  if (error == cudaErrorNoKernelImageForDevice) text += "; build with this GPU's architecture in GRADUS_CUDA_ARCHITECTURES";
  throw Error(text);
}

thread_local constinit int selected = -1;

namespace {

constexpr int kStreams = 32;

// Where this thread's work goes.
thread_local cudaStream_t current[kMostDevices] = {};  // null: the legacy default stream, which all threads share
thread_local cudaStream_t before_recording = nullptr;  // where this thread's work went, while its step is recorded
thread_local cudaStream_t recording_stream = nullptr;  // and where it goes; null: none is recorded

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
    }
    if (count > kMostDevices) count = kMostDevices;
    for (int i = 0; i < count; ++i) {  // devices keep the driver's numbers, so those behind one that is too old are not used either
      int major = 0, minor = 0;
      if (!ask(cudaDevAttrComputeCapabilityMajor, i, &major) || !ask(cudaDevAttrComputeCapabilityMinor, i, &minor) || major >= 8)
        continue;
      if (i == 0) {
        cudaDeviceProp p{};
        if (cudaGetDeviceProperties(&p, i) != cudaSuccess) cudaGetLastError();
        why = std::string(p.name) + " has compute capability " + std::to_string(major) + "." + std::to_string(minor) +
              "; 8.0 or later is needed" + (count > 1 ? " (CUDA_VISIBLE_DEVICES hides a GPU from the program)" : "");
      }
      count = i;
    }
  }
  static bool ask(cudaDeviceAttr what, int device, int* value) {
    if (cudaDeviceGetAttribute(value, what, device) == cudaSuccess) return true;
    cudaGetLastError();
    return false;
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
    pinned_.used_on(static_cast<CachingAllocator::Block*>(block), pinned_source_.user(device, stream));
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
    std::array<cudaStream_t, kStreams> streams;
    {
      OneDevice& d = at(device);
      std::lock_guard lock(d.mutex);
      streams = d.streams;
    }
    // Not the device: that would break what another thread records there.
    check("synchronize", cudaStreamSynchronize(nullptr));
    for (cudaStream_t stream : streams)
      if (stream) check("synchronize", cudaStreamSynchronize(stream));
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
#if GRADUS_WITH_CUDNN
    dnn::prepare_thread(device);
#endif
    d.allocator.empty_cache();  // the recording needs as much again as the step, and until it is done nothing can be given back
    d.allocator.keep(stream, true);
    freeze(device, true);
    before_recording = current[device], current[device] = recording_stream = stream;
    // Relaxed: the allocator may ask the driver for memory, and other threads may go on with their work.
    const cudaError_t error = cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed);
    if (error == cudaSuccess) return;
    leave_recording(device);
    retire(device, stream);
    check("capture", error);
  }
  void* end_recording(int device) override {
    On on(device);
    cudaStream_t stream = recording_stream;
    if (current[device] != stream)
      throw Error("capture: the step has left its stream; a StreamGuard from before the step must not end within it");
    cudaGraph_t graph = nullptr;
    check("capture", cudaStreamEndCapture(stream, &graph));
    cudaGraphExec_t step = nullptr;
    const cudaError_t error = cudaGraphInstantiate(&step, graph, 0);
    cudaGraphDestroy(graph);
    check("capture", error);
    leave_recording(device);
    return new Recorded{step, stream, nullptr};
  }
  void abandon_recording(int device) noexcept override {
    cudaStream_t stream = recording_stream;
    if (!stream) return;
    On on(device, std::nothrow);
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    if (cudaStreamIsCapturing(stream, &status) == cudaSuccess && status != cudaStreamCaptureStatusNone) {
      cudaGraph_t graph = nullptr;
      if (cudaStreamEndCapture(stream, &graph) == cudaSuccess) cudaGraphDestroy(graph);
    }
    cudaGetLastError();
    leave_recording(device);
    retire(device, stream);
  }
  void step_aside(int device) noexcept override { std::swap(current[device], before_recording); }
  void replay(int device, void* recording) override {
    On on(device);
    auto* r = static_cast<Recorded*>(recording);
    check("capture", cudaGraphLaunch(r->step, current[device]));
    r->last = current[device];
  }
  void free_recording(int device, void* recording) noexcept override {
    On on(device, std::nothrow);
    auto* r = static_cast<Recorded*>(recording);
    // A replay may be on its way, behind those before it. The device itself is not waited for: that would break what another thread records.
    cudaStreamSynchronize(r->last);
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
    cudaStream_t last;  // where it was replayed last
  };
  void freeze(int device, bool on) {
    at(device).allocator.freeze(on);
    pinned_.freeze(on);
  }
  void leave_recording(int device) noexcept {
    current[device] = before_recording, recording_stream = nullptr;
    freeze(device, false);
  }
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
