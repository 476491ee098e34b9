// The greatest or the least along an axis, and where it is: the first at ties, NaN beyond everything. Which of two comes first does not
// depend on the order in which they meet, so neither does the result.
#include "kernels/cuda/reduce.cuh"

namespace gradus::cuda {
namespace {

template <class A> struct Best {
  A value;
  int64_t index;  // -1: none yet
};
template <class A> __device__ Best<A> better(Best<A> a, Best<A> b, bool greatest) {
  if (a.index < 0 || b.index < 0) return a.index < 0 ? b : a;
  const bool nan_a = a.value != a.value, nan_b = b.value != b.value;
  const bool equal = nan_a && nan_b ? true : a.value == b.value;
  if (equal) return a.index < b.index ? a : b;
  if (nan_a || nan_b) return nan_a ? a : b;
  return (greatest ? a.value > b.value : a.value < b.value) ? a : b;
}

template <class A> __device__ void finish(const ReduceCall& c, char* values, int x_item, int64_t output, Best<A> best) {
  const int64_t at = locate_y(output, c.kept);
  *reinterpret_cast<int64_t*>(c.y + at) = best.index;
  if (!values) return;
  // The element itself, not what was compared: zeros keep their sign, and nothing need be converted back.
  const char* from = c.x + locate_in(output, c.kept) + locate_in(best.index, c.gone);
  char* to = values + at / int64_t(sizeof(int64_t)) * x_item;
  switch (x_item) {
    case 1: *to = *from; break;
    case 2: *reinterpret_cast<uint16_t*>(to) = *reinterpret_cast<const uint16_t*>(from); break;
    case 4: *reinterpret_cast<uint32_t*>(to) = *reinterpret_cast<const uint32_t*>(from); break;
    default: *reinterpret_cast<uint64_t*>(to) = *reinterpret_cast<const uint64_t*>(from);
  }
}

/// A result a team of 1, 32 or 256 threads.
template <class L> __global__ void __launch_bounds__(kThreads)
    search(const __grid_constant__ ReduceCall c, char* values, int x_item, bool greatest) {
  using A = typename L::A;
  __shared__ Best<A> of_warp[kThreads / 32];
  const int lane = threadIdx.x % c.team;
  const int64_t output = int64_t(blockIdx.x) * (kThreads / c.team) + threadIdx.x / c.team;
  const bool mine = output < c.outputs;
  const char* x = c.x + (mine ? locate_in(output, c.kept) : 0);
  Best<A> best{A(0), -1};
  for (int64_t i = lane; mine && i < c.depth; i += c.team)
    best = better(best, Best<A>{L::get(x + locate_in(i, c.gone), c.x_type), i}, greatest);
  if (c.team > 1) {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
      const A value = __shfl_xor_sync(0xffffffffu, best.value, distance);
      const int64_t index = __shfl_xor_sync(0xffffffffu, (long long)best.index, distance);
      best = better(best, Best<A>{value, index}, greatest);
    }
  }
  if (c.team > 32) {
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = best;
    __syncthreads();
    if (threadIdx.x == 0) {
      for (int w = 1; w < int(kThreads / 32); ++w) best = better(best, of_warp[w], greatest);
    }
  }
  if (mine && lane == 0) finish(c, values, x_item, output, best);
}

}  // namespace

void extreme(const Array& y, const Array& index, const Array& x, bool greatest) {
  const ReducePlan plan = plan_reduce("extreme", index, x, Array{}, ReduceKind::max, 0, 1, sizeof(int64_t));
  ReduceCall c = plan.call;
  if (c.outputs == 0) return;
  c.team = !plan.by_rows ? 1 : c.depth <= 1024 ? 32 : int(kThreads);  // neighbours read side by side
  const int64_t a_block = kThreads / c.team;
  auto run = [&]<class L>() {
    search<L><<<unsigned((c.outputs + a_block - 1) / a_block), kThreads, 0, stream()>>>(c, y.as<char>(), int(item_size(x.dtype)),
                                                                                        greatest);
  };
  if (is_float(x.dtype))
    dispatch_float("extreme", x.dtype, [&]<class T>() { run.template operator()<Load<T>>(); });
  else
    run.template operator()<LoadInteger>();
  check_launch("extreme", {&x});
}

}  // namespace gradus::cuda
