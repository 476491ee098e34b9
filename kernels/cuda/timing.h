// How ways of doing one thing are compared: by the device's clock, never while a stream is recorded.
#pragma once
#include "kernels/accelerator.h"
#include "kernels/cuda/backend.h"
#include "kernels/cuda/runtime.h"

namespace gradus::cuda {

inline bool is_captured() {
  cudaStreamCaptureStatus status;
  return cudaStreamIsCapturing(stream(), &status) == cudaSuccess && status != cudaStreamCaptureStatusNone;
}

/// Milliseconds that a few calls of f take on this thread's stream. Waits for them. Call f once before.
template <class F> double milliseconds(F f) {
  constexpr int kRuns = 5;
  Accelerator& device = accelerator();
  const int number = selected_device();
  void* events[2] = {device.new_event(number), device.new_event(number)};
  device.record(events[0], number, stream());
  for (int i = 0; i < kRuns; ++i) f();
  device.record(events[1], number, stream());
  device.synchronize_event(events[1]);
  const double time = device.milliseconds(events[0], events[1]);
  for (void* event : events) device.free_event(number, event);
  return time;
}

}  // namespace gradus::cuda
