// The largest of a row and the sum of its exponentials in one reading, in which both move along together: Milakov, Gimelshein: Online
// normalizer calculation for softmax (2018).
#pragma once
#include "kernels/cuda/approx.cuh"
#include "kernels/cuda/row.cuh"

namespace gradus::cuda {

/// Numbers seen so far: sum(exp(x - top)), the top counting as 0 where it is -infinity, so that NaN is kept and nothing else becomes NaN.
template <class A> struct Tally {
  A top, total;
  __device__ static Tally none() { return {-A(INFINITY), A(0)}; }
  __device__ static A base(A top) { return top == -A(INFINITY) ? A(0) : top; }
  template <class T, int n> __device__ void take(const T (&raw)[n]) {
    A x[n], sum = 0;
#pragma unroll
    for (int j = 0; j < n; ++j) x[j] = widen(raw[j]);
    A most = x[0];
#pragma unroll
    for (int j = 1; j < n; ++j) most = Larger()(most, x[j]);
    if (most > top) total *= ::exp(top - base(most)), top = most;
    const ExpFrom<T> exp_from(base(top));
#pragma unroll
    for (int j = 0; j < n; ++j) sum += exp_from(x[j]);
    total += sum;
  }
};
struct Join {
  template <class A> __device__ Tally<A> operator()(Tally<A> a, Tally<A> b) const {
    Tally<A> both;
    both.top = Larger()(a.top, b.top);
    const A from = Tally<A>::base(both.top);
    both.total = (a.total == 0 ? A(0) : a.total * ::exp(a.top - from)) + (b.total == 0 ? A(0) : b.total * ::exp(b.top - from));
    return both;
  }
};
template <class A> __device__ Tally<A> across(Tally<A> v, int distance) {
  return {__shfl_xor_sync(0xffffffffu, v.top, distance), __shfl_xor_sync(0xffffffffu, v.total, distance)};
}

}  // namespace gradus::cuda
