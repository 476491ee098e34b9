// Ramps: the same formulas as on the CPU.
#include "kernels/cuda/elementwise.cuh"
#include "kernels/dispatch.h"
#include "kernels/params.h"

namespace gradus::cuda {
namespace {

/// Element i of a row-major y is f(i).
template <class T, class F> __global__ void __launch_bounds__(kThreads) generate(T* y, int64_t n, F f) {
  int64_t step = int64_t(gridDim.x) * kThreads;
  for (int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x; i < n; i += step) y[i] = f(i);
}
template <class T, class F> void launch_generate(const char* op, const Array& y, F f) {
  int64_t blocks = (y.count + kThreads - 1) / kThreads, most = 1 << 20;
  if (y.count == 0) return;
  generate<<<unsigned(blocks < most ? blocks : most), kThreads, 0, stream()>>>(y.as<T>(), y.count, f);
  check_launch(op, {&y});
}

template <class T> struct Ramp {
  using Wide = std::conditional_t<std::is_integral_v<T>, uint64_t, double>;  // unsigned: it may wrap
  Wide from, by;
  __device__ T operator()(int64_t i) const {
    if constexpr (std::is_integral_v<T>)
      return T(from + Wide(i) * by);
    else
      return narrow<T>(accumulate_t<T>(__dadd_rn(from, __dmul_rn(Wide(i), by))));  // not fused: the CPU's numbers
  }
};

/// From both ends towards the middle: start and end are exact.
template <class T> struct Line {
  double start, end, step;
  int64_t n;
  __device__ T operator()(int64_t i) const {
    double v =
        i < n / 2 || n == 1 ? __dadd_rn(start, __dmul_rn(double(i), step)) : __dsub_rn(end, __dmul_rn(double(n - 1 - i), step));
    if constexpr (std::is_same_v<T, bool>)
      return v != 0;
    else
      return narrow<T>(converted<accumulate_t<T>>(v));
  }
};

}  // namespace

void arange(const Array& y, Scalar start, Scalar step) {
  dispatch_all("arange", y.dtype, [&]<class T>() {
    using Wide = typename Ramp<T>::Wide;
    using Given = std::conditional_t<std::is_integral_v<T>, int64_t, double>;
    launch_generate<T>("arange", y, Ramp<T>{Wide(start.to<Given>()), Wide(step.to<Given>())});
  });
}

void linspace(const Array& y, double start, double end) {
  double step = y.count > 1 ? (end - start) / double(y.count - 1) : 0;
  dispatch_all("linspace", y.dtype, [&]<class T>() { launch_generate<T>("linspace", y, Line<T>{start, end, step, y.count}); });
}

}  // namespace gradus::cuda
