// Other names that the field has for the same functions.
#pragma once
#include "gradus/ops/composed.h"
#include "gradus/ops/shape_ops.h"
#include "gradus/ops/view.h"

namespace gradus {

#define GRADUS_ALIAS(alias, name)                                                                 \
  template <class... A> auto alias(const A&... arguments)->decltype(gradus::name(arguments...)) { \
    return gradus::name(arguments...);                                                            \
  }
GRADUS_ALIAS(absolute, abs)
GRADUS_ALIAS(negative, neg)
GRADUS_ALIAS(subtract, sub)
GRADUS_ALIAS(multiply, mul)
GRADUS_ALIAS(divide, div)
GRADUS_ALIAS(sgn, sign)
GRADUS_ALIAS(fix, trunc)
GRADUS_ALIAS(clip, clamp)
GRADUS_ALIAS(arccos, acos)
GRADUS_ALIAS(arcsin, asin)
GRADUS_ALIAS(arctan, atan)
GRADUS_ALIAS(arctan2, atan2)
GRADUS_ALIAS(arccosh, acosh)
GRADUS_ALIAS(arcsinh, asinh)
GRADUS_ALIAS(arctanh, atanh)
GRADUS_ALIAS(greater, gt)
GRADUS_ALIAS(greater_equal, ge)
GRADUS_ALIAS(less, lt)
GRADUS_ALIAS(less_equal, le)
GRADUS_ALIAS(not_equal, ne)
// Tensors are real.
inline AnyTensor positive(const AnyTensor& x) { return x; }
inline AnyTensor real(const AnyTensor& x) { return x; }
inline AnyTensor conj(const AnyTensor& x) { return x; }
inline AnyTensor isreal(const AnyTensor& x) { return logical_or(x == x, x != x); }
GRADUS_ALIAS(swapaxes, transpose)
GRADUS_ALIAS(swapdims, transpose)
#undef GRADUS_ALIAS
// Axes in braces have no type that a template could find.
inline AnyTensor moveaxis(const AnyTensor& x, const Shape& from, const Shape& to) { return movedim(x, from, to); }
inline AnyTensor moveaxis(const AnyTensor& x, int64_t from, int64_t to) { return movedim(x, from, to); }
inline AnyTensor concat(const TensorList& tensors, int64_t axis = 0) { return cat(tensors, axis); }
inline AnyTensor concatenate(const TensorList& tensors, int64_t axis = 0) { return cat(tensors, axis); }
template <class T> Tensor<T> concat(const std::vector<Tensor<T>>& tensors, int64_t axis = 0) { return cat(tensors, axis); }
template <class T> Tensor<T> concatenate(const std::vector<Tensor<T>>& tensors, int64_t axis = 0) { return cat(tensors, axis); }
template <class T> Tensor<T> concat(std::initializer_list<Tensor<T>> tensors, int64_t axis = 0) { return cat(tensors, axis); }
template <class T> Tensor<T> concatenate(std::initializer_list<Tensor<T>> tensors, int64_t axis = 0) { return cat(tensors, axis); }

}  // namespace gradus
