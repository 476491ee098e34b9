#include "tests/conformance/gradients.h"

namespace conformance {

using namespace gradus;

std::set<std::string> names_of(const Value& dict) {
  std::set<std::string> names;
  for (const auto& [name, value] : dict.entries) names.insert(name);
  return names;
}

std::vector<AnyTensor> tensors_of(const Value& list) {
  std::vector<AnyTensor> tensors;
  for (const Value& v : list.items) {
    if (v.kind == Value::tensor && !v.t.defined()) throw LeftOut("tensor " + v.s + " has a dtype that Gradus does not have");
    tensors.push_back(v.t);
  }
  return tensors;
}

std::vector<AnyTensor> cotangents_of(const Value& dict, size_t outputs) {
  std::vector<AnyTensor> cotangents(outputs);
  for (const auto& [index, v] : dict.entries)
    if (size_t k = std::stoul(index); k < outputs) cotangents[k] = v.t;
  return cotangents;
}

CaseResult compare_gradients(const std::vector<AnyTensor>& outputs, const std::vector<AnyTensor>& cotangents,
                             const std::map<std::string, AnyTensor>& leaves, const Value& recorded, Tolerance tolerance) {
  std::vector<AnyTensor> from, with, to;
  for (size_t k = 0; k < outputs.size(); ++k)
    if (cotangents[k].defined() && outputs[k].defined() && outputs[k].requires_grad())
      from.push_back(outputs[k]), with.push_back(cotangents[k]);
  for (const auto& [path, leaf] : leaves) to.push_back(leaf);
  std::vector<AnyTensor> gradients(to.size());
  if (!from.empty() && !to.empty()) gradients = grad(from, to, with, {.allow_unused = true});
  size_t k = 0;
  for (const auto& [path, leaf] : leaves) {
    AnyTensor got = gradients[k++];
    if (!got.defined()) got = zeros_like(leaf.detach());
    if (std::string wrong = difference(got, recorded[path].t, tolerance); !wrong.empty())
      return failed("gradient of " + path + ": " + wrong);
  }
  for (const auto& [path, v] : recorded.entries)
    if (!leaves.count(path)) return failed("runner: nothing stands at " + path + ", which has a gradient");
  return {};
}

}  // namespace conformance
