// Leaves, hooks, functions of one's own.
#include "gradus/ops/create.h"
#include "gradus/ops/elementwise.h"
#include "src/autograd/engine.h"
#include "src/core/recording.h"

namespace gradus {
namespace {
std::atomic<uint64_t> next_hook{1};
}

bool AnyTensor::is_leaf() const { return !impl_->node || impl_->node->is_leaf(); }

AnyTensor& AnyTensor::requires_grad_(bool on) {
  if (!defined()) fail<ValueError>("requires_grad_: got an undefined tensor");
  if (!on) {
    if (!is_leaf()) fail<GraphError>("requires_grad_: a tensor that an op made needs its graph; use detach()");
    impl_->node.reset();
    return *this;
  }
  if (impl_->node) return *this;
  if (!is_float(dtype()))
    fail<DTypeError>("requires_grad_: only floating point tensors have gradients, this is ", dtype(), "; cast with to<float>()");
  if (impl_->inference) fail<GraphError>("requires_grad_: the tensor was made under InferenceMode; clone() it first");
  auto* leaf = new Leaf;
  impl_->node = Ref<Node>(leaf);
  impl_->slot = 0;
  leaf->shape = shape(), leaf->dtype = dtype();
  return *this;
}

AnyTensor AnyTensor::grad() const {
  if (!defined() || !impl_->node) return {};
  Node& node = *impl_->node;
  if (node.is_leaf()) {
    auto& leaf = static_cast<Leaf&>(node);
    LeafLock lock(leaf);
    if (StepRecording* r = StepRecording::current()) [[unlikely]]
      r->gradients().touch(leaf, RecordedGradients::Touch::read);
    return leaf.multiplied_out();
  }
  if (node.extras && impl_->slot < node.extras->retain.size() && node.extras->retain[impl_->slot])
    return node.extras->retained[impl_->slot];
  fail<GraphError>("grad: only leaves keep their gradient; call retain_grad() on this tensor before backward");
}

void AnyTensor::set_grad(AnyTensor gradient) const {
  if (!defined() || !impl_->node || !is_leaf())
    fail<GraphError>("set_grad: the tensor is no leaf that requires a gradient; call requires_grad_() first");
  if (gradient.defined()) {
    if (!(gradient.shape() == shape()))
      fail<ShapeError>("set_grad: the gradient has shape ", gradient.shape(), ", the tensor ", shape(), "; they must be equal");
    if (gradient.dtype() != dtype())
      fail<DTypeError>("set_grad: the gradient is ", gradient.dtype(), ", the tensor ", dtype(), "; cast it with to()");
  }
  auto& leaf = static_cast<Leaf&>(*impl_->node);
  if (StepRecording* r = StepRecording::current()) [[unlikely]]
    r->gradients().touch(leaf, RecordedGradients::Touch::set);
  leaf.grad = std::move(gradient), leaf.column = {}, leaf.row = {};
}

void AnyTensor::retain_grad() const {
  if (!requires_grad())
    fail<GraphError>("retain_grad: the tensor does not require a gradient; call requires_grad_() on what it is made of");
  if (is_leaf()) return;
  NodeExtras& extras = extras_of(*impl_->node);
  if (extras.retain.size() <= impl_->slot) extras.retain.resize(impl_->slot + 1), extras.retained.resize(impl_->slot + 1);
  extras.retain[impl_->slot] = true;
}

HookHandle register_hook(const AnyTensor& x, std::function<AnyTensor(const AnyTensor&)> hook) {
  if (!x.defined() || !x.requires_grad())
    fail<GraphError>("register_hook: the tensor does not require a gradient; call requires_grad_() on what it is made of");
  const Ref<Node>& node = x.impl()->node;
  if (node->is_leaf() && !static_cast<Leaf&>(*node).counted) static_cast<Leaf&>(*node).counted = true, ++hooked_leaves;
  uint64_t id = next_hook++;
  extras_of(*node).hooks.push_back({id, x.impl()->slot, std::move(hook)});
  return {node, id};
}

HookHandle register_post_accumulate_hook(const AnyTensor& leaf, std::function<void(AnyTensor&)> hook) {
  if (!leaf.defined() || !leaf.requires_grad() || !leaf.is_leaf())
    fail<GraphError>(
        "register_post_accumulate_hook: needs a leaf that requires a gradient; use register_hook() for what an op made");
  const Ref<Node>& node = leaf.impl()->node;
  if (!static_cast<Leaf&>(*node).counted) static_cast<Leaf&>(*node).counted = true, ++hooked_leaves;
  uint64_t id = next_hook++;
  extras_of(*node).post_hooks.push_back({id, std::move(hook)});
  return {node, id};
}

void HookHandle::remove() {
  if (!node_ || !node_->extras) return;
  NodeExtras& e = *node_->extras;
  std::erase_if(e.hooks, [&](auto& h) { return h.id == id_; });
  std::erase_if(e.post_hooks, [&](auto& h) { return h.id == id_; });
  if (node_->is_leaf() && e.hooks.empty() && e.post_hooks.empty()) {
    auto& leaf = static_cast<Leaf&>(*node_);
    if (leaf.counted) leaf.counted = false, --hooked_leaves;
  }
  node_.reset();
}

// ---------------------------------------------------------------- custom functions

void FunctionContext::save(std::vector<AnyTensor> tensors) { to_save_ = std::move(tensors); }
std::vector<AnyTensor> FunctionContext::saved() const {
  std::vector<AnyTensor> all;
  for (const Saved& s : saved_) all.push_back(s());
  return all;
}

struct CustomFunctionAccess {
  /// Tensors saved by forward: inputs as they are, outputs without their node.
  static void keep(FunctionContext& c, const std::vector<AnyTensor>& outputs) {
    for (AnyTensor& t : c.to_save_) {
      Saved s(t);
      for (size_t k = 0; k < outputs.size(); ++k)
        if (outputs[k].defined() && t.defined() && outputs[k].is_same(t)) s = Saved::output(t, uint32_t(k));
      c.saved_.push_back(std::move(s));
    }
    c.to_save_.clear();
  }
  static bool wants_to_save(const FunctionContext& c) { return !c.to_save_.empty(); }
};

namespace {
struct CustomNode final : Node {
  std::string label;
  CustomBackward rule;
  FunctionContext context;
  std::vector<std::pair<Shape, DType>> outputs;
  std::vector<Shape> inputs;
  Device device;
  const char* name() const override { return label.c_str(); }
  void forget() override { context = {}; }
  void backward(AnyTensor& g, AnyTensor* grads, bool create_graph) override { backward_many(&g, grads, create_graph); }
  void backward_many(AnyTensor* gs, AnyTensor* grads, bool) override {
    std::vector<AnyTensor> cotangents;
    for (size_t k = 0; k < outputs.size(); ++k)
      cotangents.push_back(gs[k] ? gs[k] : zeros(outputs[k].first, outputs[k].second, device));
    std::vector<AnyTensor> result = rule(context, cotangents);
    if (result.size() != edge_count)
      fail<GraphError>(label, ": backward returned ", result.size(), " gradients for ", edge_count, " inputs");
    for (uint32_t i = 0; i < edge_count; ++i) {
      if (result[i].defined() && !(result[i].shape() == inputs[i]))
        fail<GraphError>(label, ": backward returned shape ", result[i].shape(), " for input ", i, " of shape ", inputs[i]);
      grads[i] = std::move(result[i]);
    }
  }
};
}  // namespace

std::function<std::vector<AnyTensor>(const std::vector<AnyTensor>&)> custom_function(std::string name, CustomForward forward,
                                                                                     CustomBackward backward) {
  return
      [name = std::move(name), forward = std::move(forward), backward = std::move(backward)](const std::vector<AnyTensor>& inputs) {
        FunctionContext context;
        std::vector<AnyTensor> outputs;
        {
          NoGrad no_grad;
          outputs = forward(context, inputs);
        }
        if (outputs.empty()) fail<ValueError>(name, ": forward returned no outputs");
        for (AnyTensor& y : outputs) {
          if (!y.defined()) fail<ValueError>(name, ": forward returned an undefined tensor");
          for (const AnyTensor& x : inputs)
            if (x.defined() && y.is_same(x)) y = y.detach();  // an input handed through is an output of its own
        }
        if (!Inputs(inputs).any_records()) return outputs;
        auto* node = new CustomNode;
        Ref<Node> owner(node);
        node->label = name, node->rule = backward, node->device = outputs[0].device();
        CustomFunctionAccess::keep(context, outputs);
        node->context = std::move(context);
        for (const AnyTensor& y : outputs) node->outputs.push_back({y.shape(), y.dtype()});
        for (const AnyTensor& x : inputs) node->inputs.push_back(x.defined() ? x.shape() : Shape{});
        detail::connect(*node, inputs);
        attach(outputs.data(), int(outputs.size()), std::move(owner));
        return outputs;
      };
}

AnomalyMode::AnomalyMode() : before_(anomaly_mode.exchange(true)) {}
AnomalyMode::~AnomalyMode() { anomaly_mode.store(before_); }

}  // namespace gradus
