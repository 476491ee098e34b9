// Memory of a device, kept between uses. Asking a driver for memory takes a thousand times as long as a small kernel, and giving it back
// waits for the whole device; so large pieces are taken once, cut up, joined again, and handed on in the order of their streams.
#pragma once
#include <cstddef>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "gradus/core/memory.h"

namespace gradus {

/// What the allocator asks of a device.
class MemorySource {
 public:
  virtual ~MemorySource() = default;
  /// Null where there is no more. Throws what else a device says: where a task has failed, smaller batches do not help.
  virtual void* allocate(size_t bytes) = 0;
  virtual void free(void*) noexcept = 0;            // waits until no task uses it
  virtual void* record(void* stream) noexcept = 0;  // an event behind all that the stream was asked for; null: it is idle
  virtual bool is_done(void* event) noexcept = 0;
  virtual void wait(void* event) noexcept = 0;
  virtual void release(void* event) noexcept = 0;
  /// For guarded blocks: bytes are written in the stream's order, and read at the end of it.
  virtual void fill(void* to, unsigned char value, size_t bytes, void* stream) noexcept = 0;
  virtual void read(void* to_host, const void* from, size_t bytes, void* stream) noexcept = 0;
  virtual std::string state() = 0;  // what there is, for the message of OutOfMemory
};

/// How blocks lie, to find what writes or reads outside of its tensor. alone: each is taken from the device by itself, as many bytes as were asked
/// for, and given back at once, so that tools that watch a device's memory see where it ends and that it is new. guarded: alone, between bytes whose
/// values are looked at when it is given back; the program ends where they have changed.
enum class BlockLayout : unsigned char { shared, alone, guarded };
/// GRADUS_DEVICE_MEMORY=alone or =guarded; else shared.
BlockLayout block_layout_of_environment();

class CachingAllocator {
 public:
  static constexpr size_t kGuard = 512;              // bytes before and behind a guarded block
  static constexpr size_t kQuantum = 512;            // sizes are multiples of this, and addresses too
  static constexpr size_t kSmall = size_t(1) << 20;  // blocks up to this are cut from segments of their own
  static constexpr size_t kSegment = size_t(2) << 20, kLargeSegment = size_t(20) << 20;

  struct Block {
    enum State : unsigned char { used, free, quick, waiting };
    char* data;
    size_t bytes;
    void* stream;                                // whose tasks may use it without asking
    Block *previous = nullptr, *next = nullptr;  // neighbours in the segment
    Block* below = nullptr;                      // in a quick bin
    State state = used;
    bool small = false;
    bool alone = false;
    size_t request = 0;             // bytes that were asked for, of one that is alone
    int events = 0;                 // that must pass before it is free
    std::vector<void*> users = {};  // further streams whose tasks use it
  };

  /// `name` is for messages ("cuda:0"). A block that is given back serves the same stream again at once.
  CachingAllocator(MemorySource& source, std::string name, BlockLayout layout = BlockLayout::shared)
      : source_(source), name_(std::move(name)), layout_(layout) {}
  /// Throws OutOfMemory, after everything that was cached has been given back.
  Block* allocate(size_t bytes, void* stream);
  void free(Block* block) noexcept;
  /// Tasks in another stream use the block: after free() it waits for those asked for until then.
  void used_on(Block* block, void* stream);
  void empty_cache() noexcept;
  /// While kept, what was cut for the stream goes back to the device neither when memory runs short nor in empty_cache(): a recorded step
  /// uses it whenever it is done again.
  void keep(void* stream, bool kept);
  /// Between freeze(true) and as many freeze(false), nothing goes back to the device: a device that records a step may not be asked to take
  /// memory back.
  void freeze(bool on);
  MemoryStats stats();
  void reset_peak();
  void set_limit(size_t bytes);
  /// Requests for which no block of their size lay ready.
  size_t searches();

 private:
  struct Before {  // of free blocks: the smallest that is large enough comes first
    bool operator()(const Block* a, const Block* b) const {
      if (a->small != b->small) return a->small;
      if (a->stream != b->stream) return std::less<>()(a->stream, b->stream);
      if (a->bytes != b->bytes) return a->bytes < b->bytes;
      return std::less<>()(a->data, b->data);
    }
  };
  struct Waiting {
    void* event;
    Block* block;
  };
  static constexpr int kBins = 256;

  Block* allocate_alone(size_t request, void* stream);
  void free_alone(Block* block) noexcept;
  void give_back_alone(Block* block);
  void check_guards(const Block* block) noexcept;
  [[noreturn]] void refuse(size_t request, const std::string& why);
  Block*& bin(size_t bytes, void* stream);
  Block* from_bin(size_t bytes, void* stream);
  Block* search(size_t request, size_t bytes, void* stream);
  Block* best_fit(size_t bytes, void* stream);
  Block* any_free(size_t bytes, void* stream);
  Block* from_source(size_t request, size_t bytes, void* stream);
  Block* cut(Block* block, size_t bytes);
  void give_back(Block* block);
  void join(Block* block);
  void empty_bin(Block*& top);
  void look_at_events(void* stream);
  void wait_for_events();
  void pass(const Waiting& waiting);
  void trim();

  MemorySource& source_;
  std::string name_;
  const BlockLayout layout_;
  std::mutex mutex_;
  std::set<Block*, Before> free_;
  Block* bins_[kBins] = {};  // just given back, not yet joined: most requests find their size here
  std::vector<Waiting> waiting_;
  std::vector<Block*> late_;  // that stand alone and were freed while nothing could be given back
  std::set<void*> kept_;
  MemoryStats stats_;  // `cached` is computed
  size_t held_ = 0, limit_ = 0, searches_ = 0;
  int frozen_ = 0;
};

}  // namespace gradus
