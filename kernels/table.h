// What a backend offers: one pointer per kernel, generated from the rows. `src/ops` reaches kernels through it and in no other way.
#pragma once
#include "gradus/core/device.h"
#include "kernels/elementwise.h"
#include "kernels/params.h"

namespace gradus {

class Accelerator;  // kernels/accelerator.h

/// A null pointer is a kernel that the backend does not offer; an op that needs it raises an error that says so.
struct KernelTable {
#define GRADUS_UNARY(name, ...) ElementwiseKernel *name = nullptr, *name##_backward = nullptr;
#define GRADUS_UNARY1(name, ...) GRADUS_UNARY(name)
#define GRADUS_UNARY2(name, ...) GRADUS_UNARY(name)
#define GRADUS_BINARY(name, ...) GRADUS_UNARY(name)
#define GRADUS_COMPARE(name, ...) ElementwiseKernel* name = nullptr;
#define GRADUS_PREDICATE(name, ...) ElementwiseKernel* name = nullptr;
#define GRADUS_BITWISE(name, ...) ElementwiseKernel* name = nullptr;
#include "gradus/ops/ops.def"
  ElementwiseKernel* where = nullptr;
#define GRADUS_KERNEL(name, parameters) void(*name) parameters = nullptr;
#include "gradus/ops/kernels.def"
};

/// Makes a backend's kernels, memory and streams those of a kind of device. Both must live as long as the program.
void register_backend(DeviceType, const KernelTable*, Accelerator*);
/// The kernels of a kind of device. Throws DeviceError, saying why, where there is no backend or no device.
const KernelTable& kernels(DeviceType);
/// The same, and the thread's next kernel runs on that device.
const KernelTable& kernels(Device);
/// Of any kind but the CPU. Throws DeviceError, also where there is no device of that number.
Accelerator& accelerator(Device);

}  // namespace gradus
