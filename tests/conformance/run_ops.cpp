// The suite of functions: outputs, then gradients under the recorded cotangents.
#include "tests/conformance/gradients.h"
#include "tests/conformance/ops.h"
#include "tests/conformance/suite.h"

namespace conformance {

Registry all_ops() {
  Registry ops;
  add_elementwise(ops);
  add_linalg(ops);
  add_shapes(ops);
  add_creation(ops);
  add_nets(ops);
  add_indexing(ops);
  add_losses(ops);
  add_reductions(ops);
  add_more(ops);
  add_special(ops);
  return ops;
}

namespace {
const Registry& registry() {
  static const Registry ops = all_ops();
  return ops;
}
}  // namespace

std::vector<std::string> notes_on_ops() {
  std::vector<std::string> notes;
  for (const auto& [name, entry] : registry().entries())
    if (entry.satisfies) notes.push_back("compared by what it must satisfy: " + name + " (free: " + entry.freedom + ")");
  return notes;
}

CaseResult run_op(Value& line) {
  const Entry* entry = registry().find(line["op"].s);
  if (!entry) return {CaseResult::missing, ""};
  std::map<std::string, AnyTensor> leaves;
  make_leaves(line.entries["input"], "input", names_of(line["grads"]), leaves);
  make_leaves(line.entries["args"], "args", names_of(line["grads"]), leaves);
  make_leaves(line.entries["kwargs"], "kwargs", names_of(line["grads"]), leaves);
  std::vector<Value> positional{line["input"]};
  for (const Value& v : line["args"].items) positional.push_back(v);
  Arguments arguments(std::move(positional), line["kwargs"].entries);

  std::vector<AnyTensor> got = entry->run(arguments).list;
  if (std::string unread = arguments.unread(); !unread.empty()) return failed("runner: nobody read " + unread);
  std::vector<AnyTensor> wanted = tensors_of(line["outputs"]), cotangents = cotangents_of(line["cotangents"], got.size());
  if (got.size() != wanted.size())
    return failed(std::to_string(got.size()) + " outputs instead of " + std::to_string(wanted.size()));
  if (entry->satisfies) {
    if (std::string wrong = entry->satisfies(arguments, got, wanted, cotangents, entry->tolerance); !wrong.empty())
      return failed(wrong);
  } else {
    for (size_t k = 0; k < got.size(); ++k)
      if (std::string wrong = difference(got[k], wanted[k], entry->tolerance); !wrong.empty())
        return failed("output " + std::to_string(k) + ": " + wrong);
  }
  return compare_gradients(got, cotangents, leaves, line["grads"], entry->tolerance);
}

}  // namespace conformance
