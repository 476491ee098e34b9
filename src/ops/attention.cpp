#include "gradus/ops/attention.h"

#include <cmath>

#include "gradus/ops/create.h"
#include "gradus/ops/elementwise.h"
#include "gradus/ops/matmul.h"
#include "gradus/ops/reduce.h"
#include "gradus/ops/softmax.h"
#include "gradus/ops/view.h"
#include "src/autograd/engine.h"
#include "src/ops/dropout.h"
#include "src/ops/norm.h"
#include "src/ops/select_rule.h"

namespace gradus {
namespace {

constexpr const char* kOp = "scaled_dot_product_attention";

/// x itself where its last axis is adjacent in memory, else a copy.
AnyTensor adjacent(const AnyTensor& x) { return x.stride()[-1] == 1 || x.shape()[-1] == 1 ? x : dense(x); }

/// Uninitialised, with the order that the axes of `like` but the last have in memory: so heads that were cut from one row of a product
/// are put back into one.
AnyTensor empty_in_order(const AnyTensor& like, const Shape& shape) {
  int order[Shape::kMaxRank], last = shape.rank - 1;
  for (int d = 0; d < last; ++d) {
    int at = d;
    for (; at > 0 && like.stride()[order[at - 1]] < like.stride()[d] && like.stride()[order[at - 1]] != 0; --at)
      order[at] = order[at - 1];
    order[at] = d;
  }
  Shape stride = shape;
  int64_t step = shape[last];
  stride[last] = 1;
  for (int i = last - 1; i >= 0; --i) stride[order[i]] = step, step *= shape[order[i]];
  return shape.numel() == 0 ? empty(shape, like.dtype(), like.device()) : empty_strided(shape, stride, like.dtype(), like.device());
}

/// Queries, keys and values that were cut from one tensor: room for the gradients of all three in one gradient of it.
struct Together {
  AnyTensor whole;
  AnyTensor part[3];
};

/// q, k and v where the running node's first three inputs are the three selections along an axis of a tensor, and nobody else sees them.
Together together(const AnyTensor* const (&x)[3]) {
  Node& node = *current_walk.node;
  const SelectNode* from[3];
  for (int i = 0; i < 3; ++i) {
    const Ref<Node>& input = node.edges[i].node;
    // A hook, or a tensor that somebody holds, wants to see a gradient of its own; and so does a second op that the selection went to.
    if (!input || !input.unique() || input->extras) return {};
    from[i] = dynamic_cast<const SelectNode*>(input.get());
    if (!from[i] || from[i]->forgotten || from[i]->queued) return {};
  }
  const SelectRule& first = *from[0]->rule;
  const Edge& to = from[0]->edges[0];
  if (!to.node || to.node->is_leaf() || first.from[first.axis] != 3) return {};
  const char* place[3] = {};
  for (int i = 0; i < 3; ++i) {
    const SelectRule& rule = *from[i]->rule;
    const Edge& other = from[i]->edges[0];
    if (other.node.get() != to.node.get() || other.slot != to.slot || rule.axis != first.axis || place[rule.index]) return {};
    if (x[i]->impl()->storage.get() != x[0]->impl()->storage.get() || !(x[i]->stride() == x[0]->stride())) return {};
    place[rule.index] = static_cast<const char*>(x[i]->raw_data());
  }
  const int64_t bytes = place[1] - place[0], step = bytes / int64_t(item_size(x[0]->dtype()));
  if (step <= 0 || place[2] - place[1] != bytes) return {};
  Shape stride = x[0]->stride();
  stride.insert(first.axis, step);
  Together all;
  all.whole = as_view(empty({first.from.numel()}, x[0]->dtype(), x[0]->device()), first.from, stride, 0);
  if (!all.whole.impl()->dense) return {};
  for (int i = 0; i < 3; ++i) all.part[i] = as_view(all.whole, x[i]->shape(), x[i]->stride(), from[i]->rule->index * step);
  return all;
}
/// Hands on the gradient of the tensor that all three were cut from in place of theirs.
void give_together(Together&& all, AnyTensor* grads) {
  Node& node = *current_walk.node;
  Edge to = node.edges[0].node->edges[0];
  node.edges[0] = std::move(to), node.edges[1] = {}, node.edges[2] = {};
  grads[0] = std::move(all.whole);
}

struct AttentionRule {
  Saved q, k, v, mask, y;
  AnyTensor lse;
  AttentionParams params;

