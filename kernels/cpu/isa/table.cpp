// All kernels of one instruction set, gathered. A row without a kernel is an error of the linker.
#include "kernels/table.h"

namespace gradus::cpu {

#define GRADUS_KERNEL(name, parameters) void name parameters;
#define GRADUS_SIMD_KERNEL(name, parameters) \
  inline namespace GRADUS_ISA {              \
  void name parameters;                      \
  }
#include "gradus/ops/kernels.def"

inline namespace GRADUS_ISA {
namespace rows {
#include "kernels/rows_declared.inc"
}  // namespace rows

extern const KernelTable table;
const KernelTable table{
#include "kernels/rows_listed.inc"
#define GRADUS_KERNEL(name, parameters) .name = cpu::name,
#include "gradus/ops/kernels.def"
};

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
