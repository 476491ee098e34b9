#include "kernels/cuda/launch.h"

#include <algorithm>

namespace gradus::cuda {
namespace {

constexpr int64_t kMost = int64_t(1) << 30;  // well below 2^31: a thread's number rounds up to whole blocks

/// How far operand k goes along an axis.
int64_t along(const Plan& p, int k, int d) { return (p.size[d] - 1) * (p.stride[k][d] < 0 ? -p.stride[k][d] : p.stride[k][d]); }
/// The farthest element that an operand reaches, counted from its first.
int64_t reach_of(const Plan& p, int k) {
  int64_t last = 0;
  for (int d = 0; d < p.rank; ++d) last += along(p, k, d);
  return last;
}
/// Where to cut what is too much for one launch, or -1: where the operand that reaches too far goes farthest, so that each cut brings it nearer
/// (of few rows that lie far apart, columns could be cut again and again), or else the longest axis.
int axis_to_cut(const Plan& p, int operands) {
  int farthest = 0;
  for (int k = 1; k < operands; ++k)
    if (reach_of(p, k) > reach_of(p, farthest)) farthest = k;
  int d = 0;
  if (reach_of(p, farthest) > kMost) {
    for (int other = 1; other < p.rank; ++other)
      if (along(p, farthest, other) > along(p, farthest, d)) d = other;
    return d;
  }
  return p.count > kMost ? int(std::max_element(p.size, p.size + p.rank) - p.size) : -1;
}

bool packable(const Elementwise& c, const Plan& p, void* const* data, uint32_t items) {
  const int inner = p.rank - 1;
  if (items == 1 || p.count < items || (p.rank > 1 && p.size[inner] % items)) return false;
  for (int k = 0; k < c.operands; ++k) {
    if (!data[k]) continue;
    if (p.stride[k][inner] == 0 && k >= c.outputs) continue;  // one element for all
    if (p.stride[k][inner] != 1 || reinterpret_cast<uintptr_t>(data[k]) % (items * c.item_size[k])) return false;
    for (int d = 0; d < inner; ++d)
      if (p.stride[k][d] % items) return false;
  }
  return true;
}

void cut(const Elementwise& c, Plan p, void* const* data, uint32_t items, LaunchPart launch) {
  if (const int d = axis_to_cut(p, c.operands); d >= 0) {          // in two
    int64_t whole = p.size[d], half = (whole / 2 + 63) / 64 * 64;  // what was aligned stays so
    if (half >= whole) half = whole / 2;
    void* second[kMaxOperands] = {};
    for (int k = 0; k < c.operands; ++k)
      second[k] = data[k] ? static_cast<char*>(data[k]) + half * p.stride[k][d] * c.item_size[k] : nullptr;
    const int64_t rest = p.count / whole;
    p.size[d] = half, p.count = rest * half;
    cut(c, p, data, items, launch);
    p.size[d] = whole - half, p.count = rest * (whole - half);
    return cut(c, p, second, items, launch);
  }
  Part part;
  part.count = uint32_t(p.count);
  part.layout.rank = p.rank;
  for (int d = 0; d < p.rank; ++d) {
    int from = p.rank - 1 - d;
    part.layout.size[d] = Divider(uint32_t(p.size[from]));
    for (int k = 0; k < kMaxOperands; ++k) part.layout.stride[d][k] = k < c.operands ? int32_t(p.stride[k][from]) : 0;
  }
  for (int k = 0; k < kMaxOperands; ++k) part.data[k] = k < c.operands ? data[k] : nullptr;
  part.packs = packable(c, p, data, items) ? part.count / items : 0;
  part.single = part.packs * items;
  launch(part, c);
}

}  // namespace

void for_each_part(const Elementwise& c, uint32_t items, LaunchPart launch) {
  if (c.plan.count > 0) cut(c, c.plan, c.data, items, launch);
}

}  // namespace gradus::cuda
