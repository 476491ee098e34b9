#include "tests/conformance/suite.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>

namespace conformance {

void Suite::run(const std::string& folder, const std::function<CaseResult(Value&)>& run_case) {
  std::string base = folder + "/" + name_;
  Tensors tensors;
  if (std::filesystem::exists(base + ".safetensors"))
    for (auto& [key, tensor] : gradus::load_tensors(base + ".safetensors"))
      tensors.emplace(key, tensor.to(gradus::default_device()));
  for (const std::string& text : lines_of(base + ".jsonl")) {
    Value line = parse(text, tensors);
    const std::string& group = line[group_].s;
    Case one{line["id"].s, {}};
    try {
      one.result = run_case(line);
    } catch (const LeftOut& e) {
      one.result = {CaseResult::left_out, e.what()};
    } catch (const gradus::DTypeError& e) {
      std::string what = e.what();
      if (what.find("dtypes") != std::string::npos && what.find("differ") != std::string::npos)
        one.result = {CaseResult::left_out, "Gradus does not promote dtypes: " + what};
      else
        one.result = {CaseResult::failed, what};
    } catch (const std::exception& e) {
      one.result = {CaseResult::failed, e.what()};
    }
    if (!groups_.count(group)) order_.push_back(group);
    groups_[group].push_back(std::move(one));
  }
}

CaseResult::Kind Suite::verdict(const std::vector<Case>& cases) {
  int counts[4] = {};
  for (const Case& c : cases) ++counts[c.result.kind];
  for (CaseResult::Kind kind : {CaseResult::failed, CaseResult::missing, CaseResult::passed})
    if (counts[kind]) return kind;
  return CaseResult::left_out;
}

int Suite::count(CaseResult::Kind kind) const {
  int n = 0;
  for (const auto& [name, cases] : groups_) n += verdict(cases) == kind;
  return n;
}

void Suite::print(const std::vector<std::string>& verbose) const {
  static constexpr const char* kNames[] = {"passed", "failed", "left out", "not implemented"};
  std::printf("%s: %d groups passed, %d failed, %d not implemented", name_.c_str(), count(CaseResult::passed),
              count(CaseResult::failed), count(CaseResult::missing));
  if (int n = count(CaseResult::left_out)) std::printf(", %d left out", n);
  std::printf("\n");
  for (CaseResult::Kind kind : {CaseResult::passed, CaseResult::failed, CaseResult::left_out, CaseResult::missing}) {
    if (!count(kind)) continue;
    std::string line = std::string("  ") + kNames[kind] + ":";
    for (const std::string& group : order_) {
      if (verdict(groups_.at(group)) != kind) continue;
      if (line.size() + group.size() > 140) std::printf("%s\n", line.c_str()), line = "   ";
      line += " " + group;
    }
    std::printf("%s\n", line.c_str());
  }
  auto wanted = [&](const std::string& group) {
    return std::any_of(verbose.begin(), verbose.end(), [&](const std::string& v) { return v == group || v == "all"; });
  };
  for (const std::string& group : order_)
    for (const Case& c : groups_.at(group)) {
      if (c.result.kind == CaseResult::left_out) std::printf("  left out %s: %s\n", c.id.c_str(), c.result.why.c_str());
      if (c.result.kind == CaseResult::failed && wanted(group))
        std::printf("  failed %s: %s\n", c.id.c_str(), c.result.why.c_str());
    }
  for (const std::string& note : notes_) std::printf("  %s\n", note.c_str());
}

}  // namespace conformance
