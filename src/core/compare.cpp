#include "gradus/core/compare.h"

#include "gradus/ops/elementwise.h"
#include "gradus/ops/reduce.h"
#include "src/ops/op.h"

namespace gradus {
namespace {

bool everywhere(const AnyTensor& condition) { return to(logical_not(condition), DType::int64).sum().item() == 0; }

}  // namespace

AnyTensor isclose(const AnyTensor& a, const AnyTensor& b, double rtol, double atol, bool equal_nan) {
  check_same("isclose", a, b);
  if (!(rtol >= 0 && atol >= 0)) fail<ValueError>("isclose: tolerances rtol ", rtol, " and atol ", atol, " must not be negative");
  NoGrad no_grad;
  // Differences of half types are taken in float, those of integers in double; equal ones are found in their own type.
  DType wide = is_half(a.dtype()) ? DType::float32 : is_float(a.dtype()) ? a.dtype() : DType::float64;
  AnyTensor p = to(a, wide), q = to(b, wide);
  AnyTensor close = logical_or(eq(a, b), logical_and(isfinite(q), abs(p - q) <= abs(q) * rtol + atol));
  return equal_nan ? logical_or(close, logical_and(isnan(p), isnan(q))) : close;
}

bool allclose(const AnyTensor& a, const AnyTensor& b, double rtol, double atol, bool equal_nan) {
  return everywhere(isclose(a, b, rtol, atol, equal_nan));
}

bool equal(const AnyTensor& a, const AnyTensor& b) {
  check_same("equal", a, b);
  NoGrad no_grad;
  return a.shape() == b.shape() && everywhere(eq(a, b));
}

}  // namespace gradus
