#include "gradus/ops/create.h"
#include "gradus/ops/elementwise.h"
#include "gradus/ops/gather.h"
#include "gradus/ops/index.h"
#include "gradus/ops/softmax.h"
#include "gradus/ops/view.h"
#include "src/autograd/engine.h"
#include "src/ops/losses.h"

namespace gradus {
namespace {

constexpr const char* kName = "cross_entropy";

/// (N, C, d1, ...) as rows (N * d1 * ..., C).
AnyTensor as_rows(const AnyTensor& x) {
  if (x.dim() == 1) return reshape(x, {1, x.shape()[0]});
  if (x.dim() == 2) return x;
  Shape order{0};
  int64_t rows = x.shape()[0];
  for (int d = 2; d < x.dim(); ++d) order.push_back(d), rows *= x.shape()[d];
  order.push_back(1);
  return reshape(permute(x, order), {rows, x.shape()[1]});
}

/// Logits of (C), (N, C), (N, C, d1, ...) and the shape that a target of classes must have.
Shape class_shape(const char* op, const AnyTensor& x) {
  check_float(op, x);
  if (x.dim() == 0) fail<ShapeError>(op, ": a scalar has no classes; shapes are (C), (N, C) or (N, C, d1, ...)");
  Shape shape = x.shape();
  shape.erase(x.dim() == 1 ? 0 : 1);
  return shape;
}
void check_classes(const char* op, const AnyTensor& x, const AnyTensor& target) {
  check_dtype(op, "the target", target, DType::int64);
  if (!(target.shape() == class_shape(op, x)))
    fail<ShapeError>(op, ": the target has shape ", target.shape(), ", which does not go with logits of ", x.shape(), "; ",
                     class_shape(op, x), " would");
}
void check_weight(const char* op, const AnyTensor& x, const AnyTensor& weight) {
  if (!weight.defined()) return;
  check_same(op, x, weight);
  int64_t classes = x.shape()[x.dim() == 1 ? 0 : 1];
  if (weight.dim() != 1 || weight.shape()[0] != classes)
    fail<ShapeError>(op, ": the weight has shape ", weight.shape(), "; one number for each of ", classes, " classes is needed");
}

[[noreturn]] void fail_class(const char* op, const AnyTensor& target, int64_t at, int64_t classes) {
  fail<IndexError>(op, ": target ", int64_t(target.reshape({-1}).select(0, at).item()), " at index ", at, " is outside [0, ",
                   classes, "); did you mean ignore_index?");
}

/// How the classes of a batch are to be counted.
struct Classes {
  AnyTensor target;  // (rows) int64, row-major
  AnyTensor weight;  // (C) or undefined; outside the graph
  int64_t ignore_index;
  double smoothing;
};

/// How many rows count, where only the device knows.
AnyTensor counted_of(const Classes& c, DType type) {
  NoGrad no_grad;
  return to(sum(to(ne(c.target, c.ignore_index), DType::int64)), type);
}

/// What the target asks of each class, for logits as x.
AnyTensor asked_of_classes(const AnyTensor& x, const Classes& c) {
  NoGrad no_grad;
  const int64_t classes = x.shape()[1];
  AnyTensor ignored = eq(c.target, c.ignore_index);
  AnyTensor safe = where(ignored, 0, c.target), w = c.weight.defined() ? c.weight : ones({classes}, x.dtype(), x.device());
  AnyTensor chosen = index_select(w, 0, safe) * (1 - c.smoothing);
  AnyTensor q = scatter(zeros_like(x.detach().contiguous()), 1, unsqueeze(safe, 1), unsqueeze(chosen, 1)) +
                w * (c.smoothing / double(classes));
  return where(unsqueeze(ignored, 1), 0, q);
}

/// d loss / d logits written with public ops: (p * sum(q) - q) * g, where q is what the target asks of each class.
AnyTensor rows_gradient(const AnyTensor& g, const AnyTensor& x, const Classes& c) {
  AnyTensor q = asked_of_classes(x, c);
  return (softmax(x, 1) * sum(q, 1, true) - q) * unsqueeze(g, 1);
}

[[noreturn]] void fail_weight_gradient() { fail<GraphError>(kName, ": its weight has no gradient; pass weight.detach()"); }

struct Rows {
  AnyTensor losses;  // (rows), in the type that x is accumulated in
  int64_t counted;   // rows that are not ignored; -1: only the device can count them
};
/// given_weight: as the caller has it. It has no gradient, and says so where one is asked for.
Rows class_rows(const AnyTensor& x, const Classes& c, const AnyTensor& given_weight) {
  const int64_t rows = x.shape()[0];
  DType wide = x.dtype() == DType::float64 ? DType::float64 : DType::float32;
  AnyTensor in = dense(x), losses = empty({rows}, wide, x.device()), lse = empty({rows}, wide, x.device());
  int64_t facts[2];  // the first target outside, or -1; how many rows count
  kernel(kName, &KernelTable::cross_entropy, x)(array(losses), array(lse), {}, array(in), array(c.target), array(c.weight),
                                                c.ignore_index, c.smoothing, false, facts);
  if (facts[0] >= 0) fail_class(kName, c.target, facts[0], x.shape()[1]);
  // A buffer of labels that is filled anew before backward would give classes that nobody checked.
  record(kName, losses, {&x, &given_weight},
         [x = Saved(x), lse, target = Saved(c.target), weight = Saved(c.weight), ignore_index = c.ignore_index,
          smoothing = c.smoothing](const AnyTensor& g, AnyTensor* grads) mutable {
           if (wanted(1)) fail_weight_gradient();
           Classes c{target(), weight(), ignore_index, smoothing};
           if (is_grad_enabled()) {
             AnyTensor logits = x();
             grads[0] = rows_gradient(to(g, logits.dtype()), logits, c);
             return;
           }
           // Logits are often the largest tensor of all: where nobody will read them again, their gradient takes their place.
           AnyTensor in = dense(x.give()), dx = owned_alone(in) ? in : empty(in.shape(), in.dtype(), in.device());
           kernel(kName, &KernelTable::cross_entropy_backward, in)(array(dx), array(g), array(in), array(lse), array(c.target),
                                                                   array(c.weight), c.ignore_index, c.smoothing);
           grads[0] = std::move(dx);
         });
  return {losses, facts[1]};
}

/// Whether the forward pass may write the gradient over x: one will be asked for, the caller has handed x over and nobody else has it. Not
/// for half, where what a row adds to the gradient of a mean would be lost before a scaler has multiplied it; nor where what comes back
/// is no single number or 1 only by chance.
bool becomes_gradient(const AnyTensor& x, const CrossEntropyOptions& o) {
  return x.dim() == 2 && x.numel() > 0 && x.is_contiguous() && x.dtype() != DType::float16 && owned_alone(x) && records(x) &&
         !x.impl()->node->is_leaf() && (o.reduction == Reduction::sum || (o.reduction == Reduction::mean && !o.weight.defined()));
}

/// Logits with the softmax of those that became `gradient`, at their place in the graph: gradient = (p * sum(q) - q) * scale.
AnyTensor logits_of(const AnyTensor& gradient, const AnyTensor& scale, const Classes& c) {
  NoGrad no_grad;
  AnyTensor q = asked_of_classes(gradient, c), mass = sum(q, 1, true);
  AnyTensor p = (gradient / to(scale, gradient.dtype()) + q) / mass;
  AnyTensor x = log(where(eq(mass, 0), 1, clamp_min(p, 0)));  // where the target asks for nothing, all is multiplied by 0
  const Edge& edge = current_walk.node->edges[0];
  x.impl()->node = edge.node, x.impl()->slot = edge.slot;
  return x;
}

/// The loss in the type of the sums; in the same reading of x, its gradient takes its place.
AnyTensor with_gradient(AnyTensor x, const Classes& c, const CrossEntropyOptions& o) {
  const bool mean = o.reduction == Reduction::mean;
  const int64_t rows = x.shape()[0];
  AnyTensor in = x.detach(), losses = empty({rows}, accumulate_dtype(x.dtype()), x.device()), lse = empty_like(losses), total;
  int64_t facts[2];
  kernel(kName, &KernelTable::cross_entropy, in)(array(losses), array(lse), array(in), array(in), array(c.target), array(c.weight),
                                                 c.ignore_index, c.smoothing, mean, facts);
  if (facts[0] >= 0) fail_class(kName, c.target, facts[0], x.shape()[1]);
  {
    NoGrad no_grad;
    total = sum(losses);
    if (mean) total = facts[1] < 0 ? div(total, counted_of(c, total.dtype())) : div_scalar(total, double(facts[1]));
  }
  record(kName, total, {&x, &o.weight},
         [saved = Saved(in), target = Saved(c.target), weight = Saved(c.weight), ignore_index = c.ignore_index,
          smoothing = c.smoothing, mean](const AnyTensor& g, AnyTensor* grads) mutable {
           if (wanted(1)) fail_weight_gradient();
           Classes asked{target(), weight(), ignore_index, smoothing};
           if (is_grad_enabled()) {
             AnyTensor gradient = saved(),
                       scale = mean ? reciprocal(counted_of(asked, g.dtype())) : ones({}, g.dtype(), g.device());
             AnyTensor logits = logits_of(gradient, scale, asked), each = to(g * scale, logits.dtype());
             grads[0] = rows_gradient(expand(each, {logits.shape()[0]}), logits, asked);
             return;
           }
           AnyTensor in = saved.give(), dx = owned_alone(in) ? in : empty(in.shape(), in.dtype(), in.device());
           kernel(kName, &KernelTable::cross_entropy_backward, in)(array(dx), array(g), array(in), {}, array(asked.target),
                                                                   array(asked.weight), asked.ignore_index, asked.smoothing);
           grads[0] = std::move(dx);
         });
  return total;
}

/// The loss is of that type.
AnyTensor with_classes(AnyTensor x, const AnyTensor& target, const CrossEntropyOptions& o, DType type) {
  check_classes(kName, x, target);
  Classes c{dense(target).reshape({-1}), o.weight.defined() ? dense(o.weight.detach()) : AnyTensor(), o.ignore_index,
            o.label_smoothing};
  if (becomes_gradient(x, o)) return to(with_gradient(std::move(x), c, o), type);
  Rows rows = class_rows(as_rows(x), c, o.weight);
  if (o.reduction == Reduction::none) return to(reshape(rows.losses, target.shape()), type);
  AnyTensor total = sum(rows.losses);
  if (o.reduction == Reduction::mean) {
    if (c.weight.defined()) {
      // The weight is a constant here, so nothing of this is recorded.
      AnyTensor ignored = eq(c.target, c.ignore_index);
      AnyTensor counted = where(ignored, 0, to(index_select(c.weight, 0, where(ignored, 0, c.target)), total.dtype()));
      return to(div(total, sum(counted)), type);
    }
    total = rows.counted < 0 ? div(total, counted_of(c, total.dtype())) : div_scalar(total, double(rows.counted));
  }
  return to(total, type);
}

AnyTensor with_probabilities(const AnyTensor& x, const AnyTensor& target, const CrossEntropyOptions& o) {
  check_same(kName, x, target);
  const int axis = x.dim() == 1 ? 0 : 1;
  const int64_t classes = x.shape()[axis];
  AnyTensor q = o.label_smoothing > 0 ? target * (1 - o.label_smoothing) + o.label_smoothing / double(classes) : target;
  if (o.weight.defined()) {
    Shape along;
    for (int d = 0; d < x.dim(); ++d) along.push_back(d == axis ? classes : 1);
    q = q * o.weight.reshape(along);
  }
  AnyTensor losses = neg(sum(log_softmax(x, axis) * q, axis));
  return o.reduction == Reduction::mean ? div_scalar(sum(losses), double(losses.numel())) : reduced(losses, o.reduction);
}

void check(const AnyTensor& logits, const AnyTensor& target, const CrossEntropyOptions& options) {
  class_shape(kName, logits);
  check_defined(kName, target);
  check_weight(kName, logits, options.weight);
  if (!(options.label_smoothing >= 0 && options.label_smoothing <= 1))
    fail<ValueError>(kName, ": label_smoothing ", options.label_smoothing, " is outside [0, 1]");
  if (target.device() != logits.device())
    fail<DeviceError>(kName, ": the logits are on ", logits.device(), ", the target on ", target.device());
}

}  // namespace

AnyTensor cross_entropy(AnyTensor logits, const AnyTensor& target, const CrossEntropyOptions& options) {
  check(logits, target, options);
  if (is_float(target.dtype()) && target.shape() == logits.shape()) return with_probabilities(logits, target, options);
  const DType type = logits.dtype();
  return with_classes(std::move(logits), target, options, type);
}
AnyTensor cross_entropy_in_float(AnyTensor logits, const AnyTensor& target, const CrossEntropyOptions& options) {
  check(logits, target, options);
  const DType type = accumulate_dtype(logits.dtype());
  return with_classes(std::move(logits), target, options, type);
}

AnyTensor nll_loss(const AnyTensor& x, const AnyTensor& target, const NllLossOptions& o) {
  check_classes("nll_loss", x, target);
  check_weight("nll_loss", x, o.weight);
  AnyTensor rows = as_rows(x), classes = dense(target).reshape({-1}), ignored = eq(classes, o.ignore_index),
            safe = where(ignored, 0, classes);
  int64_t bad = -1;
  if (safe.numel() > 0)
    kernel("nll_loss", &KernelTable::locate, safe)(Array{}, array(safe), rows.shape()[1], 0, IndexRange::forward, true, &bad);
  if (bad >= 0) fail_class("nll_loss", classes, bad, rows.shape()[1]);
  AnyTensor w = o.weight.defined() ? index_select(o.weight, 0, safe) : ones(safe.shape(), x.dtype(), x.device());
  w = where(ignored, 0, w);
  AnyTensor losses = neg(squeeze(gather(rows, 1, unsqueeze(safe, 1)), 1) * w);
  if (o.reduction == Reduction::none) return reshape(losses, target.shape());
  return o.reduction == Reduction::sum ? sum(losses) : sum(losses) / sum(w);
}

}  // namespace gradus
