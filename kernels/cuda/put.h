// Numbers of the host, brought to the GPU as arguments of a kernel: they are read when it is launched, so nothing has to be kept or waited
// for, as with a copy from ordinary memory.
#pragma once
#include <cstddef>

namespace gradus::cuda {

/// A multiple of 8 bytes, as a task of the current stream.
void put_words(void* to, const void* from, size_t bytes);

}  // namespace gradus::cuda
