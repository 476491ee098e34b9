// Where a tensor's bytes live.
#pragma once
#include <cstdint>
#include <string>

namespace gradus {

enum class DeviceType : uint8_t { cpu, cuda, other };
inline constexpr int kDeviceTypes = 3;

/// A kind of device and which one of that kind. `Device("cuda:1")` reads the usual spelling and throws DeviceError otherwise.
struct Device {
  DeviceType type = DeviceType::cpu;
  uint8_t index = 0;
  constexpr Device() = default;
  constexpr Device(DeviceType type, int index = 0) : type(type), index(uint8_t(index)) {}
  Device(const std::string& text);
  Device(const char* text) : Device(std::string(text)) {}
  constexpr bool operator==(const Device&) const = default;
};
std::string to_string(Device);

inline constexpr Device kCPU{DeviceType::cpu};

/// How many devices of a kind can be used: 0 where this build has no backend for them, or the machine no driver or no such device.
int device_count(DeviceType type);
bool is_available(Device device);
/// The first GPU, else the CPU.
Device best_device();
/// `wanted` where it is available. Otherwise the CPU, and stderr is told why, once for each kind of device.
Device device_or_cpu(Device wanted);

struct DeviceProperties {
  std::string name;
  size_t memory = 0;         // bytes in all
  int major = 0, minor = 0;  // of the architecture: 9.0 is Hopper
  int multiprocessors = 0;   // on the CPU, processors
  size_t l2_cache = 0;       // bytes; 0: not known
  size_t shared_memory = 0;  // that a block of threads may have
};
/// Throws DeviceError for a device that is not available.
DeviceProperties device_properties(Device device);

}  // namespace gradus
