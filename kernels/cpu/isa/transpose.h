// A square of numbers, turned over in registers.
#pragma once
#include "kernels/packet.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {

template <class V, int kLanes, bool kHigh, class Index, int... I>
GRADUS_FN V interleave(V a, V b, Index, std::integer_sequence<int, I...>) {
  constexpr int kFrom = kHigh ? kLanes / 2 : 0;
  return __builtin_shufflevector(a, b, (kFrom + I / 2 + I % 2 * kLanes)...);
}

/// row[i][j] becomes row[j][i]. Interleaving row i with row i + n/2, for all i, turns the bits of an element's address by one place;
/// after log2(n) rounds rows and columns have changed places.
template <class P, int kLanes> GRADUS_FN void transpose(P (&row)[kLanes]) {
  constexpr auto lanes = std::make_integer_sequence<int, kLanes>();
#pragma GCC unroll 4
  for (int round = 1; round < kLanes; round *= 2) {
    P next[kLanes];
#pragma GCC unroll 8
    for (int i = 0; i < kLanes / 2; ++i) {
      next[2 * i] = P(interleave<decltype(row[0].v), kLanes, false>(row[i].v, row[i + kLanes / 2].v, 0, lanes));
      next[2 * i + 1] = P(interleave<decltype(row[0].v), kLanes, true>(row[i].v, row[i + kLanes / 2].v, 0, lanes));
    }
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) row[i] = next[i];
  }
}

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
