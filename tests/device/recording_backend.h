// A device that records: the host's memory and the CPU's kernels, whose calls are kept with all that they were given while a step is
// recorded, and done in each replay. So captured steps can be tested without a GPU.
#pragma once
#include <array>
#include <cstring>
#include <functional>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "kernels/accelerator.h"
#include "kernels/recording.h"
#include "kernels/table.h"
#include "tests/device/host_memory.h"

namespace gradus::testing {

using Tasks = std::vector<std::function<void()>>;

class RecordingDevice final : public Accelerator {
 public:
  int replays = 0, live = 0, waits = 0;
  bool faulted = false;  // the CPU's kernels trust indices that were looked at: after one outside, a replay calls no more of them
  Tasks *tasks = nullptr, *beside = nullptr;  // while recording; while stepping aside
  HostMemory memory;
  CachingAllocator allocator{memory, "other"}, pinned{memory, "pinned"};

  int count() override { return 1; }
  DeviceProperties properties(int) override { return {.name = "records", .major = 7}; }
  Memory allocate(int, size_t bytes) override { return memory_of(allocator.allocate(bytes, tasks)); }
  void free(int, void* block) noexcept override { allocator.free(block_of(block)); }
  MemoryStats memory_stats(int) override { return allocator.stats(); }
  void reset_peak_memory(int) override { allocator.reset_peak(); }
  void empty_cache(int) override { allocator.empty_cache(); }
  void set_memory_limit(int, size_t bytes) override { allocator.set_limit(bytes); }
  Memory allocate_pinned(size_t bytes) override { return memory_of(pinned.allocate(bytes, nullptr)); }
  void free_pinned(void* block) noexcept override { pinned.free(block_of(block)); }
  void copy(void* to, int to_device, const void* from, int from_device, size_t bytes, bool wait) override {
    if (wait || to_device < 0 || from_device < 0) refuse_while_recording("waits for the device");
    waits += wait;
    run([=] { std::memcpy(to, from, bytes); });
  }
  void synchronize(int) override { refuse_while_recording("waits for the device"); }
  void* new_stream(int) override { return this; }  // any address that is not null
  void* new_event(int) override { return new double(0); }
  void free_event(int, void* e) noexcept override { delete static_cast<double*>(e); }
  void record(void*, int, void*) override {}
  double milliseconds(void*, void*) override { return 0; }

  bool records() override { return true; }
  void begin_recording(int) override {
    allocator.empty_cache();
    tasks = new Tasks, allocator.keep(tasks, true), allocator.freeze(true), ++live;
  }
  void* end_recording(int) override {
    allocator.freeze(false);
    return std::exchange(tasks, nullptr);
  }
  void abandon_recording(int) noexcept override {
    if (!tasks) return;
    allocator.freeze(false);
    free_recording(0, std::exchange(tasks, nullptr));
  }
  void step_aside(int) noexcept override { std::swap(tasks, beside); }
  void replay(int, void* recording) override {
    ++replays, faulted = false;
    for (auto& task : *static_cast<Tasks*>(recording)) task();
  }
  void free_recording(int, void* recording) noexcept override {
    allocator.keep(recording, false), --live;
    retired.push_back(recording);  // its address names memory, so nobody else gets it
  }
  /// Now, or in each replay.
  void run(std::function<void()> task) {
    if (tasks)
      tasks->push_back(std::move(task));
    else
      task();
  }

