#include "tests/conformance/modules.h"

namespace conformance {

using namespace gradus;

Arguments constructor_of(const Value& line) {
  Arguments arguments(line["ctor_args"].items, line["ctor_kwargs"].entries);
  arguments.at(-1, "dtype"), arguments.at(-1, "inplace");  // float32 throughout; the same values
  return arguments;
}

namespace {
/// In the place of a module that is a function here.
struct Nothing : nn::Module {
  GRADUS_MEMBERS()
};
}  // namespace

CaseResult run_one(nn::Module& module, const Arguments& constructor, const std::function<Outputs(Arguments&)>& call, Value& line,
                   Tolerance tolerance) {
  if (std::string unread = constructor.unread(); !unread.empty()) throw LeftOut("an option that Gradus does not have: " + unread);
  NamedTensors state;
  for (const auto& [name, v] : line["state"].entries) {
    if (v.kind != Value::tensor || !v.t.defined()) throw LeftOut("state." + name + " has a dtype that Gradus does not have");
    state.push_back({name, v.t});
  }
  if (!dynamic_cast<Nothing*>(&module)) module.load_state(state);  // a function has its weights among the arguments
  module.train(line["training"].b);

  std::set<std::string> wanted_paths = names_of(line["grads"]);
  std::map<std::string, AnyTensor> leaves;
  make_leaves(line.entries["args"], "args", wanted_paths, leaves);
  make_leaves(line.entries["kwargs"], "kwargs", wanted_paths, leaves);
  for (const auto& [name, parameter] : module.named_parameters())
    if (wanted_paths.count("state." + name)) leaves["state." + name] = parameter;

  Arguments arguments(line["args"].items, line["kwargs"].entries);
  std::vector<AnyTensor> got = call(arguments).list, wanted = tensors_of(line["outputs"]);
  if (std::string unread = arguments.unread(); !unread.empty()) throw LeftOut("an argument that Gradus does not have: " + unread);
  if (got.size() != wanted.size())
    return failed(std::to_string(got.size()) + " outputs instead of " + std::to_string(wanted.size()));
  for (size_t k = 0; k < got.size(); ++k)
    if (std::string wrong = difference(got[k], wanted[k], tolerance); !wrong.empty())
      return failed("output " + std::to_string(k) + ": " + wrong);
  for (const auto& [name, v] : line["buffers_after"].entries) {
    if (dynamic_cast<Nothing*>(&module)) continue;
    bool found = false;
    for (const auto& [own, buffer] : module.named_buffers()) {
      if (own != name) continue;
      found = true;
      if (std::string wrong = difference(buffer, v.t, tolerance); !wrong.empty()) return failed("buffer " + name + ": " + wrong);
    }
    if (!found) return failed("no buffer is named " + name);
  }
  return compare_gradients(got, cotangents_of(line["cotangents"], got.size()), leaves, line["grads"], tolerance);
}

void add_function(Modules& all, const std::string& name, std::function<Outputs(Arguments&, Arguments&)> f, Tolerance tolerance) {
  all[name] = [=](Value& line) {
    Arguments constructor = constructor_of(line);
    Nothing module;
    // The call reads the constructor's arguments, so they are checked after it.
    return run_one(
        module, Arguments({}, {}),
        [&](Arguments& c) {
          Outputs outputs = f(constructor, c);
          if (std::string unread = constructor.unread(); !unread.empty())
            throw LeftOut("an option that Gradus does not have: " + unread);
          return outputs;
        },
        line, tolerance);
  };
}

CaseResult run_module(Value& line) {
  static const Modules all = [] {
    Modules modules;
    add_layers(modules);
    add_losses(modules);
    add_norms(modules);
    add_sequences(modules);
    return modules;
  }();
  auto found = all.find(line["module"].s);
  return found == all.end() ? CaseResult{CaseResult::missing, ""} : found->second(line);
}

}  // namespace conformance
