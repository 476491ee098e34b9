#include "gradus/core/device.h"

#include <atomic>

#include "kernels/cpu/tables.h"
#include "src/core/message.h"

namespace gradus {
namespace {
constexpr const char* kNames[] = {"cpu", "cuda", "other"};
std::atomic<const KernelTable*> backends[kDeviceTypes];
}  // namespace

Device::Device(const std::string& text) {
  std::string kind = text.substr(0, text.find(':'));
  for (int i = 0; i < kDeviceTypes; ++i) {
    if (kind != kNames[i]) continue;
    type = DeviceType(i);
    if (kind.size() == text.size()) return;
    std::string number = text.substr(kind.size() + 1);
    if (number.empty() || number.size() > 2 || number.find_first_not_of("0123456789") != std::string::npos) break;
    index = uint8_t(std::stoi(number));
    return;
  }
  fail<DeviceError>("device: '", text, "' is not a device; write cpu, cuda or cuda:1");
}

std::string to_string(Device d) {
  std::string text = kNames[int(d.type)];
  return d.type == DeviceType::cpu ? text : text + ":" + std::to_string(d.index);
}

void register_backend(DeviceType type, const KernelTable* table) { backends[int(type)].store(table, std::memory_order_release); }

const KernelTable& kernels(DeviceType type) {
  if (const KernelTable* table = backends[int(type)].load(std::memory_order_acquire)) return *table;
  if (type == DeviceType::cpu) {
    register_backend(type, &cpu::best_table());
    return cpu::best_table();
  }
  fail<DeviceError>(kNames[int(type)], ": no backend for this device in this program; use Device(\"cpu\")");
}

}  // namespace gradus
