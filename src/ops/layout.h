// The order of axes in memory that convolutions and pools work in.
#pragma once
#include "src/ops/op.h"

namespace gradus {

/// Whether (N, C, H, W) lies in memory as (N, H, W, C), without gaps.
bool is_channels_last(const AnyTensor& x);
/// x itself if it lies so, else such a copy; not recorded.
AnyTensor channels_last(const AnyTensor& x);
/// Uninitialised images whose channels are adjacent in memory where those of x are, else row-major.
AnyTensor image_like(const AnyTensor& x, const Shape& shape, DType type);

}  // namespace gradus
