// Images in another size.
#pragma once
#include "gradus/ops/elementwise.h"
#include "gradus/ops/window.h"

namespace gradus {

enum class InterpolateMode {
  nearest,        // the pixel at floor(i in / out)
  nearest_exact,  // the pixel whose middle is nearest
  linear,         // between two pixels of a row, four of an image
  bicubic,        // between sixteen; images only
  area,           // the mean of the pixels covered: adaptive_avg_pool
};

/// How many times as large: one factor for both axes, or one for each.
struct Scale {
  double height, width;
  template <class S>
  requires std::is_arithmetic_v<S>
  constexpr Scale(S both) : height(double(both)), width(double(both)) {}
  constexpr Scale(double height, double width) : height(height), width(width) {}
};

struct InterpolateOptions {
  Pair size = 0;  // of the result; 0: from the scale
  Scale scale_factor = 0;
  InterpolateMode mode = InterpolateMode::nearest;
  bool align_corners = false;  // the middles of the corner pixels stay where they are (linear and bicubic)
};

/// An image (N, C, H, W) or row (N, C, L) in another size. Throws ValueError unless exactly one of size and scale_factor is given.
///     AnyTensor y = interpolate(x, {.scale_factor = 2, .mode = InterpolateMode::linear});
AnyTensor interpolate(const AnyTensor& x, const InterpolateOptions& options);
template <class T> Tensor<T> interpolate(const Tensor<T>& x, const InterpolateOptions& options) {
  return Tensor<T>(interpolate(untyped(x), options));
}

}  // namespace gradus
