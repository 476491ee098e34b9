// Tensors as indices: which axes they lead along, where the result's axes stand, and offsets for kernels.
#pragma once
#include <vector>

#include "src/ops/op.h"

namespace gradus {

/// An index tensor as kernels take it: int64. Throws DTypeError for what is no integer.
AnyTensor as_index(const char* op, const AnyTensor& index, const AnyTensor& x);
/// Throws IndexError with the first index outside the axis and its place. In a captured step nobody knows yet: there a replay will say so,
/// and until then the index is cut to what is inside.
void check_indices(const char* op, AnyTensor& index, int axis, int64_t size, IndexRange range = IndexRange::forward);
/// The element with that place in row-major order.
int64_t element_at(const AnyTensor& index, int64_t place);

/// Some axes of a tensor of shape `shape`, indexed together by tensors that broadcast.
struct Picks {
  std::vector<AnyTensor> index;  // one per axis, undefined for an axis that is taken as a whole
  Shape shape, together;         // `together`: what the index tensors broadcast to
  Shape result;
  Device device;  // of what is indexed
  int at = 0;     // where the axes of `together` stand in the result
  IndexRange range = IndexRange::both_ways;

  /// Masks become indices, all are checked to be integers and to broadcast. Fewer indices than axes: the rest is taken whole.
  static Picks of(const char* op, const AnyTensor& x, const std::vector<AnyTensor>& indices);
  /// One axis by a vector of indices from 0 on.
  static Picks of_axis(const char* op, const AnyTensor& x, int axis, const AnyTensor& index);

  /// Offsets of the blocks in a tensor with these strides, row-major. Throws IndexError for an index outside.
  AnyTensor offsets(const char* op, const Shape& stride) const;
  /// x without the indexed axes: the block at offset 0.
  AnyTensor block(const AnyTensor& x) const;
  /// y, which has the result's shape, as (blocks, block); a copy where its axes cannot be merged.
  AnyTensor blocks(const AnyTensor& y) const;
  /// Which of the indices, as bool over `together`, is the last to write its place; with axes of size 1 where the result has a block's.
  AnyTensor last_writers(const char* op) const;

 private:
  void arrange(const char* op);
};

// Unrecorded, for rules and for ops above them.
AnyTensor pick(const char* op, const AnyTensor& x, const Picks& picks);
/// In place; values have the result's shape.
void put(const char* op, const AnyTensor& y, const Picks& picks, const AnyTensor& values, bool accumulate);

// Recorded.
AnyTensor picked(const char* op, const AnyTensor& x, const Picks& picks);
AnyTensor with_put(const char* op, const AnyTensor& x, const Picks& picks, const AnyTensor& values, bool accumulate);
AnyTensor& put_in_place(const char* op, AnyTensor& x, const Picks& picks, const AnyTensor& values, bool accumulate);

}  // namespace gradus
