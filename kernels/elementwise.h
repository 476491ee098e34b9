// One elementwise call, as every backend's row kernels take it.
#pragma once
#include <initializer_list>

#include "gradus/core/scalar.h"
#include "kernels/plan.h"

namespace gradus {

/// Outputs first, then inputs, all laid out by one plan. A null output is not wanted; a null input is not used.
struct Elementwise {
  const char* op;  // for errors
  DType dtype;     // of the arithmetic; `where` and comparisons also have operands of bool
  int outputs, operands;
  void* data[kMaxOperands];
  uint8_t item_size[kMaxOperands];
  const Scalar* scalars;  // two; they outlive the call
  Plan plan;
};
using ElementwiseKernel = void(const Elementwise&);

/// A call over arrays, outputs first; the first one's shape is the result's. What `scalars` points to must outlive it.
Elementwise call_over(const char* op, DType dtype, int outputs, std::initializer_list<const Array*> arrays, const Scalar* scalars);

}  // namespace gradus
