// Tensors with names, in an order: what modules list and files hold.
#pragma once
#include <string>
#include <vector>

#include "gradus/core/any_tensor.h"

namespace gradus {

struct NamedTensor {
  std::string name;
  AnyTensor tensor;
};
using NamedTensors = std::vector<NamedTensor>;

/// The tensor of that name, or an undefined one.
inline AnyTensor find(const NamedTensors& tensors, const std::string& name) {
  for (const NamedTensor& t : tensors)
    if (t.name == name) return t.tensor;
  return {};
}

}  // namespace gradus
