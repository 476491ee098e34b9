#include "gradus/core/pool.h"

#include <atomic>
#include <mutex>

#include "gradus/core/error.h"

namespace gradus::pool {
namespace {

struct Surplus {
  std::mutex mutex;
  List list{};
};
Surplus& surplus(int c) {
  static auto* all = new Surplus[kClasses];  // never freed: static tensors may outlive any order of destruction
  return all[c];
}
std::atomic<size_t> reserved_bytes{0};

/// Moves `count` blocks from the front of one list to another.
void move_blocks(List& from, List& to, int count) {
  Block *first = from.first, *last = first;
  if (!first || count <= 0) return;
  int moved = 1;
  while (moved < count && last->next) last = last->next, ++moved;
  from.first = last->next, from.count -= moved;
  last->next = to.first, to.first = first, to.count += moved;
}

/// Hands a thread's lists to the others when it ends. Touched on the slow path only.
struct Farewell {
  ~Farewell() {
    for (int c = 0; c < kClasses; ++c) {
      std::lock_guard lock(surplus(c).mutex);
      move_blocks(lists[c], surplus(c).list, lists[c].count);
    }
  }
  void arm() {}
};
thread_local Farewell farewell;

}  // namespace

void* refill(int c) {
  farewell.arm();
  {
    std::lock_guard lock(surplus(c).mutex);
    move_blocks(surplus(c).list, lists[c], kKeep / 2);
  }
  if (!lists[c].first) {
    const size_t bytes = kLine << c, slab = size_t(1) << 17;
    char* p = static_cast<char*>(std::aligned_alloc(kLine, slab));
    if (!p) throw OutOfMemory("the system has no " + std::to_string(slab) + " bytes left for small blocks");
    reserved_bytes.fetch_add(slab, std::memory_order_relaxed);
    for (char* next = p + slab - bytes; next >= p; next -= bytes)
      lists[c].first = new (next) Block{lists[c].first}, ++lists[c].count;
  }
  Block* block = lists[c].first;
  lists[c].first = block->next;
  --lists[c].count;
  return block;
}

void give_back(int c) noexcept {
  std::lock_guard lock(surplus(c).mutex);
  move_blocks(lists[c], surplus(c).list, kKeep / 2);
}

size_t reserved() { return reserved_bytes.load(std::memory_order_relaxed); }

}  // namespace gradus::pool
