// Sums of powers, and sums about a center: norms, variances, logarithms of sums of exponentials.
#include "kernels/cuda/reduce.cuh"

namespace gradus::cuda {
namespace {

struct AddMagnitudes : Add {
  template <class A> __device__ static A take(A x, A, A) { return x < 0 ? -x : x + A(0); }
};
struct AddSquares : Add {
  template <class A> __device__ static A take(A x, A, A) { return x * x; }
};
struct AddPowers : Add {
  template <class A> __device__ static A take(A x, A, A p) { return ::pow(::fabs(x), p); }
};
struct AddSquaresAbout : Add {
  static constexpr bool kCentered = true;
  template <class A> __device__ static A take(A x, A center, A) { return (x - center) * (x - center); }
};
struct AddExponentialsAbout : Add {
  static constexpr bool kCentered = true;
  template <class A> __device__ static A take(A x, A center, A) { return ::exp(x - (center - center == 0 ? center : A(0))); }
};

}  // namespace

void reduce_norm(const ReduceArguments& a) {
  if (a.kind == ReduceKind::logsumexp) return reduce_floats<AddExponentialsAbout>(a);
  if (a.kind != ReduceKind::norm) return reduce_floats<AddSquaresAbout>(a);
  if (a.p == 1) return reduce_floats<AddMagnitudes>(a);
  if (a.p == 2) return reduce_floats<AddSquares>(a);
  reduce_floats<AddPowers>(a);
}

}  // namespace gradus::cuda
