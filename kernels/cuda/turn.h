// Copies between layouts whose innermost axes differ, such as transposed ones.
#pragma once
#include "kernels/elementwise.h"

namespace gradus::cuda {

/// y = x, of one dtype. False: it is no such copy, or too small a one; nothing was done. The caller looks for errors of the launch.
bool copy_turned(const Elementwise& c);

}  // namespace gradus::cuda
