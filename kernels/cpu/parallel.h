// Shares work among threads. Which thread does a part never decides what is computed: parts have fixed bounds.
#pragma once
#include <cstdint>
#ifdef _OPENMP
#include <omp.h>
#endif

namespace gradus::cpu {

/// Below this many simple element operations, waking a second thread costs more than it saves.
inline constexpr int64_t kParallel = 1 << 15;

/// How many threads parallel_for would use here.
inline int64_t threads_here() {
#ifdef _OPENMP
  return omp_in_parallel() ? 1 : omp_get_max_threads();
#else
  return 1;
#endif
}

/// Calls f(begin, end) on disjoint ranges that cover [0, n); at most one range per thread, each a multiple of `grain` but the last.
/// f must not throw. Runs on this thread alone where n <= grain or already inside a parallel region.
template <class F> void parallel_for(int64_t n, int64_t grain, F&& f) {
  if (grain < 1) grain = 1;
#ifdef _OPENMP
  if (n > grain && !omp_in_parallel() && omp_get_max_threads() > 1) {
#pragma omp parallel
    {
      int64_t threads = omp_get_num_threads(), me = omp_get_thread_num();
      int64_t pieces = (n + grain - 1) / grain;
      int64_t begin = pieces * me / threads * grain, end = pieces * (me + 1) / threads * grain;
      if (end > n) end = n;
      if (begin < end) f(begin, end);
    }
    return;
  }
#endif
  if (n > 0) f(int64_t(0), n);
}

}  // namespace gradus::cpu
