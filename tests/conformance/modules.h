// The registry of modules: how one is made from PyTorch's arguments, and how it is called.
#pragma once
#include "gradus/nn/nn.h"
#include "tests/conformance/gradients.h"
#include "tests/conformance/ops.h"

namespace conformance {

using RunModule = std::function<CaseResult(Value& line)>;
using Modules = std::map<std::string, RunModule>;

/// Loads the recorded state, calls, and compares outputs, gradients of arguments and parameters, and buffers.
CaseResult run_one(gradus::nn::Module& module, const Arguments& constructor, const std::function<Outputs(Arguments&)>& call,
                   Value& line, Tolerance tolerance);
Arguments constructor_of(const Value& line);

/// add<nn::Linear>(all, "nn.Linear", make): make(Arguments&) gives the module; forward(module, Arguments&) its outputs.
template <class M, class Make, class Forward>
void add(Modules& all, const std::string& name, Make make, Forward forward, Tolerance tolerance = kTight) {
  all[name] = [=](Value& line) {
    Arguments constructor = constructor_of(line);
    M module = make(constructor);
    return run_one(
        module, constructor, [&](Arguments& c) { return Outputs(forward(module, c)); }, line, tolerance);
  };
}
template <class M, class Make> void add(Modules& all, const std::string& name, Make make, Tolerance tolerance = kTight) {
  add<M>(
      all, name, make, [](M& module, Arguments& c) -> AnyTensor { return module.forward(c.t(0, "input")); }, tolerance);
}
/// A module of PyTorch's that is a function here: f(constructor's arguments, call's arguments).
void add_function(Modules& all, const std::string& name, std::function<Outputs(Arguments&, Arguments&)> f,
                  Tolerance tolerance = kTight);

void add_layers(Modules&);
void add_losses(Modules&);
void add_norms(Modules&);
void add_sequences(Modules&);

}  // namespace conformance
