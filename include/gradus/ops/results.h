// What ops with two results give back: `auto [values, indices] = max(x, 1);`
#pragma once
#include "gradus/core/tensor.h"

namespace gradus {

/// What a sum of T is: integers and bool are summed in int64.
template <class T> using SumOf = Tensor<std::conditional_t<std::is_integral_v<T>, int64_t, T>>;

struct AnyValuesIndices {
  AnyTensor values, indices;  // indices: int64, along the axis that the op ran over
};
template <class T> struct ValuesIndices {
  Tensor<T> values;
  Tensor<int64_t> indices;
  explicit ValuesIndices(AnyValuesIndices any) : values(std::move(any.values)), indices(std::move(any.indices)) {}
};

struct AnyMinMax {
  AnyTensor min, max;
};
template <class T> struct MinMax {
  Tensor<T> min, max;
  explicit MinMax(AnyMinMax any) : min(std::move(any.min)), max(std::move(any.max)) {}
};

struct AnyVarMean {
  AnyTensor var, mean;
};
template <class T> struct VarMean {
  Tensor<T> var, mean;
  explicit VarMean(AnyVarMean any) : var(std::move(any.var)), mean(std::move(any.mean)) {}
};

}  // namespace gradus
