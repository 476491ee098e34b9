// Products through cuBLASLt, where it is there and takes them.
#pragma once
#include "kernels/cuda/product.h"

namespace gradus::cuda {

/// y = alpha a b (+ y) and what comes after. False: nothing has been done, other kernels serve.
bool cublas_lt_matmul(const Array& y, const Array& a, const Array& b, const After& after, double alpha, bool accumulate,
                      Float32Precision precision);

}  // namespace gradus::cuda
