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

}  // namespace gradus
