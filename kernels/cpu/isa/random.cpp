// Uniform, normal and Bernoulli draws. Words come from Philox in chunks of blocks, as arrays that the compiler vectorises; which
// element takes which word is fixed (see kernels/philox.h), so neither threads nor chunks show in the numbers.
#include <algorithm>

#include "kernels/cpu/isa/words.h"
#include "kernels/cpu/parallel.h"
#include "kernels/dispatch.h"
#include "kernels/packet.h"
#include "kernels/params.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {
namespace {

constexpr int64_t kGrain = 64;  // chunks that are worth a thread

/// How many bits of a word a uniform draw of T takes: as many as T can hold, so that it never rounds up to 1.
template <class T> constexpr int kBits = 24;
template <> constexpr int kBits<half> = 11;
template <> constexpr int kBits<bfloat16> = 8;

template <class T> GRADUS_FN float unit(uint32_t word) {
  return float(int32_t(word >> (32 - kBits<T>))) * (1.0f / float(1 << kBits<T>));
}
GRADUS_FN double unit(uint32_t high, uint32_t low) { return double(int64_t((uint64_t(high) << 32 | low) >> 11)) * 0x1p-53; }

/// Calls f(words, first element, count) for chunks of a draw of n elements, `per_block` of which share a block.
template <class F> void for_each_chunk(int64_t n, int per_block, Draw draw, F&& f) {
  int64_t chunk = int64_t(kBlocks) * per_block, chunks = (n + chunk - 1) / chunk;
  parallel_for(chunks, kGrain, [&](int64_t begin, int64_t end) {
    Words words;
    for (int64_t c = begin; c < end; ++c) {
      fill_words(words, draw.seed, draw.offset + uint64_t(c * kBlocks));
      f(words, c * chunk, std::min(chunk, n - c * chunk));
    }
  });
}

/// The largest T below the number `high`.
template <class T> T below(double high) {
  using Acc = accumulate_t<T>;
  T t = T(Acc(high));
  if (double(Acc(t)) < high) return t;
  using Bits = std::conditional_t<sizeof(T) == 2, uint16_t, std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>>;
  Bits bits = __builtin_bit_cast(Bits, t);
  constexpr Bits kSign = Bits(Bits(1) << (sizeof(T) * 8 - 1));
  if (Bits(bits & ~kSign) == 0)
    bits = kSign | 1;
  else
    bits = bits & kSign ? Bits(bits + 1) : Bits(bits - 1);
  return __builtin_bit_cast(T, bits);
}

/// from + span * u, rounded twice on every instruction set: where there is an instruction that rounds once, it would give other bits.
template <class Acc> GRADUS_FN Acc placed(Acc from, Acc span, Acc u) {
#if defined(__has_builtin) && __has_builtin(__builtin_assoc_barrier)
  return from + __builtin_assoc_barrier(span * u);
#else
  return from + span * u;  // clang++, which is told not to join them (CMakeLists.txt)
#endif
}

/// u in [0, 1) becomes low + u * (high - low), kept below high where rounding would reach it.
template <class T> void uniform_of(const Array& y, Draw draw, double low, double high) {
  using Acc = accumulate_t<T>;
  const Acc from = Acc(low), span = Acc(high - low), last = Acc(high > low ? below<T>(high) : T(Acc(low)));
  T* to = y.as<T>();
  if constexpr (std::is_same_v<T, double>) {
    for_each_chunk(y.count, 2, draw, [&](const Words& w, int64_t first, int64_t n) {
      for (int64_t i = 0; i < n; ++i) {
        double v = placed(from, span, unit(w.at[i % 2 * 2][i / 2], w.at[i % 2 * 2 + 1][i / 2]));
        to[first + i] = v < last ? v : last;
      }
    });
  } else {
    for_each_chunk(y.count, 4, draw, [&](const Words& w, int64_t first, int64_t n) {
      alignas(64) float drawn[4 * kBlocks];
      for (int b = 0; b < kBlocks; ++b)
        for (int k = 0; k < 4; ++k) drawn[4 * b + k] = placed(from, span, unit<T>(w.at[k][b]));
      for (int64_t i = 0; i < n; ++i) to[first + i] = T(drawn[i] < last ? drawn[i] : last);
    });
  }
}

/// Box and Muller: two uniform numbers make two normal ones, in place.
GRADUS_FN void to_normal(float* a, float* b, int n) {
  for (int i = 0; i < n; i += kLanesF) {
    PacketF radius = sqrt(-2 * log(1 - load(a + i))), angle = 6.283185307179586 * load(b + i);
    store(a + i, radius * cos(angle)), store(b + i, radius * sin(angle));
  }
}
GRADUS_FN void to_normal(double* a, double* b, int n) {
  for (int i = 0; i < n; i += kLanesF / 2) {
    PacketD radius = sqrt(-2 * log(1 - load(a + i))), angle = 6.283185307179586 * load(b + i);
    store(a + i, radius * cos(angle)), store(b + i, radius * sin(angle));
  }
}

/// Words 0 and 1 of a block make its first two numbers, words 2 and 3 the others; in double all four make two.
template <class T> void normal_of(const Array& y, Draw draw, double mean, double deviation) {
  T* to = y.as<T>();
  if constexpr (std::is_same_v<T, double>) {
    for_each_chunk(y.count, 2, draw, [&](const Words& w, int64_t first, int64_t n) {
      alignas(64) double u[2][kBlocks];
      for (int k = 0; k < 2; ++k)
        for (int b = 0; b < kBlocks; ++b) u[k][b] = unit(w.at[2 * k][b], w.at[2 * k + 1][b]);
      to_normal(u[0], u[1], kBlocks);
      for (int64_t i = 0; i < n; ++i) to[first + i] = mean + deviation * u[i % 2][i / 2];
    });
  } else {
    const float center = float(mean), scale = float(deviation);
    for_each_chunk(y.count, 4, draw, [&](const Words& w, int64_t first, int64_t n) {
      alignas(64) float u[4][kBlocks], drawn[4 * kBlocks];
      for (int k = 0; k < 4; ++k)
        for (int b = 0; b < kBlocks; ++b) u[k][b] = unit<float>(w.at[k][b]);
      to_normal(u[0], u[1], kBlocks), to_normal(u[2], u[3], kBlocks);
      for (int b = 0; b < kBlocks; ++b)
        for (int k = 0; k < 4; ++k) drawn[4 * b + k] = center + scale * u[k][b];
      for (int64_t i = 0; i < n; ++i) to[first + i] = T(drawn[i]);
    });
  }
}

/// 1 where a uniform number is below p.
template <class T, class P> void bernoulli_of(const Array& y, const P* p, double probability, Draw draw) {
  T* to = y.as<T>();
  if constexpr (std::is_same_v<P, double>) {
    for_each_chunk(y.count, 2, draw, [&](const Words& w, int64_t first, int64_t n) {
      for (int64_t i = 0; i < n; ++i)
        to[first + i] = T(unit(w.at[i % 2 * 2][i / 2], w.at[i % 2 * 2 + 1][i / 2]) < p[first + i] ? 1 : 0);
    });
  } else {
    for_each_chunk(y.count, 4, draw, [&](const Words& w, int64_t first, int64_t n) {
      alignas(64) float drawn[4 * kBlocks];
      for (int b = 0; b < kBlocks; ++b)
        for (int k = 0; k < 4; ++k) drawn[4 * b + k] = unit<float>(w.at[k][b]);
      if (p)
        for (int64_t i = 0; i < n; ++i) to[first + i] = T(drawn[i] < float(p[first + i]) ? 1 : 0);
      else
        for (int64_t i = 0; i < n; ++i) to[first + i] = T(double(drawn[i]) < probability ? 1 : 0);
    });
  }
}

}  // namespace

void uniform(const Array& y, Draw draw, double low, double high) {
  dispatch_float("uniform", y.dtype, [&]<class T>() { uniform_of<T>(y, draw, low, high); });
}
void normal(const Array& y, Draw draw, double mean, double deviation) {
  dispatch_float("normal", y.dtype, [&]<class T>() { normal_of<T>(y, draw, mean, deviation); });
}
void bernoulli(const Array& y, const Array& p, Draw draw, double probability) {
  dispatch_all("bernoulli", y.dtype, [&]<class T>() {
    if (p)
      dispatch_float("bernoulli", p.dtype, [&]<class P>() { bernoulli_of<T, P>(y, p.as<P>(), 0, draw); });
    else
      bernoulli_of<T, float>(y, nullptr, probability, draw);
  });
}

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
