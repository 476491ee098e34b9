// Between the emulator's parts.
#pragma once
#include <driver_types.h>

namespace emulator {

/// What cudaGetLastError will say.
void set_error(cudaError_t error);

}  // namespace emulator
