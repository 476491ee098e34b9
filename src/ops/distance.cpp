#include "gradus/ops/distance.h"

#include "gradus/ops/create.h"
#include "gradus/ops/index.h"
#include "gradus/ops/reduce.h"
#include "gradus/ops/shape_ops.h"
#include "gradus/ops/view.h"
#include "src/ops/op.h"

namespace gradus {

AnyTensor cosine_similarity(const AnyTensor& a, const AnyTensor& b, int64_t axis, double eps) {
  check_float("cosine_similarity", a), check_same("cosine_similarity", a, b);
  // The axis of the result counts where one operand has fewer axes.
  int rank = std::max(a.dim(), b.dim()), d = axis_of("cosine_similarity", axis, rank) - rank;
  // Along the axis both are of its size before their lengths are taken: one number that broadcasts stands for as many.
  std::vector<AnyTensor> whole = broadcast_tensors({a, b});
  auto direction = [&](const AnyTensor& x) {
    AnyTensor n = rank ? norm(x, 2, d, true) : abs(x);
    return x / (n + (clamp_min(n, eps) - n).detach());  // the bound does not stop the gradient
  };
  AnyTensor y = direction(whole[0]) * direction(whole[1]);
  return sum(y, rank ? Axes(d) : Axes());
}

AnyTensor pairwise_distance(const AnyTensor& a, const AnyTensor& b, const DistanceOptions& o) {
  check_float("pairwise_distance", a), check_same("pairwise_distance", a, b);
  AnyTensor d = a - b + o.eps;
  if (d.dim() == 0) fail<ShapeError>("pairwise_distance: scalars have no axis to take a norm along");
  return norm(d, o.p, -1, o.keepdim);
}

AnyTensor dist(const AnyTensor& a, const AnyTensor& b, double p) {
  check_float("dist", a), check_same("dist", a, b);
  return norm(a - b, p);
}

AnyTensor pdist(const AnyTensor& x, double p) {
  check_float("pdist", x), check_rank("pdist", "x", x, 2);
  AnyTensor places = triu_indices(x.shape()[0], x.shape()[0], 1);
  AnyTensor difference = index_select(x, 0, select(places, 0, 0)) - index_select(x, 0, select(places, 0, 1));
  if (x.shape()[1] == 0) return zeros({difference.shape()[0]}, x.dtype(), x.device());
  return norm(difference, p, 1);
}

}  // namespace gradus
