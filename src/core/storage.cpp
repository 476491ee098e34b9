// Where a tensor's bytes come from on the CPU: small ones from the pool, larger ones from free lists of like sizes, so that a
// training step in its second round asks the system for nothing.
#include "gradus/core/storage.h"

#include <sys/mman.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <vector>

#include "gradus/core/stream.h"
#include "kernels/accelerator.h"
#include "kernels/table.h"
#include "src/core/message.h"
#include "src/core/recording.h"

namespace gradus {
namespace {

constexpr size_t kHeader = pool::kLine;
static_assert(sizeof(Storage) <= kHeader);
constexpr size_t kHuge = size_t(1) << 21;

/// Rounds up to one of eight sizes per doubling, of thirty-two from a megabyte on: little is wasted, and like requests meet again.
size_t rounded(size_t bytes) {
  size_t step = std::max<size_t>(pool::kLine, std::bit_floor(bytes) / (bytes < size_t(1) << 20 ? 8 : 32));
  return (bytes + step - 1) / step * step;
}

class CpuAllocator {
 public:
  void* allocate(size_t request) {
    const size_t bytes = rounded(request);
    std::unique_lock lock(mutex_);
    ++stats_.allocations;
    // A block of the next size or two serves as well; a much larger one would be wasted.
    auto it = free_.lower_bound(bytes);
    while (it != free_.end() && it->second.empty()) it = free_.erase(it);
    void* p = nullptr;
    if (it != free_.end() && it->first <= bytes + bytes / 4) {
      p = it->second.back();
      it->second.pop_back();
      stats_.cached -= it->first;
      bytes_of(p) = it->first;
      took(it->first);
      return p;
    }
    if (limit_ && stats_.in_use + stats_.cached + bytes > limit_) {
      trim();
      if (stats_.in_use + bytes > limit_) refuse(request, "the limit set is " + std::to_string(limit_) + " bytes");
    }
    p = from_system(bytes);
    if (!p) {
      trim();
      p = from_system(bytes);
    }
    if (!p) refuse(request, "the system refused");
    ++stats_.system_requests;
    took(bytes);
    bytes_of(p) = bytes;
    return p;
  }
  void free(void* p) noexcept {
    std::lock_guard lock(mutex_);
    size_t bytes = bytes_of(p);
    stats_.in_use -= bytes, stats_.cached += bytes;
    free_[bytes].push_back(p);
  }
  void trim() noexcept {  // the caller holds the mutex
    for (auto& [bytes, blocks] : free_)
      for (void* p : blocks) std::free(p), stats_.cached -= bytes;
    free_.clear();
  }
  void empty_cache() {
    std::lock_guard lock(mutex_);
    trim();
  }
  MemoryStats stats() {
    std::lock_guard lock(mutex_);
    MemoryStats s = stats_;
    s.in_use += pool::reserved(), s.peak_in_use += pool::reserved();
    return s;
  }
  void reset_peak() {
    std::lock_guard lock(mutex_);
    stats_.peak_in_use = stats_.in_use;
  }
  void set_limit(size_t bytes) {
    std::lock_guard lock(mutex_);
    limit_ = bytes;
  }

 private:
  static size_t& bytes_of(void* block) { return static_cast<Storage*>(block)->bytes; }
  static void* from_system(size_t bytes) {
    if (bytes < kHuge) return std::aligned_alloc(pool::kLine, bytes);
    void* p = std::aligned_alloc(kHuge, (bytes + kHuge - 1) / kHuge * kHuge);
    if (p) madvise(p, bytes, MADV_HUGEPAGE);  // fewer page faults and misses on large arrays
    return p;
  }
  void took(size_t bytes) {
    stats_.in_use += bytes;
    stats_.peak_in_use = std::max(stats_.peak_in_use, stats_.in_use);
  }
  [[noreturn]] void refuse(size_t bytes, const std::string& why) {
    fail<OutOfMemory>("out of memory: asked for ", bytes, " bytes, ", stats_.in_use, " are in use and ", stats_.cached, " cached; ",
                      why, "; free tensors, or run in smaller batches");
  }

