// Plans that were made, by task.
#pragma once
#include <memory>
#include <optional>

#include "kernels/cuda/dnn/graph.h"
#include "kernels/cuda/scratch.h"

namespace gradus::cuda::dnn {

/// One run of a task's plan on this thread's stream, on the selected device. It is false where there is no plan, nor can there be one now.
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

/// cuDNN's kernels load 16 bytes at a time.
inline bool aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

}  // namespace gradus::cuda::dnn
