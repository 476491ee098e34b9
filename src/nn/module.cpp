#include "gradus/nn/module.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <typeinfo>
#include <unordered_map>
#include <unordered_set>

#include "gradus/autograd/mode.h"
#include "gradus/ops/elementwise.h"

namespace gradus::nn {
namespace {

/// Collects handles on what a walk meets.
struct Collect : Visitor {
  bool want_parameters, want_buffers, persistent_only;
  NamedTensors found;
  Collect(bool parameters, bool buffers, bool persistent_only)
      : want_parameters(parameters), want_buffers(buffers), persistent_only(persistent_only) {}
  void parameter(const std::string& name, Parameter& p) override {
    if (want_parameters) found.push_back({name, p});
  }
  void buffer(const std::string& name, Buffer& b) override {
    if (want_buffers && (b.persistent() || !persistent_only)) found.push_back({name, b});
  }
};

/// Walking changes nothing by itself, so a constant module may be walked too.
NamedTensors collect(const Module& module, bool parameters, bool buffers, bool persistent_only = false) {
  Collect visitor(parameters, buffers, persistent_only);
  const_cast<Module&>(module).visit(visitor);
  return std::move(visitor.found);
}

NamedTensors without_repetition(NamedTensors all) {
  std::unordered_set<const Impl*> seen;
  std::erase_if(all, [&](const NamedTensor& t) { return !seen.insert(t.tensor.impl()).second; });
  return all;
}

template <class F> struct EachHeld : Visitor {
  F f;
  explicit EachHeld(F f) : f(std::move(f)) {}
  void parameter(const std::string&, Parameter& p) override { f(p); }
  void buffer(const std::string&, Buffer& b) override { f(b); }
};

}  // namespace

void Module::visit(Visitor& visitor, const std::string& prefix) {
  std::string name = prefix.empty() ? "" : prefix.substr(0, prefix.size() - 1);
  visitor.enter(name, *this);
  visit_members(visitor, prefix);
  visitor.leave(name, *this);
}

NamedTensors Module::named_parameters() const { return without_repetition(collect(*this, true, false)); }
NamedTensors Module::named_buffers() const { return without_repetition(collect(*this, false, true)); }
NamedTensors Module::state() const { return collect(*this, true, true, true); }
std::vector<AnyTensor> Module::parameters() const {
  std::vector<AnyTensor> list;
  for (NamedTensor& t : named_parameters()) list.push_back(std::move(t.tensor));
  return list;
}
std::vector<std::string> Module::names() const {
  std::vector<std::string> list;
  for (NamedTensor& t : state()) list.push_back(std::move(t.name));
  return list;
}
int64_t Module::num_parameters(bool frozen_too) const {
  int64_t n = 0;
  for (const AnyTensor& p : parameters())
    if (frozen_too || p.requires_grad()) n += p.numel();
  return n;
}

std::vector<Module::Child> Module::modules() {
  struct All : Visitor {
    std::vector<Child> found;
    void enter(const std::string& name, Module& m) override { found.push_back({name, &m}); }
  } all;
  visit(all);
  return std::move(all.found);
}
std::vector<Module::Child> Module::children() {
  struct Direct : Visitor {
    int depth = 0;
    std::vector<Child> found;
    void enter(const std::string& name, Module& m) override {
      if (++depth == 2) found.push_back({name, &m});
    }
    void leave(const std::string&, Module&) override { --depth; }
  } direct;
  visit(direct);
  return std::move(direct.found);
}
Module& Module::apply(const std::function<void(Module&)>& f) {
  struct Apply : Visitor {
    const std::function<void(Module&)>& f;
    explicit Apply(const std::function<void(Module&)>& f) : f(f) {}
    void leave(const std::string&, Module& m) override { f(m); }
  } visitor(f);
  visit(visitor);
  return *this;
}

Module& Module::train(bool on) {
  return apply([on](Module& m) { m.training_ = on; });
}
Module& Module::requires_grad_(bool wanted) {
  for (AnyTensor& p : parameters()) p.requires_grad_(wanted);
  return *this;
}
void Module::zero_grad() {
  for (const AnyTensor& p : parameters())
    if (p.requires_grad()) p.set_grad({});
}
Module& Module::to(DType dtype) {
  if (!is_float(dtype)) throw DTypeError(std::string("to: a module's parameters are floating point, not ") + name(dtype));
  EachHeld each([dtype](Held& t) {
    if (t.defined() && is_float(t.dtype()) && t.dtype() != dtype) t.replace(gradus::to(t.detach(), dtype));
  });
  visit(each);
  return *this;
}
Module& Module::to(Device device) {
  EachHeld each([device](Held& t) {
    if (t.defined() && t.device() != device) t.replace(t.detach().to(device));
  });
  visit(each);
  return *this;
}

Module::Unmatched Module::load_state(const NamedTensors& state, bool strict) {
  std::unordered_map<std::string_view, const AnyTensor*> given;
  for (const NamedTensor& t : state)
    if (!given.emplace(t.name, &t.tensor).second) throw ValueError("load_state: two tensors are named \"" + t.name + "\"");
  Unmatched unmatched;
  NamedTensors own = this->state();
  std::vector<std::pair<AnyTensor, AnyTensor>> pairs;
  for (NamedTensor& t : own) {
    auto found = given.find(t.name);
    if (found == given.end()) {
      unmatched.missing.push_back(t.name);
      continue;
    }
    const AnyTensor& values = *found->second;
    if (!values.defined()) throw ValueError("load_state: \"" + t.name + "\" is undefined");
    if (!(values.shape() == t.tensor.shape()))
      throw ShapeError("load_state: \"" + t.name + "\" has shape " + to_string(values.shape()) + ", the module's has " +
                       to_string(t.tensor.shape()));
    pairs.emplace_back(t.tensor, values);
    given.erase(found);
  }
  for (const NamedTensor& t : state)
    if (given.count(t.name)) unmatched.unexpected.push_back(t.name);
  if (strict && !(unmatched.missing.empty() && unmatched.unexpected.empty())) {
    auto list = [](const std::vector<std::string>& names) {
      std::string text;
      for (size_t i = 0; i < names.size() && i < 5; ++i) text += (i ? ", " : "") + names[i];
      return names.size() > 5 ? text + ", and " + std::to_string(names.size() - 5) + " more" : text;
    };
    std::string text = "load_state: " + type_name(*this) + " and what is given differ:";
    if (!unmatched.missing.empty()) text += " missing " + list(unmatched.missing) + ";";
    if (!unmatched.unexpected.empty()) text += " unexpected " + list(unmatched.unexpected) + ";";
    throw ValueError(text + " pass strict = false to load what matches");
  }
  NoGrad no_grad;
  for (auto& [to, from] : pairs) to.copy_(from.detach().to(to.device()));
  return unmatched;
}

std::string type_name(const Module& module) {
  int status = 0;
  char* full = abi::__cxa_demangle(typeid(module).name(), nullptr, nullptr, &status);
  std::string text = full ? full : typeid(module).name();
  std::free(full);
  // Cut namespaces, but not those within template arguments.
  size_t last = 0;
  int depth = 0;
  for (size_t i = 0; i + 1 < text.size(); ++i) {
    if (text[i] == '<' || text[i] == '(') ++depth;
    if (text[i] == '>' || text[i] == ')') --depth;
    if (depth == 0 && text[i] == ':' && text[i + 1] == ':') last = i + 2;
  }
  return text.substr(last);
}

namespace detail {
CallObserver::CallObserver() : outer_(call_observer) { call_observer = this; }
CallObserver::~CallObserver() { call_observer = outer_; }
void observe_call(const Module& module) { call_observer->before(const_cast<Module&>(module)); }
void observe_result(const Module& module, const AnyTensor& output) { call_observer->after(const_cast<Module&>(module), output); }
}  // namespace detail

}  // namespace gradus::nn
