// Between the emulator's parts.
#pragma once
#include <driver_types.h>

namespace emulator {

/// What cudaGetLastError will say.
void set_error(cudaError_t error);
/// Whether a GPU could reach it.
bool is_on_device(const void* p);

}  // namespace emulator
