// Optimizers' steps. The parameters' elements, laid end to end, are cut into blocks that threads share; within a block a rule runs on
// whole packets, and what is left over at a parameter's end goes through a padded buffer, so that the same code computes it.
#include "kernels/update.h"

#include "kernels/cpu/parallel.h"
#include "kernels/dispatch.h"
#include "kernels/functors.h"
#include "kernels/packet.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {
namespace {

constexpr int64_t kBlock = 4096;

// Rows as types: `adam_rule::step(p, g, states, rates)` on any kind of number.
#define GRADUS_LIST(...) __VA_ARGS__
#define GRADUS_COUNT(names)    \
  [] {                         \
    struct Named {             \
      char GRADUS_LIST names;  \
    };                         \
    return int(sizeof(Named)); \
  }()
#define GRADUS_UPDATE_STATELESS(name, rates, ...)                                           \
  struct name##_rule {                                                                      \
    static constexpr int kStates = 0, kRates = GRADUS_COUNT(rates);                         \
    template <class N> GRADUS_FN static void step(N& p, N g, N*, const N (&rate)[kRates]) { \
      const auto& [GRADUS_LIST rates] = rate;                                               \
      __VA_ARGS__;                                                                          \
    }                                                                                       \
  };
#define GRADUS_UPDATE(name, states, rates, ...)                                                              \
  struct name##_rule {                                                                                       \
    static constexpr int kStates = GRADUS_COUNT(states), kRates = GRADUS_COUNT(rates);                       \
    template <class N> GRADUS_FN static void step(N& p, N g, N (&state)[kStates], const N (&rate)[kRates]) { \
      auto& [GRADUS_LIST states] = state;                                                                    \
      const auto& [GRADUS_LIST rates] = rate;                                                                \
      __VA_ARGS__;                                                                                           \
    }                                                                                                        \
  };
#include "gradus/ops/updates.def"

/// Elements begin .. begin + n of one parameter.
template <class Rule, class T> void part(const Update& u, int64_t begin, int64_t n) {
  using Acc = accumulate_t<T>;
  using N = Packet<T>;
  constexpr int kLanes = sizeof(N) / sizeof(Acc), kStates = Rule::kStates, kSlots = kStates ? kStates : 1;
  N rate[Rule::kRates];
  for (int k = 0; k < Rule::kRates; ++k) rate[k] = N(Acc(u.rates[k]));
  auto run = [&](T* p, const T* g, Acc* const* state, int64_t count) {
    for (int64_t i = 0; i < count; i += kLanes) {
      N x = load(p + i), s[kSlots];
      for (int k = 0; k < kStates; ++k) s[k] = load(state[k] + i);
      Rule::step(x, load(g + i), s, rate);
      store(p + i, x);
      for (int k = 0; k < kStates; ++k) store(state[k] + i, s[k]);
    }
  };
  T* p = static_cast<T*>(u.parameter) + begin;
  const T* g = static_cast<const T*>(u.gradient) + begin;
  Acc* state[kSlots] = {};
  for (int k = 0; k < kStates; ++k) state[k] = static_cast<Acc*>(u.state[k]) + begin;
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

int64_t blocks_of(const Update& u) { return (u.count + kBlock - 1) / kBlock; }

}  // namespace

void update(const Update* list, int64_t count) {
  int64_t blocks = 0;
  for (int64_t i = 0; i < count; ++i) blocks += blocks_of(list[i]);
  parallel_for(blocks, kParallel / kBlock, [&](int64_t begin, int64_t end) {
    int64_t first = 0;  // the number of the parameter's first block
    for (const Update* u = list; first < end; first += blocks_of(*u++)) {
      int64_t from = (begin > first ? begin - first : 0) * kBlock, to = (end - first) * kBlock;
      if (to > u->count) to = u->count;
      if (from < to) part_of (*u)(*u, from, to - from);
    }
  });
}

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
