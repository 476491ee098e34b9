// The greatest or the least along an axis, and where it is: the first at ties, NaN beyond everything. Which of two comes first does not
// depend on the order in which they meet, so neither does the result.
#include "kernels/cuda/reduce.cuh"

namespace gradus::cuda {
namespace {

template <class A> struct Best {
  A value;
  int64_t index;  // -1: none yet
};
template <class A> __device__ __forceinline__ Best<A> from_lane_above(Best<A> a, int distance) {
  return {__shfl_down_sync(0xffffffffu, a.value, distance), __shfl_down_sync(0xffffffffu, (long long)a.index, distance)};
}
struct Better {
  bool greatest;
  template <class A> __device__ Best<A> join(Best<A> a, Best<A> b) const {
    if (a.index < 0 || b.index < 0) return a.index < 0 ? b : a;
    const bool nan_a = a.value != a.value, nan_b = b.value != b.value;
    const bool equal = nan_a && nan_b ? true : a.value == b.value;
    if (equal) return a.index < b.index ? a : b;
    if (nan_a || nan_b) return nan_a ? a : b;
    return (greatest ? a.value > b.value : a.value < b.value) ? a : b;
  }
  /// The same of an element that comes after all that `best` is the best of.
  template <class A> __device__ __forceinline__ void meet(Best<A>& best, A value, int64_t index) const {
    const bool beyond = (greatest ? value > best.value : value < best.value) || (value != value && best.value == best.value);
    if (beyond || best.index < 0) best = {value, index};
  }
};

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

template <class A> __device__ void put(const ReduceCall& c, char* values, int x_item, int64_t task, int64_t output, Best<A> best) {
  if (c.sums)
    reinterpret_cast<Best<A>*>(c.sums)[task] = best;  // (parts, outputs)
  else
    finish(c, values, x_item, output, best);
}

/// As many as columns have room for in shared memory.
template <class L> constexpr int kTogether = kPackOf<L> < 8 ? kPackOf<L> : 8;
template <class L> struct Together {
  static constexpr int n = kTogether<L>;
  using Packed = Pack<typename L::Element, n>;
  __device__ static Packed read(const char* at) { return *reinterpret_cast<const Packed*>(at); }
};

/// Teams, tasks and parts are those of sums (reduce.cuh).
template <class L, bool kPacked> __global__ void __launch_bounds__(kThreads)
    search_rows(const __grid_constant__ ReduceCall c, char* values, int x_item, Better better) {
  using A = typename L::A;
  using Packs = Together<L>;
  constexpr int n = kPacked ? Packs::n : 1;
  const RowTask t(c);
  const char* x = c.x + locate_in(t.output, c.kept);
  Best<A> best{A(0), -1};
  if constexpr (kPacked)
    along(c.gone, x, t.begin + t.lane * n, t.end, team_of(c) * n, Packs::read, [&](int64_t i, const typename Packs::Packed& pack) {
#pragma unroll
      for (int j = 0; j < n; ++j) better.meet(best, L::of(pack.item[j]), i + j);
    });
  else
    along(
        c.gone, x, t.begin + t.lane, t.end, team_of(c), [&](const char* at) { return L::get(at, c.x_type); },
        [&](int64_t i, A v) { better.meet(best, v, i); });
  best = across_threads(best, team_of(c), better);
  if (t.mine && t.lane == 0) put(c, values, x_item, t.task, t.output, best);
}

template <class L, int n> __global__ void __launch_bounds__(kThreads)
    search_columns(const __grid_constant__ ReduceCall c, char* values, int x_item, Better better) {
  using A = typename L::A;
  __shared__ Best<A> of_rows[kThreads / 32][32 * n];
  const int column = threadIdx.x % 32, row = threadIdx.x / 32;
  const uint32_t outer = blockIdx.x / c.column_blocks, first = (blockIdx.x % c.column_blocks) * 32 * n + column * n;
  const int64_t begin = blockIdx.y * c.part, end = begin + c.part < c.depth ? begin + c.part : c.depth;
  const int64_t output = int64_t(outer) * c.wide + first;
  const bool mine = first < c.wide;
  Best<A> best[n];
#pragma unroll
  for (int j = 0; j < n; ++j) best[j] = {A(0), -1};
  if (mine) {
    const char* x = c.x + locate_in(output, c.kept);
    if constexpr (n > 1)
      along(c.gone, x, begin + row, end, kThreads / 32, Together<L>::read,
            [&](int64_t i, const typename Together<L>::Packed& pack) {
#pragma unroll
              for (int j = 0; j < n; ++j) better.meet(best[j], L::of(pack.item[j]), i);
            });
    else
      along(
          c.gone, x, begin + row, end, kThreads / 32, [&](const char* at) { return L::get(at, c.x_type); },
          [&](int64_t i, A v) { better.meet(best[0], v, i); });
  }
#pragma unroll
  for (int j = 0; j < n; ++j) of_rows[row][j * 32 + column] = best[j];
  __syncthreads();
  if (row > 0 || !mine) return;
#pragma unroll
  for (int j = 0; j < n; ++j) {
    for (int r = 1; r < int(kThreads / 32); ++r) best[j] = better.join(best[j], of_rows[r][j * 32 + column]);
    put(c, values, x_item, blockIdx.y * c.outputs + output + j, output + j, best[j]);
  }
}

template <class A> __global__ void __launch_bounds__(kThreads)
    join_searches(const __grid_constant__ ReduceCall c, char* values, int x_item, Better better) {
  const int team = team_of(c), lane = int(threadIdx.x) & (team - 1);
  const int64_t output = int64_t(blockIdx.x) * (kThreads >> c.team_bits) + (threadIdx.x >> c.team_bits);
  const bool mine = output < c.outputs;
  const Best<A>* parts = reinterpret_cast<const Best<A>*>(c.sums) + output;
  Best<A> best{A(0), -1};
  in_order(
      lane, mine ? c.parts : 0, team, [&](int64_t part) { return parts[part * c.outputs]; },
      [&](int64_t, Best<A> v) { best = better.join(best, v); });
  best = across_threads(best, team, better);
  if (mine && lane == 0) finish(c, values, x_item, output, best);
}

template <class L> void run_search(const Array& y, const Array& index, const Array& x, Better better) {
  using A = typename L::A;
  constexpr int n = kTogether<L>;
  constexpr bool kPacks = n > 1;
  const ReducePlan plan = plan_reduce("extreme", index, x, Array{}, ReduceKind::max, 0, n, sizeof(int64_t));
  ReduceCall c = plan.call;
  if (c.outputs == 0) return;
  char* values = y.as<char>();
  const int item = int(item_size(x.dtype));
  std::optional<Scratch> parts;
  if (c.parts > 1) c.sums = parts.emplace(size_t(c.outputs * c.parts) * sizeof(Best<A>)).template as<char>();
  const dim3 grid(plan.blocks, plan.blocks_y);
  if (plan.by_rows) {
    if (kPacks && plan.packed)
      search_rows<L, kPacks><<<grid, kThreads, 0, stream()>>>(c, values, item, better);
    else
      search_rows<L, false><<<grid, kThreads, 0, stream()>>>(c, values, item, better);
  } else {
    if (kPacks && plan.packed)
      search_columns<L, n><<<grid, kThreads, 0, stream()>>>(c, values, item, better);
    else
      search_columns<L, 1><<<grid, kThreads, 0, stream()>>>(c, values, item, better);
  }
  if (c.sums) {
    c.team_bits = bits_of_joining_team(c.parts);
    const int64_t a_block = kThreads >> c.team_bits;
    join_searches<A><<<unsigned((c.outputs + a_block - 1) / a_block), kThreads, 0, stream()>>>(c, values, item, better);
  }
  check_launch("extreme", {&x});
}

}  // namespace

void extreme(const Array& y, const Array& index, const Array& x, bool greatest) {
  if (is_float(x.dtype))
    return dispatch_float("extreme", x.dtype, [&]<class T>() { run_search<Load<T>>(y, index, x, {greatest}); });
  dispatch_integer("extreme", x.dtype == DType::boolean ? DType::uint8 : x.dtype,
                   [&]<class T>() { run_search<LoadAs<T>>(y, index, x, {greatest}); });
}

}  // namespace gradus::cuda
