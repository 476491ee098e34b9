// Norms of matrices.
#include <cmath>

#include "gradus/ops/linalg.h"
#include "gradus/ops/reduce.h"
#include "gradus/ops/shape_ops.h"
#include "gradus/ops/view.h"
#include "src/ops/op.h"

namespace gradus::linalg {
namespace {

/// a with its matrices along the last two axes, and where they were.
struct Matrices {
  AnyTensor a;
  int rows, columns;
  Matrices(const char* op, const AnyTensor& x, const Shape& axes) {
    check_float(op, x);
    if (axes.rank != 2) fail<ShapeError>(op, ": a matrix has two axes, not ", axes.rank);
    if (x.dim() < 2) fail<ShapeError>(op, ": x has shape ", x.shape(), "; a matrix, or a batch of them, is needed");
    rows = axis_of(op, axes[0], x.dim()), columns = axis_of(op, axes[1], x.dim());
    if (rows == columns) fail<ShapeError>(op, ": axis ", axes[0], " is named twice");
    a = movedim(x, Shape{rows, columns}, Shape{-2, -1});
  }
  AnyTensor finish(const AnyTensor& y, bool keepdim) const {
    if (!keepdim) return y;
    int first = std::min(rows, columns), second = std::max(rows, columns);
    return unsqueeze(unsqueeze(y, first), second);
  }
};

}  // namespace

AnyTensor matrix_norm(const AnyTensor& a, NormKind kind, const Shape& axes, bool keepdim) {
  Matrices m("matrix_norm", a, axes);
  return m.finish(kind == NormKind::nuclear ? sum(svdvals(m.a), -1) : norm(m.a, 2, {-2, -1}), keepdim);
}

AnyTensor matrix_norm(const AnyTensor& a, double p, const Shape& axes, bool keepdim) {
  Matrices m("matrix_norm", a, axes);
  AnyTensor candidates;
  if (std::abs(p) == 2)
    candidates = svdvals(m.a);
  else if (std::abs(p) == 1 || std::isinf(p))
    candidates = sum(abs(m.a), std::isinf(p) ? -1 : -2);
  else
    fail<ValueError>("matrix_norm: p is ", p, "; 1, 2, infinity and their negatives are norms of matrices");
  return m.finish(p > 0 ? amax(candidates, -1) : amin(candidates, -1), keepdim);
}

AnyTensor cond(const AnyTensor& a, double p) {
  if (std::abs(p) != 2) return matrix_norm(a, p) * matrix_norm(inv(a), p);
  AnyTensor s = svdvals(a);
  if (s.size(-1) == 0) fail<ValueError>("cond: a has shape ", a.shape(), ", and no singular values");
  AnyTensor most = select(s, -1, 0), least = select(s, -1, s.size(-1) - 1);
  return p > 0 ? most / least : least / most;
}

}  // namespace gradus::linalg
