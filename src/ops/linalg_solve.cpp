// LU factors and what they give: solutions, inverses, determinants.
#include <limits>

#include "src/ops/linalg_common.h"

namespace gradus::linalg {
namespace {

constexpr const char *kSingular = "is singular: ", *kPivot = "no pivot other than zero in column ";

AnyTensor identity(const AnyTensor& like, int64_t n) { return weights(like, n, n, 0, 1, 0); }

AnyTensor solve_columns(const char* op, const AnyTensor& a, const AnyTensor& b, const Factors& f) {
  if (rows(b) != rows(a)) fail<ShapeError>(op, ": ", a.shape(), " and ", b.shape(), ": A has ", rows(a), " rows, B has ", rows(b));
  with_batch_of(op, a, b);  // checks
  AnyTensor x = solve_with(f, b, false);
  record("solve", x, {&a, &b}, [f, a = Saved(a), x = Saved::output(x)](const AnyTensor& g, AnyTensor* grads) {
    AnyTensor gb = is_grad_enabled() ? solve(mt(a()), g) : solve_with(f, g, true);
    if (wanted(0)) grads[0] = -matmul(gb, mt(x()));
    if (wanted(1)) grads[1] = gb;
  });
  return x;
}

AnyTensor solve_any(const char* op, const AnyTensor& a, const AnyTensor& b, const Factors& f) {
  bool vectors = b.dim() == 1;
  if (b.dim() == a.dim() - 1) {
    Shape shape = a.shape();
    --shape.rank;
    vectors = vectors || b.shape() == shape;
  }
  if (!vectors && b.dim() < 2) fail<ShapeError>(op, ": B of shape ", b.shape(), " is neither a vector nor a matrix");
  return vectors ? squeeze(solve_columns(op, a, unsqueeze(b, -1), f), -1) : solve_columns(op, a, b, f);
}

AnyTensor inverse(const AnyTensor& a, const Factors& f) {
  AnyTensor y = solve_with(f, identity(a, rows(a)), false);
  record("inv", y, {&a}, [y = Saved::output(y)](const AnyTensor& g, AnyTensor* grads) {
    AnyTensor t = mt(y());
    grads[0] = -matmul(matmul(t, g), t);
  });
  return y;
}

/// det(A) inv(A)', also where A is singular: a zero pivot is moved to one that is as good as zero.
AnyTensor cofactors(const Factors& f) {
  NoGrad no_grad;
  int64_t n = rows(f.lu);
  double tiny = f.lu.dtype() == DType::float32 ? 1e-20 : 1e-150;
  AnyTensor diagonal = expand(identity(f.lu, n), f.lu.shape()) > 0;
  Factors moved = f;
  moved.lu = where(diagonal & (f.lu == 0), tiny, f.lu);
  AnyTensor det = empty(batch_and(f.lu, {}), f.lu.dtype(), f.lu.device());
  kernel("det", &KernelTable::linalg_det, det)(array(det), {}, {}, array(dense(moved.lu)), array(f.pivots));
  return unsqueeze(unsqueeze(det, -1), -1) * solve_with(moved, identity(f.lu, n), true);
}

}  // namespace

AnyTensor solve(const AnyTensor& a, const AnyTensor& b) {
  check_pair("solve", a, b);
  Factors f = factor(a);
  check_info("solve", f.info, kSingular, kPivot);
  return solve_any("solve", a, b, f);
}
WithInfo<AnyTensor> solve_ex(const AnyTensor& a, const AnyTensor& b) {
  check_pair("solve_ex", a, b);
  Factors f = factor(a);
  return {solve_any("solve_ex", a, b, f), f.info};
}

AnyTensor inv(const AnyTensor& a) {
  check_square("inv", a);
  Factors f = factor(a);
  check_info("inv", f.info, kSingular, kPivot);
  return inverse(a, f);
}
WithInfo<AnyTensor> inv_ex(const AnyTensor& a) {
  check_square("inv_ex", a);
  Factors f = factor(a);
  return {inverse(a, f), f.info};
}

AnyTensor det(const AnyTensor& a) {
  check_square("det", a);
  Factors f = factor(a);
  AnyTensor y = empty(batch_and(a, {}), a.dtype(), a.device());
  kernel("det", &KernelTable::linalg_det, a)(array(y), {}, {}, array(f.lu), array(f.pivots));
  record("det", y, {&a}, [f, a = Saved(a), y = Saved::output(y)](const AnyTensor& g, AnyTensor* grads) {
    AnyTensor adjugate = is_grad_enabled() ? unsqueeze(unsqueeze(y(), -1), -1) * mt(inv(a())) : cofactors(f);
    grads[0] = unsqueeze(unsqueeze(g, -1), -1) * adjugate;
  });
  return y;
}

Slogdet<AnyTensor> slogdet(const AnyTensor& a) {
  check_square("slogdet", a);
  Factors f = factor(a);
  AnyTensor sign = empty(batch_and(a, {}), a.dtype(), a.device()), logabs = empty_like(sign);
  kernel("slogdet", &KernelTable::linalg_det, a)({}, array(sign), array(logabs), array(f.lu), array(f.pivots));
  record("slogdet", logabs, {&a}, [f, a = Saved(a)](const AnyTensor& g, AnyTensor* grads) {
    AnyTensor x = a();
    AnyTensor t = is_grad_enabled() ? mt(inv(x)) : solve_with(f, identity(x, rows(x)), true);
    grads[0] = unsqueeze(unsqueeze(g, -1), -1) * t;
  });
  return {sign, logabs};
}

AnyTensor logdet(const AnyTensor& a) {
  auto [sign, logabs] = slogdet(a);
  return where(sign < 0, std::numeric_limits<double>::quiet_NaN(), logabs);
}

WithInfo<LuFactor<AnyTensor>> lu_factor_ex(const AnyTensor& a) {
  check_matrix("lu_factor", a);
  Factors f = factor(a);
  int64_t m = rows(a), n = columns(a), k = m < n ? m : n;
  record("lu_factor", f.lu, {&a}, [=, pivots = Saved(f.pivots), lu = Saved::output(f.lu)](const AnyTensor& g, AnyTensor* grads) {
    auto [p, l, u] = lu_unpack(lu(), pivots());
    AnyTensor gl = lower(narrow(g, -1, 0, k), 0), gu = upper(narrow(g, -2, 0, k));
    AnyTensor l1 = narrow(l, -2, 0, k), u1 = narrow(u, -1, 0, k);  // square
    AnyTensor rest;                                                // the gradient of the rows or columns beyond the square
    if (m < n) {                                                   // the columns beyond are P L times those of U
      AnyTensor gu2 = narrow(gu, -1, k, n - k), u2 = narrow(u, -1, k, n - k);
      AnyTensor pushed = solve_triangular(mt(l1), gu2, {.upper = true, .unitriangular = true});
      gl = lower(gl - matmul(pushed, mt(u2)), 0), gu = narrow(gu, -1, 0, k);
      rest = slice_backward(pushed, batch_and(g, {m, n}), g.dim() - 1, k, 1);
    } else if (m > n) {  // the rows beyond are those of L times U
      AnyTensor gl2 = narrow(gl, -2, k, m - k), l2 = narrow(l, -2, k, m - k);
      AnyTensor pushed = solve_triangular(mt(u1), gl2, {.upper = false, .left = false});
      gu = upper(gu - matmul(mt(l2), pushed)), gl = narrow(gl, -2, 0, k);
      rest = slice_backward(pushed, batch_and(g, {m, n}), g.dim() - 2, k, 1);
    }
    AnyTensor inner = lower(matmul(mt(l1), gl), 0) + upper(matmul(gu, mt(u1)));
    inner = solve_triangular(mt(l1), inner, {.upper = true, .unitriangular = true});
    inner = solve_triangular(mt(u1), inner, {.upper = false, .left = false});
    if (m < n) inner = slice_backward(inner, batch_and(g, {m, n}), g.dim() - 1, 0, 1);
    if (m > n) inner = slice_backward(inner, batch_and(g, {m, n}), g.dim() - 2, 0, 1);
    grads[0] = matmul(p, rest ? inner + rest : inner);
  });
  return {{f.lu, f.pivots}, f.info};
}
LuFactor<AnyTensor> lu_factor(const AnyTensor& a) { return lu_factor_ex(a).value; }

Lu<AnyTensor> lu_unpack(const AnyTensor& lu, const AnyTensor& pivots) {
  check_matrix("lu_unpack", lu);
  check_dtype("lu_unpack", "the pivots", pivots, DType::int32);
  int64_t m = rows(lu), n = columns(lu), k = m < n ? m : n;
  if (!(pivots.shape() == batch_and(lu, {k})))
    fail<ShapeError>("lu_unpack: pivots of shape ", pivots.shape(), " do not go with factors of ", lu.shape());
  AnyTensor host = dense(pivots.to(kCPU));
  for (int64_t i = 0; i < host.numel(); ++i) {
    int32_t at = static_cast<const int32_t*>(host.raw_data())[i];
    if (at < 1 || at > m) fail<IndexError>("lu_unpack: pivot ", at, " is outside the rows 1 to ", m);
  }
  AnyTensor p = empty(batch_and(lu, {m, m}), lu.dtype(), lu.device());
  kernel("lu_unpack", &KernelTable::linalg_permutation, lu)(array(p), array(dense(pivots)));
  AnyTensor left = narrow(lu, -1, 0, k), right = narrow(lu, -2, 0, k);
  return {p, lower(left, 0) + weights(lu, m, k, 0, 1, 0), upper(right)};
}

Lu<AnyTensor> lu(const AnyTensor& a) {
  auto [packed, pivots] = lu_factor(a);
  return lu_unpack(packed, pivots);
}

AnyTensor lu_solve(const AnyTensor& lu, const AnyTensor& pivots, const AnyTensor& b, const LuSolveOptions& o) {
  check_pair("lu_solve", lu, b);
  if (b.dim() < 2) fail<ShapeError>("lu_solve: B of shape ", b.shape(), " is no matrix");
  if (!o.left) return mt(lu_solve(lu, pivots, mt(b), {.left = true, .adjoint = !o.adjoint}));
  if (rows(b) != rows(lu))
    fail<ShapeError>("lu_solve: ", lu.shape(), " and ", b.shape(), ": A has ", rows(lu), " rows, B has ", rows(b));
  auto [p, l, u] = lu_unpack(lu, pivots);
  if (!o.adjoint) return solve_triangular(u, solve_triangular(l, matmul(mt(p), b), {.upper = false, .unitriangular = true}));
  AnyTensor y = solve_triangular(mt(u), b, {.upper = false});
  return matmul(p, solve_triangular(mt(l), y, {.upper = true, .unitriangular = true}));
}

AnyTensor solve_triangular(const AnyTensor& a, const AnyTensor& b, const TriangularOptions& o) {
  check_pair("solve_triangular", a, b);
  if (b.dim() < 2) fail<ShapeError>("solve_triangular: B of shape ", b.shape(), " is no matrix; unsqueeze(-1) makes it one");
  if (!o.left) return mt(solve_triangular(mt(a), mt(b), {.upper = !o.upper, .unitriangular = o.unitriangular}));
  if (rows(b) != rows(a))
    fail<ShapeError>("solve_triangular: ", a.shape(), " and ", b.shape(), ": A has ", rows(a), " rows, B has ", rows(b));
  AnyTensor x, wide_a;
  {
    NoGrad no_grad;
    x = with_batch_of("solve_triangular", b, a).contiguous();
    if (x.impl()->storage.get() == b.impl()->storage.get()) x = x.clone();
    wide_a = with_batch_of("solve_triangular", a, b).contiguous();
  }
  kernel("solve_triangular", &KernelTable::linalg_solve_triangular, a)(array(x), array(wide_a), o.upper, o.unitriangular);
  record("solve_triangular", x, {&a, &b}, [o, a = Saved(a), x = Saved::output(x)](const AnyTensor& g, AnyTensor* grads) {
    AnyTensor gb = solve_triangular(mt(a()), g, {.upper = !o.upper, .unitriangular = o.unitriangular});
    if (wanted(0)) {
      AnyTensor ga = -matmul(gb, mt(x()));
      grads[0] = o.upper ? upper(ga, o.unitriangular ? 0 : 1) : lower(ga, o.unitriangular ? 0 : 1);
    }
    if (wanted(1)) grads[1] = gb;
  });
  return x;
}

AnyTensor matrix_power(const AnyTensor& a, int64_t n) {
  check_square("matrix_power", a);
  if (n < 0) return matrix_power(inv(a), -n);
  if (n == 0) return a * 0 + identity(a, rows(a));  // keeps its place in the graph
  AnyTensor square = a, power;
  for (;; square = matmul(square, square)) {
    if (n & 1) power = power ? matmul(power, square) : square;
    if ((n >>= 1) == 0) break;
  }
  return power.is_same(a) ? a.clone() : power;
}

}  // namespace gradus::linalg
