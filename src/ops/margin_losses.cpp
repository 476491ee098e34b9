// Losses that ask for a distance between what is right and what is not.
#include "gradus/ops/create.h"
#include "gradus/ops/distance.h"
#include "gradus/ops/gather.h"
#include "gradus/ops/index.h"
#include "gradus/ops/scan.h"
#include "gradus/ops/view.h"
#include "src/ops/losses.h"

namespace gradus {
namespace {

/// Throws IndexError for a class in `target` outside [0, classes).
void check_classes(const char* op, const AnyTensor& target, int64_t classes) {
  if (target.numel() == 0) return;
  NoGrad no_grad;
  int64_t least = Tensor<int64_t>(amin(target)).item(), most = Tensor<int64_t>(amax(target)).item();
  if (least < 0 || most >= classes) fail<IndexError>(op, ": target ", least < 0 ? least : most, " is outside [0, ", classes, ")");
}

}  // namespace

AnyTensor cosine_embedding_loss(const AnyTensor& a, const AnyTensor& b, const AnyTensor& target, const MarginOptions& o) {
  constexpr double kEps = 1e-12;
  check_pair("cosine_embedding_loss", a, b), check_same("cosine_embedding_loss", a, target);
  if (a.dim() != target.dim() + 1 || (target.dim() == 1 && target.shape()[0] != a.shape()[0]) || target.dim() > 1)
    fail<ShapeError>("cosine_embedding_loss: vectors of shape ", a.shape(), " and a target of shape ", target.shape(),
                     "; (N, d) and (N), or (d) and (), are needed");
  AnyTensor cosine = sum(a * b, -1) / sqrt((sum(a * a, -1) + kEps) * (sum(b * b, -1) + kEps));
  return reduced(where(target == 1, 1 - cosine, where(target == -1, clamp_min(cosine - o.margin, 0), 0)), o.reduction);
}

AnyTensor triplet_margin_loss(const AnyTensor& anchor, const AnyTensor& positive, const AnyTensor& negative,
                              const TripletMarginOptions& o) {
  check_pair("triplet_margin_loss", anchor, positive), check_pair("triplet_margin_loss", anchor, negative);
  auto distance = [&](const AnyTensor& a, const AnyTensor& b) { return pairwise_distance(a, b, {.p = o.p, .eps = o.eps}); };
  AnyTensor far = distance(anchor, negative);
  if (o.swap) far = minimum(far, distance(positive, negative));
  return reduced(clamp_min(distance(anchor, positive) - far + o.margin, 0), o.reduction);
}

AnyTensor multi_margin_loss(const AnyTensor& x, const AnyTensor& target, const MultiMarginOptions& o) {
  check_float("multi_margin_loss", x), check_dtype("multi_margin_loss", "the target", target, DType::int64);
  if (o.p != 1 && o.p != 2) fail<ValueError>("multi_margin_loss: p is ", o.p, "; 1 or 2 are meant");
  const int64_t classes = x.dim() ? x.shape()[-1] : 1, rows = x.dim() == 2 ? x.shape()[0] : 1;
  if (x.dim() > 2 || target.dim() > 1 || target.numel() != rows || (x.dim() == 2 && target.dim() == 0))
    fail<ShapeError>("multi_margin_loss: x of shape ", x.shape(), " and a target of shape ", target.shape(),
                     "; (N, C) and (N), or (C) and (), are needed");
  check_classes("multi_margin_loss", target, classes);
  AnyTensor scores = reshape(x, {rows, classes}), index = reshape(target, {rows, 1}), right = gather(scores, 1, index);
  AnyTensor short_of = clamp_min(scores - right + o.margin, 0);
  if (o.p == 2) short_of = square(short_of);
  if (o.weight) {
    check_same("multi_margin_loss", x, o.weight);
    if (o.weight.dim() != 1 || o.weight.numel() != classes)
      fail<ShapeError>("multi_margin_loss: weight of shape ", o.weight.shape(), " for ", classes, " classes");
    short_of = short_of * index_select(o.weight, 0, reshape(target, {rows})).unsqueeze(1);
  }
  AnyTensor others = ne(arange(0, classes, 1, DType::int64, x.device()), index);
  return reduced(reshape(sum(where(others, short_of, 0), 1) / double(classes), target.shape()), o.reduction);
}

AnyTensor multilabel_margin_loss(const AnyTensor& x, const AnyTensor& target, const LossOptions& o) {
  check_float("multilabel_margin_loss", x), check_dtype("multilabel_margin_loss", "the target", target, DType::int64);
  if (x.dim() > 2 || !(x.shape() == target.shape()))
    fail<ShapeError>("multilabel_margin_loss: x of shape ", x.shape(), " and a target of shape ", target.shape(),
                     "; both must be (N, C) or (C)");
  const int64_t classes = x.dim() ? x.shape()[-1] : 1, rows = x.dim() == 2 ? x.shape()[0] : 1;
  AnyTensor scores = reshape(x, {rows, classes}), listed = reshape(target, {rows, classes}), counts;
  AnyTensor is_target;
  {
    NoGrad no_grad;
    counts = cumprod(to(listed != -1, DType::int64), 1) != 0;  // up to the first -1
    listed = where(counts, listed, 0);
    check_classes("multilabel_margin_loss", listed, classes);
    is_target = scatter_add(zeros({rows, classes}, DType::int64, x.device()), 1, listed, to(counts, DType::int64)) != 0;
  }
  AnyTensor right = gather(scores, 1, listed);                                      // (rows, target)
  AnyTensor short_of = clamp_min(1 - right.unsqueeze(2) + scores.unsqueeze(1), 0);  // (rows, target, class)
  AnyTensor pairs = logical_and(counts.unsqueeze(2), logical_not(is_target).unsqueeze(1));
  AnyTensor losses = sum(where(pairs, short_of, 0), {1, 2}) / double(classes);
  return reduced(x.dim() == 2 ? losses : reshape(losses, {}), o.reduction);
}

AnyTensor multilabel_soft_margin_loss(const AnyTensor& x, const AnyTensor& target, const MultiLabelSoftMarginOptions& o) {
  check_pair("multilabel_soft_margin_loss", x, target);
  if (x.dim() == 0) fail<ShapeError>("multilabel_soft_margin_loss: a scalar has no axis of classes");
  return reduced(mean(binary_cross_entropy_with_logits(x, target, {.weight = o.weight, .reduction = Reduction::none}), -1),
                 o.reduction);
}

}  // namespace gradus
