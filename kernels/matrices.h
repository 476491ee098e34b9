// Batches of row-major matrices of float or double, as decompositions take them.
#pragma once
#include "kernels/array.h"
#include "kernels/dispatch.h"

namespace gradus {

template <class F> void dispatch_real(const char* kernel, DType t, F&& f) {
  if (t == DType::float32)
    f.template operator()<float>();
  else if (t == DType::float64)
    f.template operator()<double>();
  else
    no_kernel(kernel, t);
}

/// How many there are before the last `inner` axes.
inline int64_t batch_of(const Array& x, int inner) {
  int64_t n = 1;
  for (int d = 0; d < x.rank - inner; ++d) n *= x.shape[d];
  return n;
}

}  // namespace gradus
