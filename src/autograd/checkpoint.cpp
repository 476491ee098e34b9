// Memory for time: a function whose graph is thrown away after forward, and made again by backward.
#include <algorithm>

#include "gradus/core/random.h"
#include "gradus/ops/create.h"
#include "src/autograd/engine.h"

namespace gradus {
namespace {

using Function = std::function<std::vector<AnyTensor>(const std::vector<AnyTensor>&)>;

/// The numbers that were drawn in forward are drawn again while it lives, and nobody else sees that.
class DrawnAgain {
 public:
  explicit DrawnAgain(const GeneratorState& then) : now_(default_generator().state()) { default_generator().set_state(then); }
  ~DrawnAgain() { default_generator().set_state(now_); }
  DrawnAgain(const DrawnAgain&) = delete;

 private:
  GeneratorState now_;
};

/// What f is given in place of x: the same values, with a beginning of the graph that is f's alone.
AnyTensor beginning(const AnyTensor& x, bool create_graph) {
  if (!x.defined()) return x;
  AnyTensor y = x.detach();
  if (!x.requires_grad()) return y;
  if (create_graph)  // the second gradient goes on into x
    record("checkpoint", y, {&x}, [](const AnyTensor& g, AnyTensor* grads) { grads[0] = g; });
  else
    y.requires_grad_();
  return y;
}

bool same(const Edge& a, const Edge& b) { return a.node.get() == b.node.get() && a.slot == b.slot; }

/// What the outputs were made of beside `own`: leaves, and the outputs of nodes older than `since`.
std::vector<Edge> closed_over(const std::vector<AnyTensor>& outputs, const std::vector<Edge>& own, uint64_t since) {
  std::vector<Edge> found;
  std::vector<Ref<Node>> stack;
  std::unordered_set<const Node*> seen;
  auto visit = [&](const Edge& e) {
    auto is_it = [&](const Edge& other) { return same(e, other); };
    if (!e.node || std::any_of(own.begin(), own.end(), is_it)) return;
    if (!e.node->is_leaf() && e.node->sequence > since) {
      if (seen.insert(e.node.get()).second) stack.push_back(e.node);
    } else if (std::none_of(found.begin(), found.end(), is_it)) {
      found.push_back(e);
    }
  };
  for (const AnyTensor& y : outputs)
    if (y.requires_grad()) visit({y.impl()->node, y.impl()->slot});
  while (!stack.empty()) {
    Ref<Node> node = std::move(stack.back());
    stack.pop_back();
    for (uint32_t i = 0; i < node->edge_count; ++i) visit(node->edges[i]);
  }
  return found;
}

/// Its edges: the inputs in their order, then what f closes over.
struct CheckpointNode final : Node {
  Function f;
  GeneratorState state;
  std::vector<Saved> inputs;
  std::vector<size_t> kept;  // which of f's outputs have a gradient
  std::vector<Shape> shapes;

  const char* name() const override { return "checkpoint"; }
  void forget() override { f = nullptr, inputs.clear(); }
  void backward(AnyTensor& g, AnyTensor* grads, bool create_graph) override { backward_many(&g, grads, create_graph); }
  void backward_many(AnyTensor* gs, AnyTensor* grads, bool create_graph) override {
    std::vector<AnyTensor> again, outputs, roots, cotangents;
    std::vector<Edge> ends;
    std::vector<uint32_t> places;
    {
      EnableGrad on;
      for (const Saved& x : inputs) again.push_back(beginning(x(), create_graph));
      DrawnAgain numbers(state);
      outputs = f(again);
    }
    for (size_t k = 0; k < kept.size(); ++k) {
      if (kept[k] >= outputs.size() || !(outputs[kept[k]].shape() == shapes[k]) || !outputs[kept[k]].requires_grad())
        fail<GraphError>("checkpoint: run again, f gives another output ", kept[k],
                         "; it must do the same each time, and draw from default_generator() only");
      if (gs[k]) roots.push_back(outputs[kept[k]]), cotangents.push_back(std::move(gs[k]));
    }
    for (uint32_t i = 0; i < edge_count; ++i) {
      if (!gradus::wanted(i)) continue;
      places.push_back(i);
      ends.push_back(i < again.size() ? Edge{again[i].impl()->node, again[i].impl()->slot} : edges[i]);
    }
    std::vector<AnyTensor> found = gradients_up_to(roots, cotangents, ends, create_graph);
    for (size_t k = 0; k < places.size(); ++k) grads[places[k]] = std::move(found[k]);
  }
};

}  // namespace

std::vector<AnyTensor> checkpoint(const Function& f, const std::vector<AnyTensor>& inputs) {
  if (!is_grad_enabled()) return f(inputs);
  auto* node = new CheckpointNode;
  Ref<Node> owner(node);
  node->f = f, node->state = default_generator().state();
  std::vector<AnyTensor> given;
  std::vector<Edge> own;
  for (const AnyTensor& x : inputs) {
    node->inputs.push_back(Saved(x));
    given.push_back(beginning(x, false));
    own.push_back(given.back().defined() ? Edge{given.back().impl()->node, given.back().impl()->slot} : Edge{});
  }
  const uint64_t since = latest_sequence();
  std::vector<AnyTensor> outputs = f(given), with_gradient;
  std::vector<Edge> others = closed_over(outputs, own, since);
  for (size_t k = 0; k < outputs.size(); ++k) {
    if (!outputs[k].defined()) fail<ValueError>("checkpoint: f returned an undefined tensor");
    bool differentiable = outputs[k].requires_grad();
    outputs[k] = outputs[k].detach();  // the graph that f made ends here
    if (!differentiable) continue;
    node->kept.push_back(k), node->shapes.push_back(outputs[k].shape());
    with_gradient.push_back(outputs[k]);
  }
  if (with_gradient.empty()) return outputs;
  node->set_edge_count(uint32_t(inputs.size() + others.size()));
  for (size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].defined()) node->set_edge(uint32_t(i), inputs[i]);
  for (size_t i = 0; i < others.size(); ++i) node->edges[inputs.size() + i] = others[i];
  attach(with_gradient.data(), int(with_gradient.size()), std::move(owner));
  return outputs;
}

}  // namespace gradus
