// Pools by a power: (sum x^p)^(1/p) over each window.
#pragma once
#include "gradus/ops/volume.h"

namespace gradus {

struct LPPool1dOptions {
  double p;
  int64_t kernel;
  int64_t stride = 0;  // 0: the kernel's size
  bool ceil_mode = false;
};
struct LPPool2dOptions {
  double p;
  Pair kernel;
  Pair stride = 0;
  bool ceil_mode = false;
};
struct LPPool3dOptions {
  double p;
  Triple kernel;
  Triple stride = 0;
  bool ceil_mode = false;
};
/// Rows, images and volumes as for avg_pool. Where a sum is 0 the gradient is 0.
AnyTensor lp_pool1d(const AnyTensor& x, const LPPool1dOptions& options);
AnyTensor lp_pool2d(const AnyTensor& x, const LPPool2dOptions& options);
AnyTensor lp_pool3d(const AnyTensor& x, const LPPool3dOptions& options);

}  // namespace gradus
