// Reductions. Elements are put together in an order that depends on sizes alone, so results are the same on every run and every GPU:
// no atomic sums. A result's elements are taken by a warp or a block ("rows"), or, where neighbouring results lie side by side, by threads
// that take a column each. Few results of many elements are cut into parts, whose sums a second launch joins.
#pragma once
#include <optional>

#include "kernels/cuda/elementwise.cuh"
#include "kernels/cuda/reduce_plan.h"
#include "kernels/cuda/scratch.h"
#include "kernels/dispatch.h"

namespace gradus::cuda {

// An operation is, as on the CPU: first<A>(), kCentered, take(x, center, p), join(a, b); and kCounts, whether what it takes is 0 or 1.
struct Add {
  static constexpr bool kCentered = false, kCounts = false;
  template <class A> __device__ static A first() { return A(0); }
  template <class A> __device__ static A take(A x, A, A) { return x; }
  template <class A> __device__ static A join(A a, A b) { return a + b; }
};

// What elements are loaded as.
template <class T> struct Load {
  using Element = T;
  using A = accumulate_t<T>;
  __device__ static A get(const char* p, DType) { return widen(*reinterpret_cast<const T*>(p)); }
  __device__ static A of(T x) { return widen(x); }
};
struct LoadInteger {  // of any type: for operations that are too rare to be compiled for each
  using Element = void;
  using A = int64_t;
  __device__ static A get(const char* p, DType t) {
    switch (t) {
      case DType::int8: return *reinterpret_cast<const int8_t*>(p);
      case DType::int16: return *reinterpret_cast<const int16_t*>(p);
      case DType::int32: return *reinterpret_cast<const int32_t*>(p);
      case DType::int64: return *reinterpret_cast<const int64_t*>(p);
      default: return *reinterpret_cast<const uint8_t*>(p);
    }
  }
};
template <class T> struct LoadAs {  // an integer of type T
  using Element = T;
  using A = int64_t;
  __device__ static A get(const char* p, DType) { return *reinterpret_cast<const T*>(p); }
  __device__ static A of(T x) { return x; }
};
template <class Bits> struct LoadBits {  // of whatever is of this size: its bits from the top of an accumulator on
  using Element = Bits;
  using A = int64_t;
  __device__ static A get(const char* p, DType) { return of(*reinterpret_cast<const Bits*>(p)); }
  __device__ static A of(Bits x) { return A(uint64_t(x) << (64 - 8 * sizeof(Bits))); }
};
/// Columns or elements in a pack of 16 bytes; 1 where there are no packs.
template <class L> constexpr int kPackOf = 1;
template <> constexpr int kPackOf<Load<float>> = 4;
template <> constexpr int kPackOf<Load<half>> = 8;
template <> constexpr int kPackOf<Load<bfloat16>> = 8;
template <class T> constexpr int kPackOf<LoadAs<T>> = int(16 / sizeof(T));
template <class T> constexpr int kPackOf<LoadBits<T>> = int(16 / sizeof(T));

/// f(i, read(i)) for i = begin, begin + step, ... below end, in this order. Four reads are under way at once: a thread that waited for
/// each before it asked for the next would leave the memory idle.
template <class Read, class F> __device__ __forceinline__ void in_order(int64_t begin, int64_t end, int64_t step, Read read, F f) {
  constexpr int kAtOnce = 4;
  int64_t i = begin;
  for (; i + (kAtOnce - 1) * step < end; i += kAtOnce * step) {
    decltype(read(i)) some[kAtOnce];
#pragma unroll
    for (int u = 0; u < kAtOnce; ++u) some[u] = read(i + u * step);
#pragma unroll
    for (int u = 0; u < kAtOnce; ++u) f(i + u * step, some[u]);
  }
  decltype(read(i)) rest[kAtOnce - 1];
#pragma unroll
  for (int u = 0; u < kAtOnce - 1; ++u)
    if (i + u * step < end) rest[u] = read(i + u * step);
#pragma unroll
  for (int u = 0; u < kAtOnce - 1; ++u)
    if (i + u * step < end) f(i + u * step, rest[u]);
}

__device__ __forceinline__ int64_t locate_in(int64_t i, const Axes& axes) {
  if (axes.rank == 1) return i * axes.step[0];
  int64_t offset = 0;
  uint32_t rest = uint32_t(i);
#pragma unroll 1  // it stands in many places
  for (int d = 0; d + 1 < axes.rank; ++d) {
    uint32_t outer = divide(rest, axes.size[d]);
    offset += int64_t(rest - outer * axes.size[d].divisor) * axes.step[d];
    rest = outer;
  }
  return offset + int64_t(rest) * axes.step[axes.rank - 1];
}
__device__ __forceinline__ int64_t locate_y(int64_t i, const Axes& axes) {
  if (axes.rank == 1) return i * axes.step_y[0];
  int64_t offset = 0;
  uint32_t rest = uint32_t(i);
#pragma unroll 1  // it stands in many places
  for (int d = 0; d + 1 < axes.rank; ++d) {
    uint32_t outer = divide(rest, axes.size[d]);
    offset += int64_t(rest - outer * axes.size[d].divisor) * axes.step_y[d];
    rest = outer;
  }
  return offset + int64_t(rest) * axes.step_y[axes.rank - 1];
}

/// f(i, element or pack at x + i along the axes that go), as in_order; their usual single run is a pointer and a step.
template <class Read, class F>
__device__ __forceinline__ void along(const Axes& gone, const char* x, int64_t begin, int64_t end, int64_t step, Read read, F f) {
  if (gone.rank == 1) {
    const int64_t bytes = gone.step[0];
    in_order(
        begin, end, step, [&](int64_t i) { return read(x + i * bytes); }, f);
  } else {
    in_order(
        begin, end, step, [&](int64_t i) { return read(x + locate_in(i, gone)); }, f);
  }
}

template <class Op, class A> __device__ A center_of(const ReduceCall& c, int64_t y) {
  if constexpr (Op::kCentered)
    return *reinterpret_cast<const A*>(c.center + y / c.y_item * c.sum_item);
  else
    return A(0);
}

template <class A> __device__ A finished(const ReduceCall& c, A sum, A center) {
  if constexpr (std::is_floating_point_v<A>) {
    const A n = A(double(c.depth) > c.p ? double(c.depth) - c.p : 0);
    switch (c.kind) {
      case ReduceKind::mean: return sum / A(c.depth);
      case ReduceKind::norm: return c.p == 1 ? sum : c.p == 2 ? A(::sqrt(sum)) : A(::pow(sum, A(1 / c.p)));
      case ReduceKind::var: return sum / n;
      case ReduceKind::std: return ::sqrt(sum / n);
      case ReduceKind::logsumexp: return ::log(sum) + (center - center == 0 ? center : A(0));
      default: return sum;
    }
  } else {
    return c.kind == ReduceKind::all ? A(sum == A(c.depth)) : c.kind == ReduceKind::any ? A(sum != 0) : sum;
  }
}
template <class Op, class A> __device__ void finish(const ReduceCall& c, int64_t output, A sum) {
  const int64_t at = locate_y(output, c.kept);
  A v = finished(c, sum, center_of<Op, A>(c, at));
  char* y = c.y + at;
  if constexpr (std::is_same_v<A, int64_t>) {
    switch (c.y_item) {
      case 1: *reinterpret_cast<uint8_t*>(y) = uint8_t(v); break;
      case 2: *reinterpret_cast<uint16_t*>(y) = uint16_t(v); break;
      case 4: *reinterpret_cast<uint32_t*>(y) = uint32_t(v); break;
      default: *reinterpret_cast<int64_t*>(y) = v;
    }
  } else if constexpr (std::is_same_v<A, float>) {
    if (c.y_type == DType::float16)
      *reinterpret_cast<half*>(y) = narrow<half>(v);
    else if (c.y_type == DType::bfloat16)
      *reinterpret_cast<bfloat16*>(y) = narrow<bfloat16>(v);
    else
      *reinterpret_cast<float*>(y) = v;
  } else {
    *reinterpret_cast<double*>(y) = v;
  }
}

__device__ __forceinline__ int team_of(const ReduceCall& c) { return 1 << c.team_bits; }

/// What the lane `distance` further on has. A value of several numbers brings a function of its own.
template <class A> __device__ __forceinline__ A from_lane_above(A a, int distance) {
  return __shfl_down_sync(0xffffffffu, a, distance);
}
/// The first thread of each team of 1, 2, 4, ... 32 or 256 gets what its threads have, joined. All threads of the block come here.
template <class Op, class A> __device__ __forceinline__ A across_threads(A a, int team, Op op) {
  __shared__ A of_warp[kThreads / 32];
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    if (distance < team) a = op.join(a, from_lane_above(a, distance));  // alike in all lanes
  }
  if (team > 32) {
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = a;
    __syncthreads();
    if (threadIdx.x == 0) {
#pragma unroll
      for (int w = 1; w < int(kThreads / 32); ++w) a = op.join(a, of_warp[w]);
    }
  }
  return a;
}

