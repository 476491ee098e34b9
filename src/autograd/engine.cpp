// The walk through the graph: largest sequence number first, no recursion; summing down to the shape of an output and gathering
// happen here and nowhere else.
#include "src/autograd/engine.h"

#include <algorithm>
#include <unordered_map>

#include "gradus/ops/create.h"
#include "gradus/ops/elementwise.h"
#include "gradus/ops/view.h"
#include "src/core/recording.h"

namespace gradus {
namespace {

bool deeper_last(const Ref<Node>& a, const Ref<Node>& b) { return a->sequence < b->sequence; }

struct Wanted {
  Node* node;
  uint32_t slot;
  AnyTensor grad;
};

struct WalkOptions {
  bool keep_graph, create_graph;
  std::vector<Wanted>* wanted = nullptr;  // gradients that reach these are kept there, and leaves are left alone
  bool ends_at_wanted = false;            // and nothing goes on from there
};

/// sum += g, in place where nobody else sees sum.
void gather(AnyTensor& sum, AnyTensor&& g, bool create_graph) {
  if (!create_graph && owned_alone(sum) && sum.impl()->dense)
    add_(sum, g);
  else
    sum = add(sum, g);
}

/// The nodes of which something wanted is an ancestor, the wanted ones included.
std::unordered_set<const Node*> ancestors_of(const std::vector<AnyTensor>& roots, const std::vector<Wanted>& wanted,
                                             bool ends_there) {
  std::unordered_set<const Node*> needed, seen;
  for (const Wanted& w : wanted) needed.insert(w.node);
  if (ends_there) seen = needed;
  struct Frame {
    Node* node;
    uint32_t next = 0;
  };
  std::vector<Frame> stack;
  for (const AnyTensor& root : roots) {
    if (!root.requires_grad() || !seen.insert(root.impl()->node.get()).second) continue;
    stack.push_back({root.impl()->node.get()});
    while (!stack.empty()) {
      Frame& top = stack.back();
      if (top.next < top.node->edge_count) {
        Node* to = top.node->edges[top.next++].node.get();
        if (to && seen.insert(to).second) stack.push_back({to});
        continue;
      }
      Node* done = top.node;
      stack.pop_back();
      for (uint32_t i = 0; i < done->edge_count; ++i)
        if (done->edges[i].node && needed.contains(done->edges[i].node.get())) needed.insert(done);
    }
  }
  return needed;
}

/// How many nodes hand a gradient to each leaf that has hooks.
std::unordered_map<Node*, uint32_t> count_consumers(const std::vector<Ref<Node>>& roots) {
  std::unordered_map<Node*, uint32_t> count;
  std::unordered_set<Node*> seen;
  std::vector<Node*> stack;
  for (const Ref<Node>& root : roots)
    if (seen.insert(root.get()).second) stack.push_back(root.get());
  while (!stack.empty()) {
    Node* node = stack.back();
    stack.pop_back();
    for (uint32_t i = 0; i < node->edge_count; ++i) {
      Node* to = node->edges[i].node.get();
      if (!to) continue;
      if (to->is_leaf() && static_cast<Leaf*>(to)->counted) ++count[to];
      if (seen.insert(to).second) stack.push_back(to);
    }
  }
  return count;
}

void check_for_nan(const Node& node, const AnyTensor* grads) {
  for (uint32_t i = 0; i < node.edge_count; ++i) {
    if (!grads[i].defined() || !is_float(grads[i].dtype())) continue;
    NoGrad no_grad;
    if (to(isnan(grads[i]), DType::int64).sum().item() == 0) continue;
    fail<GraphError>("backward: ", node.name(), " made the first NaN, in the gradient of its input ", i, "; it was recorded at",
                     node.extras ? node.extras->recorded_at : " (before anomaly mode was on)");
  }
}

class Engine {
 public:
  explicit Engine(const WalkOptions& options) : options_(options), mode_(!options.create_graph), outer_(current_walk) {}
  ~Engine() {
    current_walk = outer_;
    for (auto& n : heap_) clear(*n);  // after an error, the next walk must start clean
    for (auto& n : waiting_) clear(*n);
  }

