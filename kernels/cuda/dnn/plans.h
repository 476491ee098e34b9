// Plans that were made, by task.
#pragma once
#include <memory>
#include <optional>

#include "gradus/core/error.h"
#include "kernels/cuda/dnn/graph.h"
#include "kernels/cuda/scratch.h"

namespace gradus::cuda::dnn {

/// One run of a task's plan on this thread's stream, on the selected device. It is false where there is no plan, nor can there be one now.
/// Throws OutOfMemory.
class Run {
 public:
  explicit Run(Task task);
  ~Run();
  explicit operator bool() const { return plan_ != nullptr; }
  /// data: by operand, 16-byte aligned. False where cuDNN refused: then nothing was done.
  bool operator()(void* const* data) const;

 private:
  struct Entry;
  class Cache;
  static Cache& cache();
  std::shared_ptr<Entry> entry_;
  const Plan* plan_ = nullptr;
  std::optional<Scratch> workspace_;
};

/// f(), or false where memory lacks for what it takes before it runs a plan: our own kernels need less.
template <class F> bool where_memory_allows(F f) {
  try {
    return f();
  } catch (const OutOfMemory&) {
    return false;
  }
}

/// cuDNN's kernels load 16 bytes at a time.
inline bool aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

}  // namespace gradus::cuda::dnn
