// The parameters of structured kernels, as plain numbers.
#pragma once
#include <cstdint>

#include "gradus/core/scalar.h"
#include "kernels/array.h"
#include "kernels/update.h"

namespace gradus {

/// A convolution over two axes. Weights are (out, in / groups, kernel height, kernel width).
struct ConvParams {
  int64_t stride[2] = {1, 1}, padding[2] = {0, 0}, dilation[2] = {1, 1};
  int64_t groups = 1;
};

/// A stretch of a stream of random numbers: where its blocks begin (see kernels/philox.h).
struct Draw {
  uint64_t seed = 0, offset = 0;
  const uint64_t* from = nullptr;  // in a recorded step: on the device, the seed and what is added to the offset
  GRADUS_HD Draw now() const { return from ? Draw{from[0], from[1] + offset} : *this; }
};

/// What becomes of a value that is put where there is one already.
enum class ScatterMode : uint8_t { assign, add, multiply, maximum, minimum };
/// Which indices an axis of n takes: 0 .. n - 1, or also -n .. -1, which count from the end.
enum class IndexRange : uint8_t { forward, both_ways };

/// A window that slides over two axes; or, where adaptive, one that divides the image into as many parts as the result has.
struct PoolParams {
  int64_t kernel[2] = {1, 1}, stride[2] = {1, 1}, padding[2] = {0, 0}, dilation[2] = {1, 1};
  bool adaptive = false;
  bool count_include_pad = true;  // an average divides by the whole window, its padding included
  int64_t divisor = 0;            // what an average divides by; 0: the number of elements
};

enum class Interpolation : uint8_t { nearest, nearest_exact, bilinear, bicubic };

struct InterpolateParams {
  Interpolation mode = Interpolation::nearest;
  bool align_corners = false;
  double scale[2] = {0, 0};  // output size over input size as the caller gave it; 0: the quotient of the sizes
};

struct AttentionParams {
  double scale = 1;
  bool causal = false;
  double dropout = 0;
  Draw draw{};
};

/// What a reduction makes of the elements that fall together.
enum class ReduceKind : uint8_t {
  sum,
  mean,
  nansum,  // NaN counts as nothing
  prod,
  max,
  min,
  count_nonzero,
  all,
  any,
  norm,       // (sum |x|^p)^(1/p), p neither 0 nor infinite
  max_abs,    // the norm for p = infinity
  min_abs,    // and for -infinity
  var,        // sum (x - center)^2 / (n - p)
  std,        // its root
  logsumexp,  // center + log(sum exp(x - center)), the center counting as 0 where it is not finite
};

/// What a scan makes of the elements up to each.
enum class Scan : uint8_t { sum, prod, logsumexp };

/// Which element, were they in order: the one of a given number, or the middle one of all (NaN where there is any) or of the numbers.
enum class Nth : uint8_t { kth, median, nanmedian };

}  // namespace gradus
