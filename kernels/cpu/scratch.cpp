#include "kernels/cpu/scratch.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "gradus/core/error.h"

namespace gradus::cpu {
namespace {

constexpr size_t kAlign = 64;
constexpr size_t kKeep = size_t(96) << 20;  // a thread gives back what it holds beyond this

void* allocate(size_t bytes) {
  if (void* p = std::aligned_alloc(kAlign, bytes)) return p;
  throw OutOfMemory("scratch memory of a kernel: " + std::to_string(bytes) + " bytes were refused by the system");
}

struct Stack {
  char* data = nullptr;
  size_t size = 0, used = 0;
  size_t live = 0, most = 0;  // bytes in use, inside the stack or not, and the most there ever were at once
  ~Stack() { std::free(data); }

  // Between calls the stack may move: it becomes large enough for what was needed at once so far.
  void fit() {
    size_t wanted = std::min(most, kKeep);
    if (wanted <= size) return;
    std::free(data);
    data = static_cast<char*>(std::aligned_alloc(kAlign, wanted));
    size = data ? wanted : 0;
  }
};
thread_local Stack stack;

}  // namespace

void Scratch::take(size_t bytes) {
  bytes_ = (bytes + kAlign - 1) / kAlign * kAlign;
  stack.most = std::max(stack.most, stack.live + bytes_);
  if (stack.live == 0) stack.fit();
  own_ = stack.used + bytes_ > stack.size;
  data_ = own_ ? allocate(bytes_) : stack.data + stack.used;
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
