// Bytes between the host and a device, for those who keep their places themselves.
#pragma once
#include "gradus/core/any_tensor.h"

namespace gradus {

/// On the CPU, in memory that devices of that type reach while the program goes on.
AnyTensor empty_pinned(const Shape& shape, const Shape& stride, DType dtype, DeviceType type);
/// y = x, alike and without gaps, on devices of which one is no CPU; a task of the device's current stream.
void copy_bytes(const AnyTensor& y, const AnyTensor& x, bool wait);

}  // namespace gradus
