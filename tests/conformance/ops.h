// The registry: what of Gradus answers to which of PyTorch's names.
#pragma once
#include <functional>

#include "tests/conformance/compare.h"
#include "tests/conformance/value.h"

namespace conformance {

/// What a function gives: one tensor, several, or a truth value.
struct Outputs {
  std::vector<AnyTensor> list;
  Outputs(AnyTensor x) : list{std::move(x)} {}
  Outputs(std::vector<AnyTensor> xs) : list(std::move(xs)) {}
  Outputs(std::initializer_list<AnyTensor> xs) : list(xs) {}
  Outputs(bool b) : list{gradus::full({}, b, DType::boolean)} {}
};

/// What var and std are told: var(unbiased), var(dim, unbiased, keepdim) or var(dim, correction=, keepdim=).
struct Spread {
  Axes axes;
  bool keepdim;
  double correction;
};
Spread spread_of(const Arguments&);

using Function = std::function<Outputs(Arguments&)>;
/// For outputs that are free up to a sign or an order: compares what they must satisfy, and turns the cotangents as the outputs are
/// turned, so that gradients can be compared as they are. Gives what is wrong, or nothing.
using Satisfies = std::function<std::string(const Arguments&, const std::vector<AnyTensor>& got,
                                            const std::vector<AnyTensor>& wanted, std::vector<AnyTensor>& cotangents, Tolerance)>;

struct Entry {
  Function run;
  Tolerance tolerance = kTight;
  Satisfies satisfies;  // empty: outputs are compared as they are
  std::string freedom;  // what is free, for the list that is printed
  Entry& loose() {
    tolerance = kLoose;
    return *this;
  }
  Entry& free(std::string what, Satisfies f) {
    freedom = std::move(what), satisfies = std::move(f);
    return *this;
  }
};

class Registry {
 public:
  Entry& add(const std::string& name, Function f) {
    Entry& entry = entries_[name];
    if (entry.run) throw std::logic_error(name + " is registered twice");
    entry.run = std::move(f);
    return entry;
  }
  const Entry* find(const std::string& name) const {
    auto found = entries_.find(name);
    return found == entries_.end() ? nullptr : &found->second;
  }
  const std::map<std::string, Entry>& entries() const { return entries_; }

 private:
  std::map<std::string, Entry> entries_;
};

/// One function on one line: OP("relu", relu(c[0])).
#define OP(name, ...) ops.add(name, [](Arguments& c) -> Outputs { return __VA_ARGS__; })

void add_elementwise(Registry&);
void add_linalg(Registry&);
void add_shapes(Registry&);
void add_creation(Registry&);
void add_nets(Registry&);
void add_indexing(Registry&);
void add_losses(Registry&);
void add_reductions(Registry&);
void add_more(Registry&);
void add_special(Registry&);
Registry all_ops();

}  // namespace conformance
