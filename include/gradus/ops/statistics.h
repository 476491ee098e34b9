// Covariances and quantiles.
#pragma once
#include "gradus/ops/elementwise.h"
#include "gradus/ops/reduce.h"

namespace gradus {

struct AnyStdMean {
  AnyTensor std, mean;
};
/// As var_mean, with the root of the variance.
AnyStdMean std_mean(const AnyTensor& x, const Axes& axes = {}, bool keepdim = false, double correction = 1);

struct CovOptions {
  int64_t correction = 1;
  AnyTensor fweights = {};  // integers: how often each observation counts
  AnyTensor aweights = {};  // how much each observation weighs
};
/// The covariances of variables, which are the rows of (variables, observations): (variables, variables). Of one variable, such as
/// a vector, its variance: ().
AnyTensor cov(const AnyTensor& x, const CovOptions& options = {});
/// The covariances divided by both deviations.
AnyTensor corrcoef(const AnyTensor& x);

enum class Quantile { linear, lower, higher, midpoint, nearest };  // what stands for a place between two elements
struct QuantileOptions {
  std::optional<int64_t> axis = {};  // without one, of all elements
  bool keepdim = false;
  Quantile interpolation = Quantile::linear;
};
/// The element at the share q of an axis in order: 0 is the least, 0.5 the median, 1 the greatest. Several q, in a vector, give a new first
/// axis. NaN where there is any; nanquantile takes the rest. Throws ValueError for a q outside [0, 1].
AnyTensor quantile(const AnyTensor& x, const AnyTensor& q, const QuantileOptions& options = {});
AnyTensor quantile(const AnyTensor& x, double q, const QuantileOptions& options = {});
AnyTensor nanquantile(const AnyTensor& x, const AnyTensor& q, const QuantileOptions& options = {});
AnyTensor nanquantile(const AnyTensor& x, double q, const QuantileOptions& options = {});

template <class T> Tensor<T> cov(const Tensor<T>& x, const CovOptions& options = {}) { return Tensor<T>(cov(untyped(x), options)); }
template <class T> Tensor<T> corrcoef(const Tensor<T>& x) { return Tensor<T>(corrcoef(untyped(x))); }
template <class T> Tensor<T> quantile(const Tensor<T>& x, double q, const QuantileOptions& options = {}) {
  return Tensor<T>(quantile(untyped(x), q, options));
}
template <class T> Tensor<T> nanquantile(const Tensor<T>& x, double q, const QuantileOptions& options = {}) {
  return Tensor<T>(nanquantile(untyped(x), q, options));
}

}  // namespace gradus
