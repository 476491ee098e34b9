// Stores of packets that go past the caches.
#pragma once
#include "kernels/cpu/isa/sweep.h"
#include "kernels/cpu/run.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {

/// Types whose packets can be stored past the caches: those that are stored as they are computed.
template <class T> inline constexpr bool kStreams = std::is_floating_point_v<T>;

/// `to` is aligned to a packet.
template <class T> GRADUS_FN void store_stream(T* to, Packet<T> x) {
#if defined(__AVX512F__)
  _mm512_stream_si512(reinterpret_cast<__m512i*>(to), (__m512i)x.v);
#elif defined(__AVX2__)
  _mm256_stream_si256(reinterpret_cast<__m256i*>(to), (__m256i)x.v);
#else
  _mm_stream_si128(reinterpret_cast<__m128i*>(to), (__m128i)x.v);
#endif
}
/// Past the caches where `streams` and the type allow it. A branch in the loop costs nothing beside the memory it waits for.
template <class T> GRADUS_FN void store_past(T* to, Packet<T> x, bool streams) {
  if constexpr (kStreams<T>) {
    if (streams) return store_stream(to, x);
  }
  gradus::store(to, x);
}

template <class T> GRADUS_FN void store_past(T* to, Packet<T> x, Whole, bool streams) { store_past(to, x, streams); }
template <class T> GRADUS_FN void store_past(T* to, Packet<T> x, Part part, bool) { store(to, x, part); }

/// Whether rows of n elements that begin at `to`, `count` elements in all, are to be written past the caches.
template <class T> bool rows_stream(const void* to, int64_t n, int64_t count) {
  return kStreams<T> && count * int64_t(sizeof(T)) >= kStreamed && n * sizeof(T) % 64 == 0 &&
         reinterpret_cast<uintptr_t>(to) % 64 == 0;
}
/// Brings the packet at `from` nearer: what the next row reads, while this one computes.
template <class T> GRADUS_FN void expect(const T* from) { _mm_prefetch(reinterpret_cast<const char*>(from), _MM_HINT_T1); }
/// The same for what lies a page and a half further, where a stream is read and written past the caches: the hardware, which follows the reads, does
/// not run far enough ahead while the core computes and writes, and begins each page anew.
inline constexpr int64_t kAheadBytes = 6144;
template <class T> GRADUS_FN void expect_ahead(const T* from) { expect(reinterpret_cast<const char*>(from) + kAheadBytes); }

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
