// How a reduction is laid out and cut, on the host; nothing of CUDA.
#pragma once
#include <cstddef>

#include "kernels/cpu/reduce.h"  // the layout is the CPU's
#include "kernels/cuda/launch.h"

namespace gradus::cuda {

struct Axes {  // innermost first; steps in bytes
  int rank;
  Divider size[kMaxRank];
  int64_t step[kMaxRank], step_y[kMaxRank];
};

struct ReduceCall {
  const char *x, *center;
  char *y, *sums;  // sums: (parts, outputs) accumulators, or null where there is one part
  Axes kept, gone;
  int64_t outputs, depth, part;
  Divider by_outputs;    // where there are parts
  int parts, team_bits;  // 2^team_bits threads share a result
  uint32_t wide, column_blocks;
  uint8_t y_item, sum_item;
  ReduceKind kind;
  DType x_type, y_type;
  double p;
};

struct ReducePlan {
  ReduceCall call;
  bool by_rows, packed;  // packed: the kernel that moves packs of `pack` elements can be used
  unsigned blocks, blocks_y;
};
ReducePlan plan_reduce(const char* op, const Array& y, const Array& x, const Array& center, ReduceKind kind, double p, int pack,
                       size_t sum_item);

}  // namespace gradus::cuda
