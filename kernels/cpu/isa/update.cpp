// Optimizers' steps. Each large parameter is cut as the product that made its gradient was, one part a thread, so that a thread finds
// both in its own cache; the last parameter comes first, since backward left it there and the next forward begins with the first. A
// rule runs on whole packets, and what is left over at a part's end goes through a padded buffer, so that the same code computes it.
#include "kernels/update.h"

#include "kernels/cpu/isa/sweep.h"
#include "kernels/cpu/parallel.h"
#include "kernels/dispatch.h"
#include "kernels/packet.h"
#include "kernels/update_rules.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {
namespace {

constexpr int64_t kWhole = 2048;  // elements a thread below which a parameter is one thread's work
constexpr int64_t kCut = 64;      // parts begin at whole packets of any width

/// Elements begin .. begin + n of a gradient that is given as column and row, rounded as the product would be.
template <class T> [[gnu::noinline]] void multiply_out(const Update& u, int64_t begin, int64_t n, T* to) {
  using Acc = accumulate_t<T>;
  const T *column = static_cast<const T*>(u.gradient_column), *row = static_cast<const T*>(u.gradient_row);
  for (int64_t i = begin / u.row_size, j = begin % u.row_size; n > 0; ++i, j = 0) {
    const int64_t count = u.row_size - j < n ? u.row_size - j : n;
    const Acc scale = Acc(column[i]);
    for (int64_t k = 0; k < count; ++k) to[k] = T(scale * Acc(row[j + k]));
    to += count, n -= count;
  }
}

/// Elements begin .. begin + n of one parameter.
template <class Rule, class T> void part(const Update& u, int64_t begin, int64_t n) {
  using Acc = accumulate_t<T>;
  using N = Packet<T>;
  constexpr int kLanes = sizeof(N) / sizeof(Acc), kStates = Rule::kStates, kSlots = kStates ? kStates : 1;
  N rate[Rule::kRates];
  for (int k = 0; k < Rule::kRates; ++k) rate[k] = N(Acc((u.rates_there ? u.rates_there : u.rates)[k]));
  auto run_with = [&](T* p, auto gradient, Acc* const* state, int64_t count) {
    for (int64_t i = 0; i < count; i += kLanes) {
      N x = load(p + i), s[kSlots];
      for (int k = 0; k < kStates; ++k) s[k] = load(state[k] + i);
      Rule::step(x, gradient(i), s, rate);
      store(p + i, x);
      for (int k = 0; k < kStates; ++k) store(state[k] + i, s[k]);
    }
  };
  auto run = [&](T* p, const T* g, Acc* const* state, int64_t count) {
    run_with(
        p, [g](int64_t i) { return load(g + i); }, state, count);
  };
  T* p = static_cast<T*>(u.parameter) + begin;
  Acc* state[kSlots] = {};
  for (int k = 0; k < kStates; ++k) state[k] = static_cast<Acc*>(u.state[k]) + begin;
  if constexpr (std::is_same_v<T, float>) {  // a product that waited in a buffer would take half of the stores
    if (!u.gradient && u.row_size % kLanes == 0) {
      auto *column = static_cast<const T*>(u.gradient_column), *row = static_cast<const T*>(u.gradient_row);
      for (int64_t i = begin / u.row_size, j = begin % u.row_size, count; n > 0; ++i, j = 0, n -= count) {
        count = u.row_size - j < n ? u.row_size - j : n;
        run_with(
            p, [scale = N(column[i]), at = row + j](int64_t k) { return rounded(scale * load(at + k)); }, state, count);
        p += count;
        for (int k = 0; k < kStates; ++k) state[k] += count;
      }
      return;
    }
  }
  constexpr int64_t kTile = 1024;
  alignas(64) T tile[kTile];
  const T* g = tile;
  if (u.gradient) {
    g = static_cast<const T*>(u.gradient) + begin;
  } else {
    for (; n > kTile; n -= kTile, begin += kTile, p += kTile) {
      multiply_out(u, begin, kTile, tile);
      run(p, tile, state, kTile);
      for (int k = 0; k < kStates; ++k) state[k] += kTile;
    }
    multiply_out(u, begin, n, tile);
  }
  int64_t whole = n / kLanes * kLanes, rest = n - whole;
  run(p, g, state, whole);
  if (rest == 0) return;
  T last_p[kLanes] = {}, last_g[kLanes] = {};
  Acc last_state[kSlots][kLanes] = {}, *last[kSlots];
  __builtin_memcpy(last_p, p + whole, rest * sizeof(T)), __builtin_memcpy(last_g, g + whole, rest * sizeof(T));
  for (int k = 0; k < kSlots; ++k) last[k] = last_state[k];
  for (int k = 0; k < kStates; ++k) __builtin_memcpy(last[k], state[k] + whole, rest * sizeof(Acc));
  run(last_p, last_g, last, kLanes);
  __builtin_memcpy(p + whole, last_p, rest * sizeof(T));
  for (int k = 0; k < kStates; ++k) __builtin_memcpy(state[k] + whole, last[k], rest * sizeof(Acc));
}

using Part = void(const Update&, int64_t begin, int64_t n);
template <class Rule> Part* part_of(DType t) {
  return dispatch_float("update", t, []<class T>() -> Part* { return part<Rule, T>; });
}
Part* part_of(const Update& u) {
  switch (u.rule) {
#define GRADUS_UPDATE_STATELESS(name, ...) \
  case UpdateRule::name:                   \
    return part_of<name##_rule>(u.dtype);
#define GRADUS_UPDATE(name, ...) GRADUS_UPDATE_STATELESS(name)
#include "gradus/ops/updates.def"
  }
  __builtin_unreachable();
}

}  // namespace

void update(const Update* list, int64_t count) {
  int64_t elements = 0;
  for (int64_t i = 0; i < count; ++i) elements += list[i].count;
  const int64_t threads = elements > kParallel ? threads_here() : 1;
  parallel_for(threads, 1, [&](int64_t first, int64_t last) {
    for (int64_t t = first; t < last; ++t) {
      for (int64_t i = count - 1; i >= 0; --i) {
        const Update& u = list[i];
        auto cut = [&](int64_t t) { return t == threads ? u.count : u.count * t / threads / kCut * kCut; };
        const bool whole = u.count < kWhole * threads;
        int64_t from = whole ? 0 : cut(t), to = whole ? (i % threads == t ? u.count : 0) : cut(t + 1);
        if (from < to) part_of(u)(u, from, to - from);
      }
    }
  });
}

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
