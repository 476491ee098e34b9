// Rows of numbers: loads and stores of 16 bytes wherever addresses allow it, and teams of threads that share a row.
#pragma once
#include "kernels/cuda/elementwise.cuh"

namespace gradus::cuda {

template <class T> constexpr int kItemsOf = int(16 / sizeof(T));

/// n neighbouring elements, 16 bytes at a time where they lie so. Neighbouring threads agree on that, so they do not diverge.
template <int n, class T> __device__ __forceinline__ void load_items(T (&to)[n], const T* from) {
  constexpr int kChunk = n < kItemsOf<T> ? n : kItemsOf<T>;
  if (kChunk > 1 && reinterpret_cast<uintptr_t>(from) % sizeof(Pack<T, kChunk>) == 0) {
#pragma unroll
    for (int i = 0; i < n; i += kChunk) {
      const Pack<T, kChunk> pack = *reinterpret_cast<const Pack<T, kChunk>*>(from + i);
#pragma unroll
      for (int j = 0; j < kChunk; ++j) to[i + j] = pack.item[j];
    }
  } else {
#pragma unroll
    for (int i = 0; i < n; ++i) to[i] = from[i];
  }
}
template <int n, class T> __device__ __forceinline__ void store_items(T* to, const T (&from)[n]) {
  constexpr int kChunk = n < kItemsOf<T> ? n : kItemsOf<T>;
  if (kChunk > 1 && reinterpret_cast<uintptr_t>(to) % sizeof(Pack<T, kChunk>) == 0) {
#pragma unroll
    for (int i = 0; i < n; i += kChunk) {
      Pack<T, kChunk> pack;
#pragma unroll
      for (int j = 0; j < kChunk; ++j) pack.item[j] = from[i + j];
      *reinterpret_cast<Pack<T, kChunk>*>(to + i) = pack;
    }
  } else {
#pragma unroll
    for (int i = 0; i < n; ++i) to[i] = from[i];
  }
}

/// Calls f(i, count) for the elements of a row that thread `lane` of `team` takes: count, a constant, of them from i on. Where the row
/// begins between two packs, the first few and the last few are taken one by one.
template <class T, class F> __device__ __forceinline__ void for_row(const T* row, int64_t n, int lane, int team, F f) {
  constexpr int kItems = kItemsOf<T>;
  const int before = int(-(reinterpret_cast<uintptr_t>(row) / sizeof(T)) % kItems);
  const int64_t head = before < n ? before : n, packs = (n - head) / kItems;
  if (lane < head) f(int64_t(lane), std::integral_constant<int, 1>());
  for (int64_t i = lane; i < packs; i += team) f(head + i * kItems, std::integral_constant<int, kItems>());
  for (int64_t i = head + packs * kItems + lane; i < n; i += team) f(i, std::integral_constant<int, 1>());
}

/// The same with the elements: f(i, values), where values are an array of count. Four packs are asked for before the first is worked on.
template <class T, class F> __device__ __forceinline__ void for_row_read(const T* row, int64_t n, int lane, int team, F f) {
  constexpr int kItems = kItemsOf<T>, kAhead = 4;
  const int before = int(-(reinterpret_cast<uintptr_t>(row) / sizeof(T)) % kItems);
  const int64_t head = before < n ? before : n, packs = (n - head) / kItems;
  auto one = [&](int64_t i) {
    T value[1] = {row[i]};
    f(i, value);
  };
  if (lane < head) one(lane);
  const auto* from = reinterpret_cast<const Pack<T, kItems>*>(row + head);
  for (int64_t i = lane; i < packs; i += kAhead * team) {
    Pack<T, kItems> pack[kAhead];
#pragma unroll
    for (int k = 0; k < kAhead; ++k)
      if (i + k * team < packs) pack[k] = from[i + k * team];
#pragma unroll
    for (int k = 0; k < kAhead; ++k)
      if (i + k * team < packs) f(head + (i + k * team) * kItems, pack[k].item);
  }
  for (int64_t i = head + packs * kItems + lane; i < n; i += team) one(i);
}

/// A row in the registers of its team: the packs that a thread takes, of a row that is whole packs and begins on 16 bytes. Read once, it can
/// be gone through again.
template <class T, int kMost = 4> struct HeldRow {
  static constexpr int kItems = kItemsOf<T>, kPacks = kMost;
  Pack<T, kItems> pack[kPacks];

  __device__ __forceinline__ void load(const T* row, int64_t n, int lane, int team) {
    each(n, lane, team, [&](int i, int k) { pack[k] = *reinterpret_cast<const Pack<T, kItems>*>(row + i); });
  }
  __device__ __forceinline__ void store(T* row, int64_t n, int lane, int team) const {
    each(n, lane, team, [&](int i, int k) { *reinterpret_cast<Pack<T, kItems>*>(row + i) = pack[k]; });
  }
  /// Between two goings through it: keeps elements packed, where the compiler would rather keep each, unpacked, in a register of its own.
  __device__ __forceinline__ void stay_packed() {
#pragma unroll
    for (int k = 0; k < kPacks; ++k) {
      auto& words = reinterpret_cast<uint32_t(&)[4]>(pack[k]);
#pragma unroll
      for (int j = 0; j < 4; ++j) asm volatile("" : "+r"(words[j]));
    }
  }
  /// Calls f(i, k) for each pack k that the thread holds, whose first element is the row's element i.
  template <class F> __device__ __forceinline__ static void each(int64_t n, int lane, int team, F f) {
#pragma unroll
    for (int k = 0; k < kPacks; ++k)
      if ((lane + k * team) * kItems < n) f((lane + k * team) * kItems, k);
  }
  /// Whether rows of n elements can be held, all of these arrays being made of them. An absent one can.
  static bool holds(int64_t n, std::initializer_list<const void*> arrays) {
    for (const void* a : arrays)
      if (reinterpret_cast<uintptr_t>(a) % 16 != 0) return false;
    return n % kItems == 0 && n <= int64_t(kThreads) * kPacks * kItems;
  }
  static int team_of(int64_t n) { return n <= 32 * kPacks * kItems ? 32 : int(kThreads); }
};

struct Larger {
  template <class A> __device__ A operator()(A a, A b) const { return a < b ? b : a; }
  __device__ float operator()(float a, float b) const { return ::fmaxf(a, b); }  // one instruction; both pass over a NaN in b
};
struct Plus {
  template <class A> __device__ A operator()(A a, A b) const { return a + b; }
};

__device__ __forceinline__ float across(float v, int distance) { return __shfl_xor_sync(0xffffffffu, v, distance); }
__device__ __forceinline__ double across(double v, int distance) { return __shfl_xor_sync(0xffffffffu, v, distance); }

/// All of a team's values put together in a fixed order, known to each of its threads. A team is a warp, or the whole block of kBlock; all
/// of its threads come here. A value of several numbers brings an `across` of its own.
template <int kBlock = int(kThreads), class F, class A> __device__ A of_team(A v, int team, F f) {
  __shared__ A of_warp[kBlock / 32];
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) v = f(v, across(v, distance));
  if (team == 32) return v;
  __syncthreads();  // a value from before has been read by all
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = v;
  __syncthreads();
  v = of_warp[0];
#pragma unroll
  for (int w = 1; w < kBlock / 32; ++w) v = f(v, of_warp[w]);
  return v;
}

/// Who takes the rows of n numbers: threads of a team, and blocks for all rows.
struct Teams {
  int team;
  unsigned blocks;
  Teams(int64_t rows, int64_t n) : Teams(with(rows, n <= 1024 ? 32 : int(kThreads))) {}
  static Teams with(int64_t rows, int team) {
    Teams t;
    t.team = team, t.blocks = unsigned((rows * team + kThreads - 1) / kThreads);
    return t;
  }

 private:
  Teams() = default;
};
/// The row and the place in the team of this thread.
__device__ __forceinline__ int64_t row_of_team(int team) { return int64_t(blockIdx.x) * (kThreads / team) + threadIdx.x / team; }
__device__ __forceinline__ int lane_of_team(int team) { return threadIdx.x % team; }

}  // namespace gradus::cuda
