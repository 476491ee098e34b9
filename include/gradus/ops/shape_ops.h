// Joining, splitting, repeating and reordering tensors. All are differentiable; what is a view says so.
#pragma once
#include "gradus/core/tensor_list.h"
#include "gradus/ops/elementwise.h"
#include "gradus/ops/reduce.h"
#include "gradus/ops/view.h"

namespace gradus {

// ---- joining
/// The tensors one after another along axis; their other sizes are equal. Channels-last images stay so. Throws ShapeError, ValueError
/// for an empty list.
AnyTensor cat(const TensorList& tensors, int64_t axis = 0);
/// The tensors, all of one shape, along a new axis.
AnyTensor stack(const TensorList& tensors, int64_t axis = 0);
struct PadSequenceOptions {
  bool batch_first = false;  // (sequences, longest, ...); else (longest, sequences, ...)
  Scalar value = 0;
};
/// Sequences of (length, ...) beside each other, each made as long as the longest by `value` behind it. Throws ShapeError where sizes
/// other than lengths differ.
AnyTensor pad_sequence(const TensorList& sequences, const PadSequenceOptions& options = {});
/// Along the first axis (vectors become rows), the second (vectors: end to end), or the third.
AnyTensor vstack(const TensorList& tensors);
AnyTensor hstack(const TensorList& tensors);
AnyTensor dstack(const TensorList& tensors);
/// Vectors as the columns of a matrix; matrices side by side.
AnyTensor column_stack(const TensorList& tensors);
/// Matrices along the diagonal of one; vectors count as rows.
AnyTensor block_diag(const TensorList& matrices);
/// Every combination of an element of each vector: (count, vectors). Of a single vector, itself.
AnyTensor cartesian_prod(const TensorList& vectors);
/// Every choice of r elements of a vector, in its order: (count, r).
AnyTensor combinations(const AnyTensor& x, int64_t r = 2, bool with_replacement = false);
/// Views of all tensors with the shape that they broadcast to.
std::vector<AnyTensor> broadcast_tensors(const std::vector<AnyTensor>& tensors);
/// The shape that all of them broadcast to.
Shape broadcast_shapes(const std::vector<Shape>& shapes);
enum class MeshOrder { ij, xy };
/// From n vectors, n views with as many axes: the k-th varies along axis k. xy swaps the first two axes, as for pictures.
std::vector<AnyTensor> meshgrid(const TensorList& vectors, MeshOrder order = MeshOrder::ij);

// ---- splitting: views
/// Parts of `size` along axis; the last may be smaller.
std::vector<AnyTensor> split(const AnyTensor& x, int64_t size, int64_t axis = 0);
/// Parts of these sizes, which must add up to the axis.
std::vector<AnyTensor> split(const AnyTensor& x, const std::vector<int64_t>& sizes, int64_t axis = 0);
/// n parts whose sizes differ by at most one, the larger ones first.
std::vector<AnyTensor> tensor_split(const AnyTensor& x, int64_t n, int64_t axis = 0);
/// Parts that begin at these indices (and at 0), cut to the axis as slices are.
std::vector<AnyTensor> tensor_split(const AnyTensor& x, const std::vector<int64_t>& indices, int64_t axis = 0);
/// At most n parts of equal size, but for the last.
std::vector<AnyTensor> chunk(const AnyTensor& x, int64_t n, int64_t axis = 0);
/// Every index of an axis, which goes away.
std::vector<AnyTensor> unbind(const AnyTensor& x, int64_t axis = 0);

// ---- repeating
/// Copies along each axis, counted from the last; new axes come in front.
AnyTensor repeat(const AnyTensor& x, const Shape& counts);
/// The same as in NumPy: fewer counts than axes mean 1 for those in front.
AnyTensor tile(const AnyTensor& x, const Shape& counts);
/// Every element n times in a row, along axis or, without one, of the flattened tensor.
AnyTensor repeat_interleave(const AnyTensor& x, int64_t n, int64_t axis);
AnyTensor repeat_interleave(const AnyTensor& x, int64_t n);
/// Element i counts[i] times.
AnyTensor repeat_interleave(const AnyTensor& x, const AnyTensor& counts, int64_t axis);

// ---- reordering
/// Reversed along the axes.
AnyTensor flip(const AnyTensor& x, const Axes& axes);
AnyTensor fliplr(const AnyTensor& x);
AnyTensor flipud(const AnyTensor& x);
/// Shifted along the axes; what falls out at one end comes in at the other. Without axes, of the flattened tensor.
AnyTensor roll(const AnyTensor& x, const Shape& shifts, const Shape& axes);
AnyTensor roll(const AnyTensor& x, int64_t shift, int64_t axis);
AnyTensor roll(const AnyTensor& x, int64_t shift);
/// k quarter turns from the first of two axes to the second.
AnyTensor rot90(const AnyTensor& x, int64_t k = 1, int64_t from = 0, int64_t to = 1);
/// A view with the axes moved to their new places, the others in their order.
AnyTensor movedim(const AnyTensor& x, const Shape& from, const Shape& to);
AnyTensor movedim(const AnyTensor& x, int64_t from, int64_t to);
/// A view without those of the axes that have size 1.
AnyTensor squeeze(const AnyTensor& x, const Axes& axes);
/// Views with at least so many axes.
AnyTensor atleast_1d(const AnyTensor& x);
AnyTensor atleast_2d(const AnyTensor& x);
AnyTensor atleast_3d(const AnyTensor& x);
/// A view of windows of `size` along axis, `step` apart: (..., windows, ..., size).
AnyTensor unfold(const AnyTensor& x, int64_t axis, int64_t size, int64_t step);

// ---- triangles and diagonals of the last two axes, or of those named
/// Zero above the diagonal (tril) or below it (triu); diagonal > 0 lies above the main one.
AnyTensor tril(const AnyTensor& x, int64_t diagonal = 0);
AnyTensor triu(const AnyTensor& x, int64_t diagonal = 0);
/// A view of a diagonal: the two axes go away, its elements are the last axis.
AnyTensor diagonal(const AnyTensor& x, int64_t offset = 0, int64_t axis1 = 0, int64_t axis2 = 1);
/// The last axis as the diagonal of two new axes, zero elsewhere.
AnyTensor diag_embed(const AnyTensor& x, int64_t offset = 0, int64_t axis1 = -2, int64_t axis2 = -1);
/// A vector as the diagonal of a matrix, or the diagonal of a matrix.
AnyTensor diag(const AnyTensor& x, int64_t offset = 0);
AnyTensor diagflat(const AnyTensor& x, int64_t offset = 0);
/// The sum of the diagonal of a matrix.
AnyTensor trace(const AnyTensor& x);
/// x with source in place of a part of it.
AnyTensor select_scatter(const AnyTensor& x, const AnyTensor& source, int64_t axis, int64_t index);
AnyTensor slice_scatter(const AnyTensor& x, const AnyTensor& source, int64_t axis, int64_t start, int64_t end, int64_t step = 1);
AnyTensor diagonal_scatter(const AnyTensor& x, const AnyTensor& source, int64_t offset = 0, int64_t axis1 = 0, int64_t axis2 = 1);

// ---- padding
enum class PadMode { constant, reflect, replicate, circular };
/// Adds before and after the last axis, then the one before it, and so on: {left, right, top, bottom}. Negative amounts cut off
/// before anything is added. reflect leaves out the edge, replicate repeats it (of the axis as it was), circular goes on at the other end.
AnyTensor pad(const AnyTensor& x, const std::vector<int64_t>& amounts, PadMode mode = PadMode::constant, Scalar value = 0);

// ---- products by shape
/// The Kronecker product: every element of a times all of b.
AnyTensor kron(const AnyTensor& a, const AnyTensor& b);
/// The vector product along an axis of size 3; a and b broadcast.
AnyTensor cross(const AnyTensor& a, const AnyTensor& b, int64_t axis = -1);
/// Distances |a_i - b_j| in the p-norm: (..., n, d) and (..., m, d) give (..., n, m).
AnyTensor cdist(const AnyTensor& a, const AnyTensor& b, double p = 2);

namespace detail {
template <class T> std::vector<AnyTensor> untyped_list(const std::vector<Tensor<T>>& tensors) {
  return {tensors.begin(), tensors.end()};
}
template <class T> std::vector<Tensor<T>> typed_list(std::vector<AnyTensor> tensors) {
  std::vector<Tensor<T>> typed;
  for (AnyTensor& x : tensors) typed.push_back(Tensor<T>(std::move(x)));
  return typed;
}
}  // namespace detail

#define GRADUS_TYPED(name, parameters, arguments) \
  template <class T> Tensor<T> name parameters { return Tensor<T>(name arguments); }
#define GRADUS_TYPED_JOIN(name)                                                                                                 \
  template <class T> Tensor<T> name(const std::vector<Tensor<T>>& list) { return Tensor<T>(name(detail::untyped_list(list))); } \
  template <class T> Tensor<T> name(std::initializer_list<Tensor<T>> list) { return name(std::vector<Tensor<T>>(list)); }
#define GRADUS_TYPED_JOIN_ALONG(name)                                                          \
  template <class T> Tensor<T> name(const std::vector<Tensor<T>>& list, int64_t axis = 0) {    \
    return Tensor<T>(name(detail::untyped_list(list), axis));                                  \
  }                                                                                            \
  template <class T> Tensor<T> name(std::initializer_list<Tensor<T>> list, int64_t axis = 0) { \
    return name(std::vector<Tensor<T>>(list), axis);                                           \
  }
#define GRADUS_TYPED_SPLIT(name, parameters, arguments) \
  template <class T> std::vector<Tensor<T>> name parameters { return detail::typed_list<T>(name arguments); }
GRADUS_TYPED_JOIN_ALONG(cat)
GRADUS_TYPED_JOIN_ALONG(stack)
template <class T> Tensor<T> pad_sequence(const std::vector<Tensor<T>>& list, const PadSequenceOptions& options = {}) {
  return Tensor<T>(pad_sequence(detail::untyped_list(list), options));
}
template <class T> Tensor<T> pad_sequence(std::initializer_list<Tensor<T>> list, const PadSequenceOptions& options = {}) {
  return pad_sequence(std::vector<Tensor<T>>(list), options);
}
GRADUS_TYPED_JOIN(vstack)
GRADUS_TYPED_JOIN(hstack)
GRADUS_TYPED_JOIN(dstack)
GRADUS_TYPED_JOIN(column_stack)
GRADUS_TYPED_JOIN(block_diag)
GRADUS_TYPED_JOIN(cartesian_prod)
GRADUS_TYPED_SPLIT(broadcast_tensors, (const std::vector<Tensor<T>>& list), (detail::untyped_list(list)))
GRADUS_TYPED_SPLIT(broadcast_tensors, (std::initializer_list<Tensor<T>> list), (std::vector<AnyTensor>(list.begin(), list.end())))
GRADUS_TYPED_SPLIT(meshgrid, (const std::vector<Tensor<T>>& list, MeshOrder order = MeshOrder::ij),
                   (detail::untyped_list(list), order))
GRADUS_TYPED_SPLIT(meshgrid, (std::initializer_list<Tensor<T>> list, MeshOrder order = MeshOrder::ij),
                   (std::vector<AnyTensor>(list.begin(), list.end()), order))
GRADUS_TYPED_SPLIT(split, (const Tensor<T>& x, int64_t size, int64_t axis = 0), (untyped(x), size, axis))
GRADUS_TYPED_SPLIT(split, (const Tensor<T>& x, const std::vector<int64_t>& sizes, int64_t axis = 0), (untyped(x), sizes, axis))
GRADUS_TYPED_SPLIT(tensor_split, (const Tensor<T>& x, int64_t n, int64_t axis = 0), (untyped(x), n, axis))
GRADUS_TYPED_SPLIT(tensor_split, (const Tensor<T>& x, const std::vector<int64_t>& indices, int64_t axis = 0),
                   (untyped(x), indices, axis))
GRADUS_TYPED_SPLIT(chunk, (const Tensor<T>& x, int64_t n, int64_t axis = 0), (untyped(x), n, axis))
GRADUS_TYPED_SPLIT(unbind, (const Tensor<T>& x, int64_t axis = 0), (untyped(x), axis))
GRADUS_TYPED(combinations, (const Tensor<T>& x, int64_t r = 2, bool with_replacement = false), (untyped(x), r, with_replacement))
GRADUS_TYPED(repeat, (const Tensor<T>& x, const Shape& counts), (untyped(x), counts))
GRADUS_TYPED(tile, (const Tensor<T>& x, const Shape& counts), (untyped(x), counts))
GRADUS_TYPED(repeat_interleave, (const Tensor<T>& x, int64_t n, int64_t axis), (untyped(x), n, axis))
GRADUS_TYPED(repeat_interleave, (const Tensor<T>& x, int64_t n), (untyped(x), n))
GRADUS_TYPED(repeat_interleave, (const Tensor<T>& x, const AnyTensor& counts, int64_t axis), (untyped(x), counts, axis))
GRADUS_TYPED(flip, (const Tensor<T>& x, const Axes& axes), (untyped(x), axes))
GRADUS_TYPED(fliplr, (const Tensor<T>& x), (untyped(x)))
GRADUS_TYPED(flipud, (const Tensor<T>& x), (untyped(x)))
GRADUS_TYPED(roll, (const Tensor<T>& x, const Shape& shifts, const Shape& axes), (untyped(x), shifts, axes))
GRADUS_TYPED(roll, (const Tensor<T>& x, int64_t shift, int64_t axis), (untyped(x), shift, axis))
GRADUS_TYPED(roll, (const Tensor<T>& x, int64_t shift), (untyped(x), shift))
GRADUS_TYPED(rot90, (const Tensor<T>& x, int64_t k = 1, int64_t from = 0, int64_t to = 1), (untyped(x), k, from, to))
GRADUS_TYPED(movedim, (const Tensor<T>& x, const Shape& from, const Shape& to), (untyped(x), from, to))
GRADUS_TYPED(movedim, (const Tensor<T>& x, int64_t from, int64_t to), (untyped(x), from, to))
GRADUS_TYPED(squeeze, (const Tensor<T>& x, const Axes& axes), (untyped(x), axes))
GRADUS_TYPED(atleast_1d, (const Tensor<T>& x), (untyped(x)))
GRADUS_TYPED(atleast_2d, (const Tensor<T>& x), (untyped(x)))
GRADUS_TYPED(atleast_3d, (const Tensor<T>& x), (untyped(x)))
GRADUS_TYPED(unfold, (const Tensor<T>& x, int64_t axis, int64_t size, int64_t step), (untyped(x), axis, size, step))
GRADUS_TYPED(tril, (const Tensor<T>& x, int64_t diagonal = 0), (untyped(x), diagonal))
GRADUS_TYPED(triu, (const Tensor<T>& x, int64_t diagonal = 0), (untyped(x), diagonal))
GRADUS_TYPED(diagonal, (const Tensor<T>& x, int64_t offset = 0, int64_t axis1 = 0, int64_t axis2 = 1),
             (untyped(x), offset, axis1, axis2))
GRADUS_TYPED(diag_embed, (const Tensor<T>& x, int64_t offset = 0, int64_t axis1 = -2, int64_t axis2 = -1),
             (untyped(x), offset, axis1, axis2))
GRADUS_TYPED(diag, (const Tensor<T>& x, int64_t offset = 0), (untyped(x), offset))
GRADUS_TYPED(diagflat, (const Tensor<T>& x, int64_t offset = 0), (untyped(x), offset))
template <class T> SumOf<T> trace(const Tensor<T>& x) { return SumOf<T>(trace(untyped(x))); }
GRADUS_TYPED(select_scatter, (const Tensor<T>& x, const Tensor<T>& source, int64_t axis, int64_t index),
             (untyped(x), untyped(source), axis, index))
GRADUS_TYPED(slice_scatter,
             (const Tensor<T>& x, const Tensor<T>& source, int64_t axis, int64_t start, int64_t end, int64_t step = 1),
             (untyped(x), untyped(source), axis, start, end, step))
GRADUS_TYPED(diagonal_scatter,
             (const Tensor<T>& x, const Tensor<T>& source, int64_t offset = 0, int64_t axis1 = 0, int64_t axis2 = 1),
             (untyped(x), untyped(source), offset, axis1, axis2))
GRADUS_TYPED(pad, (const Tensor<T>& x, const std::vector<int64_t>& amounts, PadMode mode = PadMode::constant, Scalar value = 0),
             (untyped(x), amounts, mode, value))
GRADUS_TYPED(kron, (const Tensor<T>& a, const Tensor<T>& b), (untyped(a), untyped(b)))
GRADUS_TYPED(cross, (const Tensor<T>& a, const Tensor<T>& b, int64_t axis = -1), (untyped(a), untyped(b), axis))
GRADUS_TYPED(cdist, (const Tensor<T>& a, const Tensor<T>& b, double p = 2), (untyped(a), untyped(b), p))
#undef GRADUS_TYPED
#undef GRADUS_TYPED_JOIN
#undef GRADUS_TYPED_JOIN_ALONG
#undef GRADUS_TYPED_SPLIT

}  // namespace gradus
