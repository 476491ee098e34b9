#include "src/ops/integers.h"

#include "gradus/ops/create.h"
#include "gradus/ops/elementwise.h"
#include "gradus/ops/reduce.h"

namespace gradus {
namespace {

[[noreturn]] void fail_negative(DType t) {
  fail<ValueError>("pow: ", t, " to a power below 0 is no integer; cast with to<float>()");
}

}  // namespace

AnyTensor integer_power(const AnyTensor& base, const AnyTensor& exponent) {
  NoGrad no_grad;
  if (any(exponent < 0).item() != 0) fail_negative(base.dtype());
  // By squaring, all elements at once.
  AnyTensor power = ones({}, base.dtype(), base.device()), square = base, left = exponent;
  for (;;) {
    power = where(bitwise_and(left, 1) != 0, power * square, power);
    left = bitwise_right_shift(left, 1);
    if (any(left).item() == 0) return power;
    square = square * square;
  }
}

AnyTensor integer_power(const AnyTensor& base, int64_t exponent) {
  NoGrad no_grad;
  if (exponent < 0) fail_negative(base.dtype());
  AnyTensor power = ones_like(base), square = base;
  for (;; square = square * square) {
    if (exponent & 1) power = power * square;
    if ((exponent >>= 1) == 0) return power;
  }
}

}  // namespace gradus
