// Where new tensors go when no device is named.
#pragma once
#include "gradus/core/device.h"

namespace gradus {

namespace detail {
inline thread_local constinit Device default_device = kCPU;
}  // namespace detail

/// Where this thread's factories (zeros, rand, Tensor<float>{1, 2}) and new modules put tensors of which nobody says where: the CPU at first. What
/// borrows memory or is read from files (from_blob, datasets, checkpoints) is on the CPU anyway.
inline Device default_device() { return detail::default_device; }
/// From now on, in this thread. Throws DeviceError for a device that is not available.
void set_default_device(Device device);

/// For as long as it lives:
///
///   DefaultDevice on(best_device());
///   nn::Linear layer({.in = 784, .out = 10});  // its parameters are there
class DefaultDevice {
 public:
  explicit DefaultDevice(Device device) : before_(default_device()) { set_default_device(device); }
  ~DefaultDevice() { detail::default_device = before_; }
  DefaultDevice(const DefaultDevice&) = delete;
  DefaultDevice& operator=(const DefaultDevice&) = delete;

 private:
  Device before_;
};

}  // namespace gradus
