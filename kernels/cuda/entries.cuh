// Launches that do many tensors: which of them a block works on.
#pragma once
#include <cstdint>

#include "kernels/cuda/runtime.h"

namespace gradus::cuda {

/// The last of `count` entries whose first block is not beyond `block`; no entry is empty.
__device__ __forceinline__ int entry_of(uint32_t block, const uint32_t* first, int count) {
  int low = 0;
  for (int high = count; high - low > 1;) {
    const int middle = (low + high) / 2;
    if (block >= first[middle])
      low = middle;
    else
      high = middle;
  }
  return low;
}

}  // namespace gradus::cuda
