// The CPU's tables: the same sources, compiled once per instruction set.
#pragma once
#include "kernels/table.h"

namespace gradus::cpu {

namespace baseline {
extern const KernelTable table;
}
#if GRADUS_WITH_X86
namespace avx2 {
extern const KernelTable table;
}
namespace avx512 {
extern const KernelTable table;
}
#endif
/// The best table that this processor can run, chosen once; the environment's GRADUS_CPU=baseline|avx2 asks for a lesser one.
const KernelTable& best_table();

}  // namespace gradus::cpu
