// The greatest and the least, and where they are.
#include <limits>

#include "kernels/cuda/reduce.cuh"

namespace gradus::cuda {
namespace {

template <class A> constexpr A kLow = std::is_integral_v<A> ? std::numeric_limits<A>::lowest()
                                                            : -std::numeric_limits<A>::infinity();
template <class A> constexpr A kHigh = std::is_integral_v<A> ? std::numeric_limits<A>::max() : std::numeric_limits<A>::infinity();

// NaN wins over everything.
struct Greatest : Add {
  template <class A> __device__ static A first() { return kLow<A>; }
  template <class A> __device__ static A join(A a, A b) { return a > b ? a : b >= a ? b : a + b; }
};
struct Least : Add {
  template <class A> __device__ static A first() { return kHigh<A>; }
  template <class A> __device__ static A join(A a, A b) { return a < b ? a : b <= a ? b : a + b; }
};
struct GreatestMagnitude : Greatest {
  template <class A> __device__ static A take(A x, A, A) { return x < 0 ? -x : x + A(0); }
};
struct LeastMagnitude : Least {
  template <class A> __device__ static A take(A x, A, A) { return x < 0 ? -x : x + A(0); }
};

}  // namespace

void reduce_extreme(const ReduceArguments& a) {
  switch (a.kind) {
    case ReduceKind::max: return reduce_numbers<Greatest>(a);
    case ReduceKind::min: return reduce_numbers<Least>(a);
    case ReduceKind::max_abs: return reduce_floats<GreatestMagnitude>(a);
    default: return reduce_floats<LeastMagnitude>(a);
  }
}

}  // namespace gradus::cuda
