// Views: tensors that share their storage with the one they came from. All are differentiable and cost no copy, except reshape
// where the strides do not allow a view. Axes count from the end where negative.
#pragma once
#include "gradus/core/tensor.h"

namespace gradus {

/// The same elements in another shape; one size may be -1. A view where strides allow, else a copy.
AnyTensor reshape(const AnyTensor& x, const Shape& shape);
/// As reshape, but throws ShapeError where a copy would be needed.
AnyTensor view(const AnyTensor& x, const Shape& shape);
/// The axes start..end as one. A scalar becomes [1].
AnyTensor flatten(const AnyTensor& x, int64_t start = 0, int64_t end = -1);
/// One axis as several; one size may be -1.
AnyTensor unflatten(const AnyTensor& x, int64_t axis, const Shape& sizes);
AnyTensor squeeze(const AnyTensor& x);
AnyTensor squeeze(const AnyTensor& x, int64_t axis);
AnyTensor unsqueeze(const AnyTensor& x, int64_t axis);
AnyTensor transpose(const AnyTensor& x, int64_t a, int64_t b);
AnyTensor permute(const AnyTensor& x, const Shape& axes);
/// Sizes of 1 are repeated without a copy; -1 keeps a size; new axes come in front.
AnyTensor expand(const AnyTensor& x, const Shape& shape);
AnyTensor broadcast_to(const AnyTensor& x, const Shape& shape);
/// start..start+length along axis.
AnyTensor narrow(const AnyTensor& x, int64_t axis, int64_t start, int64_t length);
/// One index of an axis, which goes away. Throws IndexError.
AnyTensor select(const AnyTensor& x, int64_t axis, int64_t index);
/// start, start + step, ... below end, which are cut to the axis as in Python. step may be negative only in index().
AnyTensor slice(const AnyTensor& x, int64_t axis, int64_t start, int64_t end, int64_t step = 1);
/// The adjoint of slice: zeros of `shape` with g at the slice's place.
AnyTensor slice_backward(const AnyTensor& g, const Shape& shape, int64_t axis, int64_t start, int64_t step);
/// The adjoint of broadcasting: sums g down to `shape`.
AnyTensor sum_to(const AnyTensor& g, const Shape& shape);
/// A copy of its own, with its own storage.
AnyTensor clone(const AnyTensor& x);
/// x itself if row-major without gaps, else such a copy.
AnyTensor contiguous(const AnyTensor& x);

#define GRADUS_TYPED(name, parameters, arguments) \
  template <class T> Tensor<T> name parameters { return Tensor<T>(name arguments); }
#define GRADUS_X static_cast<const AnyTensor&>(x)
GRADUS_TYPED(reshape, (const Tensor<T>& x, const Shape& shape), (GRADUS_X, shape))
GRADUS_TYPED(view, (const Tensor<T>& x, const Shape& shape), (GRADUS_X, shape))
GRADUS_TYPED(flatten, (const Tensor<T>& x, int64_t start = 0, int64_t end = -1), (GRADUS_X, start, end))
GRADUS_TYPED(unflatten, (const Tensor<T>& x, int64_t axis, const Shape& sizes), (GRADUS_X, axis, sizes))
GRADUS_TYPED(squeeze, (const Tensor<T>& x), (GRADUS_X))
GRADUS_TYPED(squeeze, (const Tensor<T>& x, int64_t axis), (GRADUS_X, axis))
GRADUS_TYPED(unsqueeze, (const Tensor<T>& x, int64_t axis), (GRADUS_X, axis))
GRADUS_TYPED(transpose, (const Tensor<T>& x, int64_t a, int64_t b), (GRADUS_X, a, b))
GRADUS_TYPED(permute, (const Tensor<T>& x, const Shape& axes), (GRADUS_X, axes))
GRADUS_TYPED(expand, (const Tensor<T>& x, const Shape& shape), (GRADUS_X, shape))
GRADUS_TYPED(broadcast_to, (const Tensor<T>& x, const Shape& shape), (GRADUS_X, shape))
GRADUS_TYPED(narrow, (const Tensor<T>& x, int64_t axis, int64_t start, int64_t length), (GRADUS_X, axis, start, length))
GRADUS_TYPED(select, (const Tensor<T>& x, int64_t axis, int64_t index), (GRADUS_X, axis, index))
GRADUS_TYPED(slice, (const Tensor<T>& x, int64_t axis, int64_t start, int64_t end, int64_t step = 1),
             (GRADUS_X, axis, start, end, step))
GRADUS_TYPED(clone, (const Tensor<T>& x), (GRADUS_X))
GRADUS_TYPED(contiguous, (const Tensor<T>& x), (GRADUS_X))
#undef GRADUS_X
#undef GRADUS_TYPED

}  // namespace gradus
