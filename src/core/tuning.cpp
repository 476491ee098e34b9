#include "gradus/core/tuning.h"

#include <atomic>

namespace gradus {
namespace {
std::atomic<bool> tuning{false};
}  // namespace

void set_kernel_tuning(bool on) { tuning.store(on, std::memory_order_relaxed); }
bool kernel_tuning() { return tuning.load(std::memory_order_relaxed); }

}  // namespace gradus