  void operator()(const AnyTensor& g, AnyTensor* grads) { is_grad_enabled() || wanted(3) ? composed(g, grads) : fused(g, grads); }

  void fused(const AnyTensor& g, AnyTensor* grads) {
    // Detached, since a tensor holds the node that made it, and its owners are about to be counted.
    AnyTensor a = adjacent(q.give().detach()), b = adjacent(k.give().detach()), c = adjacent(v.give().detach()), m = mask(),
              out = y(), up = adjacent(g);
    if (current_walk.frees_graph)
      if (Together all = together({&a, &b, &c}); all.whole) {
        kernel(kOp, &KernelTable::attention_backward, a)(array(all.part[0]), array(all.part[1]), array(all.part[2]), array(up),
                                                         array(out), array(lse), array(a), array(b), array(c), array(m), params);
        return give_together(std::move(all), grads);
      }
    for (int i = 0; i < 3; ++i)
      if (const AnyTensor& x = i == 0 ? a : i == 1 ? b : c; wanted(uint32_t(i))) grads[i] = empty_in_order(x, x.shape());
    kernel(kOp, &KernelTable::attention_backward, a)(array(grads[0]), array(grads[1]), array(grads[2]), array(up), array(out),
                                                     array(lse), array(a), array(b), array(c), array(m), params);
  }

  void composed(const AnyTensor& g, AnyTensor* grads) {
    AnyTensor a = q(), b = k(), c = v(), m = mask();
    AnyTensor scores = matmul(a, transpose(b, -2, -1)) * params.scale;  // (..., queries, keys)
    if (params.causal) {
      AnyTensor i = reshape(arange(scores.size(-2), DType::int64, a.device()), {-1, 1}),
                j = arange(scores.size(-1), DType::int64, a.device());
      scores = where(j <= i, scores, -HUGE_VAL);
    }
    if (m) scores = m.dtype() == DType::boolean ? where(m, scores, -HUGE_VAL) : scores + m;
    AnyTensor blind = unsqueeze(lse == HUGE_VAL, -1);  // may look at nothing: softmax would be NaN
    AnyTensor p = where(blind, 0, softmax(where(blind, 0, scores), -1));
    auto drop = [&](const AnyTensor& x) {
      return params.dropout > 0 ? dropped(x, params.draw, params.dropout, lse_strides(x)) : x;
    };
    AnyTensor dp = drop(matmul(g, transpose(c, -2, -1))), ds = p * (dp - sum(dp * p, -1, true));
    if (wanted(0)) grads[0] = matmul(ds, b) * params.scale;
    if (wanted(1)) grads[1] = matmul(transpose(ds, -2, -1), a) * params.scale;
    if (wanted(2)) grads[2] = matmul(transpose(drop(p), -2, -1), g);
    if (wanted(3)) grads[3] = ds;
  }

