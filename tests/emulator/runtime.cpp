// The CUDA runtime's functions that the library calls, for a GPU that is not there.
//
// What a stream is given waits in its queue until somebody waits for it, so who reads a result too early, or writes to a pinned source too
// early, gets wrong numbers here as there. The device's memory is full of NaN when it is new, and closed to the host except while
// tasks run.
#include "tests/emulator/runtime.h"

#include <sys/mman.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "tests/emulator/emulator.h"

namespace emulator {
namespace {

constexpr size_t kMemory = size_t(6) << 30;  // of a device; the system gives pages as they are written
constexpr size_t kPage = 4096, kHuge = size_t(2) << 20;
constexpr size_t kKept = size_t(1) << 16;  // bytes of a piece whose pages stay when it is given back
constexpr size_t kMostWaiting = 512;       // tasks in a queue

using Task = std::function<void()>;
using Tasks = std::vector<Task>;
using Lock = std::lock_guard<std::recursive_mutex>;
std::recursive_mutex& mutex() {
  static auto* m = new std::recursive_mutex;  // never destroyed: tensors are freed late
  return *m;
}

thread_local cudaError_t last_error = cudaSuccess;
thread_local int device_of_thread = 0;

cudaError_t failed(cudaError_t error) {
  last_error = error;
  return error;
}

/// Memory of a device: pieces of one range of addresses. Tests that give each tensor a piece of its own take and open thousands, so as
/// few calls of the system as can be: neighbours are opened together, all is closed at once, and a new piece is filled when it is opened.
class Arena {
 public:
  Arena() {
    void* range = mmap(nullptr, kMemory + kHuge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    base_ = static_cast<char*>(range) + (kHuge - reinterpret_cast<uintptr_t>(range) % kHuge);
    free_[0] = kMemory;
  }
  void* take(size_t bytes) {
    const size_t unit = bytes < kHuge ? kPage : kHuge;
    bytes = std::max(unit, (bytes + unit - 1) / unit * unit);
    for (auto [from, size] : free_) {
      const size_t at = (from + unit - 1) / unit * unit, end = from + size;
      if (at + bytes > end) continue;
      free_.erase(from);
      if (from < at) free_[from] = at - from;
      if (at + bytes < end) free_[at + bytes] = end - at - bytes;
      taken_[at] = bytes, in_use_ += bytes;
      if (unit == kHuge) madvise(base_ + at, bytes, MADV_HUGEPAGE);  // one entry to change where small pages have 512
      fresh_.push_back(at);
      if (open_) open(true);
      return base_ + at;
    }
    return nullptr;
  }
  bool give_back(void* p) {
    auto found = taken_.find(size_t(static_cast<char*>(p) - base_));
    if (found == taken_.end()) return false;
    auto [at, bytes] = *found;
    taken_.erase(found), in_use_ -= bytes;
    std::erase(fresh_, at);
    if (open_) mprotect(base_ + at, bytes, PROT_NONE);
    if (bytes > kKept) madvise(base_ + at, bytes, MADV_DONTNEED);
    auto next = free_.upper_bound(at);
    if (next != free_.end() && next->first == at + bytes) bytes += next->second, next = free_.erase(next);
    if (next != free_.begin() && std::prev(next)->first + std::prev(next)->second == at)
      std::prev(next)->second += bytes;
    else
      free_[at] = bytes;
    return true;
  }
  void open(bool yes) {
    open_ = yes;
    if (taken_.empty()) return;
    if (!yes) {
      const auto& [at, bytes] = *taken_.rbegin();
      mprotect(base_, at + bytes, PROT_NONE);
      return;
    }
    for (auto piece = taken_.begin(); piece != taken_.end();) {
      const size_t begin = piece->first;
      size_t end = begin;
      for (; piece != taken_.end() && piece->first == end; ++piece) end += piece->second;
      mprotect(base_ + begin, end - begin, PROT_READ | PROT_WRITE);
    }
    for (size_t at : fresh_) std::memset(base_ + at, 0xff, taken_[at]);
    fresh_.clear();
  }
  bool has(const void* p) const { return p >= base_ && p < base_ + kMemory; }
  size_t unused() const { return kMemory - in_use_; }

 private:
  char* base_;
  std::map<size_t, size_t> free_, taken_;
  std::vector<size_t> fresh_;  // taken, and not yet filled
  size_t in_use_ = 0;
  bool open_ = false;
};

struct Queue {
  int device = 0;
  std::deque<Task> tasks;
  cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  Tasks captured;
};

struct Mark {  // of an event: where it was recorded last
  Queue* queue = nullptr;
  uint64_t asked = 0, done = 0;
  int questions = 0;  // since then
  std::chrono::steady_clock::time_point time;
};
struct Event {
  int device = device_of_thread;  // whose streams can record it
  std::shared_ptr<Mark> mark = std::make_shared<Mark>();
  bool captured = false;
};

struct Gpu {
  Arena memory;
  Queue standard;  // the legacy default stream
  std::vector<std::unique_ptr<Queue>> queues;
  Gpu(int device) { standard.device = device; }
};
int count_of_devices() {
  const char* n = std::getenv("GRADUS_EMULATOR_DEVICES");
  return n ? std::atoi(n) : 1;
}
std::vector<std::unique_ptr<Gpu>>& gpus() {
  static auto* all = [] {
    auto* made = new std::vector<std::unique_ptr<Gpu>>;
    for (int i = 0; i < count_of_devices(); ++i) made->push_back(std::make_unique<Gpu>(i));
    return made;
  }();
  return *all;
}
Gpu& selected() { return *gpus()[size_t(device_of_thread)]; }
std::map<char*, size_t>& pinned() {
  static auto* all = new std::map<char*, size_t>;
  return *all;
}

Queue& queue_of(cudaStream_t stream) { return stream ? *reinterpret_cast<Queue*>(stream) : selected().standard; }
Event* event_of(cudaEvent_t event) { return reinterpret_cast<Event*>(event); }

int running = 0;  // tasks within tasks
template <class Until> void run_until(Queue& queue, Until until) {
  if (until() || queue.tasks.empty()) return;
  if (running++ == 0)
    for (auto& gpu : gpus()) gpu->memory.open(true);
  while (!until() && !queue.tasks.empty()) {
    const Task task = std::move(queue.tasks.front());
    queue.tasks.pop_front();
    task();
  }
  if (--running == 0)
    for (auto& gpu : gpus()) gpu->memory.open(false);
}
void run_all(Queue& queue) {
  run_until(queue, [] { return false; });
}
void run_all(Gpu& gpu) {
  run_all(gpu.standard);
  for (auto& queue : gpu.queues) run_all(*queue);
}

void add(Queue& queue, Task task) {
  if (queue.capture == cudaStreamCaptureStatusActive) {
    queue.captured.push_back(std::move(task));
    return;
  }
  queue.tasks.push_back(std::move(task));
  if (queue.tasks.size() > kMostWaiting) run_until(queue, [&] { return queue.tasks.size() <= kMostWaiting / 2; });
}
/// Whether the stream is being captured, and what it was asked for ends that.
bool spoils_capture(Queue& queue) {
  if (queue.capture == cudaStreamCaptureStatusNone) return false;
  queue.capture = cudaStreamCaptureStatusInvalidated;
  failed(cudaErrorStreamCaptureUnsupported);
  return true;
}
/// The same for what concerns the whole device: all that is captured there is lost, whoever captures it.
bool spoils_captures(Gpu& gpu) {
  bool any = false;
  for (auto& queue : gpu.queues)
    if (queue->capture == cudaStreamCaptureStatusActive) any = true, queue->capture = cudaStreamCaptureStatusInvalidated;
  if (any) failed(cudaErrorStreamCaptureUnsupported);
  return any;
}
void run_until_done(Mark& mark, uint64_t ticket) {
  if (mark.queue) run_until(*mark.queue, [&] { return mark.done >= ticket; });
}

bool is_pinned(const void* p) {
  auto next = pinned().upper_bound(const_cast<char*>(static_cast<const char*>(p)));
  return next != pinned().begin() && p < std::prev(next)->first + std::prev(next)->second;
}

}  // namespace

void set_error(cudaError_t error) { last_error = error; }

bool is_on_device(const void* p) {
  for (auto& gpu : gpus())
    if (gpu->memory.has(p)) return true;
  return false;
}

void enqueue(cudaStream_t stream, Task task) {
  Lock lock(mutex());
  Queue& queue = queue_of(stream);
  if (queue.device != device_of_thread)
    return set_error(cudaErrorInvalidResourceHandle);  // a kernel runs on the device that is selected
  add(queue, std::move(task));
}

}  // namespace emulator

using namespace emulator;

// ---- errors and devices -----------------------------------------------------------------------------------------------
cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return last_error; }
const char* cudaGetErrorName(cudaError_t error) {
  return error == cudaErrorMemoryAllocation ? "cudaErrorMemoryAllocation" : "cudaError";
}
const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInvalidConfiguration: return "invalid configuration argument";
    case cudaErrorInvalidResourceHandle: return "invalid resource handle";
    case cudaErrorStreamCaptureUnsupported: return "operation not permitted when stream is capturing";
    default: return "an error of the emulator";
  }
}
cudaError_t cudaGetDeviceCount(int* count) { return *count = int(gpus().size()), cudaSuccess; }
cudaError_t cudaGetDevice(int* device) { return *device = device_of_thread, cudaSuccess; }
cudaError_t cudaSetDevice(int device) {
  if (device < 0 || size_t(device) >= gpus().size()) return failed(cudaErrorInvalidDevice);
  device_of_thread = device;
  return cudaSuccess;
}
/// GRADUS_EMULATOR_MAJORS=96: of two devices the second one is of compute capability 6.
static int major_of(int device) {
  const char* majors = std::getenv("GRADUS_EMULATOR_MAJORS");
  return majors && size_t(device) < std::strlen(majors) ? majors[device] - '0' : 9;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int device) {
  *p = {};
  std::strcpy(p->name, "emulated GPU");
  p->totalGlobalMem = kMemory, p->major = major_of(device), p->minor = 0, p->multiProcessorCount = 132, p->l2CacheSize = 50 << 20;
  p->sharedMemPerBlockOptin = 227 << 10;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr which, int device) {
  *value = which == cudaDevAttrComputeCapabilityMajor ? major_of(device) : which == cudaDevAttrMultiProcessorCount ? 132 : 0;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) { return *version = CUDART_VERSION, cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int* version) { return *version = CUDART_VERSION, cudaSuccess; }
