// Triangles, diagonals, and parts of a tensor replaced.
#include <algorithm>

#include "gradus/ops/create.h"
#include "gradus/ops/shape_ops.h"
#include "src/ops/region.h"

namespace gradus {
namespace {

AnyTensor triangle(const char* op, const AnyTensor& x, int64_t diagonal, bool upper) {
  check_defined(op, x);
  if (x.dim() < 2) fail<ShapeError>(op, ": shape ", x.shape(), " has fewer than 2 dimensions");
  AnyTensor y = empty(x.shape(), x.dtype(), x.device());
  diagonal = std::clamp<int64_t>(diagonal, -x.shape()[-2] - 1, x.shape()[-1] + 1);  // beyond that nothing changes
  if (y.numel() > 0) kernel(op, &KernelTable::triangle, x)(array(y), array(x), diagonal, upper);
  if (is_float(x.dtype()))
    record(op, y, {&x},
           [op, diagonal, upper](const AnyTensor& g, AnyTensor* grads) { grads[0] = triangle(op, g, diagonal, upper); });
  return y;
}

struct TwoAxes {
  int a, b;
  TwoAxes(const char* op, int64_t axis1, int64_t axis2, int rank) : a(axis_of(op, axis1, rank)), b(axis_of(op, axis2, rank)) {
    if (a == b || rank < 2) fail<ShapeError>(op, ": axes ", axis1, " and ", axis2, " of ", rank, " dimensions are not two");
  }
};

}  // namespace

AnyTensor tril(const AnyTensor& x, int64_t diagonal) { return triangle("tril", x, diagonal, false); }
AnyTensor triu(const AnyTensor& x, int64_t diagonal) { return triangle("triu", x, diagonal, true); }

AnyTensor diagonal(const AnyTensor& x, int64_t offset, int64_t axis1, int64_t axis2) {
  check_defined("diagonal", x);
  auto [a, b] = TwoAxes("diagonal", axis1, axis2, x.dim());
  int64_t rows = x.shape()[a], columns = x.shape()[b];
  int64_t down = offset < 0 ? std::min(rows, -std::max(offset, -rows)) : 0, right = offset > 0 ? std::min(columns, offset) : 0;
  int64_t length = std::max<int64_t>(0, std::min(rows - down, columns - right));
  Shape shape, stride;
  for (int d = 0; d < x.dim(); ++d)
    if (d != a && d != b) shape.push_back(x.shape()[d]), stride.push_back(x.stride()[d]);
  shape.push_back(length), stride.push_back(x.stride()[a] + x.stride()[b]);
  AnyTensor y = as_view(x, shape, stride, length ? down * x.stride()[a] + right * x.stride()[b] : 0);
  record("diagonal", y, {&x}, [from = x.shape(), offset, a = a, b = b](const AnyTensor& g, AnyTensor* grads) {
    grads[0] = part_in_zeros("diagonal_backward", g, from, [=](const AnyTensor& whole) { return diagonal(whole, offset, a, b); });
  });
  return y;
}

AnyTensor diag_embed(const AnyTensor& x, int64_t offset, int64_t axis1, int64_t axis2) {
  check_defined("diag_embed", x);
  if (x.dim() == 0) fail<ShapeError>("diag_embed: a scalar has no axis");
  auto [a, b] = TwoAxes("diag_embed", axis1, axis2, x.dim() + 1);
  int64_t n = x.shape()[-1], size;
  if (offset == INT64_MIN || __builtin_add_overflow(n, std::abs(offset), &size))
    fail<ShapeError>("diag_embed: offset ", offset, " makes more elements than can be counted");
  Shape shape;
  for (int d = 0, own = 0; d < x.dim() + 1; ++d) shape.push_back(d == a || d == b ? size : x.shape()[own++]);
  return part_in_zeros("diag_embed", x, shape, [offset, a = a, b = b](const AnyTensor& y) { return diagonal(y, offset, a, b); });
}

AnyTensor diag(const AnyTensor& x, int64_t offset) {
  check_defined("diag", x);
  if (x.dim() == 1) return diag_embed(x, offset);
  if (x.dim() == 2) return clone(diagonal(x, offset));
  fail<ShapeError>("diag: shape ", x.shape(), " is neither a vector nor a matrix");
}
AnyTensor diagflat(const AnyTensor& x, int64_t offset) {
  check_defined("diagflat", x);
  return diag_embed(reshape(x, {-1}), offset);
}
AnyTensor trace(const AnyTensor& x) {
  check_rank("trace", "x", x, 2);
  return sum(diagonal(x));
}

namespace {

template <class Part> AnyTensor replaced(const char* op, const AnyTensor& x, const AnyTensor& source, const Part& part) {
  check_same(op, x, source);
  Shape shape;
  {
    NoGrad no_grad;
    shape = part(x).shape();
  }
  if (!(source.shape() == shape)) fail<ShapeError>(op, ": source has shape ", source.shape(), ", the part of x has ", shape);
  return with_part(op, x, source, part);
}

}  // namespace

AnyTensor select_scatter(const AnyTensor& x, const AnyTensor& source, int64_t axis, int64_t index) {
  return replaced("select_scatter", x, source, [=](const AnyTensor& y) { return select(y, axis, index); });
}
AnyTensor slice_scatter(const AnyTensor& x, const AnyTensor& source, int64_t axis, int64_t start, int64_t end, int64_t step) {
  return replaced("slice_scatter", x, source, [=](const AnyTensor& y) { return slice(y, axis, start, end, step); });
}
AnyTensor diagonal_scatter(const AnyTensor& x, const AnyTensor& source, int64_t offset, int64_t axis1, int64_t axis2) {
  return replaced("diagonal_scatter", x, source, [=](const AnyTensor& y) { return diagonal(y, offset, axis1, axis2); });
}

}  // namespace gradus
