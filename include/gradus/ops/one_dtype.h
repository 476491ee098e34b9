// Tensors of different dtypes in one call are an error of the compiler, also where more than two come together. Without these, they
// would all convert to AnyTensor and fail only at run time. (What stands in braces cannot be told apart: cat({a, b}) fails at run time.)
#pragma once
#include <initializer_list>

#include "gradus/ops/activation.h"
#include "gradus/ops/attention.h"
#include "gradus/ops/composed.h"
#include "gradus/ops/conv.h"
#include "gradus/ops/distance.h"
#include "gradus/ops/gather.h"
#include "gradus/ops/index.h"
#include "gradus/ops/matmul.h"
#include "gradus/ops/shape_ops.h"

namespace gradus {

namespace detail {
template <class X> inline constexpr int kDTypeIn = -1;  // AnyTensor, and what is no tensor
template <class T> inline constexpr int kDTypeIn<Tensor<T>> = int(dtype_of<T>);
constexpr bool differ(std::initializer_list<int> dtypes) {
  int first = -1;
  for (int t : dtypes) {
    if (t >= 0 && first >= 0 && t != first) return true;
    if (t >= 0) first = t;
  }
  return false;
}
template <class... X> concept Mixed = differ({kDTypeIn<X>...});
}  // namespace detail

#define GRADUS_PAIR(name, ...) \
  template <class A, class B>  \
  requires detail::Mixed<A, B> \
  void name(const A&, const B& __VA_OPT__(, ) __VA_ARGS__) = delete;
#define GRADUS_TRIPLE(name, ...)       \
  template <class A, class B, class C> \
  requires detail::Mixed<A, B, C>      \
  void name(const A&, const B&, const C& __VA_OPT__(, ) __VA_ARGS__) = delete;
GRADUS_PAIR(kron)
GRADUS_PAIR(cross, int64_t = -1)
GRADUS_PAIR(prelu)
GRADUS_PAIR(tensordot, int = 2)
GRADUS_PAIR(tensordot, const Shape&, const Shape&)
GRADUS_PAIR(cosine_similarity, int64_t = 1, double = 0)
GRADUS_PAIR(pairwise_distance, const DistanceOptions& = {})
GRADUS_TRIPLE(lerp)
GRADUS_TRIPLE(addcmul, Scalar = 1)
GRADUS_TRIPLE(addcdiv, Scalar = 1)
GRADUS_TRIPLE(clamp)
GRADUS_TRIPLE(addmm, const AddmmOptions& = {})
GRADUS_TRIPLE(baddbmm, const AddmmOptions& = {})
GRADUS_TRIPLE(addbmm, const AddmmOptions& = {})
GRADUS_TRIPLE(addmv, const AddmmOptions& = {})
GRADUS_TRIPLE(addr, const AddmmOptions& = {})
GRADUS_TRIPLE(linear)
GRADUS_TRIPLE(scaled_dot_product_attention, const AttentionOptions& = {})
GRADUS_TRIPLE(scaled_dot_product_attention, const AttentionOptions&, Generator&)
#define GRADUS_CONV(name, Options)         \
  GRADUS_TRIPLE(name, const Options& = {}) \
  GRADUS_PAIR(name, const AnyTensor&, const Options&)
GRADUS_CONV(conv1d, Conv1dOptions)
GRADUS_CONV(conv2d, Conv2dOptions)
GRADUS_CONV(conv_transpose1d, ConvTranspose1dOptions)
GRADUS_CONV(conv_transpose2d, ConvTranspose2dOptions)
#undef GRADUS_CONV
#undef GRADUS_PAIR
#undef GRADUS_TRIPLE

// A condition, a mask or an index has a dtype of its own.
template <class C, class A, class B>
requires detail::Mixed<A, B>
void where(const C&, const A&, const B&) = delete;
#define GRADUS_BESIDE_INDEX(name, before, ...) \
  template <class A, class I, class B>         \
  requires detail::Mixed<A, B>                 \
  void name(const A&, GRADUS_UNPACK before const I&, const B& __VA_OPT__(, ) __VA_ARGS__) = delete;
#define GRADUS_UNPACK(...) __VA_ARGS__
GRADUS_BESIDE_INDEX(masked_fill, ())
GRADUS_BESIDE_INDEX(masked_scatter, ())
GRADUS_BESIDE_INDEX(put, (), bool = false)
GRADUS_BESIDE_INDEX(index_put, (), bool = false)
GRADUS_BESIDE_INDEX(index_add, (int64_t, ), Scalar = 1)
GRADUS_BESIDE_INDEX(index_copy, (int64_t, ))
GRADUS_BESIDE_INDEX(index_fill, (int64_t, ))
GRADUS_BESIDE_INDEX(scatter, (int64_t, ))
GRADUS_BESIDE_INDEX(scatter_add, (int64_t, ))
GRADUS_BESIDE_INDEX(scatter_reduce, (int64_t, ), ScatterReduction, bool = true)
GRADUS_BESIDE_INDEX(index_reduce, (int64_t, ), ScatterReduction, bool = true)
#undef GRADUS_BESIDE_INDEX
#undef GRADUS_UNPACK

}  // namespace gradus
