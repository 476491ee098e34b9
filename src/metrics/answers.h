// What predictions and targets look like when metrics read them.
#pragma once
#include <string>

#include "gradus/core/tensor.h"

namespace gradus::metrics::detail {

/// Row-major logits (N, classes) on the CPU, in float or double.
struct Logits {
  AnyTensor values;
  int64_t rows, classes;
  double at(int64_t row, int64_t c) const {
    const int64_t i = row * classes + c;
    return values.dtype() == DType::float64 ? static_cast<const double*>(values.raw_data())[i]
                                            : static_cast<const float*>(values.raw_data())[i];
  }
  /// How many classes stand before c: larger ones, equal ones with a smaller number, and NaN.
  int64_t rank(int64_t row, int64_t c) const;
  /// The class that no other stands before; NaN comes first.
  int64_t best(int64_t row) const;
};
Logits logits_of(const char* who, const AnyTensor& x);

/// Row-major classes (N) on the CPU. Throws unless there are `rows` of them, of int64.
Tensor<int64_t> classes_of(const char* who, const char* what, const AnyTensor& x, int64_t rows);

[[noreturn]] void fail_class(const char* who, const char* what, int64_t c, int64_t at, int64_t classes);

}  // namespace gradus::metrics::detail
