// Batches of row-major matrices as Eigen sees them. Ops pass dense operands whose leading axes agree.
#pragma once
#include <Eigen/Core>
#include <atomic>
#include <exception>

#include "kernels/cpu/parallel.h"
#include "kernels/matrices.h"

namespace gradus::cpu {

template <class T> using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T> using MatrixView = Eigen::Map<Matrix<T>>;
template <class T> using VectorView = Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, 1>>;

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

}  // namespace gradus::cpu