  void run(const std::vector<AnyTensor>& roots, std::vector<AnyTensor> cotangents) {
    std::unordered_set<const Node*> needed;
    if (options_.wanted) needed = ancestors_of(roots, *options_.wanted, options_.ends_at_wanted);
    current_walk = {nullptr, options_.wanted ? &needed : nullptr, !options_.keep_graph};
    if (!options_.wanted && hooked_leaves.load(std::memory_order_relaxed) > 0) {
      std::vector<Ref<Node>> nodes;
      for (const AnyTensor& root : roots) nodes.push_back(root.impl()->node);
      awaited_ = count_consumers(nodes);
      for (auto& [leaf, count] : awaited_) waiting_.push_back(Ref<Node>::share(leaf));
    }
    for (size_t k = 0; k < roots.size(); ++k) {
      Ref<Node> node = roots[k].impl()->node;
      arrive(node, roots[k].impl()->slot, std::move(cotangents[k]), /*keep=*/true);
    }
    cotangents.clear();
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end(), deeper_last);
      Ref<Node> node = std::move(heap_.back());
      heap_.pop_back();
      node->queued = false;
      step(*node);
    }
    for (Ref<Node>& leaf : waiting_)  // those whose last consumers never ran
      if (leaf->pending) finish(static_cast<Leaf&>(*leaf));
    waiting_.clear();
    if (options_.wanted && !options_.ends_at_wanted) finish_wanted();
  }

 private:
  static void clear(Node& n) {
    n.pending = {}, n.queued = false;
    if (n.extras)
      for (AnyTensor& g : n.extras->more_pending) g = {};
  }
  AnyTensor& pending(Node& node, uint32_t slot) { return slot == 0 ? node.pending : node.extras->more_pending[slot - 1]; }
  const Shape& shape(const Node& node, uint32_t slot) { return slot == 0 ? node.shape : node.extras->more_shapes[slot - 1]; }

  /// A gradient for output `slot` of node. The edge's reference is moved from unless the graph is kept.
  void arrive(Ref<Node>& edge, uint32_t slot, AnyTensor&& g, bool keep) {
    Node& node = *edge;
    if (!(g.shape() == shape(node, slot))) g = sum_to(g, shape(node, slot));
    if (options_.wanted && (node.is_leaf() || options_.ends_at_wanted)) {
      if (gather_wanted(node, slot, g) || node.is_leaf()) return;
    }
    if (node.is_leaf()) {
      auto& leaf = static_cast<Leaf&>(node);
      if (!leaf.counted) return node.backward(g, nullptr, options_.create_graph);
      if (leaf.pending)
        gather(leaf.pending, std::move(g), options_.create_graph);
      else
        leaf.pending = std::move(g);
      return;
    }
    AnyTensor& sum = pending(node, slot);
    if (sum)
      gather(sum, std::move(g), options_.create_graph);
    else
      sum = std::move(g);
    if (node.queued) return;
    node.queued = true;
    heap_.push_back(keep ? edge : std::move(edge));
    std::push_heap(heap_.begin(), heap_.end(), deeper_last);
  }

  /// For grad(): a leaf may stand in graphs of several threads, so its share of this walk is gathered here and not at the leaf. The same for
  /// nodes at which the walk ends: they are another walk's. False where nobody wants it.
  bool gather_wanted(Node& node, uint32_t slot, AnyTensor& g) {
    for (Wanted& w : *options_.wanted) {
      if (w.node != &node || w.slot != slot) continue;
      if (w.grad)
        gather(w.grad, std::move(g), options_.create_graph);
      else
        w.grad = std::move(g);
      return true;
    }
    return false;
  }
  /// At the end: hooks see a leaf's whole gradient; a leaf that was asked for twice gets it twice.
  void finish_wanted() {
    for (Wanted& w : *options_.wanted) {
      if (!w.node->is_leaf()) continue;
      auto first = std::find_if(options_.wanted->begin(), options_.wanted->end(), [&](Wanted& o) { return o.node == w.node; });
      if (&*first != &w)
        w.grad = first->grad;
      else if (w.grad && w.node->extras)
        run_hooks(*w.node, &w.grad, 1);
    }
  }

  static void run_hooks(Node& node, AnyTensor* gs, uint32_t slots) {
    for (auto& hook : node.extras->hooks) {
      if (hook.slot >= slots || !gs[hook.slot]) continue;
      AnyTensor replaced = hook.call(gs[hook.slot]);
      if (!replaced) continue;
      if (!(replaced.shape() == gs[hook.slot].shape()) || replaced.dtype() != gs[hook.slot].dtype())
        fail<GraphError>("register_hook: the hook returned ", replaced.dtype(), " ", replaced.shape(), " for a gradient of ",
                         gs[hook.slot].dtype(), " ", gs[hook.slot].shape());
      gs[hook.slot] = std::move(replaced);
    }
    for (uint32_t k = 0; k < slots && k < node.extras->retain.size(); ++k)
      if (node.extras->retain[k] && gs[k]) node.extras->retained[k] = gs[k];
  }

