// Tensors as text for people.
#pragma once
#include <iosfwd>
#include <string>

#include "gradus/core/any_tensor.h"

namespace gradus {

struct PrintOptions {
  int precision = 4;         // digits behind the point
  int64_t summarise = 1000;  // tensors of more elements show only the edges of each axis
  int edge = 3;              // elements at each edge
  int width = 100;           // columns of a line
};

/// Nested brackets, one row a line, columns aligned, then dtype and shape (a scalar is its number alone):
///     [[ 1.0000, -2.5000],
///      [ 0.0000,     nan]]  float32 [2, 2]
/// All numbers are scientific where their sizes differ too much to be read side by side.
std::string to_string(const AnyTensor& x, const PrintOptions& options = {});

std::ostream& operator<<(std::ostream& out, const AnyTensor& x);
std::ostream& operator<<(std::ostream& out, const Shape& shape);
std::ostream& operator<<(std::ostream& out, DType dtype);
std::ostream& operator<<(std::ostream& out, Device device);

}  // namespace gradus