 private:
  static Memory memory_of(CachingAllocator::Block* b) { return {b->data, b->bytes, b}; }
  static CachingAllocator::Block* block_of(void* b) { return static_cast<CachingAllocator::Block*>(b); }
  std::vector<void*> retired;
};
inline RecordingDevice& recording_device() {
  static auto* device = new RecordingDevice;
  return *device;
}

// What a kernel was given, kept beyond the call.
template <class T> struct Kept {
  T value;
  explicit Kept(T v) : value(v) {}
  T get() { return value; }
};
template <> struct Kept<const Array&> {
  std::array<int64_t, kMaxRank> shape{}, stride{};
  Array value;
  explicit Kept(const Array& a) : value(a) {
    for (int d = 0; d < a.rank; ++d) shape[size_t(d)] = a.shape[d], stride[size_t(d)] = a.stride[d];
  }
  const Array& get() {
    value.shape = shape.data(), value.stride = stride.data();
    return value;
  }
};
template <> struct Kept<Draw> {
  Draw value;
  explicit Kept(Draw d) : value(d) {}
  Draw get() { return value.now(); }
};
template <class P> struct Kept<const P&> {
  P value, now;
  explicit Kept(const P& p) : value(p), now(p) {}
  const P& get() {
    if constexpr (std::is_same_v<P, AttentionParams>) now.draw = value.draw.now();
    return now;
  }
};
template <> struct Kept<const Elementwise&> {
  Elementwise value;
  Scalar scalars[2];
  explicit Kept(const Elementwise& e) : value(e) {
    if (e.scalars) scalars[0] = e.scalars[0], scalars[1] = e.scalars[1];
  }
  const Elementwise& get() {
    if (value.scalars) value.scalars = scalars;
    return value;
  }
};
/// What the host is told: the first number is the place of an index outside, or -1.
template <> struct Kept<int64_t*> {
  uint64_t* fault = nullptr;
  int64_t count = int64_t(1) << 40, here[2] = {-1, 0};
  explicit Kept(int64_t* told) {
    told[0] = -1;
    fault = Recording::current()->fault(count);
  }
  int64_t* get() { return here; }
  void tell() {
    if (here[0] >= 0) *fault = uint64_t(count - here[0]), recording_device().faulted = true;
    here[0] = -1;
  }
};

template <auto a, auto b> constexpr bool is_same_kernel =
    std::is_same_v<std::integral_constant<decltype(a), a>, std::integral_constant<decltype(b), b>>;

/// Calls a kernel of the CPU, now or in each replay.
template <auto member> struct Through;
template <class... P, void (*KernelTable::*member)(P...)> struct Through<member> {
  static void call(P... p) {
    auto* kernel = kernels(DeviceType::cpu).*member;
    if (!recording_device().tasks) return kernel(p...);
    constexpr bool kCounts = is_same_kernel<member, &KernelTable::cross_entropy>;
    constexpr bool kTellsLater = kCounts || is_same_kernel<member, &KernelTable::locate>;
    if constexpr ((std::is_same_v<P, int64_t*> || ...) && !kTellsLater) refuse_while_recording("waits for the device");
    auto kept = std::make_shared<std::tuple<Kept<P>...>>(Kept<P>(p)...);
    if constexpr (kCounts) std::get<sizeof...(P) - 1>(std::tie(p...))[1] = -1;
    recording_device().run([kernel, kept] {
      if (recording_device().faulted) return;
      std::apply(
          [&](auto&... k) {
            kernel(k.get()...);
            auto tell = [](auto& one) {
              if constexpr (requires { one.tell(); }) one.tell();
            };
            (tell(k), ...);
          },
          *kept);
    });
  }
};
template <> struct Through<&KernelTable::update> {
  static void call(const Update* list, int64_t count) {
    std::vector<Update> steps(list, list + count);
    recording_device().run([steps]() mutable {
      for (Update& u : steps)
        if (u.rates_there) std::memcpy(u.rates, u.rates_there, sizeof u.rates);
      kernels(DeviceType::cpu).update(steps.data(), int64_t(steps.size()));
    });
  }
};
template <> struct Through<&KernelTable::sum_of_squares> {
  static void call(const Array& sum, const Stretch* list, int64_t count) {
    recording_device().run([to = Kept<const Array&>(sum), all = std::vector<Stretch>(list, list + count)]() mutable {
      kernels(DeviceType::cpu).sum_of_squares(to.get(), all.data(), int64_t(all.size()));
    });
  }
};

inline const KernelTable& recording_table() {
  static const KernelTable table = {
#define GRADUS_UNARY(name, ...) \
  .name = Through<&KernelTable::name>::call, .name##_backward = Through<&KernelTable::name##_backward>::call,
#define GRADUS_UNARY1(name, ...) GRADUS_UNARY(name)
#define GRADUS_UNARY2(name, ...) GRADUS_UNARY(name)
#define GRADUS_BINARY(name, ...) GRADUS_UNARY(name)
#define GRADUS_COMPARE(name, ...) .name = Through<&KernelTable::name>::call,
#define GRADUS_PREDICATE(name, ...) GRADUS_COMPARE(name)
#define GRADUS_BITWISE(name, ...) GRADUS_COMPARE(name)
#include "gradus/ops/ops.def"
    .where = Through<&KernelTable::where>::call,
#define GRADUS_KERNEL(name, parameters) .name = Through<&KernelTable::name>::call,
#include "gradus/ops/kernels.def"
  };
  return table;
}

/// Device(DeviceType::other), which records.
inline Device recording_kind() {
  static const bool registered = (register_backend(DeviceType::other, &recording_table(), &recording_device()), true);
  (void)registered;
  return Device(DeviceType::other);
}

}  // namespace gradus::testing
