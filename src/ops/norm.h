// What the normalisations share: their parameters may be of x's dtype or, for half types, of float, in which the kernels compute.
#pragma once
#include "src/ops/op.h"

namespace gradus {

/// Throws unless w is undefined or fits x: its device, a dtype that goes with x's, and this shape.
void check_parameter(const char* op, const char* what, const AnyTensor& w, const Shape& shape, const AnyTensor& x);
/// w in the dtype that kernels for x compute in, row-major; not recorded. Undefined stays so.
AnyTensor as_parameter(const AnyTensor& w, const AnyTensor& x);
/// The gradient of w from a tensor in the dtype of as_parameter. Undefined stays so.
AnyTensor as_gradient(const AnyTensor& g, const AnyTensor& w);

/// Throws for a residual that is not there, which would make another op of a norm of a sum.
void check_residual(const char* op, const AnyTensor& residual);
/// Throws unless the residual is as x.
void check_residual_fits(const char* op, const AnyTensor& x, const AnyTensor& residual);
/// The gradient of the sum of x and a residual.
struct AddRule {
  void operator()(const AnyTensor& g, AnyTensor* grads) const { grads[0] = grads[1] = g; }
};

}  // namespace gradus
