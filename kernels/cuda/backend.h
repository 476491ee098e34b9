// The backend for NVIDIA GPUs as the registry sees it. Nothing of CUDA stands here.
#pragma once
#include <string>

#include "kernels/table.h"

namespace gradus::cuda {

/// Empty where there is a GPU that this build has kernels for, else why not. The driver is asked once.
std::string why_absent();
const KernelTable& table();
Accelerator& accelerator();

}  // namespace gradus::cuda
