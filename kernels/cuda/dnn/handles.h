// A library's handles, which threads take and give back.
#pragma once
#include <mutex>
#include <vector>

#include "kernels/cuda/scratch.h"

namespace gradus::cuda::dnn {

/// Those that nobody uses wait here, by device, for the next thread that needs one. They are never destroyed: at the end of a program the
/// driver may be gone first.
class Handles {
 public:
  /// Null where the library gives none.
  using Make = void* (*)();
  explicit Handles(Make make) : make_(make) {}
  /// The device is selected. Null where none is to be had, also after memory that is kept for later has been given back.
  void* take(int device) {
    {
      std::lock_guard lock(mutex_);
      if (size_t(device) < free_.size() && !free_[size_t(device)].empty()) {
        void* handle = free_[size_t(device)].back();
        free_[size_t(device)].pop_back();
        return handle;
      }
    }
    void* handle = nullptr;
    with_room([&] { return (handle = make_()) != nullptr; });
    return handle;
  }
  void give_back(int device, void* handle) {
    std::lock_guard lock(mutex_);
    if (free_.size() <= size_t(device)) free_.resize(size_t(device) + 1);
    free_[size_t(device)].push_back(handle);
  }

 private:
  Make make_;
  std::mutex mutex_;
  std::vector<std::vector<void*>> free_;
};

}  // namespace gradus::cuda::dnn
