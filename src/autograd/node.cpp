// Making and freeing graphs.
#include "gradus/autograd/node.h"

#include <execinfo.h>

#include <algorithm>

#include "gradus/ops/elementwise.h"
#include "src/autograd/engine.h"
#include "src/core/recording.h"

namespace gradus {
namespace {

thread_local constinit uint64_t last_sequence = 0;
thread_local constinit Node* doomed_nodes = nullptr;
thread_local constinit bool freeing = false;

/// The calls that lead here, for anomaly mode.
std::string call_stack() {
  void* frames[24];
  int n = backtrace(frames, 24);
  char** names = backtrace_symbols(frames, n);
  std::string text;
  for (int i = 3; i < n && names; ++i) text += std::string("\n    ") + names[i];
  std::free(names);
  return text;
}

}  // namespace

thread_local constinit Walk current_walk{};
std::atomic<int> hooked_leaves{0};
std::atomic<bool> anomaly_mode{false};

uint64_t latest_sequence() { return last_sequence; }

NodeExtras& extras_of(Node& node) {
  if (!node.extras) node.extras = new NodeExtras;
  return *node.extras;
}

Leaf::~Leaf() {
  if (!noted) return;
  if (StepRecording* r = StepRecording::current()) r->gradients().gone(*this);
}
Node::~Node() {
  if (edges != few_edges_) delete[] edges;
  delete extras;
}

void Node::set_edge_count(uint32_t n) {
  if (n > uint32_t(kFewEdges)) edges = new Edge[n];
  edge_count = n;
}

void Node::set_edge(uint32_t i, const AnyTensor& x) {
  const Impl& from = *x.impl();
  if (from.inference) [[unlikely]]
    fail<GraphError>(name(), ": a tensor made under InferenceMode cannot enter a graph; clone() it, or use NoGrad");
  edges[i].node = from.node;
  edges[i].slot = from.slot;
}

/// A node that loses its last owner joins a list; the first call empties it. So a chain of any length is freed without recursion.
void Node::destroy(Node* node) {
  node->doomed = doomed_nodes;
  doomed_nodes = node;
  if (freeing) return;
  freeing = true;
  while (Node* next = doomed_nodes) {
    doomed_nodes = next->doomed;
    delete next;
  }
  freeing = false;
}

bool wanted(uint32_t input) {
  const Node* to = current_walk.node->edges[input].node.get();
  return to && (!current_walk.needed || current_walk.needed->contains(to));
}

void detail::fail_out_of_step(const AnyTensor& x) {
  fail<GraphError>("a tensor of shape ", x.shape(),
                   " shares memory with one that was written in place since, so its place in the graph is lost; "
                   "take the view again after the write, or use the function that returns a new tensor");
}

namespace detail {
void connect(Node& node, const Inputs& inputs) {
  node.set_edge_count(inputs.count());
  for (uint32_t k = 0; k < inputs.count(); ++k) {
    if (inputs[k].defined()) node.set_edge(k, inputs[k]);
  }
}
}  // namespace detail

namespace {
void set_sequence(Node& node) {
  // As Lamport's clock: larger than anything this thread made and than all edges, whichever thread made those.
  uint64_t last = last_sequence;
  for (uint32_t i = 0; i < node.edge_count; ++i)
    if (node.edges[i].node) last = std::max(last, node.edges[i].node->sequence);
  node.sequence = last_sequence = last + 1;
  if (anomaly_mode.load(std::memory_order_relaxed)) [[unlikely]]
    extras_of(node).recorded_at = call_stack();
}
void hang(AnyTensor& output, Ref<Node> node, uint32_t slot) {
  Impl& i = *output.impl();
  i.node = std::move(node), i.slot = slot;
}
}  // namespace

void attach(AnyTensor& output, Ref<Node> node) {
  set_sequence(*node);
  node->shape = output.shape(), node->dtype = output.dtype();
  hang(output, std::move(node), 0);
}

void attach(AnyTensor* outputs, int count, Ref<Node> node) {
  set_sequence(*node);
  node->shape = outputs[0].shape(), node->dtype = outputs[0].dtype();
  NodeExtras& extras = extras_of(*node);
  for (int k = 1; k < count; ++k) extras.more_shapes.push_back(outputs[k].defined() ? outputs[k].shape() : Shape{});
  extras.more_pending.resize(size_t(count - 1));
  for (int k = 0; k < count; ++k)
    if (outputs[k].defined() && is_float(outputs[k].dtype())) hang(outputs[k], node, uint32_t(k));
}

void check_in_place(const char* name, const AnyTensor& x) {
  if (!is_grad_enabled()) return;
  records(x);
  if (x.requires_grad() && x.is_leaf())
    fail<GraphError>(name, "_: a leaf that requires a gradient is written in place; do it under NoGrad, or work on a copy");
}

void written_in_place(AnyTensor& x, bool recorded) {
  Storage& s = *x.impl()->storage;
  s.version.fetch_add(1, std::memory_order_relaxed);
  if (StepRecording* r = StepRecording::current()) [[unlikely]]
    r->written(s);
  if (is_grad_enabled() && (recorded || x.requires_grad()) && s.refs.load(std::memory_order_relaxed) > 1)
    x.impl()->writes_seen = s.graph_writes.fetch_add(1, std::memory_order_relaxed) + 1;
}

Saved Saved::output(const AnyTensor& y, uint32_t slot) {
  Saved s(y.detach());
  s.is_output_ = true, s.slot_ = slot;
  return s;
}

AnyTensor Saved::operator()() const {
  if (!tensor_.defined()) return tensor_;
  if (tensor_.version() != version_) {
    const char* op = current_walk.node ? current_walk.node->name() : "backward";
    fail<GraphError>(op, ": a tensor of shape ", tensor_.shape(),
                     " that its gradient reads was written in place after the op ran (version ", tensor_.version(), ", saved at ",
                     version_, "); write to a clone(), or after backward");
  }
  if (!is_output_ || !is_grad_enabled() || !current_walk.node) return tensor_;
  AnyTensor y = tensor_.detach();
  y.impl()->node = Ref<Node>::share(current_walk.node), y.impl()->slot = slot_;
  return y;
}

AnyTensor Saved::give() {
  AnyTensor x = (*this)();
  if (current_walk.frees_graph) tensor_ = {}, current_walk.node->forgotten = true;
  return x;
}

}  // namespace gradus
