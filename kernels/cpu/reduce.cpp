#include "kernels/cpu/reduce.h"

#include <algorithm>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/scratch.h"

namespace gradus::cpu {
namespace {

constexpr int64_t kFewResults = 64;  // fewer tasks than this and the elements of each are cut into parts
constexpr int64_t kRowPart = 1 << 15;
constexpr int64_t kColumnPart = 1 << 16;
constexpr int64_t kShortRun = 8;  // shorter runs are not worth a packet each: neighbouring results are taken side by side

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Appends an axis to those kept or gone: in order of falling steps, merged with its neighbour where the two are one run.
struct Axis {
  int64_t size, x, y;
};
int64_t magnitude(int64_t step) { return step < 0 ? -step : step; }
int insert(Axis* axes, int count, Axis a) {
  int at = count;
  for (; at > 0 && magnitude(axes[at - 1].x) < magnitude(a.x); --at) axes[at] = axes[at - 1];
  axes[at] = a;
  return count + 1;
}
int merge(const Axis* axes, int count, int64_t* size, int64_t* x, int64_t* y) {
  int rank = 0;
  for (int i = 0; i < count; ++i) {
    const Axis& a = axes[i];
    bool joins = rank > 0 && x[rank - 1] == a.x * a.size && (!y || y[rank - 1] == a.y * a.size);
    if (joins)
      size[rank - 1] *= a.size;
    else
      size[rank++] = a.size;
    x[rank - 1] = a.x;
    if (y) y[rank - 1] = a.y;
  }
  return rank;
}

/// Few results with many elements each: the elements are cut into parts.
void rows_in_parts(const Reduce& r, const Fold& fold) {
  int64_t part = ceil_div(r.depth, ceil_div(r.depth, kRowPart)), parts = ceil_div(r.depth, part);
  Scratch scratch(size_t(r.outputs * parts) * r.sum_item);
  char* sums = scratch.as<char>();
  parallel_for(r.outputs * parts, 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      int64_t begin = i % parts * part;
      fold.row_part(r, i / parts, begin, std::min(begin + part, r.depth), sums + i * r.sum_item);
    }
  });
  for (int64_t i = 0; i < r.outputs; ++i) {
    char* mine = sums + i * parts * r.sum_item;
    for (int64_t n = parts, half; n > 1; n = half) half = (n + 1) / 2, fold.join(mine, mine + half * r.sum_item, n - half);
    int64_t y = r.place(i, r.kept_rank - 1).y;
    fold.finish(r, {nullptr, r.center_of(y), r.y + y, 1}, mine);
  }
}

void by_rows(const Reduce& r, const Fold& fold) {
  if (r.outputs < kFewResults && r.depth >= 2 * kRowPart) return rows_in_parts(r, fold);
  if (r.outputs * r.depth < kParallel) return fold.rows(r, 0, r.outputs);
  parallel_for(r.outputs, kParallel / std::max<int64_t>(r.depth, 1),
               [&](int64_t first, int64_t last) { fold.rows(r, first, last); });
}