/// A team of 4, 8, 16, 32 or all 256 threads takes one part of one result.
struct RowTask {
  int64_t task, output, begin, end;
  int lane;
  bool mine;
  __device__ explicit RowTask(const ReduceCall& c) : lane(int(threadIdx.x) & (team_of(c) - 1)) {
    task = int64_t(blockIdx.x) * (kThreads >> c.team_bits) + (threadIdx.x >> c.team_bits);
    mine = task < c.outputs * c.parts;
    output = mine ? task : 0, begin = 0, end = mine ? c.depth : 0;
    if (c.parts > 1 && mine) {  // then there are few tasks
      const uint32_t part = divide(uint32_t(task), c.by_outputs);
      output = task - part * c.outputs, begin = part * c.part;
      end = begin + c.part < c.depth ? begin + c.part : c.depth;
    }
  }
};

template <class Op, class L, bool kPacked> __global__ void __launch_bounds__(kThreads)
    reduce_rows(const __grid_constant__ ReduceCall c) {
  using A = typename L::A;
  const RowTask t(c);
  const int team = team_of(c);
  const char* x = c.x + locate_in(t.output, c.kept);
  const A p = A(c.p);
  A center = A(0);
  if constexpr (Op::kCentered) center = center_of<Op, A>(c, locate_y(t.output, c.kept));
  A sum = Op::template first<A>();
  if constexpr (kPacked) {
    constexpr int n = kPackOf<L>;
    using Packed = Pack<typename L::Element, n>;
    auto read = [](const char* at) { return *reinterpret_cast<const Packed*>(at); };
    if constexpr (std::is_same_v<A, int64_t>) {  // sums, in any order; of a few small numbers in 32 bits
      using Few = std::conditional_t<(n > 4) || Op::kCounts, int32_t, int64_t>;
      along(c.gone, x, t.begin + t.lane * n, t.end, team * n, read, [&](int64_t, const Packed& pack) {
        Few few = 0;
#pragma unroll
        for (int j = 0; j < n; ++j) few += Few(Op::take(L::of(pack.item[j]), center, p));
        sum += few;
      });
    } else {
      A more[n];
#pragma unroll
      for (int j = 0; j < n; ++j) more[j] = sum;
      along(c.gone, x, t.begin + t.lane * n, t.end, team * n, read, [&](int64_t, const Packed& pack) {
#pragma unroll
        for (int j = 0; j < n; ++j) more[j] = Op::join(more[j], Op::take(L::of(pack.item[j]), center, p));
      });
#pragma unroll
      for (int half = n / 2; half > 0; half /= 2) {
#pragma unroll
        for (int j = 0; j < half; ++j) more[j] = Op::join(more[j], more[j + half]);
      }
      sum = more[0];
    }
  } else {
    along(
        c.gone, x, t.begin + t.lane, t.end, team, [&](const char* at) { return L::get(at, c.x_type); },
        [&](int64_t, A v) { sum = Op::join(sum, Op::take(v, center, p)); });
  }
  sum = across_threads(sum, team, Op());
  if (!t.mine || t.lane != 0) return;
  if (c.sums)
    reinterpret_cast<A*>(c.sums)[t.task] = sum;  // (parts, outputs)
  else
    finish<Op, A>(c, t.output, sum);
}