  void finish(Leaf& leaf) {
    AnyTensor g = std::move(leaf.pending);
    run_hooks(leaf, &g, 1);
    leaf.backward(g, nullptr, options_.create_graph);
    AnyTensor handle(leaf.grad);
    for (auto& hook : std::vector(leaf.extras->post_hooks)) {
      hook.call(handle);
      leaf.grad = handle;
    }
  }

  void step(Node& node) {
    uint32_t slots = node.extras ? uint32_t(node.extras->more_pending.size()) + 1 : 1;
    AnyTensor few[1];
    std::vector<AnyTensor> many;
    AnyTensor* gs = few;
    if (slots > 1) {
      many.resize(slots);
      gs = many.data();
      for (uint32_t k = 1; k < slots; ++k) gs[k] = std::move(node.extras->more_pending[k - 1]);
    }
    gs[0] = std::move(node.pending);
    if (node.extras) run_hooks(node, gs, slots);
    if (options_.wanted) {
      for (Wanted& w : *options_.wanted)
        if (w.node == &node && w.slot < slots) w.grad = gs[w.slot];
      bool leads_on = false;
      for (uint32_t i = 0; i < node.edge_count; ++i)
        leads_on = leads_on || (node.edges[i].node && current_walk.needed->contains(node.edges[i].node.get()));
      if (!leads_on) return;
    }
    if (node.forgotten)
      fail<GraphError>(node.name(), ": backward ran already and freed the graph; pass {.retain_graph = true} the first time");
    AnyTensor few_grads[Node::kFewEdges];
    std::vector<AnyTensor> many_grads;
    AnyTensor* grads = few_grads;
    if (node.edge_count > uint32_t(Node::kFewEdges)) many_grads.resize(node.edge_count), grads = many_grads.data();
    current_walk.node = &node;
    if (slots == 1)
      node.backward(gs[0], grads, options_.create_graph);
    else
      node.backward_many(gs, grads, options_.create_graph);
    if (anomaly_mode.load(std::memory_order_relaxed)) [[unlikely]]
      check_for_nan(node, grads);
    gs[0] = {};
    for (uint32_t i = 0; i < node.edge_count; ++i) {
      Edge& edge = node.edges[i];
      if (!edge.node) continue;
      if (current_walk.needed && !current_walk.needed->contains(edge.node.get())) continue;
      Leaf* counted = !awaited_.empty() && edge.node->is_leaf() && static_cast<Leaf*>(edge.node.get())->counted
                          ? static_cast<Leaf*>(edge.node.get())
                          : nullptr;
      // The edge is given away rather than shared: the graph is freed while it is walked.
      if (grads[i]) arrive(edge.node, edge.slot, std::move(grads[i]), options_.keep_graph);
      if (counted && --awaited_[counted] == 0) {
        if (counted->pending) finish(*counted);
      }
    }
    if (!options_.keep_graph) node.forget(), node.forgotten = true;
  }

  WalkOptions options_;
  NoGrad mode_;
  Walk outer_;
  std::vector<Ref<Node>> heap_, waiting_;
  std::unordered_map<Node*, uint32_t> awaited_;
};

std::vector<AnyTensor> checked_cotangents(const std::vector<AnyTensor>& outputs, const std::vector<AnyTensor>& cotangents) {
  if (outputs.empty()) fail<ValueError>("backward: no outputs given");
  if (!cotangents.empty() && cotangents.size() != outputs.size())
    fail<ValueError>("backward: ", outputs.size(), " outputs but ", cotangents.size(), " cotangents");
  std::vector<AnyTensor> all(outputs.size());
  for (size_t k = 0; k < outputs.size(); ++k) {
    const AnyTensor& y = outputs[k];
    if (!y.defined()) fail<ValueError>("backward: output ", k, " is undefined");
    if (!y.requires_grad())
      fail<GraphError>("backward: the tensor of shape ", y.shape(),
                       " does not depend on anything that requires a gradient; "
                       "was it made under NoGrad, or by an op without one?");
    EnableGrad on;
    records(y);
    if (k < cotangents.size() && cotangents[k]) {
      const AnyTensor& c = cotangents[k];
      if (!(c.shape() == y.shape())) fail<ShapeError>("backward: the cotangent has shape ", c.shape(), ", the tensor ", y.shape());
      if (c.dtype() != y.dtype()) fail<DTypeError>("backward: the cotangent is ", c.dtype(), ", the tensor ", y.dtype());
      all[k] = c;
    } else {
      if (y.numel() != 1)
        fail<ShapeError>("backward: needs one element, this tensor has shape ", y.shape(),
                         "; call sum() or mean() first, or pass a cotangent");
      NoGrad off;
      all[k] = ones(y.shape(), y.dtype(), y.device());
    }
  }
  return all;
}

}  // namespace

