#include "kernels/cpu/run.h"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/parallel.h"

namespace gradus::cpu {
namespace {

constexpr int64_t kBlock = 256;  // elements of a buffer: six operands of float take 6 KiB of L1

/// Copies n elements, counted from the `first` of the plan's order, between a strided operand and a buffer.
template <class Item, bool kToBuffer> void transfer(const Plan& plan, int k, char* data, char* buffer, int64_t first, int64_t n) {
  int64_t at[kMaxRank], offset = 0, last = plan.rank - 1;
  for (int64_t d = last, rest = first; d >= 0; --d) {
    at[d] = rest % plan.size[d], rest /= plan.size[d];
    offset += at[d] * plan.stride[k][d];
  }
  Item* item = reinterpret_cast<Item*>(data);
  Item* slot = reinterpret_cast<Item*>(buffer);
  int64_t step = plan.stride[k][last];
  while (n > 0) {
    int64_t run = std::min(n, plan.size[last] - at[last]);
    Item* p = item + offset;
    if constexpr (!kToBuffer) {
      for (int64_t i = 0; i < run; ++i) p[i * step] = slot[i];
    } else if (step == 1) {
      std::memcpy(slot, p, run * sizeof(Item));
    } else if (step == 0) {
      std::fill_n(slot, run, *p);
    } else {
      for (int64_t i = 0; i < run; ++i) slot[i] = p[i * step];
    }
    slot += run, n -= run, offset += run * step, at[last] += run;
    for (int64_t d = last; d > 0 && at[d] == plan.size[d]; --d) {  // carry, as an odometer does
      offset += plan.stride[k][d - 1] - at[d] * plan.stride[k][d];
      at[d] = 0, ++at[d - 1];
    }
  }
}

template <bool kToBuffer> void transfer(const Elementwise& c, int k, char* buffer, int64_t first, int64_t n) {
  char* data = static_cast<char*>(c.data[k]);
  switch (c.item_size[k]) {
    case 1: return transfer<uint8_t, kToBuffer>(c.plan, k, data, buffer, first, n);
    case 2: return transfer<uint16_t, kToBuffer>(c.plan, k, data, buffer, first, n);
    case 4: return transfer<uint32_t, kToBuffer>(c.plan, k, data, buffer, first, n);
    default: return transfer<uint64_t, kToBuffer>(c.plan, k, data, buffer, first, n);
  }
}

void part(const Elementwise& c, Run run, int64_t begin, int64_t end) {
  void* at[kMaxOperands] = {};
  if (c.plan.contiguous(c.operands)) {
    for (int k = 0; k < c.operands; ++k) at[k] = c.data[k] ? static_cast<char*>(c.data[k]) + begin * c.item_size[k] : nullptr;
    int64_t whole = (end - begin) / kQuantum * kQuantum;
    if (whole) run(whole, at, c.scalars);
    begin += whole;
  }
  if (begin == end) return;
  alignas(64) char buffer[kMaxOperands][kBlock * 8];
  for (int64_t n; begin < end; begin += n) {
    n = std::min(kBlock, end - begin);
    int64_t padded = (n + kQuantum - 1) / kQuantum * kQuantum;
    for (int k = 0; k < c.operands; ++k) {
      bool direct = !c.data[k] || (c.plan.dense >> k & 1 && n == padded);
      at[k] = !c.data[k] ? nullptr : direct ? static_cast<char*>(c.data[k]) + begin * c.item_size[k] : buffer[k];
      if (direct || k < c.outputs) continue;
      transfer<true>(c, k, buffer[k], begin, n);
      if (n < padded) std::memset(buffer[k] + n * c.item_size[k], 0, (padded - n) * c.item_size[k]);
    }
    run(padded, at, c.scalars);
    for (int k = 0; k < c.outputs; ++k)
      if (at[k] == buffer[k]) transfer<false>(c, k, buffer[k], begin, n);
  }
}

}  // namespace

void for_each_run(const Elementwise& c, Run run) {
  if (c.plan.count < kParallel) return part(c, run, 0, c.plan.count);
  // Shares are multiples of a block: they begin at cache lines, and only the last one has a ragged end.
  parallel_for(c.plan.count, kBlock, [&](int64_t begin, int64_t end) { part(c, run, begin, end); });
}

}  // namespace gradus::cpu
