#include "gradus/data/tensor_dataset.h"

#include <string>

namespace gradus::data::detail {

int64_t row_count(const AnyTensor& x) { return x.defined() && x.dim() > 0 ? x.shape()[0] : 0; }

AnyTensor rows_of(const AnyTensor& x, int64_t size, size_t number) {
  const std::string at = "TensorDataset: tensor " + std::to_string(number) + " ";
  if (!x.defined()) throw ValueError(at + "is undefined");
  if (x.dim() == 0) throw ShapeError(at + "has no axis to count samples along; did you mean x.unsqueeze(0)?");
  if (x.shape()[0] != size)
    throw ShapeError(at + "has " + std::to_string(x.shape()[0]) + " rows, the first one has " + std::to_string(size));
  return x.detach().to(kCPU).contiguous();
}

}  // namespace gradus::data::detail
