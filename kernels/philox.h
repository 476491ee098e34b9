// Random numbers by counting: Philox4x32-10. The n-th number of a stream is a function of (seed, n) alone, so any thread or device
// can make it. Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3 (2011).
#pragma once
#include <cstdint>

#include "gradus/core/dtype.h"

namespace gradus {

struct Philox {
  uint32_t word[4];

  /// Four words for position `counter` of the stream `seed`.
  GRADUS_HD static Philox at(uint64_t seed, uint64_t counter) {
    uint32_t c[4] = {uint32_t(counter), uint32_t(counter >> 32), 0, 0};
    uint32_t k0 = uint32_t(seed), k1 = uint32_t(seed >> 32);
    for (int round = 0; round < 10; ++round) {
      uint64_t p0 = uint64_t(0xD2511F53u) * c[0], p1 = uint64_t(0xCD9E8D57u) * c[2];
      uint32_t n0 = uint32_t(p1 >> 32) ^ c[1] ^ k0, n2 = uint32_t(p0 >> 32) ^ c[3] ^ k1;
      c[1] = uint32_t(p1), c[3] = uint32_t(p0), c[0] = n0, c[2] = n2;
      k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    return {{c[0], c[1], c[2], c[3]}};
  }
};

/// [0, 1) with 24 bits: exact in float, so it never rounds up to 1.
GRADUS_HD inline float uniform_float(uint32_t word) { return float(word >> 8) * 0x1p-24f; }
/// [0, 1) with 53 bits.
GRADUS_HD inline double uniform_double(uint32_t high, uint32_t low) { return double((uint64_t(high) << 32 | low) >> 11) * 0x1p-53; }
/// The bound for probability p in [0, 1]: a uniform number of 24 bits is below p where its bits are below this.
GRADUS_HD static inline uint32_t drop_bound(double p) {  // static: each instruction set has its own
  double scaled = p * 0x1p24;
  uint32_t whole = uint32_t(scaled);
  return whole < scaled ? whole + 1 : whole;
}

}  // namespace gradus
