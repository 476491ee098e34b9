// Pixels as channels and back, windows as columns and back, maxima back to where they stood.
#pragma once
#include "gradus/ops/elementwise.h"
#include "gradus/ops/window.h"

namespace gradus {

/// (..., C r r, H, W) as (..., C, H r, W r): channels become pixels. Shi et al.: Real-time single image and video super-resolution (2016).
AnyTensor pixel_shuffle(const AnyTensor& x, int64_t r);
/// The inverse: (..., C, H r, W r) as (..., C r r, H, W).
AnyTensor pixel_unshuffle(const AnyTensor& x, int64_t r);
/// Deals the channels of (N, C, ...) out again: the first of each group, then the second of each. Zhang et al.: ShuffleNet (2018).
AnyTensor channel_shuffle(const AnyTensor& x, int64_t groups);

struct UnfoldOptions {
  Pair kernel;
  Pair dilation = 1, padding = 0, stride = 1;
};
/// The windows of an image (N, C, H, W) as columns: (N, C kernel, windows), both in row-major order. One without N is taken as one of a
/// batch of one.
AnyTensor unfold(const AnyTensor& x, const UnfoldOptions& options);
/// The adjoint: adds the columns up to an image of (H, W) = size.
AnyTensor fold(const AnyTensor& x, Pair size, const UnfoldOptions& options);

/// The elements of x at the places in rows of `size`, or planes, that the indices of max_pool name; zero elsewhere. Of a place that two
/// windows name, both get the gradient. Throws IndexError.
AnyTensor max_unpool1d(const AnyTensor& x, const AnyTensor& indices, int64_t size);
AnyTensor max_unpool2d(const AnyTensor& x, const AnyTensor& indices, Pair size);

#define GRADUS_TYPED(name, parameters, arguments) \
  template <class T> Tensor<T> name parameters { return Tensor<T>(name arguments); }
GRADUS_TYPED(pixel_shuffle, (const Tensor<T>& x, int64_t r), (untyped(x), r))
GRADUS_TYPED(pixel_unshuffle, (const Tensor<T>& x, int64_t r), (untyped(x), r))
GRADUS_TYPED(channel_shuffle, (const Tensor<T>& x, int64_t groups), (untyped(x), groups))
GRADUS_TYPED(unfold, (const Tensor<T>& x, const UnfoldOptions& options), (untyped(x), options))
GRADUS_TYPED(fold, (const Tensor<T>& x, Pair size, const UnfoldOptions& options), (untyped(x), size, options))
GRADUS_TYPED(max_unpool1d, (const Tensor<T>& x, const Tensor<int64_t>& indices, int64_t size), (untyped(x), untyped(indices), size))
GRADUS_TYPED(max_unpool2d, (const Tensor<T>& x, const Tensor<int64_t>& indices, Pair size), (untyped(x), untyped(indices), size))
#undef GRADUS_TYPED

}  // namespace gradus
