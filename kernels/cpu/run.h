// Between a plan and the kernels: cuts a call into runs of whole packets, so that a kernel is one loop without strides, without a
// tail and without threads. Operands that are not one run (transposed, sliced, broadcast) pass through small buffers in L1.
#pragma once
#include "kernels/elementwise.h"

namespace gradus::cpu {

inline constexpr int64_t kQuantum = 16;  // a run's length is a multiple of this: the most lanes that any packet has

/// n elements, contiguous. The last elements of a tensor are padded, never computed by other code: an element's value
/// does not depend on where it stands, nor on the number of threads.
using Run = void (*)(int64_t n, void* const* operands, const Scalar* scalars);

void for_each_run(const Elementwise& call, Run run);

}  // namespace gradus::cpu
