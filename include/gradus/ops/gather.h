// Elements along one axis, by an index for each.
#pragma once
#include "gradus/ops/elementwise.h"

namespace gradus {

/// y[i][j] = x[index[i][j]][j] for axis 0, and so on: the shape of index, which along the other axes is at most as large as x.
/// Indices go from 0 to the size of the axis. Throws IndexError.
AnyTensor gather(const AnyTensor& x, int64_t axis, const AnyTensor& index);
/// x with source[i][j] at [index[i][j]][j] for axis 0, and so on; where places meet, the last one along the axis stays.
AnyTensor scatter(const AnyTensor& x, int64_t axis, const AnyTensor& index, const AnyTensor& source);
AnyTensor scatter(const AnyTensor& x, int64_t axis, const AnyTensor& index, Scalar value);
AnyTensor& scatter_(AnyTensor& x, int64_t axis, const AnyTensor& index, const AnyTensor& source);
AnyTensor& scatter_(AnyTensor& x, int64_t axis, const AnyTensor& index, Scalar value);
/// The same, adding: the adjoint of gather. Sums are in a fixed order.
AnyTensor scatter_add(const AnyTensor& x, int64_t axis, const AnyTensor& index, const AnyTensor& source);
AnyTensor& scatter_add_(AnyTensor& x, int64_t axis, const AnyTensor& index, const AnyTensor& source);

enum class ScatterReduction { sum, prod, mean, amax, amin };
/// What meets in one place is reduced, together with what x has there unless include_self is false.
AnyTensor scatter_reduce(const AnyTensor& x, int64_t axis, const AnyTensor& index, const AnyTensor& source,
                         ScatterReduction reduction, bool include_self = true);
/// The same by slices: index is a vector, source has as many slices along axis.
AnyTensor index_reduce(const AnyTensor& x, int64_t axis, const AnyTensor& index, const AnyTensor& source,
                       ScatterReduction reduction, bool include_self = true);
/// gather with the other axes broadcast, and negative indices from the end: takes what argsort or argmax(keepdim) along axis gives.
AnyTensor take_along_dim(const AnyTensor& x, const AnyTensor& index, int64_t axis);

#define GRADUS_TYPED(name, parameters, arguments) \
  template <class T> Tensor<T> name parameters { return Tensor<T>(name arguments); }
GRADUS_TYPED(gather, (const Tensor<T>& x, int64_t axis, const AnyTensor& index), (untyped(x), axis, index))
GRADUS_TYPED(scatter, (const Tensor<T>& x, int64_t axis, const AnyTensor& index, const Tensor<T>& source),
             (untyped(x), axis, index, untyped(source)))
GRADUS_TYPED(scatter, (const Tensor<T>& x, int64_t axis, const AnyTensor& index, Scalar value), (untyped(x), axis, index, value))
GRADUS_TYPED(scatter_add, (const Tensor<T>& x, int64_t axis, const AnyTensor& index, const Tensor<T>& source),
             (untyped(x), axis, index, untyped(source)))
GRADUS_TYPED(scatter_reduce,
             (const Tensor<T>& x, int64_t axis, const AnyTensor& index, const Tensor<T>& source, ScatterReduction reduction,
              bool include_self = true),
             (untyped(x), axis, index, untyped(source), reduction, include_self))
GRADUS_TYPED(index_reduce,
             (const Tensor<T>& x, int64_t axis, const AnyTensor& index, const Tensor<T>& source, ScatterReduction reduction,
              bool include_self = true),
             (untyped(x), axis, index, untyped(source), reduction, include_self))
GRADUS_TYPED(take_along_dim, (const Tensor<T>& x, const AnyTensor& index, int64_t axis), (untyped(x), index, axis))
#undef GRADUS_TYPED

}  // namespace gradus
