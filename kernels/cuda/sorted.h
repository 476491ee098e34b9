// Places in the order of keys: what makes sums by index the same on every run. Where several values meet in one place, they are added by
// one thread in the order in which they came, so no float is added atomically.
#pragma once
#include <cstdint>

#include "kernels/cuda/scratch.h"

namespace gradus::cuda {

/// Keys are uint32_t or uint64_t, places int64_t, or int32_t where there are less than 2^31.
template <class Key, class Place> class SortedBy {
 public:
  explicit SortedBy(int64_t n)
      : n_(n),
        memory_(size_t(n) * 2 * (sizeof(Key) + sizeof(Place))),
        keys_{memory_.as<Key>(), memory_.as<Key>() + n},
        places_{reinterpret_cast<Place*>(memory_.as<Key>() + 2 * n), reinterpret_cast<Place*>(memory_.as<Key>() + 2 * n) + n} {}
  Key* keys() const { return keys_[now_]; }
  Place* places() const { return places_[now_]; }
  /// By the lowest `bits` of the keys; equal ones stay in order.
  void sort(const char* op, int bits);

 private:
  int64_t n_;
  Scratch memory_;
  Key* keys_[2];
  Place* places_[2];
  int now_ = 0;
};
using Sorted = SortedBy<uint64_t, int64_t>;

/// Each number becomes the sum of those up to it.
void add_up(const char* op, int64_t* numbers, int64_t n);

/// Bits of the numbers below n.
inline int bits_below(uint64_t n) {
  int bits = 1;
  while (bits < 64 && (n - 1) >> bits) ++bits;
  return n == 0 ? 1 : bits;
}

}  // namespace gradus::cuda
