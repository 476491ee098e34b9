// Scans that gradients need.
#pragma once
#include "gradus/ops/scan.h"

namespace gradus {

/// y[i] = a[i] * y[i - 1] + b[i] along an axis, from its end if backwards; late: a[i - 1] in place of a[i]. Products, and the gradients
/// of products, are of this form, and so are the gradients of it.
AnyTensor scan_linear(const AnyTensor& a, const AnyTensor& b, int axis, bool backwards, bool late);
/// For each element the product of all others that fall together with it: no division, so zeros do no harm.
AnyTensor product_of_others(const AnyTensor& x, const Axes& axes);

}  // namespace gradus
