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
struct Count : Add {  // what is not zero; p bits on top do not matter, since zeros of both signs are zeros
  static constexpr bool kCounts = true;
  template <class A> __device__ static A take(A x, A, A p) { return (uint64_t(x) << p) != 0; }
};

DType as_bytes(DType t) { return t == DType::boolean ? DType::uint8 : t; }
void add(const ReduceArguments& a) {
  if (is_float(a.x.dtype)) return reduce_floats<Add>(a);
  dispatch_integer(a.op, as_bytes(a.x.dtype), [&]<class T>() { run_reduce<Add, LoadAs<T>>(a); });
}

}  // namespace

void sum(const Array& y, const Array& x) { add({"sum", y, x, Array{}, ReduceKind::sum, 0}); }

void reduce(const Array& y, const Array& x, const Array& center, ReduceKind kind, double p) {
  const ReduceArguments a{"reduce", y, x, center, kind, p};
  switch (kind) {
    case ReduceKind::sum:
    case ReduceKind::mean: return add(a);
    case ReduceKind::nansum: return reduce_floats<AddNumbers>(a);
    case ReduceKind::prod: return reduce_numbers<Multiply>(a);
    case ReduceKind::count_nonzero:
    case ReduceKind::all:
    case ReduceKind::any:
      return dispatch_size(x.dtype, [&]<class Bits>() {
        run_reduce<Count, LoadBits<Bits>>({"reduce", y, x, center, kind, is_float(x.dtype) ? 1. : 0.});
      });
    case ReduceKind::max:
    case ReduceKind::min:
    case ReduceKind::max_abs:
    case ReduceKind::min_abs: return reduce_extreme(a);
    default: return reduce_norm(a);
  }
}

}  // namespace gradus::cuda
