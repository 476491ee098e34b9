// Batches of row-major matrices as Eigen sees them. Ops pass dense operands whose leading axes agree.
#pragma once
#include <Eigen/Core>
#include <atomic>
#include <exception>

#include "kernels/array.h"
#include "kernels/cpu/parallel.h"
#include "kernels/dispatch.h"

namespace gradus::cpu {

template <class T> using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T> using MatrixView = Eigen::Map<Matrix<T>>;
template <class T> using VectorView = Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, 1>>;

inline int64_t batch_of(const Array& x, int inner) {
  int64_t n = 1;
  for (int d = 0; d < x.rank - inner; ++d) n *= x.shape[d];
  return n;
}
/// The i-th matrix of a batch, or the i-th vector.
template <class T> MatrixView<T> matrix(const Array& x, int64_t i) {
  return {x.as<T>() + i * x.size(-2) * x.size(-1), x.size(-2), x.size(-1)};
}
template <class T> VectorView<T> vector(const Array& x, int64_t i) { return {x.as<T>() + i * x.size(-1), x.size(-1)}; }

/// f(i) for every matrix of a batch, shared among threads; `cost` is about the work in one. What f throws (no memory for its
/// scratch) is thrown once all threads are back.
template <class F> void for_each_matrix(int64_t batch, int64_t cost, F&& f) {
  std::exception_ptr thrown;
  std::atomic_flag taken = ATOMIC_FLAG_INIT;
  parallel_for(batch, kParallel / (cost + 1) + 1, [&](int64_t begin, int64_t end) {
    try {
      for (int64_t i = begin; i < end; ++i) f(i);
    } catch (...) {
      if (!taken.test_and_set()) thrown = std::current_exception();
    }
  });
  if (thrown) std::rethrow_exception(thrown);
}

template <class F> void dispatch_real(const char* kernel, DType t, F&& f) {
  if (t == DType::float32)
    f.template operator()<float>();
  else if (t == DType::float64)
    f.template operator()<double>();
  else
    no_kernel(kernel, t);
}

}  // namespace gradus::cpu
