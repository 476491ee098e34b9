// How many threads the kernels share their work among.
#pragma once

namespace gradus {

/// Ops called from this thread use up to n threads from now on. At first it is the number of cores, or OMP_NUM_THREADS.
/// Results do not depend on it. Throws ValueError for n < 1. Without OpenMP every op runs on its caller's thread alone.
void set_num_threads(int n);
int get_num_threads();

/// While one lives, ops called from this thread use up to n threads: threads that work beside others give themselves one.
class ThreadLimit {
 public:
  explicit ThreadLimit(int n);
  ~ThreadLimit();
  ThreadLimit(const ThreadLimit&) = delete;
  ThreadLimit& operator=(const ThreadLimit&) = delete;

 private:
  int before_;
};

}  // namespace gradus
