// Pools and changes of size. Images are (N, C, H, W), rows (N, C, L).
#pragma once
#include "gradus/nn/layer.h"
#include "gradus/ops/interpolate.h"
#include "gradus/ops/lp_pool.h"
#include "gradus/ops/pool.h"
#include "gradus/ops/volume.h"

namespace gradus::nn {

/// The options are those of the op: nn::MaxPool2d({.kernel = 2}).
#define GRADUS_POOL(Name, function)                                              \
  class Name : public Module {                                                   \
   public:                                                                       \
    explicit Name(const Name##Options& options) : options(options) {}            \
    Name##Options options;                                                       \
    GRADUS_MEMBERS()                                                             \
    AnyTensor forward(const AnyTensor& x) const { return function(x, options); } \
    GRADUS_TYPED_FORWARD                                                         \
  };
GRADUS_POOL(MaxPool1d, max_pool1d)
GRADUS_POOL(MaxPool2d, max_pool2d)
GRADUS_POOL(AvgPool1d, avg_pool1d)
GRADUS_POOL(AvgPool2d, avg_pool2d)
GRADUS_POOL(MaxPool3d, max_pool3d)
GRADUS_POOL(AvgPool3d, avg_pool3d)
GRADUS_POOL(LPPool1d, lp_pool1d)
GRADUS_POOL(LPPool2d, lp_pool2d)
GRADUS_POOL(LPPool3d, lp_pool3d)
#undef GRADUS_POOL

/// To a size that is given: nn::AdaptiveAvgPool2d(1), nn::AdaptiveAvgPool2d({3, 4}).
#define GRADUS_ADAPTIVE_POOL(Name, Size, function)                           \
  class Name : public Module {                                               \
   public:                                                                   \
    explicit Name(Size out) : out(out) {}                                    \
    Size out;                                                                \
    GRADUS_MEMBERS()                                                         \
    AnyTensor forward(const AnyTensor& x) const { return function(x, out); } \
    GRADUS_TYPED_FORWARD                                                     \
  };
GRADUS_ADAPTIVE_POOL(AdaptiveAvgPool1d, int64_t, adaptive_avg_pool1d)
GRADUS_ADAPTIVE_POOL(AdaptiveAvgPool2d, Pair, adaptive_avg_pool2d)
GRADUS_ADAPTIVE_POOL(AdaptiveMaxPool1d, int64_t, adaptive_max_pool1d)
GRADUS_ADAPTIVE_POOL(AdaptiveMaxPool2d, Pair, adaptive_max_pool2d)
GRADUS_ADAPTIVE_POOL(AdaptiveAvgPool3d, Triple, adaptive_avg_pool3d)
GRADUS_ADAPTIVE_POOL(AdaptiveMaxPool3d, Triple, adaptive_max_pool3d)
#undef GRADUS_ADAPTIVE_POOL

/// nn::Upsample({.scale_factor = 2}).
class Upsample : public Module {
 public:
  explicit Upsample(const InterpolateOptions& options) : options(options) {}
  InterpolateOptions options;
  GRADUS_MEMBERS()
  AnyTensor forward(const AnyTensor& x) const { return interpolate(x, options); }
  GRADUS_TYPED_FORWARD
};

}  // namespace gradus::nn
