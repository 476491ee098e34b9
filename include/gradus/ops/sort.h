// Order: sorting, selecting, finding. NaN counts as greater than everything; equal elements stay in the order they came in, in every
// function here, and of equal ones the first is chosen.
#pragma once
#include "gradus/ops/results.h"

namespace gradus {

/// The elements along an axis in order, and where each was.
AnyValuesIndices sort(const AnyTensor& x, int64_t axis = -1, bool descending = false);
Tensor<int64_t> argsort(const AnyTensor& x, int64_t axis = -1, bool descending = false);
/// Sorted along the first axis.
AnyTensor msort(const AnyTensor& x);
/// The k greatest (or least) along an axis, the foremost first; not sorted: the same ones in no particular order, for less work. Throws
/// ValueError where there are fewer than k.
AnyValuesIndices topk(const AnyTensor& x, int64_t k, int64_t axis = -1, bool largest = true, bool sorted = true);
/// The k-th least along an axis, counted from 1.
AnyValuesIndices kthvalue(const AnyTensor& x, int64_t k, int64_t axis = -1, bool keepdim = false);
/// The middle element: of an even number the lower of the two. NaN where there is any; nanmedian takes the middle of the rest.
AnyTensor median(const AnyTensor& x);
AnyTensor nanmedian(const AnyTensor& x);
AnyValuesIndices median(const AnyTensor& x, int64_t axis, bool keepdim = false);
AnyValuesIndices nanmedian(const AnyTensor& x, int64_t axis, bool keepdim = false);

/// The greatest or least of the elements up to each along an axis, and where it is: the last such at ties.
AnyValuesIndices cummax(const AnyTensor& x, int64_t axis);
AnyValuesIndices cummin(const AnyTensor& x, int64_t axis);

struct AnyUnique {
  AnyTensor values, inverse, counts;  // inverse: shaped as x, where in values each element went; counts: how often each came
};
template <class T> struct Unique {
  Tensor<T> values;
  Tensor<int64_t> inverse, counts;
  explicit Unique(AnyUnique any) : values(std::move(any.values)), inverse(std::move(any.inverse)), counts(std::move(any.counts)) {}
};
/// The different elements of x, in order; consecutive: in the order they came, dropping only repetitions of the one before.
AnyUnique unique(const AnyTensor& x);
AnyUnique unique_consecutive(const AnyTensor& x);
/// The different slices of x along an axis, ordered by their elements in row-major order; inverse has one number for each slice. A slice
/// with a NaN is equal to none.
AnyUnique unique(const AnyTensor& x, int64_t axis);
AnyUnique unique_consecutive(const AnyTensor& x, int64_t axis);

/// Where each value belongs in a sorted sequence, so that it stays sorted: before those equal to it, or with right after them. The
/// sequence is a vector, or has the axes of values but for the last. int64.
Tensor<int64_t> searchsorted(const AnyTensor& sequence, const AnyTensor& values, bool right = false);
/// Whether each element is one of `values`: bool, shaped as x. NaN is none.
Tensor<bool> isin(const AnyTensor& x, const AnyTensor& values);
/// searchsorted with the arguments the other way round.
Tensor<int64_t> bucketize(const AnyTensor& values, const AnyTensor& boundaries, bool right = false);

#define GRADUS_TYPED(R, name, parameters, arguments) \
  template <class T> R name parameters { return R(name arguments); }
#define GRADUS_X static_cast<const AnyTensor&>(x)
GRADUS_TYPED(ValuesIndices<T>, sort, (const Tensor<T>& x, int64_t axis = -1, bool descending = false), (GRADUS_X, axis, descending))
GRADUS_TYPED(Tensor<T>, msort, (const Tensor<T>& x), (GRADUS_X))
GRADUS_TYPED(ValuesIndices<T>, topk, (const Tensor<T>& x, int64_t k, int64_t axis = -1, bool largest = true, bool sorted = true),
             (GRADUS_X, k, axis, largest, sorted))
GRADUS_TYPED(ValuesIndices<T>, kthvalue, (const Tensor<T>& x, int64_t k, int64_t axis = -1, bool keepdim = false),
             (GRADUS_X, k, axis, keepdim))
GRADUS_TYPED(Tensor<T>, median, (const Tensor<T>& x), (GRADUS_X))
GRADUS_TYPED(Tensor<T>, nanmedian, (const Tensor<T>& x), (GRADUS_X))
GRADUS_TYPED(ValuesIndices<T>, median, (const Tensor<T>& x, int64_t axis, bool keepdim = false), (GRADUS_X, axis, keepdim))
GRADUS_TYPED(ValuesIndices<T>, nanmedian, (const Tensor<T>& x, int64_t axis, bool keepdim = false), (GRADUS_X, axis, keepdim))
GRADUS_TYPED(ValuesIndices<T>, cummax, (const Tensor<T>& x, int64_t axis), (GRADUS_X, axis))
GRADUS_TYPED(ValuesIndices<T>, cummin, (const Tensor<T>& x, int64_t axis), (GRADUS_X, axis))
GRADUS_TYPED(Unique<T>, unique, (const Tensor<T>& x), (GRADUS_X))
GRADUS_TYPED(Unique<T>, unique_consecutive, (const Tensor<T>& x), (GRADUS_X))
GRADUS_TYPED(Unique<T>, unique, (const Tensor<T>& x, int64_t axis), (GRADUS_X, axis))
GRADUS_TYPED(Unique<T>, unique_consecutive, (const Tensor<T>& x, int64_t axis), (GRADUS_X, axis))
#undef GRADUS_X
#undef GRADUS_TYPED

}  // namespace gradus
