// Small blocks come back in the order they went: one free list per size class and thread. Tensors, small storages and graph nodes
// come from here, so that a training step in its second round asks the system for nothing.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace gradus::pool {

inline constexpr size_t kLine = 64;  // every block is aligned to a cache line and at least this long
inline constexpr int kClasses = 6;   // 64, 128, ... 2048 bytes; larger ones come from the storage allocator
inline constexpr size_t kLargest = kLine << (kClasses - 1);

struct Block {
  Block* next;
};
struct List {
  Block* first;
  int count;  // above kKeep, half of the blocks go to the other threads
};
inline constexpr int kKeep = 4096;

// Plain data on purpose: no constructor means no guard to check at every use, no destructor means that a tensor in a static
// variable may be freed late. A thread that ends hands its lists to the others.
inline thread_local constinit List lists[kClasses] = {};

constexpr int size_class(size_t bytes) { return bytes <= kLine ? 0 : int(std::bit_width((bytes - 1) / kLine)); }

void* refill(int size_class);             // slow path: from the other threads' surplus, else from the system
void give_back(int size_class) noexcept;  // slow path: hands half of this thread's list to the others
size_t reserved();                        // bytes that the pool took from the system

#if defined(__SANITIZE_ADDRESS__)  // a pool would hide use after free from the sanitizer
inline void* allocate(size_t bytes) {
  void* p = std::aligned_alloc(kLine, (bytes + kLine - 1) / kLine * kLine);
  if (!p) throw std::bad_alloc();
  return p;
}
inline void free(void* p, size_t) noexcept { std::free(p); }
#else
/// `bytes` is at most kLargest.
inline void* allocate(size_t bytes) {
  int c = size_class(bytes);
  List& list = lists[c];
  if (!list.first) [[unlikely]]
    return refill(c);
  Block* block = list.first;
  list.first = block->next;
  --list.count;
  return block;
}
inline void free(void* p, size_t bytes) noexcept {
  int c = size_class(bytes);
  List& list = lists[c];
  list.first = new (p) Block{list.first};
  if (++list.count > kKeep) [[unlikely]]
    give_back(c);
}
#endif

/// Gives a class pooled `new` and `delete`. Objects larger than kLargest use the ordinary heap.
struct Pooled {
  static void* operator new(size_t bytes) { return bytes <= kLargest ? allocate(bytes) : ::operator new(bytes); }
  static void operator delete(void* p, size_t bytes) noexcept { bytes <= kLargest ? pool::free(p, bytes) : ::operator delete(p); }
};

}  // namespace gradus::pool
