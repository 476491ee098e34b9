#include "kernels/cuda/product.h"

#include <algorithm>

namespace gradus::cuda {
namespace {

/// One factor while axes are merged.
struct Operand {
  bool copied = false;
  int64_t row, column;
  int64_t step[kMaxRank];  // of the batch's axes, 0 where one matrix serves all
};

/// Whether the vectors do not overlap, nor lie in another order than the library knows.
bool fits(int64_t size, int64_t count, int64_t within, int64_t leading) {
  return (within == 1 || size == 1) && (leading >= size || count == 1);
}

/// Rows that lie whole, or columns that do. False: neither.
bool lay(Factor* f, const Operand& o, int64_t rows, int64_t columns) {
  f->copied = o.copied;
  if (fits(columns, rows, o.column, o.row))
    f->columns = false, f->size = columns, f->count = rows, f->leading = o.row;
  else if (fits(rows, columns, o.row, o.column))
    f->columns = true, f->size = rows, f->count = columns, f->leading = o.column;
  else
    return false;
  if (f->count == 1) f->leading = f->size;  // whatever the stride of an axis of one says
  return true;
}

Operand operand_of(const Array& x) {
  Operand o;
  o.row = x.step(-2), o.column = x.step(-1);
  for (int d = 0; d + 2 < x.rank; ++d) o.step[d] = x.shape[d] == 1 ? 0 : x.stride[d];
  Factor f;
  if (lay(&f, o, x.size(-2), x.size(-1))) return o;
  const Unrepeated copy(x);
  o.copied = true, o.row = copy.to.step(-2), o.column = 1;
  for (int d = 0; d + 2 < x.rank; ++d) o.step[d] = copy.to.shape[d] == 1 ? 0 : copy.to.stride[d];
  return o;
}

}  // namespace

Unrepeated::Unrepeated(const Array& x) : from(x), to{nullptr, x.dtype, true, x.rank, 1, shape, dense} {
  for (int d = x.rank - 1; d >= 0; --d) {
    shape[d] = d + 2 < x.rank && x.stride[d] == 0 ? 1 : x.shape[d];
    dense[d] = to.count;
    to.count *= shape[d];
  }
  from.shape = shape, from.count = to.count;
  from.contiguous = false;
}

ProductPlan plan_product(const Array& y, const Array& a, const Array& b) {
  ProductPlan p;
  p.rows = y.size(-2), p.columns = y.size(-1), p.inner = a.size(-1);
  Operand left = operand_of(a), right = operand_of(b);

  // The batch's axes from the last one on: each joins the one within it where all steps go on.
  ProductPlan::Axis axes[kMaxRank];
  int rank = 0;
  int64_t y_step = p.rows * p.columns;
  for (int d = y.rank - 3; d >= 0; --d) {
    const ProductPlan::Axis axis{y.shape[d], y_step, left.step[d], right.step[d]};
    y_step *= axis.size;
    if (axis.size == 1) continue;
    if (rank > 0) {
      ProductPlan::Axis& within = axes[rank - 1];
      if (axis.a == within.a * within.size && axis.b == within.b * within.size) {
        within.size *= axis.size;
        continue;
      }
    }
    axes[rank++] = axis;
  }

  // One b along the innermost axis, and rows of a that go on from matrix to matrix: they are rows of one matrix.
  if (rank > 0 && axes[0].b == 0 && (p.rows == 1 || axes[0].a == p.rows * left.row)) {
    Operand longer = left;
    if (p.rows == 1) longer.row = axes[0].a;
    Factor f;
    if (lay(&f, longer, p.rows * axes[0].size, p.inner)) {
      left = longer, p.rows *= axes[0].size;
      std::copy(axes + 1, axes + rank, axes);
      --rank;
    }
  }
  lay(&p.a, left, p.rows, p.inner);
  lay(&p.b, right, p.inner, p.columns);

  // One call does the longest axis.
  if (rank > 0) {
    ProductPlan::Axis* longest = std::max_element(axes, axes + rank, [](auto& p, auto& q) { return p.size < q.size; });
    p.batches = longest->size, p.y_step = longest->y, p.a.step = longest->a, p.b.step = longest->b;
    for (ProductPlan::Axis* axis = axes; axis < axes + rank; ++axis)
      if (axis != longest) p.calls[p.calls_rank++] = *axis;
  }
  return p;
}

bool fits(const ProductPlan& p, DType type, const After& after) {
  if (after.what == Epilogue::none || after.what == Epilogue::bias) return true;
  if (after.what != Epilogue::sums && !is_half(type)) return false;
  auto aligned = [](const Array& x) { return reinterpret_cast<uintptr_t>(x.data) % 16 == 0; };
  return p.batches == 1 && p.calls_rank == 0 && aligned(after.vector) && aligned(after.h) && (!after.h || p.columns % 8 == 0);
}

}  // namespace gradus::cuda
