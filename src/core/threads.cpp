#include "gradus/core/threads.h"

#ifdef _OPENMP
#include <omp.h>
#endif
#if GRADUS_WITH_BLAS
#include <cblas.h>
#endif

#include "src/core/message.h"

namespace gradus {
namespace {

void apply(int n) {
#ifdef _OPENMP
  omp_set_num_threads(n);
#else
  (void)n;
#endif
}

}  // namespace

void set_num_threads(int n) {
  if (n < 1) fail<ValueError>("set_num_threads: ", n, " threads; at least 1 is needed");
  apply(n);
#if GRADUS_WITH_BLAS
  // With OpenMP, OpenBLAS asks for this thread's number at every product; with threads of its own it has one number for all.
  openblas_set_num_threads(n);
#endif
}

int get_num_threads() {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

ThreadLimit::ThreadLimit(int n) : before_(get_num_threads()) {
  if (n < 1) fail<ValueError>("ThreadLimit: ", n, " threads; at least 1 is needed");
  apply(n);
}
ThreadLimit::~ThreadLimit() { apply(before_); }

}  // namespace gradus
