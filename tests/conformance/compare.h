// When two tensors agree.
#pragma once
#include <string>

#include "gradus/gradus.h"

namespace conformance {

/// |a - b| <= absolute + relative * |b|.
struct Tolerance {
  double relative = 1e-4, absolute = 1e-5;
};
inline constexpr Tolerance kTight{}, kLoose{1e-3, 1e-4};  // loose: long sums, decompositions
/// Half types keep 11 or 8 bits.
Tolerance for_dtype(Tolerance, gradus::DType);

/// Empty where dtype, shape and all elements agree (NaN with NaN, infinities by sign), else what the first difference is.
std::string difference(const gradus::AnyTensor& got, const gradus::AnyTensor& wanted, Tolerance);

}  // namespace conformance
