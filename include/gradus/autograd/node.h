// The graph, for those who write ops. A node owns what came before it (its edges) and what its gradient reads; never its output.
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "gradus/autograd/mode.h"
#include "gradus/core/any_tensor.h"

namespace gradus {

/// One input of a node: the node that made it and which of that node's outputs it was. Empty where no gradient is needed.
struct Edge {
  Ref<Node> node;
  uint32_t slot = 0;
};

struct NodeExtras;  // what a node keeps only if somebody asked: hooks, further outputs, where it was recorded

struct Node : pool::Pooled {
  static constexpr int kFewEdges = 3;
  std::atomic<uint32_t> refs{1};
  uint32_t edge_count = 0;
  uint64_t sequence = 0;  // larger than those of its edges, so popping the largest first is a topological order; leaves have 0
  Edge* edges = few_edges_;
  NodeExtras* extras = nullptr;
  Node* doomed = nullptr;  // next in the list of nodes to free
  bool queued = false;     // stands in the running walk's heap
  bool forgotten = false;
  DType dtype{};      // of output 0
  Shape shape;        // of output 0: a gradient that arrives broadcast is summed down to it
  AnyTensor pending;  // the gradient of output 0 gathered so far by the running backward

  Node() = default;
  virtual ~Node();
  virtual const char* name() const = 0;
  /// Fills grads[i] for every edge that is set, given the gradient of output 0. g may be overwritten when nobody else holds it.
  virtual void backward(AnyTensor& g, AnyTensor* grads, bool create_graph) = 0;
  /// The same for nodes with several outputs; gs[k] is empty where nothing arrived.
  virtual void backward_many(AnyTensor* gs, AnyTensor* grads, bool create_graph) { backward(gs[0], grads, create_graph); }
  /// Frees what was saved; after that backward is refused.
  virtual void forget() {}
  bool is_leaf() const { return sequence == 0; }
  void set_edge_count(uint32_t n);
  void set_edge(uint32_t i, const AnyTensor& x);
  static void destroy(Node*);

 private:
  Edge few_edges_[kFewEdges];
};

/// A tensor that a gradient reads, with a check that it was not written since it was saved.
class Saved {
 public:
  Saved() = default;
  explicit Saved(const AnyTensor& x) : tensor_(x), version_(x.defined() ? x.version() : 0) {}
  /// The op's own output: kept without its node (a node does not own its output), which it gets back when it is read.
  static Saved output(const AnyTensor& y, uint32_t slot = 0);
  /// The tensor. Throws GraphError, naming the op, if it was written in place after it was saved.
  AnyTensor operator()() const;
  /// The same, for a rule's last reading: where the running backward frees the graph, nothing is kept, so that the rule may find itself
  /// the only owner and write its result there. Such a node counts as run, whatever becomes of the rule.
  AnyTensor give();

 private:
  AnyTensor tensor_;
  uint32_t version_ = 0, slot_ = 0;
  bool is_output_ = false;
};

/// In a rule: whether the input of that number wants a gradient. What is not wanted need not be computed.
bool wanted(uint32_t input);
namespace detail {
[[noreturn]] void fail_out_of_step(const AnyTensor& x);
}
/// True where an op on x must leave a node behind. Throws GraphError for a view whose base was written in place since.
inline bool records(const AnyTensor& x) {
  const Impl& i = *x.impl();
  if (i.writes_seen != i.storage->graph_writes.load(std::memory_order_relaxed)) [[unlikely]]
    detail::fail_out_of_step(x);
  return is_grad_enabled() && i.node;
}
/// Hangs a node, whose edges are set, on its output, or one slot each on its outputs.
void attach(AnyTensor& output, Ref<Node> node);
void attach(AnyTensor* outputs, int count, Ref<Node> node);

/// The inputs of an op, in the order of their gradients; undefined tensors are allowed.
class Inputs {
 public:
  Inputs(std::initializer_list<const AnyTensor*> list) : count_(uint32_t(list.size())) {
    list_ = list.begin();  // lives as long as the call that it is an argument of
  }
  Inputs(const std::vector<AnyTensor>& tensors) : tensors_(tensors.data()), count_(uint32_t(tensors.size())) {}
  uint32_t count() const { return count_; }
  const AnyTensor& operator[](uint32_t i) const { return tensors_ ? tensors_[i] : *list_[i]; }
  bool any_records() const {
    if (!is_grad_enabled()) return false;
    bool any = false;
    for (uint32_t i = 0; i < count_; ++i) any |= (*this)[i].defined() && records((*this)[i]);
    return any;
  }

 private:
  const AnyTensor* const* list_ = nullptr;
  const AnyTensor* tensors_ = nullptr;
  uint32_t count_;
};

namespace detail {
void connect(Node& node, const Inputs& inputs);

template <class Rule, bool kMany> struct RuleNode final : Node {
  RuleNode(const char* label, Rule&& r) : label(label), rule(std::move(r)) {}
  const char* name() const override { return label; }
  void backward(AnyTensor& g, AnyTensor* grads, bool) override {
    if constexpr (kMany)
      (*rule)(&g, grads);  // of one tensor alone: all that was split off
    else
      (*rule)(g, grads);
  }
  void backward_many(AnyTensor* gs, AnyTensor* grads, bool) override {
    if constexpr (kMany)
      (*rule)(gs, grads);
    else
      (*rule)(gs[0], grads);
  }
  void forget() override { rule.reset(); }
  const char* label;
  std::optional<Rule> rule;
};
}  // namespace detail

/// Records an op whose gradient is written with public ops: rule(const AnyTensor& g, AnyTensor* grads) fills grads[i] for the
/// inputs that are wanted(i). The rule runs with gradients on where a graph of the gradient is wanted, else with them off.
/// Tensors that the rule reads are captured as Saved. `name` must outlive the graph (a literal).
template <class Rule> void record(const char* name, AnyTensor& output, const Inputs& inputs, Rule rule) {
  if (!inputs.any_records()) return;
  auto* node = new detail::RuleNode<Rule, false>(name, std::move(rule));
  Ref<Node> owner(node);
  detail::connect(*node, inputs);
  attach(output, std::move(owner));
}

/// The same for several outputs: rule(AnyTensor* gs, AnyTensor* grads), where gs[k] is empty if nothing reached output k.
template <class Rule> void record_many(const char* name, std::vector<AnyTensor>& outputs, const Inputs& inputs, Rule rule) {
  if (!inputs.any_records()) return;
  auto* node = new detail::RuleNode<Rule, true>(name, std::move(rule));
  Ref<Node> owner(node);
  detail::connect(*node, inputs);
  attach(outputs.data(), int(outputs.size()), std::move(owner));
}

/// Before a write in place to x by op `name`: throws GraphError where gradients are on and x is a leaf that requires one.
void check_in_place(const char* name, const AnyTensor& x);
/// After a write in place to x, recorded or not: moves its version on. Where x has a node, or is about to get one (`recorded`),
/// other tensors on the same memory lose their place in the graph and are refused from then on.
void written_in_place(AnyTensor& x, bool recorded = false);

}  // namespace gradus