  std::mutex mutex_;
  std::map<size_t, std::vector<void*>> free_;
  MemoryStats stats_;
  size_t limit_ = 0;
};

CpuAllocator& cpu_allocator() {
  static auto* allocator = new CpuAllocator;  // never destroyed: static tensors are freed late
  return *allocator;
}

/// Bytes of an accelerator: the header is the host's, and knows the block.
Ref<Storage> on_accelerator(size_t bytes, Device device) {
  Accelerator& a = accelerator(device);
  Accelerator::Memory memory = a.allocate(device.index, bytes);
  auto* s = new (pool::allocate(sizeof(Storage))) Storage;
  s->device = device, s->bytes = memory.bytes, s->data = memory.data, s->context = memory.block;
  s->release = [](Storage* s) {
    if (forget_storage(*s)) return;
    accelerator(s->device).free(s->device.index, s->context);
    pool::free(s, sizeof(Storage));
  };
  s->used_on = [](Storage* s, const Stream& stream) {
    accelerator(s->device).used_on(s->device.index, s->context, stream.handle());
  };
  Ref<Storage> owner(s);
  note_storage(*s);
  return owner;
}

}  // namespace

Ref<Storage> Storage::make(size_t bytes, Device device) {
  if (bytes > size_t(1) << 60) fail<OutOfMemory>("out of memory: asked for ", bytes, " bytes");
  if (device.type != DeviceType::cpu) return on_accelerator(bytes, device);
  size_t whole = bytes + kHeader;
  auto* s = static_cast<Storage*>(nullptr);
  if (whole <= pool::kLargest) {
    s = new (pool::allocate(whole)) Storage;
    s->bytes = whole;
    s->release = [](Storage* s) { pool::free(s, s->bytes); };
  } else {
    void* block = cpu_allocator().allocate(whole);
    size_t reserved = static_cast<Storage*>(block)->bytes;
    s = new (block) Storage;
    s->bytes = reserved;
    s->release = [](Storage* s) { cpu_allocator().free(s); };
  }
  s->data = reinterpret_cast<char*>(s) + kHeader;
  return Ref<Storage>(s);
}

namespace {
struct Pinned : Storage {
  Accelerator* owner;
};
void release_pinned(Storage* s) {
  auto* p = static_cast<Pinned*>(s);
  p->owner->free_pinned(p->context);
  delete p;
}
}  // namespace

Ref<Storage> Storage::make_pinned(size_t bytes, DeviceType type) {
  Accelerator* owner = type == DeviceType::cpu || device_count(type) == 0 ? nullptr : &accelerator(type);
  Accelerator::Memory memory = owner ? owner->allocate_pinned(bytes) : Accelerator::Memory{};
  if (!memory.block) return make(bytes);
  auto* s = new Pinned;
  s->owner = owner;
  s->bytes = memory.bytes, s->data = memory.data, s->context = memory.block;
  s->release = release_pinned;
  return Ref<Storage>(s);
}
bool Storage::is_pinned() const { return release == release_pinned; }

MemoryStats memory_stats(Device d) {
  return d.type == DeviceType::cpu ? cpu_allocator().stats() : accelerator(d).memory_stats(d.index);
}
void reset_peak_memory(Device d) {
  d.type == DeviceType::cpu ? cpu_allocator().reset_peak() : accelerator(d).reset_peak_memory(d.index);
}
void empty_cache(Device d) { d.type == DeviceType::cpu ? cpu_allocator().empty_cache() : accelerator(d).empty_cache(d.index); }
void set_memory_limit(size_t bytes, Device d) {
  d.type == DeviceType::cpu ? cpu_allocator().set_limit(bytes) : accelerator(d).set_memory_limit(d.index, bytes);
}

}  // namespace gradus
