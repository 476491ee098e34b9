#include "src/ops/linalg_common.h"

namespace gradus::linalg {
namespace {

/// Murray, "Differentiation of the Cholesky decomposition" (2016), (10): L^-T sym(tril(L' g)) L^-1.
AnyTensor cholesky_lower(const AnyTensor& a, Tensor<int32_t>& info) {
  AnyTensor l = empty(a.shape(), a.dtype(), a.device());
  info = empty<int32_t>(batch_and(a, {}), a.device());
  kernel("cholesky", &KernelTable::linalg_cholesky, a)(array(l), array(info), array(dense(a)));
  record("cholesky", l, {&a}, [l = Saved::output(l)](const AnyTensor& g, AnyTensor* grads) {
    AnyTensor factor = l(), phi = lower(matmul(mt(factor), g), 0.5);
    AnyTensor s = solve_triangular(mt(factor), phi);
    s = solve_triangular(factor, s, {.upper = false, .left = false});
    grads[0] = (s + mt(s)) * 0.5;
  });
  return l;
}

AnyTensor cholesky_any(const char* op, const AnyTensor& a, bool upper, Tensor<int32_t>& info) {
  check_square(op, a);
  return upper ? mt(cholesky_lower(mt(a), info)) : cholesky_lower(a, info);
}

}  // namespace

AnyTensor cholesky(const AnyTensor& a, bool upper) {
  Tensor<int32_t> info;
  AnyTensor factor = cholesky_any("cholesky", a, upper, info);
  check_info("cholesky", info, "is not positive definite: ", "it fails at the leading block of size ");
  return factor;
}
WithInfo<AnyTensor> cholesky_ex(const AnyTensor& a, bool upper) {
  Tensor<int32_t> info;
  AnyTensor factor = cholesky_any("cholesky_ex", a, upper, info);
  return {factor, info};
}

AnyTensor cholesky_solve(const AnyTensor& b, const AnyTensor& factor, bool upper) {
  check_pair("cholesky_solve", factor, b);
  AnyTensor x;
  {
    NoGrad no_grad;
    AnyTensor l = upper ? mt(factor) : factor;
    x = solve_triangular(mt(l), solve_triangular(l, b, {.upper = false}));
  }
  // A = L L', so dA = dL L' + L dL', and the gradient of A is -gB X'. Its part in the other triangle is that of a factor without zeros.
  record("cholesky_solve", x, {&b, &factor},
         [upper, factor = Saved(factor), x = Saved::output(x)](const AnyTensor& g, AnyTensor* grads) {
           AnyTensor f = factor(), gb = cholesky_solve(g, f, upper);
           if (wanted(0)) grads[0] = gb;
           if (!wanted(1)) return;
           AnyTensor ga = matmul(gb, mt(x())), both = ga + mt(ga);
           grads[1] = -(upper ? matmul(f, both) : matmul(both, f));
         });
  return x;
}

AnyTensor cholesky_inverse(const AnyTensor& factor, bool upper) {
  check_square("cholesky_inverse", factor);
  return cholesky_solve(weights(factor, rows(factor), rows(factor), 0, 1, 0), factor, upper);
}

}  // namespace gradus::linalg