void by_columns(const Reduce& r, const Fold& fold) {
  const int last = r.kept_rank - 1;
  const int64_t wide = r.kept[last], blocks = ceil_div(wide, kMaxWidth), width = (ceil_div(wide, blocks) + 15) / 16 * 16;
  const int64_t tasks = r.outputs / wide * blocks;
  int64_t parts = 1;
  if (tasks < kFewResults) parts = std::clamp<int64_t>(r.depth * width / kColumnPart, 1, std::min(kFewResults / tasks, r.depth));
  const int64_t part = (ceil_div(r.depth, parts) + 3) / 4 * 4;  // rows are taken by fours
  parts = ceil_div(r.depth, part);

  auto columns = [&](int64_t task) {
    int64_t begin = task % blocks * width;
    Reduce::Place at = r.place(task / blocks, last - 1);
    at.x += begin * r.kept_x[last], at.y += begin * r.kept_y[last];
    return Columns{r.x + at.x, r.center_of(at.y), r.y + at.y, std::min(width, wide - begin)};
  };
  if (parts == 1) {
    auto run = [&](int64_t first, int64_t last) {
      alignas(64) char sums[kMaxWidth * 8];
      for (int64_t i = first; i < last; ++i) {
        Columns c = columns(i);
        fold.columns(r, c, 0, r.depth, sums);
        fold.finish(r, c, sums);
      }
    };
    if (r.outputs * r.depth < kParallel) return run(0, tasks);
    return parallel_for(tasks, kParallel / (r.depth * width), run);
  }
  const int64_t stride = tasks * width;  // between the accumulators of two parts
  Scratch scratch(size_t(parts * stride) * r.sum_item);
  char* sums = scratch.as<char>();
  parallel_for(parts * tasks, 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      int64_t begin = i / tasks * part;
      fold.columns(r, columns(i % tasks), begin, std::min(begin + part, r.depth), sums + i * width * r.sum_item);
    }
  });
  for (int64_t n = parts, half; n > 1; n = half) {
    half = (n + 1) / 2;
    fold.join(sums, sums + half * stride * r.sum_item, (n - half) * stride);
  }
  for (int64_t i = 0; i < tasks; ++i) fold.finish(r, columns(i), sums + i * width * r.sum_item);
}

}  // namespace

void lay_out(Reduce& r, const Array& y, const Array& x) {
  r.x = x.as<char>(), r.y = y.as<char>(), r.center = nullptr, r.gather = nullptr;
  r.y_type = y.dtype, r.x_item = uint8_t(item_size(x.dtype)), r.y_item = uint8_t(item_size(y.dtype));
  r.outputs = y.count, r.depth = 1;
  if (x.contiguous && y.count == 1) {  // the commonest: all of a row-major tensor
    r.depth = r.gone[0] = x.count;
    r.kept_rank = r.gone_rank = 1;
    r.kept[0] = 1, r.kept_x[0] = r.gone_x[0] = r.x_item, r.kept_y[0] = r.y_item;
    r.by_rows = true;
    return;
  }
  Axis kept[kMaxRank], gone[kMaxRank];
  int kept_count = 0, gone_count = 0;
  const int missing = x.rank - y.rank;
  for (int d = 0; d < x.rank; ++d) {
    bool goes = d < missing || y.shape[d - missing] == 1;
    if (goes) r.depth *= x.shape[d];
    if (x.shape[d] == 1) continue;
    if (goes)
      gone_count = insert(gone, gone_count, {x.shape[d], x.stride[d] * r.x_item, 0});
    else
      kept_count = insert(kept, kept_count, {x.shape[d], x.stride[d] * r.x_item, y.stride[d - missing] * r.y_item});
  }
  if (gone_count == 0) gone[gone_count++] = {1, r.x_item, 0};
  if (kept_count == 0) kept[kept_count++] = {1, r.x_item, r.y_item};
  r.kept_rank = merge(kept, kept_count, r.kept, r.kept_x, r.kept_y);
  r.gone_rank = merge(gone, gone_count, r.gone, r.gone_x, nullptr);

  const int64_t side = r.kept[r.kept_rank - 1], run = r.gone[r.gone_rank - 1];
  const int64_t side_step = magnitude(r.kept_x[r.kept_rank - 1]), run_step = magnitude(r.gone_x[r.gone_rank - 1]);
  r.by_rows = run_step == r.x_item || (side_step != r.x_item && run_step < side_step);
  if (run < kShortRun && side >= 16) r.by_rows = false;
  if (r.outputs == 1 || r.depth == 0) r.by_rows = true;
}

void reduce(const Reduce& r, const Fold& fold) {
  if (r.outputs == 0) return;
  if (r.by_rows)
    by_rows(r, fold);
  else
    by_columns(r, fold);
}

}  // namespace gradus::cpu
