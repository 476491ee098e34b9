// Pools: one number for each window of an image (N, C, H, W) or row (N, C, L); one without N is taken as one of a batch of one. The
// result keeps the order of axes in memory. Half types are averaged in float; NaN counts as the largest.
#pragma once
#include <utility>

#include "gradus/ops/elementwise.h"
#include "gradus/ops/window.h"

namespace gradus {

struct MaxPool2dOptions {
  Pair kernel;
  Pair stride = 0;  // 0: the kernel's size, so that windows touch and do not overlap
  Pair padding = 0;
  Pair dilation = 1;
  bool ceil_mode = false;  // a last window that is not full counts
};
struct MaxPool1dOptions {
  int64_t kernel;
  int64_t stride = 0, padding = 0, dilation = 1;
  bool ceil_mode = false;
};
struct AvgPool2dOptions {
  Pair kernel;
  Pair stride = 0;  // 0: the kernel's size
  Pair padding = 0;
  bool ceil_mode = false;
  bool count_include_pad = true;  // zeros of the padding count as elements
  int64_t divisor_override = 0;   // divides the sum; 0: the number of elements
};
struct AvgPool1dOptions {
  int64_t kernel;
  int64_t stride = 0, padding = 0;
  bool ceil_mode = false;
  bool count_include_pad = true;
};

/// The largest element of each window. Throws ShapeError where no window fits.
///     AnyTensor y = max_pool2d(x, {.kernel = 2});
AnyTensor max_pool2d(const AnyTensor& x, const MaxPool2dOptions& options);
AnyTensor max_pool1d(const AnyTensor& x, const MaxPool1dOptions& options);
/// The same, and where each stood: int64, counted row by row in its plane.
std::pair<AnyTensor, AnyTensor> max_pool2d_with_indices(const AnyTensor& x, const MaxPool2dOptions& options);
std::pair<AnyTensor, AnyTensor> max_pool1d_with_indices(const AnyTensor& x, const MaxPool1dOptions& options);

/// The mean of each window.
AnyTensor avg_pool2d(const AnyTensor& x, const AvgPool2dOptions& options);
AnyTensor avg_pool1d(const AnyTensor& x, const AvgPool1dOptions& options);

/// The mean of each of `out` parts that an axis is divided into, as evenly as it goes: part i is [i n / out, (i + 1) n / out), rounded
/// outwards.
AnyTensor adaptive_avg_pool2d(const AnyTensor& x, Pair out);
AnyTensor adaptive_avg_pool1d(const AnyTensor& x, int64_t out);
/// The largest element of each part.
AnyTensor adaptive_max_pool2d(const AnyTensor& x, Pair out);
AnyTensor adaptive_max_pool1d(const AnyTensor& x, int64_t out);
std::pair<AnyTensor, AnyTensor> adaptive_max_pool2d_with_indices(const AnyTensor& x, Pair out);
std::pair<AnyTensor, AnyTensor> adaptive_max_pool1d_with_indices(const AnyTensor& x, int64_t out);

#define GRADUS_TYPED_POOL(name, Options) \
  template <class T> Tensor<T> name(const Tensor<T>& x, const Options& options) { return Tensor<T>(name(untyped(x), options)); }
#define GRADUS_TYPED_POOL_WITH_INDICES(name, Options)                                                         \
  template <class T> std::pair<Tensor<T>, Tensor<int64_t>> name(const Tensor<T>& x, const Options& options) { \
    auto [y, indices] = name(untyped(x), options);                                                            \
    return {Tensor<T>(std::move(y)), Tensor<int64_t>(std::move(indices))};                                    \
  }
GRADUS_TYPED_POOL(max_pool2d, MaxPool2dOptions)
GRADUS_TYPED_POOL(max_pool1d, MaxPool1dOptions)
GRADUS_TYPED_POOL(avg_pool2d, AvgPool2dOptions)
GRADUS_TYPED_POOL(avg_pool1d, AvgPool1dOptions)
GRADUS_TYPED_POOL(adaptive_avg_pool2d, Pair)
GRADUS_TYPED_POOL(adaptive_avg_pool1d, int64_t)
GRADUS_TYPED_POOL(adaptive_max_pool2d, Pair)
GRADUS_TYPED_POOL(adaptive_max_pool1d, int64_t)
GRADUS_TYPED_POOL_WITH_INDICES(max_pool2d_with_indices, MaxPool2dOptions)
GRADUS_TYPED_POOL_WITH_INDICES(max_pool1d_with_indices, MaxPool1dOptions)
GRADUS_TYPED_POOL_WITH_INDICES(adaptive_max_pool2d_with_indices, Pair)
GRADUS_TYPED_POOL_WITH_INDICES(adaptive_max_pool1d_with_indices, int64_t)
#undef GRADUS_TYPED_POOL
#undef GRADUS_TYPED_POOL_WITH_INDICES

}  // namespace gradus