AnyTensor gathered_for(uint32_t input) {
  const Edge& to = current_walk.node->edges[input];
  if (!to.node || to.node->is_leaf() || is_grad_enabled() || anomaly_mode.load(std::memory_order_relaxed)) return {};
  if (current_walk.needed && !current_walk.needed->contains(to.node.get())) return {};
  const AnyTensor& sum = to.slot == 0 ? to.node->pending : to.node->extras->more_pending[to.slot - 1];
  return sum && owned_alone(sum) && sum.is_contiguous() ? sum : AnyTensor();
}

void Leaf::backward(AnyTensor& g, AnyTensor*, bool create_graph) {
  LeafLock lock(*this);
  const bool alone = multiplied_out() && owned_alone(grad);  // but for a recording, which then may hold it too
  if (StepRecording* r = StepRecording::current()) [[unlikely]]
    r->gradients().touch(*this, RecordedGradients::Touch::add);
  if (grad) {
    if (!create_graph && alone && grad.impl()->dense)
      add_(grad, g);
    else
      grad = add(grad, g);
  } else if (create_graph || (owned_alone(g) && g.is_contiguous())) {
    grad = std::move(g);
  } else {
    // Somebody else holds it (add hands one gradient to two inputs): an optimizer may write into ours.
    grad = g.is_contiguous() ? clone(g) : contiguous(g);
  }
}

void backward(const std::vector<AnyTensor>& outputs, const std::vector<AnyTensor>& cotangents, const BackwardOptions& options) {
  std::vector<AnyTensor> all = checked_cotangents(outputs, cotangents);
  Engine({options.retain_graph || options.create_graph, options.create_graph}).run(outputs, std::move(all));
}
void AnyTensor::backward(const BackwardOptions& options) const { gradus::backward({*this}, {}, options); }
void AnyTensor::backward(const AnyTensor& cotangent, const BackwardOptions& options) const {
  gradus::backward({*this}, {cotangent}, options);
}

std::vector<AnyTensor> grad(const std::vector<AnyTensor>& outputs, const std::vector<AnyTensor>& inputs,
                            const std::vector<AnyTensor>& cotangents, const GradOptions& options) {
  std::vector<AnyTensor> all = checked_cotangents(outputs, cotangents);
  std::vector<Wanted> wanted;
  for (const AnyTensor& x : inputs) {
    if (!x.defined() || !x.requires_grad())
      fail<GraphError>("grad: input ", wanted.size(), " does not require a gradient; call requires_grad_() before the ops");
    wanted.push_back({x.impl()->node.get(), x.impl()->slot, {}});
  }
  Engine({options.retain_graph || options.create_graph, options.create_graph, &wanted}).run(outputs, std::move(all));
  std::vector<AnyTensor> grads;
  for (Wanted& w : wanted) {
    if (!w.grad && !options.allow_unused)
      fail<GraphError>("grad: the outputs do not depend on input ", grads.size(),
                       "; pass {.allow_unused = true} to get an undefined tensor");
    grads.push_back(std::move(w.grad));
  }
  return grads;
}

std::vector<AnyTensor> gradients_up_to(const std::vector<AnyTensor>& outputs, const std::vector<AnyTensor>& cotangents,
                                       const std::vector<Edge>& ends, bool create_graph) {
  std::vector<Wanted> wanted;
  for (const Edge& end : ends) wanted.push_back({end.node.get(), end.slot, {}});
  Engine({.keep_graph = create_graph, .create_graph = create_graph, .wanted = &wanted, .ends_at_wanted = true})
      .run(outputs, cotangents);
  std::vector<AnyTensor> grads;
  for (Wanted& w : wanted) grads.push_back(std::move(w.grad));
  return grads;
}

}  // namespace gradus
