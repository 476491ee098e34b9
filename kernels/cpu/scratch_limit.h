// For tests of running out of memory.
#pragma once
#include <cstddef>

namespace gradus::cpu {

/// From now on scratch memory of more than `bytes` at a time is refused, as if the system had none; SIZE_MAX: nothing is.
void refuse_scratch_beyond(size_t bytes);

}  // namespace gradus::cpu
