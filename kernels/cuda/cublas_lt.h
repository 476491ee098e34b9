// Products through cuBLASLt, where it is there and takes them.
#pragma once
#include "gradus/core/precision.h"
#include "kernels/array.h"

namespace gradus::cuda {

/// The row `matmul`. False: nothing has been done, the plain kernel serves.
bool cublas_lt_matmul(const Array& y, const Array& a, const Array& b, const Array& bias, double alpha, bool accumulate,
                      Float32Precision precision);

}  // namespace gradus::cuda
