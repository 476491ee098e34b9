// One optimizer's step for one parameter, as every backend's kernel takes it. The formulas are the rows of updates.def.
#pragma once
#include <cstdint>

#include "gradus/core/dtype.h"

namespace gradus {

enum class UpdateRule : uint8_t {
#define GRADUS_UPDATE_STATELESS(name, ...) name,
#define GRADUS_UPDATE(name, ...) name,
#include "gradus/ops/updates.def"
};
inline constexpr int kMaxStates = 3, kMaxRates = 10;

/// All arrays have `count` elements in one and the same order, without gaps. The gradient has the parameter's dtype, states have the
/// type that it accumulates in. On the CPU the gradient of a row-major matrix may be given as column and row, whose product it is.
struct Update {
  UpdateRule rule{};
  DType dtype{};
  int64_t count = 0;
  void* parameter = nullptr;
  const void* gradient = nullptr;  // or
  const void *gradient_column = nullptr, *gradient_row = nullptr;
  int64_t row_size = 0;
  void* state[kMaxStates] = {};
  double rates[kMaxRates] = {};         // in the order of the row
  const double* rates_there = nullptr;  // where not null, they stand there, in the memory of the device
};

/// Elements side by side.
struct Stretch {
  const void* data;
  int64_t count;
  DType dtype;
};

}  // namespace gradus