/// 32 x 8 threads: a thread takes n neighbouring columns and every eighth row of its part.
template <class Op, class L, int n> __global__ void __launch_bounds__(kThreads)
    reduce_columns(const __grid_constant__ ReduceCall c) {
  using A = typename L::A;
  __shared__ A of_rows[kThreads / 32][32 * n];
  const int column = threadIdx.x % 32, row = threadIdx.x / 32;
  const uint32_t outer = blockIdx.x / c.column_blocks, first = (blockIdx.x % c.column_blocks) * 32 * n + column * n;
  const int64_t begin = blockIdx.y * c.part, end = begin + c.part < c.depth ? begin + c.part : c.depth;
  const int64_t output = int64_t(outer) * c.wide + first;
  const bool mine = first < c.wide;
  const A p = A(c.p);
  A sum[n], center[n];
#pragma unroll
  for (int j = 0; j < n; ++j) {
    sum[j] = Op::template first<A>(), center[j] = A(0);
    if constexpr (Op::kCentered) {
      if (mine) center[j] = center_of<Op, A>(c, locate_y(output + j, c.kept));
    }
  }
  if (mine) {
    const char* x = c.x + locate_in(output, c.kept);
    if constexpr (n > 1) {
      using Packed = Pack<typename L::Element, n>;
      along(
          c.gone, x, begin + row, end, kThreads / 32, [](const char* at) { return *reinterpret_cast<const Packed*>(at); },
          [&](int64_t, const Packed& pack) {
#pragma unroll
            for (int j = 0; j < n; ++j) sum[j] = Op::join(sum[j], Op::take(L::of(pack.item[j]), center[j], p));
          });
    } else {
      along(
          c.gone, x, begin + row, end, kThreads / 32, [&](const char* at) { return L::get(at, c.x_type); },
          [&](int64_t, A v) { sum[0] = Op::join(sum[0], Op::take(v, center[0], p)); });
    }
  }
#pragma unroll
  for (int j = 0; j < n; ++j) of_rows[row][j * 32 + column] = sum[j];
  __syncthreads();
  if (row > 0 || !mine) return;
#pragma unroll
  for (int j = 0; j < n; ++j) {
#pragma unroll
    for (int r = 1; r < int(kThreads / 32); ++r) sum[j] = Op::join(sum[j], of_rows[r][j * 32 + column]);
    if (c.sums)
      reinterpret_cast<A*>(c.sums)[blockIdx.y * c.outputs + output + j] = sum[j];
    else
      finish<Op, A>(c, output + j, sum[j]);
  }
}

