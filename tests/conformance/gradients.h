// What suites with a backward share.
#pragma once
#include "tests/conformance/compare.h"
#include "tests/conformance/suite.h"

namespace conformance {

std::set<std::string> names_of(const Value& dict);
std::vector<AnyTensor> tensors_of(const Value& list);
/// By the number of the output; undefined where none is recorded.
std::vector<AnyTensor> cotangents_of(const Value& dict, size_t outputs);
/// The gradients of the leaves against those recorded. A leaf that the outputs do not depend on has a gradient of zero.
CaseResult compare_gradients(const std::vector<AnyTensor>& outputs, const std::vector<AnyTensor>& cotangents,
                             const std::map<std::string, AnyTensor>& leaves, const Value& recorded, Tolerance tolerance);

}  // namespace conformance