cudaError_t cudaDeviceSynchronize() {
  Lock lock(mutex());
  if (spoils_captures(selected())) return cudaErrorStreamCaptureUnsupported;
  run_all(selected());
  return cudaSuccess;
}

// ---- memory -----------------------------------------------------------------------------------------------------------
static std::atomic<int> allocations_say = cudaSuccess;
/// What allocations fail with from now on; 0: they do not.
extern "C" void gradus_emulated_allocations_say(int error) { allocations_say = error; }

cudaError_t cudaMalloc(void** p, size_t bytes) {
  Lock lock(mutex());
  if (const int error = allocations_say) return failed(cudaError_t(error));
  *p = selected().memory.take(bytes);
  return *p ? cudaSuccess : failed(cudaErrorMemoryAllocation);
}
cudaError_t cudaFree(void* p) {
  if (!p) return cudaSuccess;
  Lock lock(mutex());
  for (auto& gpu : gpus()) {
    if (!gpu->memory.has(p)) continue;
    if (spoils_captures(*gpu)) return cudaErrorStreamCaptureUnsupported;
    run_all(*gpu);
    return gpu->memory.give_back(p) ? cudaSuccess : failed(cudaErrorInvalidValue);
  }
  return failed(cudaErrorInvalidValue);
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  Lock lock(mutex());
  *free = selected().memory.unused(), *total = kMemory;
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** p, size_t bytes, unsigned) {
  Lock lock(mutex());
  if (const int error = allocations_say) return failed(cudaError_t(error));
  *p = std::aligned_alloc(kPage, (bytes + kPage - 1) / kPage * kPage);
  if (!*p) return failed(cudaErrorMemoryAllocation);
  pinned()[static_cast<char*>(*p)] = bytes;
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* p) {
  Lock lock(mutex());
  for (auto& gpu : gpus())
    if (spoils_captures(*gpu)) return cudaErrorStreamCaptureUnsupported;
  for (auto& gpu : gpus()) run_all(*gpu);
  pinned().erase(static_cast<char*>(p));
  std::free(p);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  if (bytes == 0) return cudaSuccess;
  Lock lock(mutex());
  Queue& queue = queue_of(stream);
  if (!is_on_device(from) && !is_pinned(from)) {  // may be written as soon as this returns
    auto kept = std::make_shared<std::vector<char>>(static_cast<const char*>(from), static_cast<const char*>(from) + bytes);
    add(queue, [=] { std::memcpy(to, kept->data(), bytes); });
  } else {
    add(queue, [=] { std::memmove(to, from, bytes); });
  }
  if (!is_on_device(to) && !is_pinned(to)) {  // is there when this returns
    if (spoils_capture(queue)) return cudaErrorStreamCaptureUnsupported;
    run_all(queue);
  }
  return cudaSuccess;
}
cudaError_t cudaMemcpyPeerAsync(void* to, int, const void* from, int, size_t bytes, cudaStream_t stream) {
  return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream);
}
cudaError_t cudaMemsetAsync(void* p, int value, size_t bytes, cudaStream_t stream) {
  Lock lock(mutex());
  add(queue_of(stream), [=] { std::memset(p, value, bytes); });
  return cudaSuccess;
}