/// Joins the parts of each result: by one thread where there are few, by a warp, or by a block where there are many.
template <class Op, class A> __global__ void __launch_bounds__(kThreads) join_parts(const __grid_constant__ ReduceCall c) {
  const int team = team_of(c), lane = int(threadIdx.x) & (team - 1);
  const int64_t output = int64_t(blockIdx.x) * (kThreads >> c.team_bits) + (threadIdx.x >> c.team_bits);
  const bool mine = output < c.outputs;
  A sum = Op::template first<A>();
  const A* sums = reinterpret_cast<const A*>(c.sums) + output;
  in_order(
      lane, mine ? c.parts : 0, team, [&](int64_t part) { return sums[part * c.outputs]; },
      [&](int64_t, A v) { sum = Op::join(sum, v); });
  sum = across_threads(sum, team, Op());
  if (mine && lane == 0) finish<Op, A>(c, output, sum);
}
/// Who joins them.
inline int bits_of_joining_team(int parts) { return parts > 64 ? 8 : parts > 32 ? 5 : 0; }

struct ReduceArguments {
  const char* op;
  const Array &y, &x, &center;
  ReduceKind kind;
  double p;
};

template <class Op, class L> void run_reduce(const ReduceArguments& a) {
  using A = typename L::A;
  constexpr int n = kPackOf<L>;
  constexpr bool kPacks = n > 1;
  const ReducePlan plan = plan_reduce(a.op, a.y, a.x, a.center, a.kind, a.p, n, sizeof(A));
  ReduceCall c = plan.call;
  if (c.outputs == 0) return;
  std::optional<Scratch> sums;
  if (c.parts > 1) c.sums = sums.emplace(size_t(c.outputs * c.parts) * sizeof(A)).template as<char>();
  const dim3 grid(plan.blocks, plan.blocks_y);
  if (plan.by_rows) {
    if (kPacks && plan.packed)
      reduce_rows<Op, L, kPacks><<<grid, kThreads, 0, stream()>>>(c);
    else
      reduce_rows<Op, L, false><<<grid, kThreads, 0, stream()>>>(c);
  } else {
    if (kPacks && plan.packed)
      reduce_columns<Op, L, n><<<grid, kThreads, 0, stream()>>>(c);
    else
      reduce_columns<Op, L, 1><<<grid, kThreads, 0, stream()>>>(c);
  }
  if (c.sums) {
    c.team_bits = bits_of_joining_team(c.parts);
    const int64_t a_block = kThreads >> c.team_bits;
    join_parts<Op, A><<<unsigned((c.outputs + a_block - 1) / a_block), kThreads, 0, stream()>>>(c);
  }
  check_launch(a.op, {&a.y, &a.x});
}

/// One op in each float type, or for integers.
template <class Op> void reduce_floats(const ReduceArguments& a) {
  dispatch_float(a.op, a.x.dtype, [&]<class T>() { run_reduce<Op, Load<T>>(a); });
}
template <class Op> void reduce_numbers(const ReduceArguments& a) {
  if (is_float(a.x.dtype)) return reduce_floats<Op>(a);
  run_reduce<Op, LoadInteger>(a);
}

}  // namespace gradus::cuda
