#include "kernels/dispatch.h"

#include <string>

#include "gradus/core/error.h"

namespace gradus {

void no_kernel(const char* kernel, DType t) {
  throw DTypeError(std::string(kernel) + ": no kernel for " + name(t) + "; cast with to<float>() first");
}

}  // namespace gradus
