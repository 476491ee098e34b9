// Places in the order of keys: what makes sums by index the same on every run. Where several values meet in one place, they are added by
// one thread in the order in which they came, so no float is added atomically.
#pragma once
#include <cstdint>

#include "kernels/cuda/scratch.h"

namespace gradus::cuda {

class Sorted {
 public:
  explicit Sorted(int64_t n)
      : n_(n),
        memory_(size_t(n) * 4 * sizeof(uint64_t)),
        keys_{memory_.as<uint64_t>(), memory_.as<uint64_t>() + n},
        places_{memory_.as<int64_t>() + 2 * n, memory_.as<int64_t>() + 3 * n} {}
  uint64_t* keys() const { return keys_[now_]; }
  int64_t* places() const { return places_[now_]; }
  /// By the lowest `bits` of the keys; equal ones stay in order.
  void sort(const char* op, int bits);

 private:
  int64_t n_;
  Scratch memory_;
  uint64_t* keys_[2];
  int64_t* places_[2];
  int now_ = 0;
};

/// Each number becomes the sum of those up to it.
void add_up(const char* op, int64_t* numbers, int64_t n);

/// Bits of the numbers below n.
inline int bits_below(uint64_t n) {
  int bits = 1;
  while (bits < 64 && (n - 1) >> bits) ++bits;
  return n == 0 ? 1 : bits;
}

}  // namespace gradus::cuda
