// Layout, solved once for every elementwise kernel: broadcast, drop dimensions of size 1, put the rest in the order in which the
// result lies in memory, and merge neighbours that are one run in every operand. After that most calls are one dimension, and a
// kernel need not know that shapes exist.
#pragma once
#include <cstdint>

#include "kernels/array.h"

namespace gradus {

inline constexpr int kMaxOperands = 6;

struct View {  // an operand as the planner sees it; strides in elements
  int rank;
  const int64_t *shape, *stride;
};

struct Plan {
  int64_t count;                                           // elements of the result
  int rank;                                                // 1 where all operands are contiguous
  unsigned dense;                                          // bit k: operand k is one run in the order of the plan
  int64_t size[kMaxRank], stride[kMaxOperands][kMaxRank];  // outermost first; a broadcast dimension has stride 0

  bool contiguous(int operands) const { return dense == (1u << operands) - 1; }
  void set_contiguous(int64_t n, int operands) {
    count = n, rank = 1, dense = (1u << operands) - 1, size[0] = n;
    for (int k = 0; k < operands; ++k) stride[k][0] = 1;
  }
  /// Lays operand k over `shape`, to which it must broadcast. Operand 0's strides decide the order of the dimensions.
  void set(int rank, const int64_t* shape, const View* views, int operands);
};

/// The shape that a and b broadcast to; returns its rank, or -1 where they do not fit.
inline int broadcast(const View& a, const View& b, int64_t* shape) {
  int rank = a.rank > b.rank ? a.rank : b.rank;
  for (int d = 1; d <= rank; ++d) {
    int64_t n = d <= a.rank ? a.shape[a.rank - d] : 1, m = d <= b.rank ? b.shape[b.rank - d] : 1;
    if (n != m && n != 1 && m != 1) return -1;
    shape[rank - d] = n == 1 ? m : n;
  }
  return rank;
}

inline void Plan::set(int full_rank, const int64_t* shape, const View* views, int operands) {
  rank = 0, count = 1;
  // The stride of operand k along dimension d of the result.
  auto step_of = [&](int k, int d) -> int64_t {
    int own = d - (full_rank - views[k].rank);  // a shorter operand's dimensions are the last ones
    return own < 0 || views[k].shape[own] == 1 ? 0 : views[k].stride[own];
  };
  int order[kMaxRank], kept = 0;
  for (int d = 0; d < full_rank; ++d) {
    count *= shape[d];
    if (shape[d] == 1) continue;
    int64_t step = step_of(0, d);
    int at = kept++;
    for (; at > 0 && step != 0; --at) {  // insertion: larger strides first, equal ones as they come
      int64_t before = step_of(0, order[at - 1]);
      if (before >= step || before == 0) break;
      order[at] = order[at - 1];
    }
    order[at] = d;
  }
  for (int i = 0; i < kept; ++i) {
    int d = order[i];
    int64_t step[kMaxOperands];
    bool merges = rank > 0;
    for (int k = 0; k < operands; ++k) {
      step[k] = step_of(k, d);
      merges = merges && stride[k][rank - 1] == step[k] * shape[d];
    }
    if (merges)
      size[rank - 1] *= shape[d];
    else
      size[rank++] = shape[d];
    for (int k = 0; k < operands; ++k) stride[k][rank - 1] = step[k];
  }
  if (rank == 0) {
    size[rank++] = 1;
    for (int k = 0; k < operands; ++k) stride[k][0] = 1;
  }
  dense = 0;
  for (int k = 0; k < operands; ++k) {
    bool run = true;
    int64_t expected = 1;
    for (int d = rank - 1; d >= 0; --d) run = run && stride[k][d] == expected, expected *= size[d];
    dense |= unsigned(run) << k;
  }
}

}  // namespace gradus
