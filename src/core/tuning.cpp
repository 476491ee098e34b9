#include "gradus/core/tuning.h"

#include <atomic>

namespace gradus {
namespace {
std::atomic<bool> tuning{false}, fixed_order{true};
}  // namespace

void set_kernel_tuning(bool on) { tuning.store(on, std::memory_order_relaxed); }
bool kernel_tuning() { return tuning.load(std::memory_order_relaxed); }

void set_deterministic(bool on) { fixed_order.store(on, std::memory_order_relaxed); }
bool deterministic() { return fixed_order.load(std::memory_order_relaxed); }

}  // namespace gradus
