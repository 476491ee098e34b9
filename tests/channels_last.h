// (N, C, ...) with the channels last in memory.
#pragma once
#include "tests/check.h"

namespace gradus::testing {

inline AnyTensor channels_last(const AnyTensor& x) {
  std::vector<int64_t> order = {0}, back = {0, x.dim() - 1};
  for (int64_t d = 2; d < x.dim(); ++d) order.push_back(d), back.push_back(d - 1);
  order.push_back(1);
  return x.permute(order).contiguous().permute(back);
}

}  // namespace gradus::testing
