#include "src/ops/linalg_common.h"

namespace gradus::linalg {
namespace {

struct Householder {
  AnyTensor qr, tau;
};
Householder householder(const AnyTensor& a) {
  NoGrad no_grad;
  int64_t k = rows(a) < columns(a) ? rows(a) : columns(a);
  Householder h{empty(a.shape(), a.dtype(), a.device()), empty(batch_and(a, {k}), a.dtype(), a.device())};
  kernel("qr", &KernelTable::linalg_geqrf, a)(array(h.qr), array(h.tau), array(dense(a)));
  return h;
}
/// The first n columns of Q.
AnyTensor q_of(const Householder& h, int64_t n) {
  AnyTensor q = empty(batch_and(h.qr, {rows(h.qr), n}), h.qr.dtype(), h.qr.device());
  kernel("qr", &KernelTable::linalg_orgqr, q)(array(q), array(dense(h.qr)), array(dense(h.tau)));
  return q;
}

/// Walter and Lehmann, "Algorithmic differentiation of linear algebra functions" (2010), 4.4: with M = gR R' - Q' gQ and
/// copyltu(M) its upper triangle reflected, gA = (gQ + Q copyltu(M)) R^-T. Columns beyond the square are Q times those of R.
AnyTensor qr_gradient(const AnyTensor& q, const AnyTensor& r, AnyTensor gq, AnyTensor gr) {
  int64_t m = rows(q), n = columns(r);
  gq = gq ? gq : zeros_like(q), gr = gr ? gr : zeros_like(r);
  AnyTensor r1 = r, rest;
  if (m < n) {
    AnyTensor gr2 = narrow(gr, -1, m, n - m);
    gq = gq + matmul(q, matmul(narrow(r, -1, m, n - m), mt(gr2)));
    rest = slice_backward(matmul(q, gr2), r.shape(), r.dim() - 1, m, 1);
    gr = narrow(gr, -1, 0, m), r1 = narrow(r, -1, 0, m);
  }
  AnyTensor inner = upper(matmul(upper(gr), mt(r1)) - matmul(mt(q), gq), 0.5);
  AnyTensor ga = solve_triangular(mt(r1), gq + matmul(q, inner + mt(inner)), {.upper = false, .left = false});
  return rest ? slice_backward(ga, r.shape(), r.dim() - 1, 0, 1) + rest : ga;
}

/// Q c = (I - tau_1 v_1 v_1') ... (I - tau_k v_k v_k') c, or Q' c, by public ops: the gradient comes by itself.
AnyTensor reflected(const AnyTensor& a, const AnyTensor& tau, AnyTensor c, bool transposed) {
  AnyTensor v = lower(a, 0) + weights(a, rows(a), columns(a), 0, 1, 0);
  for (int64_t k = tau.size(-1), step = 0; step < k; ++step) {
    int64_t i = transposed ? step : k - 1 - step;
    AnyTensor column = narrow(v, -1, i, 1);
    c = c - matmul(column * unsqueeze(narrow(tau, -1, i, 1), -1), matmul(mt(column), c));
  }
  return c;
}

}  // namespace

Qr<AnyTensor> qr(const AnyTensor& a, QrMode mode) {
  check_matrix("qr", a);
  int64_t m = rows(a), n = columns(a), k = m < n ? m : n;
  int64_t width = mode == QrMode::complete ? m : k;
  Householder h = householder(a);
  std::vector<AnyTensor> out(2);
  {
    NoGrad no_grad;
    if (mode != QrMode::r) out[0] = q_of(h, width);
    out[1] = upper(narrow(h.qr, -2, 0, width));
  }
  if (mode == QrMode::r) {
    record("qr", out[1], {&a}, [](const AnyTensor&, AnyTensor*) {
      fail<GraphError>("qr: mode r keeps no Q, without which there is no gradient; use QrMode::reduced");
    });
    return {{}, out[1]};
  }
  bool thin = width == k;
  record_many("qr", out, {&a}, [thin, q = Saved::output(out[0], 0), r = Saved::output(out[1], 1)](AnyTensor* gs, AnyTensor* grads) {
    if (!thin) fail<GraphError>("qr: complete Q of a tall matrix has no gradient; use QrMode::reduced");
    grads[0] = qr_gradient(q(), r(), gs[0], gs[1]);
  });
  return {out[0], out[1]};
}

Reflectors<AnyTensor> geqrf(const AnyTensor& a) {
  check_matrix("geqrf", a);
  Householder h = householder(a);
  record_without_gradient("geqrf", h.qr, {&a}), record_without_gradient("geqrf", h.tau, {&a});
  return {h.qr, h.tau};
}

AnyTensor householder_product(const AnyTensor& a, const AnyTensor& tau) {
  check_same("householder_product", a, tau);
  check_matrix("householder_product", a);
  int64_t m = rows(a), n = columns(a), k = tau.dim() ? tau.size(-1) : -1;
  if (k < 0 || !(tau.shape() == batch_and(a, {k})) || k > n || n > m)
    fail<ShapeError>("householder_product: ", a.shape(), " and tau of ", tau.shape(),
                     "; needed are (..., m, n) and (..., k) with m >= n >= k");
  if (!is_grad_enabled() || (!a.requires_grad() && !tau.requires_grad())) return q_of({a, tau}, n);
  return reflected(a, tau, expand(weights(a, m, n, 0, 1, 0), a.shape()), false);
}

AnyTensor ormqr(const AnyTensor& a, const AnyTensor& tau, const AnyTensor& c, const OrmqrOptions& o) {
  check_same("ormqr", a, tau), check_same("ormqr", a, c);
  check_matrix("ormqr", a), check_matrix("ormqr", c);
  int64_t m = rows(a), k = tau.dim() ? tau.size(-1) : -1;
  if (k < 0 || !(tau.shape() == batch_and(a, {k})) || k > columns(a) || k > m)
    fail<ShapeError>("ormqr: ", a.shape(), " and tau of ", tau.shape(), "; needed are (..., m, n) and (..., k) with m, n >= k");
  if ((o.left ? rows(c) : columns(c)) != m)
    fail<ShapeError>("ormqr: C of shape ", c.shape(), " does not fit Q, which is ", m, " by ", m);
  if (!o.left) return mt(ormqr(a, tau, mt(c), {.left = true, .transpose = !o.transpose}));
  return reflected(a, tau, c, o.transpose);
}

}  // namespace gradus::linalg