  /// Row-major, as the kernel counts the weights.
  static Shape lse_strides(const AnyTensor& x) {
    Shape stride = x.shape();
    int64_t step = 1;
    for (int d = stride.rank - 1; d >= 0; --d) stride[d] = step, step *= x.shape()[d];
    return stride;
  }
};

void check_shapes(const AnyTensor& q, const AnyTensor& k, const AnyTensor& v) {
  check_float(kOp, q), check_same(kOp, q, k), check_same(kOp, q, v);
  if (q.dim() < 2 || k.dim() < 2 || v.dim() < 2)
    fail<ShapeError>(kOp, ": q ", q.shape(), ", k ", k.shape(), ", v ", v.shape(), "; at least two dimensions each are needed");
  if (q.size(-1) != k.size(-1))
    fail<ShapeError>(kOp, ": q ", q.shape(), " and k ", k.shape(), ": sizes ", q.size(-1), " and ", k.size(-1), " differ");
  if (k.size(-2) != v.size(-2))
    fail<ShapeError>(kOp, ": k ", k.shape(), " and v ", v.shape(), ": ", k.size(-2), " keys and ", v.size(-2), " values");
}

/// The shape that the outer axes of all three broadcast to.
Shape outer_axes(const AnyTensor& q, const AnyTensor& k, const AnyTensor& v) {
  Shape shape(q.shape().begin(), size_t(q.dim() - 2));
  for (const AnyTensor* x : {&k, &v}) {
    Shape next;
    next.rank = broadcast({shape.rank, shape.size, nullptr}, {x->dim() - 2, x->shape().size, nullptr}, next.size);
    if (next.rank < 0)
      fail<ShapeError>(kOp, ": outer axes of q ", q.shape(), ", k ", k.shape(), ", v ", v.shape(), " do not broadcast");
    shape = next;
  }
  return shape;
}
AnyTensor with_outer_axes(const AnyTensor& x, Shape outer) {
  outer.push_back(x.size(-2)), outer.push_back(x.size(-1));
  return x.shape() == outer ? x : expand(x, outer);
}

}  // namespace

AnyTensor scaled_dot_product_attention(const AnyTensor& q0, const AnyTensor& k0, const AnyTensor& v0, const AttentionOptions& o,
                                       Generator& g) {
  check_shapes(q0, k0, v0);
  if (!(o.dropout_p >= 0 && o.dropout_p <= 1)) fail<ValueError>(kOp, ": dropout_p ", o.dropout_p, " is outside [0, 1]");
  Shape outer = outer_axes(q0, k0, v0), scores = outer, out = outer;
  AnyTensor q = with_outer_axes(q0, outer), k = with_outer_axes(k0, outer), v = with_outer_axes(v0, outer), mask = o.mask;
  scores.push_back(q.size(-2)), scores.push_back(k.size(-2));
  out.push_back(q.size(-2)), out.push_back(v.size(-1));
  if (mask) {
    if (mask.dtype() != DType::boolean && mask.dtype() != q.dtype())
      fail<DTypeError>(kOp, ": mask is ", mask.dtype(), "; bool or ", q.dtype(), " is needed");
    if (mask.device() != q.device()) fail<DeviceError>(kOp, ": q is on ", q.device(), ", the mask on ", mask.device());
    Shape fits;
    fits.rank = broadcast({scores.rank, scores.size, nullptr}, {mask.dim(), mask.shape().size, nullptr}, fits.size);
    if (fits.rank < 0 || !(fits == scores))
      fail<ShapeError>(kOp, ": mask of shape ", mask.shape(), " does not broadcast to ", scores);
    if (!(mask.shape() == scores)) mask = expand(mask, scores);
  }
  AttentionParams params{o.scale ? *o.scale : 1 / std::sqrt(double(q.size(-1))), o.is_causal, o.dropout_p, {}};
  if (o.dropout_p > 0) params.draw = take_words(g, scores.numel());
  AnyTensor a = adjacent(q), b = adjacent(k), c = adjacent(v), y = empty_in_order(a, out);
  Shape rows(scores.begin(), size_t(scores.rank - 1));
  AnyTensor lse = empty(rows, accumulate_dtype(q.dtype()), q.device());
  kernel(kOp, &KernelTable::attention, a)(array(y), array(lse), array(a), array(b), array(c), array(mask), params);
  record(kOp, y, {&q, &k, &v, &mask}, AttentionRule{Saved(q), Saved(k), Saved(v), Saved(mask), Saved::output(y), lse, params});
  return y;
}

}  // namespace gradus