// ---- streams and events -----------------------------------------------------------------------------------------------
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  Lock lock(mutex());
  selected().queues.push_back(std::make_unique<Queue>());
  Queue& queue = *selected().queues.back();
  queue.device = device_of_thread;
  *stream = reinterpret_cast<cudaStream_t>(&queue);
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  Lock lock(mutex());
  Queue& queue = queue_of(stream);
  if (spoils_capture(queue)) return cudaErrorStreamCaptureUnsupported;
  run_all(queue);
  return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  Lock lock(mutex());
  Queue& queue = queue_of(stream);
  if (spoils_capture(queue)) return cudaErrorStreamCaptureUnsupported;
  if (queue.tasks.empty()) return cudaSuccess;
  run_until(queue, [&, before = queue.tasks.size()] { return queue.tasks.size() < before; });  // it works while it is asked
  return queue.tasks.empty() ? cudaSuccess : failed(cudaErrorNotReady);
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = reinterpret_cast<cudaEvent_t>(new Event);
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  Lock lock(mutex());
  delete event_of(event);
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  Lock lock(mutex());
  Queue& queue = queue_of(stream);
  Event& e = *event_of(event);
  if (e.device != queue.device) return failed(cudaErrorInvalidResourceHandle);
  e.captured = queue.capture != cudaStreamCaptureStatusNone;
  if (e.captured) return cudaSuccess;
  std::shared_ptr<Mark> mark = e.mark;
  run_until_done(*mark, mark->asked);
  mark->queue = &queue, mark->questions = 0;
  add(queue, [mark, ticket = ++mark->asked] { mark->done = ticket, mark->time = std::chrono::steady_clock::now(); });
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  Lock lock(mutex());
  Event& e = *event_of(event);
  if (e.captured) return failed(cudaErrorCapturedEvent);
  Mark& mark = *e.mark;
  if (mark.done < mark.asked && ++mark.questions > 2) run_until_done(mark, mark.asked);
  return mark.done >= mark.asked ? cudaSuccess : failed(cudaErrorNotReady);
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  Lock lock(mutex());
  Event& e = *event_of(event);
  if (e.captured) return failed(cudaErrorCapturedEvent);
  run_until_done(*e.mark, e.mark->asked);
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  Lock lock(mutex());
  Queue& queue = queue_of(stream);
  Event& e = *event_of(event);
  if (e.captured || queue.capture != cudaStreamCaptureStatusNone) return failed(cudaErrorStreamCaptureIsolation);
  add(queue, [mark = e.mark, ticket = e.mark->asked] { run_until_done(*mark, ticket); });
  return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t from, cudaEvent_t to) {
  Lock lock(mutex());
  const Mark &a = *event_of(from)->mark, &b = *event_of(to)->mark;
  if (a.asked == 0 || b.asked == 0) return failed(cudaErrorInvalidResourceHandle);
  if (a.done < a.asked || b.done < b.asked) return failed(cudaErrorNotReady);
  *ms = std::chrono::duration<float, std::milli>(b.time - a.time).count();
  return cudaSuccess;
}

