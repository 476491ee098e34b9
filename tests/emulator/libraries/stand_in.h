// What libraries that stand in for CUDA's need of the emulator. They are opened by the library like CUDA's own, by name, and find the emulator in the
// program that opens them.
#pragma once
#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>

namespace emulator {

/// Runs `task` in its turn of the stream, with the device's memory open.
void enqueue(cudaStream_t stream, std::function<void()> task);
/// Whether a GPU could reach it.
bool is_on_device(const void* p);

inline bool is_aligned(const void* p, uint64_t bytes) { return reinterpret_cast<uintptr_t>(p) % bytes == 0; }

}  // namespace emulator
