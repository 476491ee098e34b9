// How near vectors are to each other. They lie along one axis; the others broadcast.
#pragma once
#include "gradus/ops/elementwise.h"

namespace gradus {

/// The cosine of the angle between vectors along an axis. A length below eps counts as eps.
AnyTensor cosine_similarity(const AnyTensor& a, const AnyTensor& b, int64_t axis = 1, double eps = 1e-8);

struct DistanceOptions {
  double p = 2;
  double eps = 1e-6;  // added to each difference, so that there is a gradient where vectors are equal
  bool keepdim = false;
};
/// The p-norm of a - b along the last axis.
AnyTensor pairwise_distance(const AnyTensor& a, const AnyTensor& b, const DistanceOptions& options = {});
/// The p-norm of a - b over all elements.
AnyTensor dist(const AnyTensor& a, const AnyTensor& b, double p = 2);
/// The distances of the rows of (n, d) from each other: (0, 1), (0, 2), ... (n - 2, n - 1).
AnyTensor pdist(const AnyTensor& x, double p = 2);

#define GRADUS_TYPED(name, parameters, arguments) \
  template <class T> Tensor<T> name parameters { return Tensor<T>(name arguments); }
GRADUS_TYPED(cosine_similarity, (const Tensor<T>& a, const Tensor<T>& b, int64_t axis = 1, double eps = 1e-8),
             (untyped(a), untyped(b), axis, eps))
GRADUS_TYPED(pairwise_distance, (const Tensor<T>& a, const Tensor<T>& b, const DistanceOptions& options = {}),
             (untyped(a), untyped(b), options))
GRADUS_TYPED(dist, (const Tensor<T>& a, const Tensor<T>& b, double p = 2), (untyped(a), untyped(b), p))
GRADUS_TYPED(pdist, (const Tensor<T>& x, double p = 2), (untyped(x), p))
#undef GRADUS_TYPED

}  // namespace gradus
