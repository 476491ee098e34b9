// How ways of doing one thing are compared: by the device's clock, never while a stream is recorded.
#pragma once
#include "kernels/accelerator.h"
#include "kernels/cuda/backend.h"
#include "kernels/cuda/runtime.h"

namespace gradus::cuda {

inline bool is_captured() {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  if (cudaStreamIsCapturing(stream(), &status) == cudaSuccess) return status != cudaStreamCaptureStatusNone;
  cudaGetLastError();
  return true;  // not known: then nothing may be waited for
}

/// Milliseconds that a few calls of f take on this thread's stream. Waits for them. Call f once before.
template <class F> double milliseconds(F f) {
  constexpr int kRuns = 5;
  Accelerator& device = accelerator();
  const int number = selected_device();
  struct Event {
    int number;
    void* handle = accelerator().new_event(number);
    ~Event() { accelerator().free_event(number, handle); }
  } begin{number}, end{number};
  device.record(begin.handle, number, stream());
  for (int i = 0; i < kRuns; ++i) f();
  device.record(end.handle, number, stream());
  device.synchronize_event(end.handle);
  return device.milliseconds(begin.handle, end.handle);
}

}  // namespace gradus::cuda
