// The innermost loop of this library's own products: a few rows times a few packets of C, held in registers over the whole depth.
// An element's sum runs over the depth in order, whatever the tile's shape and wherever it stands.
#pragma once
#include <cstdint>
#include <utility>

#include "kernels/packet.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {

// A panel is the widest strip of C that one tile covers; a narrower tile may be higher. kGroup: every full height divides it, so rows
// packed in groups of it serve tiles of any width.
#if defined(__AVX512F__)
inline constexpr int kPanelPackets = 4, kGroup = 12;
constexpr int tile_rows(int packets) { return packets > 2 ? 6 : 12; }
#elif defined(__AVX2__)
inline constexpr int kPanelPackets = 2, kGroup = 12;
constexpr int tile_rows(int packets) { return packets > 1 ? 6 : 12; }
#else
inline constexpr int kPanelPackets = 2, kGroup = 8;
constexpr int tile_rows(int packets) { return packets > 1 ? 4 : 8; }
#endif
template <class F> inline constexpr int kLanes = kRegister / int(sizeof(F));
template <class F> inline constexpr int kPanel = kPanelPackets* kLanes<F>;  // columns

/// Packets that cover n <= kPanel columns: 1, 2 or 4.
template <class F> constexpr int packets_for(int64_t n) { return n <= kLanes<F> ? 1 : n <= 2 * kLanes<F> ? 2 : kPanelPackets; }

/// What becomes of a tile's sums: c = alpha * sum (+ bias, one a column) (+ c).
template <class F> struct TileOut {
  F* c;
  int64_t step;  // from row to row
  F alpha = 1;
  bool add = false;
  const F* bias = nullptr;
};

/// sum(i, j) = sum over k of a(i, k) * b[k * b_step + j]. kAlong: a(i, k) = a[i * step + k], otherwise a[k * step + i].
template <class F, bool kAlong, int R, int V>
void tile(int64_t depth, const F* a, int64_t step, const F* b, int64_t b_step, const TileOut<F>& out) {
  using P = Packet<F>;
  constexpr int kBases = (R + 2) / 3;  // three rows to a pointer: the addresses of all rows fit the registers
  const F* base[kBases];
#pragma GCC unroll 16
  for (int i = 0; i < kBases; ++i) base[i] = a + (kAlong ? 3 * i * step : 3 * i);
  P sum[R][V];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sum[i][v] = P(F(0));
  for (int64_t k = 0; k < depth; ++k) {
    P bk[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) bk[v] = load(b + v * kLanes<F>);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      P ai = base[i / 3][kAlong ? i % 3 * step : i % 3];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sum[i][v] = sum[i][v] + ai * bk[v];
    }
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) __builtin_prefetch(b + 8 * b_step + v * kLanes<F>);  // hardware stops at the end of a page
    b += b_step;
#pragma GCC unroll 16
    for (int i = 0; i < kBases; ++i) base[i] += kAlong ? 1 : step;
  }
  F* c = out.c;
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      P y = sum[i][v] * P(out.alpha);
      if (out.bias) y = y + load(out.bias + v * kLanes<F>);
      if (out.add) y = y + load(c + v * kLanes<F>);
      store(c + v * kLanes<F>, y);
    }
    c += out.step;
  }
}

template <class F>
using Tile = void (*)(int64_t depth, const F* a, int64_t step, const F* b, int64_t b_step, const TileOut<F>& out);
template <class F, bool kAlong, int V, int... R> constexpr Tile<F> pick_tile(int rows, std::integer_sequence<int, R...>) {
  constexpr Tile<F> tiles[] = {tile<F, kAlong, R + 1, V>...};
  return tiles[rows - 1];
}
/// The tile of so many rows (at most tile_rows(packets)) and packets (1, 2 or kPanelPackets).
template <class F, bool kAlong> Tile<F> pick_tile(int rows, int packets) {
  if (packets == 1) return pick_tile<F, kAlong, 1>(rows, std::make_integer_sequence<int, tile_rows(1)>());
  if (packets == 2) return pick_tile<F, kAlong, 2>(rows, std::make_integer_sequence<int, tile_rows(2)>());
  return pick_tile<F, kAlong, kPanelPackets>(rows, std::make_integer_sequence<int, tile_rows(kPanelPackets)>());
}

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
