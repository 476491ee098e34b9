#include "kernels/cpu/parallel_throwing.h"

#include <exception>
#include <mutex>

#include "kernels/cpu/parallel.h"

namespace gradus::cpu {

void parallel_for_throwing(int64_t n, int64_t grain, void (*part)(void*, int64_t, int64_t), void* context) {
  std::exception_ptr first;
  std::mutex mutex;
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    try {
      part(context, begin, end);
    } catch (...) {
      std::lock_guard lock(mutex);
      if (!first) first = std::current_exception();
    }
  });
  if (first) std::rethrow_exception(first);
}

}  // namespace gradus::cpu
