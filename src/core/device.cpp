#include "gradus/core/device.h"

#include <unistd.h>

#include <atomic>
#include <cstdio>

#include "gradus/core/default_device.h"
#include "kernels/accelerator.h"
#include "kernels/cpu/tables.h"
#include "kernels/cuda/backend.h"
#include "kernels/table.h"
#include "src/core/message.h"

namespace gradus {
namespace {
constexpr const char* kNames[] = {"cpu", "cuda", "other"};
struct Backend {
  std::atomic<const KernelTable*> table;
  std::atomic<Accelerator*> accelerator;
} backends[kDeviceTypes];
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

namespace {

/// Looks for a backend of this kind that nobody has registered yet. Empty, or why there is none.
std::string find_backend(DeviceType type) {
#if GRADUS_WITH_CUDA
  if (type == DeviceType::cuda) {
    std::string why = cuda::why_absent();
    if (why.empty()) register_backend(type, &cuda::table(), &cuda::accelerator());
    return why;
  }
#endif
  return type == DeviceType::cuda ? "this build of Gradus has no kernels for NVIDIA GPUs (GRADUS_CUDA)"
                                  : "no backend is registered for this kind of device";
}
[[noreturn]] void fail_absent(DeviceType type, const std::string& why) {
  fail<DeviceError>(kNames[int(type)], ": ", why, "; use Device(\"cpu\")");
}
/// The backend of a kind of device, or null and why.
const Backend* backend_of(DeviceType type, std::string* why) {
  const Backend& b = backends[int(type)];
  if (!b.table.load(std::memory_order_acquire)) {
    if (type == DeviceType::cpu)
      register_backend(type, &cpu::best_table(), nullptr);
    else if (std::string reason = find_backend(type); !reason.empty())
      return *why = reason, nullptr;
  }
  return &b;
}

}  // namespace

void register_backend(DeviceType type, const KernelTable* table, Accelerator* accelerator) {
  Backend& b = backends[int(type)];
  b.accelerator.store(accelerator, std::memory_order_relaxed);
  b.table.store(table, std::memory_order_release);
}

const KernelTable& kernels(DeviceType type) {
  if (const KernelTable* table = backends[int(type)].table.load(std::memory_order_acquire)) [[likely]]
    return *table;
  std::string why;
  const Backend* b = backend_of(type, &why);
  if (!b) fail_absent(type, why);
  return *b->table.load(std::memory_order_acquire);
}

const KernelTable& kernels(Device d) {
  const KernelTable& table = kernels(d.type);
  if (d.type != DeviceType::cpu) accelerator(d).select(d.index);
  return table;
}

Accelerator& accelerator(Device d) {
  kernels(d.type);
  Accelerator* a = backends[int(d.type)].accelerator.load(std::memory_order_relaxed);
  if (!a) fail<DeviceError>(d, ": the backend has no memory of its own");
  if (int n = a->count(); d.index >= n)
    fail<DeviceError>(d, ": there ", n == 1 ? "is only one device, number 0" : "are " + std::to_string(n) + " devices, from 0 on");
  return *a;
}

int device_count(DeviceType type) {
  if (type == DeviceType::cpu) return 1;
  std::string why;
  const Backend* b = backend_of(type, &why);
  Accelerator* a = b ? b->accelerator.load(std::memory_order_relaxed) : nullptr;
  return a ? a->count() : 0;
}
bool is_available(Device device) { return device.index < device_count(device.type); }

void set_default_device(Device device) {
  if (device != kCPU) accelerator(device);  // throws where there is none
  detail::default_device = device;
}

Device best_device() { return device_count(DeviceType::cuda) > 0 ? Device(DeviceType::cuda) : kCPU; }

Device device_or_cpu(Device wanted) {
  if (is_available(wanted)) return wanted;
  static std::atomic<bool> said[kDeviceTypes];
  if (!said[int(wanted.type)].exchange(true)) {
    std::string why;
    if (backend_of(wanted.type, &why)) why = "there are " + std::to_string(device_count(wanted.type)) + " such devices";
    std::fprintf(stderr, "gradus: %s is not available, the CPU is used: %s\n", to_string(wanted).c_str(), why.c_str());
  }
  return kCPU;
}

DeviceProperties device_properties(Device device) {
  if (device.type != DeviceType::cpu) return accelerator(device).properties(device.index);
  if (device.index > 0) fail<DeviceError>("device_properties: there is one CPU, number 0, not ", int(device.index));
  DeviceProperties p;
  p.name = "cpu";
  p.multiprocessors = int(sysconf(_SC_NPROCESSORS_ONLN));
  p.memory = size_t(sysconf(_SC_PHYS_PAGES)) * size_t(sysconf(_SC_PAGESIZE));
  return p;
}

}  // namespace gradus
