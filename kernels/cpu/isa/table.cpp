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
#define GRADUS_UNARY(name, ...) ElementwiseKernel name, name##_backward;
#define GRADUS_UNARY1(name, ...) GRADUS_UNARY(name)
#define GRADUS_UNARY2(name, ...) GRADUS_UNARY(name)
#define GRADUS_BINARY(name, ...) GRADUS_UNARY(name)
#define GRADUS_COMPARE(name, ...) ElementwiseKernel name;
#define GRADUS_PREDICATE(name, ...) ElementwiseKernel name;
#define GRADUS_BITWISE(name, ...) ElementwiseKernel name;
#include "gradus/ops/ops.def"
ElementwiseKernel where;
}  // namespace rows

extern const KernelTable table;
const KernelTable table {
#define GRADUS_UNARY(name, ...) .name = rows::name, .name##_backward = rows::name##_backward,
#define GRADUS_UNARY1(name, ...) GRADUS_UNARY(name)
#define GRADUS_UNARY2(name, ...) GRADUS_UNARY(name)
#define GRADUS_BINARY(name, ...) GRADUS_UNARY(name)
#define GRADUS_COMPARE(name, ...) .name = rows::name,
#define GRADUS_PREDICATE(name, ...) .name = rows::name,
#define GRADUS_BITWISE(name, ...) .name = rows::name,
#include "gradus/ops/ops.def"
  .where = rows::where,
#define GRADUS_KERNEL(name, parameters) .name = cpu::name,
#include "gradus/ops/kernels.def"
};

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
