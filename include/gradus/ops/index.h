// Elements by number and by mask. Indices are integer tensors. The backward pass adds up what was picked more than once in a fixed
// order. What NumPy writes as x[...] is x(...) here: see gradus/core/index.h.
#pragma once
#include "gradus/ops/elementwise.h"

namespace gradus {

/// NumPy's indexing with tensors: one for each axis from the first on, undefined for an axis that is taken as a whole. Index tensors
/// broadcast against each other, and their axes stand where theirs were, or first where a whole axis lies between. A bool mask stands
/// for as many axes as it has and gives the places where it is true. Negative indices count from the end. Throws IndexError.
AnyTensor index(const AnyTensor& x, const std::vector<AnyTensor>& indices);
/// x with values, which broadcast, at these places; where a place is named twice the last value stays, or with accumulate all are added.
AnyTensor index_put(const AnyTensor& x, const std::vector<AnyTensor>& indices, const AnyTensor& values, bool accumulate = false);
AnyTensor& index_put_(AnyTensor& x, const std::vector<AnyTensor>& indices, const AnyTensor& values, bool accumulate = false);

/// The slices of x along axis that a vector of indices names, each from 0 on: (..., indices, ...).
AnyTensor index_select(const AnyTensor& x, int64_t axis, const AnyTensor& index);
/// x with alpha times the slices of source added to the slices of x that index names.
AnyTensor index_add(const AnyTensor& x, int64_t axis, const AnyTensor& index, const AnyTensor& source, Scalar alpha = 1);
AnyTensor& index_add_(AnyTensor& x, int64_t axis, const AnyTensor& index, const AnyTensor& source, Scalar alpha = 1);
/// x with the slices of source in place of the slices that index names.
AnyTensor index_copy(const AnyTensor& x, int64_t axis, const AnyTensor& index, const AnyTensor& source);
AnyTensor& index_copy_(AnyTensor& x, int64_t axis, const AnyTensor& index, const AnyTensor& source);
/// x with value in the slices that index names. A tensor as value has one element.
AnyTensor index_fill(const AnyTensor& x, int64_t axis, const AnyTensor& index, Scalar value);
AnyTensor index_fill(const AnyTensor& x, int64_t axis, const AnyTensor& index, const AnyTensor& value);
AnyTensor& index_fill_(AnyTensor& x, int64_t axis, const AnyTensor& index, Scalar value);

/// Elements of x by their number in row-major order; negative ones count from the end. The shape of index.
AnyTensor take(const AnyTensor& x, const AnyTensor& index);
/// x with source, as many elements as index has, at these numbers.
AnyTensor put(const AnyTensor& x, const AnyTensor& index, const AnyTensor& source, bool accumulate = false);

/// x with value where mask, which broadcasts, is true. A tensor as value has one element.
AnyTensor masked_fill(const AnyTensor& x, const AnyTensor& mask, Scalar value);
AnyTensor masked_fill(const AnyTensor& x, const AnyTensor& mask, const AnyTensor& value);
AnyTensor& masked_fill_(AnyTensor& x, const AnyTensor& mask, Scalar value);
/// The elements where mask is true, in row-major order, as a vector; x and mask broadcast.
AnyTensor masked_select(const AnyTensor& x, const AnyTensor& mask);
/// x with the elements of source, in order, where mask is true.
AnyTensor masked_scatter(const AnyTensor& x, const AnyTensor& mask, const AnyTensor& source);

/// The places of the elements that are not zero: (count, axes), in row-major order.
Tensor<int64_t> nonzero(const AnyTensor& x);
/// The same, a vector for each axis: x(where(mask)[0], where(mask)[1]) is x(mask).
std::vector<Tensor<int64_t>> where(const AnyTensor& condition);

/// For each number of an element of a tensor of `shape` in row-major order, its place: one tensor for each axis. Throws IndexError.
std::vector<AnyTensor> unravel_index(const AnyTensor& index, const Shape& shape);
/// A new last axis with 1 at the index and 0 elsewhere. Without a number of classes: the largest index and one. Throws IndexError.
Tensor<int64_t> one_hot(const AnyTensor& index, int64_t classes = -1);
/// How often each number from 0 on stands in a vector, at least `at_least` long.
Tensor<int64_t> bincount(const AnyTensor& x, int64_t at_least = 0);
/// The sum of the weights of each number.
AnyTensor bincount(const AnyTensor& x, const AnyTensor& weights, int64_t at_least = 0);
/// How many elements lie in each of `bins` equal parts of [low, high]; others count nowhere. low == high: from the least to the most.
AnyTensor histc(const AnyTensor& x, int64_t bins = 100, double low = 0, double high = 0);

#define GRADUS_TYPED(name, parameters, arguments) \
  template <class T> Tensor<T> name parameters { return Tensor<T>(name arguments); }
GRADUS_TYPED(index, (const Tensor<T>& x, const std::vector<AnyTensor>& indices), (untyped(x), indices))
GRADUS_TYPED(index_put,
             (const Tensor<T>& x, const std::vector<AnyTensor>& indices, const Tensor<T>& values, bool accumulate = false),
             (untyped(x), indices, untyped(values), accumulate))
GRADUS_TYPED(index_select, (const Tensor<T>& x, int64_t axis, const AnyTensor& index), (untyped(x), axis, index))
GRADUS_TYPED(index_add, (const Tensor<T>& x, int64_t axis, const AnyTensor& index, const Tensor<T>& source, Scalar alpha = 1),
             (untyped(x), axis, index, untyped(source), alpha))
GRADUS_TYPED(index_copy, (const Tensor<T>& x, int64_t axis, const AnyTensor& index, const Tensor<T>& source),
             (untyped(x), axis, index, untyped(source)))
GRADUS_TYPED(index_fill, (const Tensor<T>& x, int64_t axis, const AnyTensor& index, Scalar value), (untyped(x), axis, index, value))
GRADUS_TYPED(take, (const Tensor<T>& x, const AnyTensor& index), (untyped(x), index))
GRADUS_TYPED(put, (const Tensor<T>& x, const AnyTensor& index, const Tensor<T>& source, bool accumulate = false),
             (untyped(x), index, untyped(source), accumulate))
GRADUS_TYPED(masked_fill, (const Tensor<T>& x, const Tensor<bool>& mask, Scalar value), (untyped(x), untyped(mask), value))
GRADUS_TYPED(masked_fill, (const Tensor<T>& x, const Tensor<bool>& mask, const Tensor<T>& value),
             (untyped(x), untyped(mask), untyped(value)))
GRADUS_TYPED(masked_select, (const Tensor<T>& x, const Tensor<bool>& mask), (untyped(x), untyped(mask)))
GRADUS_TYPED(masked_scatter, (const Tensor<T>& x, const Tensor<bool>& mask, const Tensor<T>& source),
             (untyped(x), untyped(mask), untyped(source)))
GRADUS_TYPED(histc, (const Tensor<T>& x, int64_t bins = 100, double low = 0, double high = 0), (untyped(x), bins, low, high))
#undef GRADUS_TYPED

}  // namespace gradus
