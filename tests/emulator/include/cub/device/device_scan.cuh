// A sum of the host in the place of CUB's.
#pragma once
#include <numeric>

#include "tests/emulator/emulator.h"

namespace cub {

struct DeviceScan {
  template <class T>
  static cudaError_t InclusiveSum(void* work, size_t& bytes, const T* from, T* to, int64_t n, cudaStream_t stream) {
    if (!work) return bytes = 1, cudaSuccess;
    emulator::enqueue(stream, [=] { std::partial_sum(from, from + n, to); });
    return cudaSuccess;
  }
};

}  // namespace cub
