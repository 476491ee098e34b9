// Orthogonal polynomials by their recurrences.
#include "gradus/ops/create.h"
#include "gradus/ops/reduce.h"
#include "gradus/ops/special.h"
#include "src/ops/op.h"

namespace gradus::special {
namespace {

/// The polynomial of degree 1.
AnyTensor first(Polynomial family, const AnyTensor& x) {
  switch (family) {
    case Polynomial::chebyshev_u:
    case Polynomial::hermite_h: return x * 2;
    case Polynomial::chebyshev_v: return x * 2 - 1;
    case Polynomial::chebyshev_w: return x * 2 + 1;
    case Polynomial::laguerre_l: return 1 - x;
    default: return x;
  }
}
/// That of degree k + 1 from those of degrees k and k - 1.
AnyTensor next(Polynomial family, const AnyTensor& x, double k, const AnyTensor& q, const AnyTensor& p) {
  switch (family) {
    case Polynomial::hermite_h: return x * q * 2 - p * (2 * k);
    case Polynomial::hermite_he: return x * q - p * k;
    case Polynomial::laguerre_l: return ((2 * k + 1 - x) * q - p * k) / (k + 1);
    case Polynomial::legendre_p: return (x * q * (2 * k + 1) - p * k) / (k + 1);
    default: return x * q * 2 - p;
  }
}

}  // namespace

AnyTensor polynomial(Polynomial family, const AnyTensor& x, const AnyTensor& n) {
  check_float("polynomial", x), check_defined("polynomial", n);
  AnyTensor z = to(x, DType::float64), degree;
  int64_t most = -1;
  {
    NoGrad no_grad;
    degree = to(n.detach(), DType::int64);
    if (n.numel()) most = Tensor<int64_t>(amax(degree)).item();
  }
  AnyTensor p = ones_like(z.detach()), q = first(family, z), y = where(degree == 0, p, 0);
  for (int64_t k = 1; k <= most; ++k) {
    y = where(degree == k, q, y);
    AnyTensor r = next(family, z, double(k), q, p);
    p = q, q = r;
  }
  return to(y, x.dtype());
}
AnyTensor polynomial(Polynomial family, const AnyTensor& x, int64_t n) {
  check_float("polynomial", x);
  return polynomial(family, x, full({}, n, DType::int64, x.device()));
}

}  // namespace gradus::special
