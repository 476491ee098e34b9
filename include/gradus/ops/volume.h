// Convolutions and pools of volumes (N, C, D, H, W), or of one (C, D, H, W), made of those of images: right rather than fast.
#pragma once
#include <utility>

#include "gradus/ops/elementwise.h"
#include "gradus/ops/window.h"

namespace gradus {

/// One number for all axes, or one for the depth, the height and the width.
struct Triple {
  int64_t depth, height, width;
  template <class I>
  requires std::is_integral_v<I>
  constexpr Triple(I all) : depth(all), height(all), width(all) {}
  constexpr Triple(int64_t depth, int64_t height, int64_t width) : depth(depth), height(height), width(width) {}
};

struct Conv3dOptions {
  Triple stride = 1, padding = 0;
  bool same = false;  // as many zeros as keep the size under a stride of 1, in place of padding
  Triple dilation = 1;
  int64_t groups = 1;
};
struct ConvTranspose3dOptions {
  Triple stride = 1, padding = 0, output_padding = 0;
  int64_t groups = 1;
  Triple dilation = 1;
};
struct MaxPool3dOptions {
  Triple kernel;
  Triple stride = 0;  // 0: the kernel's size
  Triple padding = 0, dilation = 1;
  bool ceil_mode = false;
};
struct AvgPool3dOptions {
  Triple kernel;
  Triple stride = 0;
  Triple padding = 0;
  bool ceil_mode = false;
  bool count_include_pad = true;
  int64_t divisor_override = 0;
};

/// As conv2d: the weight is (out, in / groups, kernel depth, height, width).
AnyTensor conv3d(const AnyTensor& x, const AnyTensor& weight, const AnyTensor& bias = {}, const Conv3dOptions& options = {});
/// As conv_transpose2d: the weight is (in, out / groups, kernel depth, height, width).
AnyTensor conv_transpose3d(const AnyTensor& x, const AnyTensor& weight, const AnyTensor& bias = {},
                           const ConvTranspose3dOptions& options = {});
AnyTensor max_pool3d(const AnyTensor& x, const MaxPool3dOptions& options);
/// The same, and where each stood: int64, counted in row-major order in its volume.
std::pair<AnyTensor, AnyTensor> max_pool3d_with_indices(const AnyTensor& x, const MaxPool3dOptions& options);
AnyTensor avg_pool3d(const AnyTensor& x, const AvgPool3dOptions& options);
AnyTensor adaptive_avg_pool3d(const AnyTensor& x, Triple out);
AnyTensor adaptive_max_pool3d(const AnyTensor& x, Triple out);
std::pair<AnyTensor, AnyTensor> adaptive_max_pool3d_with_indices(const AnyTensor& x, Triple out);

}  // namespace gradus
