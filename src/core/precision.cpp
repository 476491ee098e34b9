#include "gradus/core/precision.h"

#include <atomic>

namespace gradus {
namespace {
std::atomic<Float32Precision> float32_products{Float32Precision::highest};
}  // namespace

void set_float32_matmul_precision(Float32Precision precision) { float32_products.store(precision, std::memory_order_relaxed); }
Float32Precision float32_matmul_precision() { return float32_products.load(std::memory_order_relaxed); }

}  // namespace gradus
