// What special functions share: values in double, outside the graph, and a rule for the gradient.
#pragma once
#include "gradus/ops/elementwise.h"
#include "src/ops/op.h"

namespace gradus::special {

/// f(x in double) back in the dtype of x; the gradient is g * slope(x, y).
template <class Value, class Slope> AnyTensor in_double(const char* op, const AnyTensor& x, Value value, Slope slope) {
  check_float(op, x);
  AnyTensor y;
  {
    NoGrad no_grad;
    y = to(value(to(x.detach(), DType::float64)), x.dtype());
    if (y.is_same(x)) y = clone(y);
  }
  record(op, y, {&x},
         [slope, sx = Saved(x), sy = Saved::output(y)](const AnyTensor& g, AnyTensor* grads) { grads[0] = g * slope(sx(), sy()); });
  return y;
}

/// c[0] + c[1] x + c[2] x^2 + ...
template <size_t n> AnyTensor series(const AnyTensor& x, const double (&c)[n]) {
  AnyTensor y = x * c[n - 1] + c[n - 2];
  for (size_t k = n - 2; k-- > 0;) y = y * x + c[k];
  return y;
}

}  // namespace gradus::special
