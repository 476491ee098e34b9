// Differentiation: gradients of anything with respect to anything, hooks, own functions, checkpoints, and finding NaNs.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "gradus/autograd/node.h"

namespace gradus {

struct GradOptions {
  bool retain_graph = false;
  bool create_graph = false;  // the gradients get a graph of their own; implies retain_graph
  bool allow_unused = false;  // an input that the outputs do not depend on gives an undefined tensor instead of an error
};

/// Gradients of sum_k(outputs[k] * cotangents[k]) with respect to inputs; leaves' grad() stays as it is. An undefined or missing
/// cotangent means one, for outputs of one element. Throws GraphError where an input was not used, ShapeError for cotangents that do not fit.
std::vector<AnyTensor> grad(const std::vector<AnyTensor>& outputs, const std::vector<AnyTensor>& inputs,
                            const std::vector<AnyTensor>& cotangents = {}, const GradOptions& options = {});
/// Runs backward from several tensors at once.
void backward(const std::vector<AnyTensor>& outputs, const std::vector<AnyTensor>& cotangents = {},
              const BackwardOptions& options = {});

/// Undoes a registration.
class HookHandle {
 public:
  HookHandle() = default;
  HookHandle(Ref<Node> node, uint64_t id) : node_(std::move(node)), id_(id) {}
  void remove();

 private:
  Ref<Node> node_;
  uint64_t id_ = 0;
};
/// Called with the whole gradient of x when backward has it; what it returns (unless undefined) takes its place.
HookHandle register_hook(const AnyTensor& x, std::function<AnyTensor(const AnyTensor&)> hook);
/// Called with a leaf's gradient as soon as its last consumer has run and all is gathered in grad(): where reducers attach. What the
/// hook leaves in its argument becomes grad().
HookHandle register_post_accumulate_hook(const AnyTensor& leaf, std::function<void(AnyTensor& gradient)> hook);

/// What the two halves of a custom function share.
class FunctionContext {
 public:
  void save(std::vector<AnyTensor> tensors);
  /// The tensors given to save(). Throws GraphError if one was written in place since.
  std::vector<AnyTensor> saved() const;
  bool wanted(int input) const { return gradus::wanted(uint32_t(input)); }

 private:
  friend struct CustomFunctionAccess;
  std::vector<AnyTensor> to_save_;
  std::vector<Saved> saved_;
};
using CustomForward = std::function<std::vector<AnyTensor>(FunctionContext&, const std::vector<AnyTensor>&)>;
using CustomBackward = std::function<std::vector<AnyTensor>(FunctionContext&, const std::vector<AnyTensor>&)>;
/// An op of one's own. forward(context, inputs) runs unrecorded and may save tensors; backward(context, cotangents) gives one
/// gradient per input (undefined for none); written with public ops, it can be differentiated again.
///   auto cube = custom_function("cube", [](auto& c, auto& in) { c.save({in[0]}); return std::vector{in[0] * in[0] * in[0]}; },
///                               [](auto& c, auto& g) { return std::vector{g[0] * c.saved()[0] * c.saved()[0] * 3}; });
///   AnyTensor y = cube({x})[0];
std::function<std::vector<AnyTensor>(const std::vector<AnyTensor>&)> custom_function(std::string name, CustomForward forward,
                                                                                     CustomBackward backward);

/// Runs f(inputs) without keeping its graph and runs it again in backward: memory for time. Random ops draw the same numbers again from
/// default_generator(). Gradients of any order are those of f, also with respect to what f closes over. Throws GraphError where f, run
/// again, does something else.
std::vector<AnyTensor> checkpoint(const std::function<std::vector<AnyTensor>(const std::vector<AnyTensor>&)>& f,
                                  const std::vector<AnyTensor>& inputs);

/// While one lives: backward checks each gradient, and the first NaN raises GraphError with the op that made it and the place
/// where that op was recorded. Slow.
class AnomalyMode {
 public:
  AnomalyMode();
  ~AnomalyMode();
  AnomalyMode(const AnomalyMode&) = delete;

 private:
  bool before_;
};

}  // namespace gradus
