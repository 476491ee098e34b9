// Ramps.
#include "kernels/cpu/parallel.h"
#include "kernels/dispatch.h"
#include "kernels/params.h"

namespace gradus::cpu {

/// Element i is start + i * step, computed in double for floats: no error adds up.
void arange(const Array& y, Scalar start, Scalar step) {
  dispatch_all("arange", y.dtype, [&]<class T>() {
    using Wide = std::conditional_t<std::is_integral_v<T>, uint64_t, double>;  // unsigned: it may wrap
    Wide from = Wide(start.to<std::conditional_t<std::is_integral_v<T>, int64_t, double>>());
    Wide by = Wide(step.to<std::conditional_t<std::is_integral_v<T>, int64_t, double>>());
    parallel_for(y.count, kParallel, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) y.as<T>()[i] = T(accumulate_t<T>(from + Wide(i) * by));
    });
  });
}

/// From both ends towards the middle: start and end are exact.
void linspace(const Array& y, double start, double end) {
  int64_t n = y.count;
  double step = n > 1 ? (end - start) / double(n - 1) : 0;
  dispatch_all("linspace", y.dtype, [&]<class T>() {
    parallel_for(n, kParallel, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i)
        y.as<T>()[i] = T(accumulate_t<T>(i < n / 2 || n == 1 ? start + double(i) * step : end - double(n - 1 - i) * step));
    });
  });
}

}  // namespace gradus::cpu
