// Philox words in chunks of blocks, as arrays that the compiler vectorises.
#pragma once
#include <cstdint>

#include "kernels/packet.h"
#include "kernels/philox.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {

constexpr int kBlocks = 64;  // of four words, in a chunk
struct Words {               // word w of block b at [w][b]
  alignas(64) uint32_t at[4][kBlocks];
};

/// Philox4x32-10 for the blocks first, first + 1, ...
inline void fill_words(Words& words, uint64_t seed, uint64_t first) {
  auto& [c0, c1, c2, c3] = words.at;
  for (int i = 0; i < kBlocks; ++i) {
    uint64_t counter = first + uint64_t(i);
    c0[i] = uint32_t(counter), c1[i] = uint32_t(counter >> 32), c2[i] = 0, c3[i] = 0;
  }
  uint32_t k0 = uint32_t(seed), k1 = uint32_t(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < kBlocks; ++i) {
      uint64_t p0 = uint64_t(0xD2511F53u) * c0[i], p1 = uint64_t(0xCD9E8D57u) * c2[i];
      c0[i] = uint32_t(p1 >> 32) ^ c1[i] ^ k0, c1[i] = uint32_t(p1);
      c2[i] = uint32_t(p0 >> 32) ^ c3[i] ^ k1, c3[i] = uint32_t(p0);
    }
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
}

/// What dropout multiplies element i of a draw by, for a chunk of 4 * kBlocks elements: `scale` where the upper 24 bits of its word are
/// at least `bound`, else 0.
template <class A> GRADUS_FN void keep_or_drop(A* to, const Words& words, uint32_t bound, A scale) {
  for (int b = 0; b < kBlocks; ++b)
    for (int k = 0; k < 4; ++k) to[4 * b + k] = words.at[k][b] >> 8 >= bound ? scale : A(0);
}

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
