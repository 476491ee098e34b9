#include "kernels/cpu/scratch.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <string>

#include "gradus/core/error.h"
#include "kernels/cpu/scratch_limit.h"

namespace gradus::cpu {
namespace {

constexpr size_t kAlign = 64;
constexpr size_t kKeep = size_t(96) << 20;  // the largest stack; what does not fit goes back at once

std::atomic<size_t> limit{SIZE_MAX};

[[noreturn]] void refuse(size_t bytes) {
  throw OutOfMemory("scratch memory of a kernel: " + std::to_string(bytes) + " bytes were refused by the system");
}
void* allocate(size_t bytes) {
  if (void* p = std::aligned_alloc(kAlign, bytes)) return p;
  refuse(bytes);
}

struct Stack {
  char* data = nullptr;
  size_t size = 0, used = 0;
  size_t live = 0, most = 0;  // bytes in use, inside the stack or not, and the most at once that a stack may have
  ~Stack() { std::free(data); }

  // Between calls the stack may move: it becomes large enough for what was needed at once so far.
  void fit() {
    if (most <= size) return;
    std::free(data);
    data = static_cast<char*>(std::aligned_alloc(kAlign, most));
    size = data ? most : 0;
  }
};
thread_local Stack stack;

}  // namespace

void refuse_scratch_beyond(size_t bytes) { limit = bytes; }

void Scratch::take(size_t bytes) {
  if (bytes > limit.load(std::memory_order_relaxed)) refuse(bytes);
  bytes = (bytes + kAlign - 1) / kAlign * kAlign;
  if (size_t all = stack.live + bytes; all <= kKeep) stack.most = std::max(stack.most, all);
  if (stack.live == 0) stack.fit();
  own_ = stack.used + bytes > stack.size;
  data_ = own_ ? allocate(bytes) : stack.data + stack.used;
  bytes_ = bytes;  // from here on there is something to give back
  if (!own_) stack.used += bytes_;
  stack.live += bytes_;
}

void Scratch::give_back() {
  if (own_) {
    std::free(data_);
  } else {
    stack.used -= bytes_;
  }
  stack.live -= bytes_;
}

}  // namespace gradus::cpu
