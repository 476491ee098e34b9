// Products and distances that are broadcasts of elementwise ops.
#include <algorithm>
#include <cmath>

#include "gradus/ops/create.h"
#include "gradus/ops/matmul.h"
#include "gradus/ops/shape_ops.h"
#include "src/ops/op.h"

namespace gradus {

AnyTensor kron(const AnyTensor& a, const AnyTensor& b) {
  check_same("kron", a, b);
  Shape wide_a, wide_b, result;
  int rank = std::max(a.dim(), b.dim());
  for (int d = 0; d < rank; ++d) {
    int in_a = d - (rank - a.dim()), in_b = d - (rank - b.dim());
    int64_t n = in_a < 0 ? 1 : a.shape()[in_a], m = in_b < 0 ? 1 : b.shape()[in_b];
    wide_a.push_back(n), wide_a.push_back(1), wide_b.push_back(1), wide_b.push_back(m), result.push_back(n * m);
  }
  return reshape(reshape(a, wide_a) * reshape(b, wide_b), result);
}

AnyTensor cross(const AnyTensor& a, const AnyTensor& b, int64_t axis) {
  check_same("cross", a, b);
  std::vector<AnyTensor> both = broadcast_tensors({a, b});
  const AnyTensor &u = both[0], &v = both[1];
  int d = axis_of("cross", axis, u.dim());
  if (u.dim() == 0 || u.shape()[d] != 3 || a.dim() != b.dim())
    fail<ShapeError>("cross: shapes ", a.shape(), " and ", b.shape(), " have not 3 elements along axis ", axis);
  return roll(u, -1, d) * roll(v, -2, d) - roll(u, -2, d) * roll(v, -1, d);
}

AnyTensor cdist(const AnyTensor& a, const AnyTensor& b, double p) {
  check_float("cdist", a);
  check_same("cdist", a, b);
  if (a.dim() < 2 || b.dim() < 2 || a.shape()[-1] != b.shape()[-1])
    fail<ShapeError>("cdist: shapes ", a.shape(), " and ", b.shape(), " are not (..., n, d) and (..., m, d)");
  if (!(p >= 0)) fail<ValueError>("cdist: the norm's p is ", p);
  AnyTensor difference = abs(unsqueeze(a, -2) - unsqueeze(b, -3));  // (..., n, m, d)
  if (p == 0) return sum(to(difference != 0, a.dtype()), -1);
  if (p == 1) return sum(difference, -1);
  if (std::isinf(p)) {  // ties share the gradient as maximum() does
    AnyTensor most = difference.shape()[-1] > 0 ? select(difference, -1, 0) : sum(difference, -1);
    for (int64_t k = 1; k < difference.shape()[-1]; ++k) most = maximum(most, select(difference, -1, k));
    return most;
  }
  // At distance 0 the root has no slope; the gradient there is 0.
  AnyTensor total = sum(p == 2 ? square(difference) : pow(difference, p), -1), apart = total != 0;
  AnyTensor safe = where(apart, total, 1);
  return where(apart, p == 2 ? sqrt(safe) : pow(safe, 1 / p), 0);
}

namespace {
/// beta * x + y. Where beta is 0 nothing of x is to be seen, NaN neither.
AnyTensor plus_scaled(const AnyTensor& x, double beta, const AnyTensor& y) {
  return beta == 0 ? where(zeros({}, DType::boolean, y.device()), x, y) : x * beta + y;
}
}  // namespace

AnyTensor addbmm(const AnyTensor& x, const AnyTensor& a, const AnyTensor& b, const AddmmOptions& o) {
  check_same("addbmm", x, a), check_same("addbmm", a, b);
  if (a.dim() != 3 || b.dim() != 3)
    fail<ShapeError>("addbmm: shapes ", a.shape(), " and ", b.shape(), " are no batches of matrices");
  return plus_scaled(x, o.beta, sum(bmm(a, b), 0) * o.alpha);
}
AnyTensor addr(const AnyTensor& x, const AnyTensor& a, const AnyTensor& b, const AddmmOptions& o) {
  check_same("addr", x, a), check_same("addr", a, b);
  return plus_scaled(x, o.beta, outer(a, b) * o.alpha);
}

AnyTensor bilinear(const AnyTensor& a, const AnyTensor& b, const AnyTensor& weight, const AnyTensor& bias) {
  check_same("bilinear", a, b), check_same("bilinear", a, weight), check_rank("bilinear", "weight", weight, 3);
  int64_t out = weight.size(0), in1 = weight.size(1), in2 = weight.size(2);
  if (a.dim() < 1 || b.dim() < 1 || a.size(-1) != in1 || b.size(-1) != in2)
    fail<ShapeError>("bilinear: got ", a.shape(), " and ", b.shape(), "; the last sizes must be ", in1, " and ", in2);
  // b W[k]': for every output the vector that a is multiplied with.
  AnyTensor wb = unflatten(linear(b, reshape(weight, {out * in1, in2})), -1, {out, in1});  // (..., out, in1)
  AnyTensor y = squeeze(matmul(wb, unsqueeze(a, -1)), -1);                                 // (..., out)
  return bias ? y + bias : y;
}

}  // namespace gradus
