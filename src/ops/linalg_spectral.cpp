// Eigenvalues of symmetric matrices, singular values, and the pseudo-inverse.
#include <cmath>

#include "src/ops/linalg_common.h"

namespace gradus::linalg {
namespace {

constexpr const char *kDiverges = "did not converge; it may hold NaN or infinity", *kCode = ": code ";

/// 1 / (v_j - v_i) off the diagonal, 0 on it.
AnyTensor gaps(const AnyTensor& v) {
  int64_t n = v.shape()[-1];
  AnyTensor difference = unsqueeze(v, -2) - unsqueeze(v, -1) + weights(v, n, n, 0, 1, 0);
  return weights(v, n, n, 1, 0, 1) / difference;
}
AnyTensor eigh_gradient(const AnyTensor& w, const AnyTensor& v, const AnyTensor& gw, const AnyTensor& gv) {
  AnyTensor inner;
  if (gv) inner = matmul(mt(v), gv) * gaps(w);
  if (gw) {
    int64_t n = w.shape()[-1];
    AnyTensor on_diagonal = unsqueeze(gw, -1) * weights(w, n, n, 0, 1, 0);
    inner = inner ? inner + on_diagonal : on_diagonal;
  }
  AnyTensor ga = matmul(matmul(v, inner), mt(v));
  return gv ? (ga + mt(ga)) * 0.5 : ga;  // A is symmetric, and so is what moves it
}

/// Townsend, "Differentiating the singular value decomposition" (2016).
AnyTensor svd_gradient(const AnyTensor& u, const AnyTensor& s, const AnyTensor& vh, const AnyTensor* gs) {
  int64_t m = rows(u), n = columns(vh), k = s.shape()[-1];
  const AnyTensor &gu = gs[0], &gsv = gs[1], &gvh = gs[2];
  AnyTensor inner, f, beyond;
  if (gu || gvh) f = gaps(s * s);  // 1 / (s_j^2 - s_i^2)
  if (gsv) inner = unsqueeze(gsv, -1) * weights(s, k, k, 0, 1, 0);
  if (gu) {
    AnyTensor t = matmul(mt(u), gu);
    AnyTensor part = scale_columns(f * (t - mt(t)), s);
    inner = inner ? inner + part : part;
  }
  if (gvh) {
    AnyTensor t = matmul(vh, mt(gvh));
    AnyTensor part = scale_rows(s, f * (t - mt(t)));
    inner = inner ? inner + part : part;
  }
  AnyTensor ga = matmul(matmul(u, inner), vh);
  if (gu && m > k) {
    AnyTensor outside = gu - matmul(u, matmul(mt(u), gu));
    ga = ga + matmul(scale_columns(outside, 1 / s), vh);
  }
  if (gvh && n > k) {
    AnyTensor outside = gvh - matmul(matmul(gvh, mt(vh)), vh);
    ga = ga + matmul(u, scale_rows(1 / s, outside));
  }
  return ga;
}

AnyTensor eigenvalues_only(const AnyTensor& a) {
  NoGrad no_grad;
  AnyTensor w = empty(batch_and(a, {rows(a)}), a.dtype(), a.device());
  Tensor<int32_t> info = empty<int32_t>(batch_and(a, {}), a.device());
  kernel("eigvalsh", &KernelTable::linalg_eigh, a)(array(w), {}, array(info), array(dense(a)));
  check_info("eigvalsh", info, kDiverges, kCode);
  return w;
}
AnyTensor singular_values_only(const AnyTensor& a) {
  NoGrad no_grad;
  int64_t k = rows(a) < columns(a) ? rows(a) : columns(a);
  AnyTensor s = empty(batch_and(a, {k}), a.dtype(), a.device());
  Tensor<int32_t> info = empty<int32_t>(batch_and(a, {}), a.device());
  kernel("svdvals", &KernelTable::linalg_svd, a)({}, array(s), {}, array(info), array(dense(a)));
  check_info("svdvals", info, kDiverges, kCode);
  return s;
}

/// True where a singular value counts as more than zero.
AnyTensor kept(const AnyTensor& a, const AnyTensor& s, const PinvOptions& o) {
  double epsilon = a.dtype() == DType::float32 ? 0x1p-23 : 0x1p-52;
  double rtol = o.rtol >= 0 ? o.rtol : o.atol > 0 ? 0 : epsilon * double(rows(a) > columns(a) ? rows(a) : columns(a));
  // The largest is the first: of |eigenvalues|, at one of the ends.
  AnyTensor first = narrow(s, -1, 0, s.shape()[-1] ? 1 : 0);
  if (s.shape()[-1] && o.hermitian) first = maximum(first, narrow(s, -1, -1, 1));
  if (!s.shape()[-1]) return s > 0;
  return s > maximum(first * rtol, o.atol);
}

/// Without a graph: V diag(1/s) U' over the singular values that are kept.
AnyTensor pinv_forward(const AnyTensor& a, const PinvOptions& o) {
  NoGrad no_grad;
  if (a.numel() == 0) return zeros(batch_and(a, {columns(a), rows(a)}), a.dtype(), a.device());
  if (o.hermitian) {
    auto [w, v] = eigh(a);
    AnyTensor size = abs(w), inverse = where(kept(a, size, o), 1 / w, 0);
    return matmul(scale_columns(v, inverse), mt(v));
  }
  auto [u, s, vh] = svd(a, false);
  AnyTensor inverse = where(kept(a, s, o), 1 / s, 0);
  return matmul(scale_columns(mt(vh), inverse), mt(u));
}

}  // namespace

Eigh<AnyTensor> eigh(const AnyTensor& a, bool upper) {
  check_square("eigh", a);
  std::vector<AnyTensor> out{empty(batch_and(a, {rows(a)}), a.dtype(), a.device()), empty(a.shape(), a.dtype(), a.device())};
  Tensor<int32_t> info = empty<int32_t>(batch_and(a, {}), a.device());
  kernel("eigh", &KernelTable::linalg_eigh, a)(array(out[0]), array(out[1]), array(info), array(dense(upper ? mt(a.detach()) : a)));
  check_info("eigh", info, kDiverges, kCode);
  record_many("eigh", out, {&a}, [w = Saved::output(out[0], 0), v = Saved::output(out[1], 1)](AnyTensor* gs, AnyTensor* grads) {
    grads[0] = eigh_gradient(w(), v(), gs[0], gs[1]);
  });
  return {out[0], out[1]};
}
AnyTensor eigvalsh(const AnyTensor& a, bool upper) {
  check_square("eigvalsh", a);
  if (is_grad_enabled() && a.requires_grad()) return eigh(a, upper).values;
  return eigenvalues_only(upper ? mt(a) : a);
}

Svd<AnyTensor> svd(const AnyTensor& a, bool full_matrices) {
  check_matrix("svd", a);
  int64_t m = rows(a), n = columns(a), k = m < n ? m : n;
  bool full = full_matrices && m != n;
  std::vector<AnyTensor> out{empty(batch_and(a, {m, full ? m : k}), a.dtype(), a.device()),
                             empty(batch_and(a, {k}), a.dtype(), a.device()),
                             empty(batch_and(a, {full ? n : k, n}), a.dtype(), a.device())};
  Tensor<int32_t> info = empty<int32_t>(batch_and(a, {}), a.device());
  kernel("svd", &KernelTable::linalg_svd, a)(array(out[0]), array(out[1]), array(out[2]), array(info), array(dense(a)));
  check_info("svd", info, kDiverges, kCode);
  record_many(
      "svd", out, {&a},
      [full, k, u = Saved::output(out[0], 0), s = Saved::output(out[1], 1), vh = Saved::output(out[2], 2)](AnyTensor* gs,
                                                                                                           AnyTensor* grads) {
        if (!full) {
          grads[0] = svd_gradient(u(), s(), vh(), gs);
          return;
        }
        if (gs[0] || gs[2])
          fail<GraphError>("svd: the full U and V' of a matrix that is not square have no gradient; pass full_matrices = false");
        grads[0] = svd_gradient(narrow(u(), -1, 0, k), s(), narrow(vh(), -2, 0, k), gs);
      });
  return {out[0], out[1], out[2]};
}
AnyTensor svdvals(const AnyTensor& a) {
  check_matrix("svdvals", a);
  if (is_grad_enabled() && a.requires_grad()) return svd(a, false).s;
  return singular_values_only(a);
}

AnyTensor pinv(const AnyTensor& a, const PinvOptions& o) {
  o.hermitian ? check_square("pinv", a) : check_matrix("pinv", a);
  AnyTensor y = pinv_forward(a, o);
  // Golub and Pereyra, "The differentiation of pseudo-inverses" (1973), at constant rank.
  record("pinv", y, {&a}, [a = Saved(a), y = Saved::output(y)](const AnyTensor& g, AnyTensor* grads) {
    AnyTensor x = a(), p = y(), pt = mt(p), gt = mt(g);
    if (rows(x) <= columns(x)) {
      AnyTensor k = matmul(gt, p), kp = matmul(k, pt);
      grads[0] = kp - mt(matmul(p, k)) - matmul(matmul(x, p), kp) + matmul(matmul(pt, p), gt - matmul(k, x));
    } else {
      AnyTensor k = matmul(p, gt), pk = matmul(pt, k);
      grads[0] = pk - mt(matmul(k, p)) + matmul(matmul(gt - matmul(x, k), p), pt) - matmul(matmul(pk, p), x);
    }
  });
  return y;
}

Tensor<int64_t> matrix_rank(const AnyTensor& a, const PinvOptions& o) {
  o.hermitian ? check_square("matrix_rank", a) : check_matrix("matrix_rank", a);
  NoGrad no_grad;
  if (a.numel() == 0) return zeros<int64_t>(batch_and(a, {}), a.device());
  AnyTensor s = o.hermitian ? abs(eigenvalues_only(a)) : singular_values_only(a);
  return Tensor<int64_t>(sum(kept(a, s, o), -1));
}

}  // namespace gradus::linalg
