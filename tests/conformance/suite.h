// Runs the cases of a suite, groups what comes of them, and prints it.
#pragma once
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/conformance/value.h"

namespace conformance {

struct CaseResult {
  enum Kind { passed, failed, left_out, missing } kind = passed;
  std::string why;  // it failed, or was left out
};
inline CaseResult failed(std::string why) { return {CaseResult::failed, std::move(why)}; }

class Suite {
 public:
  /// `group` is the key that names a case's group: "op", "module", ...
  Suite(std::string name, std::string group) : name_(std::move(name)), group_(std::move(group)) {}
  /// Runs every line of folder/name.jsonl. Nothing happens where there is no such file.
  void run(const std::string& folder, const std::function<CaseResult(Value& line)>& run_case);
  void print(const std::vector<std::string>& verbose) const;
  /// Adds a line to what is printed: groups that are compared by what they must satisfy.
  void note(std::string line) { notes_.push_back(std::move(line)); }
  int passed() const { return count(CaseResult::passed); }
  int failed() const { return count(CaseResult::failed); }
  const std::string& name() const { return name_; }

 private:
  struct Case {
    std::string id;
    CaseResult result;
  };
  /// A group fails if one case does, and passes if none does and at least one passes.
  static CaseResult::Kind verdict(const std::vector<Case>& cases);
  int count(CaseResult::Kind) const;

  std::string name_, group_;
  std::vector<std::string> order_;
  std::map<std::string, std::vector<Case>> groups_;
  std::vector<std::string> notes_;
};

CaseResult run_op(Value& line);
CaseResult run_module(Value& line);
CaseResult run_optimizer(Value& line);
CaseResult run_scheduler(Value& line);
std::vector<std::string> notes_on_ops();

}  // namespace conformance
