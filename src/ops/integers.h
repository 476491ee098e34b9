// What integers need beside the rows of ops.def.
#pragma once
#include "src/ops/op.h"

namespace gradus {

/// base to the power of exponent, which broadcast; what does not fit wraps around, as in products. Not recorded. Throws ValueError for
/// an exponent below 0, whose power is no integer.
AnyTensor integer_power(const AnyTensor& base, const AnyTensor& exponent);
AnyTensor integer_power(const AnyTensor& base, int64_t exponent);

}  // namespace gradus
