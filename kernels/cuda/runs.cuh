// Values that meet in one place, which a sort has put side by side (sorted.h): a run of equal keys. One thread joins a run in its order; a run
// of many would keep it long, so chunks of kRunChunk sorted elements that belong to one run are joined first, by a thread each. Where chunks
// begin depends on nothing but the order, so results are the same on every run of the program.
#pragma once
#include "kernels/cuda/places.cuh"

namespace gradus::cuda {

constexpr int64_t kRunChunk = 64;

__device__ __forceinline__ bool in_one_run(const uint64_t* keys, int64_t first, int64_t n) {
  return first + kRunChunk <= n && keys[first] == keys[first + kRunChunk - 1];
}

/// Chunk i / width of element i % width of what is placed: parts[i]. Source has Sum, width, begin(element), which value(k, begin)
/// of the k-th sorted one is found from, join(a, b).
template <class Source> struct JoinChunks {
  typename Source::Sum* parts;
  const uint64_t* keys;
  int64_t n;
  Source source;
  __device__ void operator()(int64_t i) const {
    const int64_t first = i / source.width * kRunChunk, element = i % source.width;
    if (!in_one_run(keys, first, n)) return;
    const int64_t begin = source.begin(element);
    typename Source::Sum all = source.value(first, begin);
#pragma unroll 8
    for (int64_t k = 1; k < kRunChunk; ++k) all = source.join(all, source.value(first + k, begin));
    parts[i] = all;
  }
};

/// `all` joined with the run that begins at `first`.
template <class Source> __device__ typename Source::Sum join_run(typename Source::Sum all, const typename Source::Sum* parts,
                                                                 const uint64_t* keys, int64_t first, int64_t n,
                                                                 const Source& source, int64_t element) {
  constexpr int kAtOnce = 4;  // reads that do not wait for each other
  const uint64_t key = keys[first];
  const int64_t begin = source.begin(element);
  for (int64_t k = first; k < n && keys[k] == key;) {
    if (k % kRunChunk == 0 && in_one_run(keys, k, n)) {
      all = source.join(all, parts[k / kRunChunk * source.width + element]), k += kRunChunk;
      continue;
    }
    const int64_t chunk_end = (k / kRunChunk + 1) * kRunChunk, end = chunk_end < n ? chunk_end : n;
    typename Source::Sum some[kAtOnce];
    int here = 0;
#pragma unroll
    for (int u = 0; u < kAtOnce; ++u)
      if (k + u < end && keys[k + u] == key) some[u] = source.value(k + u, begin), here = u + 1;
#pragma unroll
    for (int u = 0; u < kAtOnce; ++u)
      if (u < here) all = source.join(all, some[u]);
    k += here;
  }
  return all;
}

}  // namespace gradus::cuda
