// The rows of updates.def as types: `adam_rule::step(p, g, states, rates)` on any kind of number.
#pragma once
#include "kernels/functors.h"
#include "kernels/update.h"

namespace gradus {
inline namespace GRADUS_ISA {

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
#undef GRADUS_LIST
#undef GRADUS_COUNT

}  // namespace GRADUS_ISA
}  // namespace gradus