// ---- graphs -----------------------------------------------------------------------------------------------------------
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  Lock lock(mutex());
  if (!stream) return failed(cudaErrorStreamCaptureUnsupported);
  Queue& queue = queue_of(stream);
  if (queue.capture != cudaStreamCaptureStatusNone) return failed(cudaErrorIllegalState);
  queue.capture = cudaStreamCaptureStatusActive;
  return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  Lock lock(mutex());
  *status = queue_of(stream).capture;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  Lock lock(mutex());
  Queue& queue = queue_of(stream);
  *graph = nullptr;
  const auto status = std::exchange(queue.capture, cudaStreamCaptureStatusNone);
  Tasks tasks = std::exchange(queue.captured, {});
  if (status == cudaStreamCaptureStatusNone) return failed(cudaErrorIllegalState);
  if (status == cudaStreamCaptureStatusInvalidated) return failed(cudaErrorStreamCaptureInvalidated);
  *graph = reinterpret_cast<cudaGraph_t>(new Tasks(std::move(tasks)));
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* step, cudaGraph_t graph, unsigned long long) {
  *step = reinterpret_cast<cudaGraphExec_t>(new Tasks(*reinterpret_cast<Tasks*>(graph)));
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return delete reinterpret_cast<Tasks*>(graph), cudaSuccess; }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t step) { return delete reinterpret_cast<Tasks*>(step), cudaSuccess; }
cudaError_t cudaGraphLaunch(cudaGraphExec_t step, cudaStream_t stream) {
  Lock lock(mutex());
  Queue& queue = queue_of(stream);
  if (spoils_capture(queue)) return cudaErrorStreamCaptureUnsupported;
  add(queue, [tasks = reinterpret_cast<Tasks*>(step)] {
    for (const Task& task : *tasks) task();
  });
  return cudaSuccess;
}
