// Functions of mathematics beyond ops.def, made of other ops and computed in double whatever the dtype: right rather than fast. Gradients
// of any order, except where it is said.
#pragma once
#include "gradus/ops/elementwise.h"

namespace gradus::special {

/// The logarithm of the magnitude of the gamma function; infinity at 0, -1, -2, ...
AnyTensor lgamma(const AnyTensor& x);
/// Its derivative: -infinity at 0, NaN at -1, -2, ...
AnyTensor digamma(const AnyTensor& x);
/// The n-th derivative of digamma. Throws ValueError for n < 0 and elements below -1000.
AnyTensor polygamma(int64_t n, const AnyTensor& x);
/// lgamma(x) + lgamma(x - 1/2) + ... of p terms, plus p (p - 1) / 4 log(pi): of the gamma function of p variables.
AnyTensor multigammaln(const AnyTensor& x, int64_t p);
/// Hurwitz's zeta function: the sum of (q + k)^-s over k = 0, 1, ...; infinity at poles, NaN for s < 1. Has no gradient. Throws ValueError
/// for q below -1000.
AnyTensor zeta(const AnyTensor& s, const AnyTensor& q);

/// x with erf(x) = y; infinite at -1 and 1, NaN beyond.
AnyTensor erfinv(const AnyTensor& y);
/// exp(x^2) erfc(x), without underflow.
AnyTensor erfcx(const AnyTensor& x);
/// x with ndtr(x) = p.
AnyTensor ndtri(const AnyTensor& p);
/// log(ndtr(x)), without underflow.
AnyTensor log_ndtr(const AnyTensor& x);

/// The modified Bessel functions of the first kind of orders 0 and 1; i0e and i1e times exp(-|x|).
AnyTensor i0(const AnyTensor& x);
AnyTensor i1(const AnyTensor& x);
AnyTensor i0e(const AnyTensor& x);
AnyTensor i1e(const AnyTensor& x);

/// Orthogonal polynomials; a shifted one of x is the plain one of 2 x - 1.
enum class Polynomial { chebyshev_t, chebyshev_u, chebyshev_v, chebyshev_w, hermite_h, hermite_he, laguerre_l, legendre_p };
/// The polynomial of degree n, of one degree for each element (fractions are cut off) or for all; 0 where n is negative. Costs as many
/// steps as the largest degree.
AnyTensor polynomial(Polynomial family, const AnyTensor& x, const AnyTensor& n);
AnyTensor polynomial(Polynomial family, const AnyTensor& x, int64_t n);

#define GRADUS_TYPED_SPECIAL(name) \
  template <class T> Tensor<T> name(const Tensor<T>& x) { return Tensor<T>(name(untyped(x))); }
GRADUS_TYPED_SPECIAL(lgamma)
GRADUS_TYPED_SPECIAL(digamma)
GRADUS_TYPED_SPECIAL(erfinv)
GRADUS_TYPED_SPECIAL(erfcx)
GRADUS_TYPED_SPECIAL(ndtri)
GRADUS_TYPED_SPECIAL(log_ndtr)
GRADUS_TYPED_SPECIAL(i0)
GRADUS_TYPED_SPECIAL(i1)
GRADUS_TYPED_SPECIAL(i0e)
GRADUS_TYPED_SPECIAL(i1e)
#undef GRADUS_TYPED_SPECIAL

}  // namespace gradus::special
