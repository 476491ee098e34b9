// How a reduction is laid out and cut, on the host. The numbers here decide the order of sums, so none of them is a property of the GPU.
#include "kernels/cuda/reduce_plan.h"

#include <algorithm>

#include "gradus/core/error.h"

namespace gradus::cuda {
namespace {

constexpr int64_t kFewBlocks = 2048;   // with fewer, results are cut into parts
constexpr int64_t kRowPart = 1 << 13;  // elements that a block takes at least
constexpr int64_t kColumnPart = 64;    // rows that a thread block takes at least
constexpr int64_t kMostParts = 4096;
constexpr int64_t kShortRow = 1 << 10;  // up to here a warp is enough
constexpr int64_t kAtOnce = 4;  // what a thread reads at once, so that fewer lanes are enough for rows of less than 32 times that

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

Axes axes_of(const char* op, int rank, const int64_t* size, const int64_t* x, const int64_t* y) {
  Axes a{};
  a.rank = rank;
  int64_t count = 1;
  for (int d = 0; d < rank; ++d) {
    int from = rank - 1 - d;
    a.step[d] = x[from], a.step_y[d] = y ? y[from] : 0;
    count *= size[from];
    if (rank > 1) a.size[d] = Divider(uint32_t(std::max<int64_t>(size[from], 1)));  // nothing is divided by 0
  }
  if (rank > 1 && count >= int64_t(1) << 31)
    throw Error(std::string(op) + ": " + std::to_string(count) +
                " elements that are not one run are too many; make x contiguous()");
  return a;
}

}  // namespace

ReducePlan plan_reduce(const char* op, const Array& y, const Array& x, const Array& center, ReduceKind kind, double p, int pack,
                       size_t sum_item) {
  cpu::Reduce r;
  cpu::lay_out(r, y, x);
  ReducePlan plan{};
  ReduceCall& c = plan.call;
  c.x = r.x, c.y = r.y, c.center = center.as<char>();
  c.kept = axes_of(op, r.kept_rank, r.kept, r.kept_x, r.kept_y);
  c.gone = axes_of(op, r.gone_rank, r.gone, r.gone_x, nullptr);
  c.outputs = r.outputs, c.depth = r.depth, c.kind = kind, c.p = p;
  c.x_type = x.dtype, c.y_type = y.dtype, c.y_item = r.y_item, c.sum_item = uint8_t(sum_item);
  c.parts = 1, c.part = r.depth, c.team_bits = 8;
  plan.blocks_y = 1;
  plan.by_rows = r.by_rows;
  if (r.outputs == 0) return plan;

  // Packs: runs of them without gaps, all beginning at multiples of their size.
  const int64_t bytes = int64_t(pack) * r.x_item;
  auto whole = [&](int rank, const int64_t* steps, int without) {
    for (int d = 0; d < rank; ++d)
      if (d != without && steps[d] % bytes) return false;
    return true;
  };
  const int run = r.gone_rank - 1, side = r.kept_rank - 1;
  const bool aligned = pack > 1 && reinterpret_cast<uintptr_t>(r.x) % size_t(bytes) == 0;
  if (r.by_rows) {
    plan.packed = aligned && r.gone_x[run] == r.x_item && r.gone[run] % pack == 0 && whole(r.gone_rank, r.gone_x, run) &&
                  (r.outputs == 1 || whole(r.kept_rank, r.kept_x, -1));
    if (r.depth <= kShortRow) {
      const int64_t reads = plan.packed ? r.depth / pack : r.depth;
      for (c.team_bits = 2; c.team_bits < 5 && (kAtOnce << c.team_bits) < reads;) ++c.team_bits;
    } else if (r.outputs < kFewBlocks) {
      int64_t parts = std::min({ceil_div(r.depth, kRowPart), ceil_div(kMostParts, r.outputs), kMostParts});
      c.part = ceil_div(ceil_div(r.depth, parts), 64) * 64;  // packs stay whole
      c.parts = int(ceil_div(r.depth, c.part)), c.by_outputs = Divider(uint32_t(r.outputs));
    }
    int64_t blocks = ceil_div(r.outputs * c.parts, kThreads >> c.team_bits);
    if (blocks > INT32_MAX) throw Error(std::string(op) + ": " + std::to_string(r.outputs) + " results are too many for one call");
    plan.blocks = unsigned(blocks);
    return plan;
  }
  plan.packed = aligned && r.kept_x[side] == r.x_item && r.kept[side] % pack == 0 && whole(r.kept_rank, r.kept_x, side) &&
                whole(r.gone_rank, r.gone_x, -1);
  const int64_t columns = 32 * (plan.packed ? pack : 1), wide = r.kept[side], column_blocks = ceil_div(wide, columns);
  const int64_t tasks = r.outputs / wide * column_blocks;
  if (wide > INT32_MAX / 2 || tasks > INT32_MAX)
    throw Error(std::string(op) + ": " + std::to_string(r.outputs) + " results are too many for one call");
  if (tasks < kFewBlocks) {
    int64_t parts = std::clamp<int64_t>(r.depth / kColumnPart, 1, ceil_div(kMostParts, tasks));
    c.part = std::max<int64_t>(ceil_div(r.depth, parts), 1);
    c.parts = int(ceil_div(r.depth, c.part));
  }
  c.wide = uint32_t(wide), c.column_blocks = uint32_t(column_blocks);
  plan.blocks = unsigned(tasks), plan.blocks_y = unsigned(c.parts);
  return plan;
}

}  // namespace gradus::cuda
