// This library's own matrix product: c = alpha * a b (+ bias) (+ c), with any strides, in the four float types.
#pragma once
#include <cstdint>

#include "kernels/packet.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {

template <class T> struct Product {
  int64_t m, n, k;  // (m, k) times (k, n)
  const T* a;
  int64_t a_row, a_col;
  const T* b;
  int64_t b_row, b_col;
  T* c;
  int64_t c_row;  // its columns are adjacent
  accumulate_t<T> alpha = 1;
  bool add = false;
  const T* bias = nullptr;  // one a column, adjacent
};

/// Runs on one thread where called inside a parallel region or where the product is small. Bits do not depend on the threads.
template <class T> void gemm(const Product<T>& p);

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
