// How an operand that is not one run is brought into a buffer and back.
#pragma once
#include "kernels/elementwise.h"

namespace gradus::cpu {

/// Where a block of a plan's elements begins: the index, and each operand's offset in elements.
struct Cursor {
  int64_t at[kMaxRank], offset[kMaxOperands];
  void seek(const Plan& plan, int operands, int64_t first);
  /// n elements further, from `first`.
  void advance(const Plan& plan, int operands, int64_t first, int64_t n);
};

/// The n elements of operand k from the cursor on, side by side.
void gather(void* to, const Elementwise& c, int k, const Cursor& cursor, int64_t n);
/// And back.
void scatter(const Elementwise& c, int k, const Cursor& cursor, const void* from, int64_t n);
/// n elements `step` elements apart, side by side.
void gather_line(void* to, const void* from, int64_t step, int64_t n, int item);
/// And back.
void scatter_line(void* to, int64_t step, const void* from, int64_t n, int item);
/// to[i * to_step + j] = from[j * from_step + i] for i < rows and j < columns; steps in elements. `ahead` elements further lies what is
/// read next.
void turn(void* to, int64_t to_step, const void* from, int64_t from_step, int64_t rows, int64_t columns, int64_t ahead, int item);

}  // namespace gradus::cpu
