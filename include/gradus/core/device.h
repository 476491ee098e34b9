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

}  // namespace gradus
