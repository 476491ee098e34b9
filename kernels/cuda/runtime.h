// What the backend's own files share: errors of the CUDA runtime, and where a kernel goes.
#pragma once
#include <cuda_runtime_api.h>

#include <string>

namespace gradus::cuda {

/// Throws Error("what: ...") and forgets the error where it can be forgotten.
[[noreturn]] void fail_runtime(const char* what, cudaError_t error);
inline void check(const char* what, cudaError_t error) {
  if (error != cudaSuccess) [[unlikely]]
    fail_runtime(what, error);
}

/// This thread's stream on its selected device.
cudaStream_t stream();
int selected_device();

}  // namespace gradus::cuda
