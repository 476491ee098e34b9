// A sort of the host in the place of CUB's. Like that one it leaves its result in either buffer: here always in the other one.
#pragma once
#include <algorithm>
#include <numeric>
#include <vector>

#include "tests/emulator/emulator.h"

namespace cub {

template <class T> struct DoubleBuffer {
  T* d_buffers[2];
  int selector = 0;
  DoubleBuffer(T* current, T* other) : d_buffers{current, other} {}
  T* Current() const { return d_buffers[selector]; }
  T* Alternate() const { return d_buffers[1 - selector]; }
};

struct DeviceRadixSort {
  template <class K, class V> static cudaError_t SortPairs(void* work, size_t& bytes, DoubleBuffer<K>& keys,
                                                           DoubleBuffer<V>& values, int64_t n, int first_bit, int last_bit,
                                                           cudaStream_t stream) {
    if (!work) return bytes = 1, cudaSuccess;
    const K* from = keys.Current();
    const V* values_from = values.Current();
    K* to = keys.Alternate();
    V* values_to = values.Alternate();
    keys.selector ^= 1, values.selector ^= 1;
    emulator::enqueue(stream, [=] {
      const K mask = (last_bit - first_bit >= int(sizeof(K) * 8) ? ~K(0) : (K(1) << (last_bit - first_bit)) - 1) << first_bit;
      std::vector<int64_t> order(static_cast<size_t>(n));
      std::iota(order.begin(), order.end(), int64_t(0));
      std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return (from[a] & mask) < (from[b] & mask); });
      for (int64_t i = 0; i < n; ++i) to[i] = from[order[size_t(i)]], values_to[i] = values_from[order[size_t(i)]];
    });
    return cudaSuccess;
  }
};

}  // namespace cub
