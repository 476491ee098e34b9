// Sums, products and counts, the greatest and the least; the reductions' entry in the table.
#include "kernels/cuda/reduce.cuh"

namespace gradus::cuda {

void reduce_norm(const ReduceArguments& a);     // reduce_norm.cu
void reduce_extreme(const ReduceArguments& a);  // reduce_extreme.cu

namespace {

struct AddNumbers : Add {  // NaN counts as nothing
  template <class A> __device__ static A take(A x, A, A) { return x == x ? x : A(0); }
};
struct Multiply : Add {
  template <class A> __device__ static A first() { return A(1); }
  template <class A> __device__ static A join(A a, A b) { return a * b; }
};

}  // namespace

void sum(const Array& y, const Array& x) { reduce_numbers<Add>({"sum", y, x, Array{}, ReduceKind::sum, 0}); }

void reduce(const Array& y, const Array& x, const Array& center, ReduceKind kind, double p) {
  const ReduceArguments a{"reduce", y, x, center, kind, p};
  switch (kind) {
    case ReduceKind::sum:
    case ReduceKind::mean: return reduce_numbers<Add>(a);
    case ReduceKind::nansum: return reduce_floats<AddNumbers>(a);
    case ReduceKind::prod: return reduce_numbers<Multiply>(a);
    case ReduceKind::count_nonzero:
    case ReduceKind::all:
    case ReduceKind::any: return run_reduce<Add, LoadNonzero>(a);
    case ReduceKind::max:
    case ReduceKind::min:
    case ReduceKind::max_abs:
    case ReduceKind::min_abs: return reduce_extreme(a);
    default: return reduce_norm(a);
  }
}

}  // namespace gradus::cuda
