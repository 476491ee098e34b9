// A walk over a plan's elements for kernels with loops of their own.
#pragma once
#include <algorithm>

#include "kernels/plan.h"

namespace gradus::cpu {

/// Calls f(offsets, run) for the elements first .. first + n in the plan's order: a run along the innermost dimension begins at
/// offsets[k] in operand k.
template <int kOperands, class F> void walk(const Plan& plan, int64_t first, int64_t n, F&& f) {
  int64_t at[kMaxRank], offset[kOperands] = {};
  const int last = plan.rank - 1;
  int64_t rest = first;
  for (int d = last; d >= 0; --d) {
    at[d] = rest % plan.size[d], rest /= plan.size[d];
    for (int k = 0; k < kOperands; ++k) offset[k] += at[d] * plan.stride[k][d];
  }
  while (n > 0) {
    int64_t run = std::min(n, plan.size[last] - at[last]);
    f(static_cast<const int64_t*>(offset), run);
    n -= run, at[last] += run;
    for (int k = 0; k < kOperands; ++k) offset[k] += run * plan.stride[k][last];
    for (int d = last; d > 0 && at[d] == plan.size[d]; --d) {  // carry, as an odometer does
      for (int k = 0; k < kOperands; ++k) offset[k] += plan.stride[k][d - 1] - at[d] * plan.stride[k][d];
      at[d] = 0, ++at[d - 1];
    }
  }
}

}  // namespace gradus::cpu
