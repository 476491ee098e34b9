// What backward has left at a leaf. A product with a single row gives its weight the outer product of two vectors; multiplied out it
// would be written and read again only to be added to the weight, so a leaf keeps the vectors until somebody wants the tensor.
#pragma once
#include "gradus/core/any_tensor.h"

namespace gradus {

/// A leaf's gradient as optimizers take it: a tensor, or column x row where backward left it so.
class Gradient {
 public:
  Gradient(AnyTensor whole) : whole_(std::move(whole)) {}
  /// That of a leaf; not defined where it has none.
  static Gradient of(const AnyTensor& leaf);

  bool defined() const { return whole_.defined() || column_.defined(); }
  /// As a tensor. Two vectors are multiplied out, at the leaf too.
  const AnyTensor& tensor() const;
  operator const AnyTensor&() const { return tensor(); }
  /// The vectors of an outer product, each without gaps in memory, of the leaf's dtype; undefined where it is a tensor.
  const AnyTensor& column() const { return column_; }
  const AnyTensor& row() const { return row_; }

 private:
  Gradient(AnyTensor leaf, AnyTensor column, AnyTensor row)
      : leaf_(std::move(leaf)), column_(std::move(column)), row_(std::move(row)) {}
  mutable AnyTensor whole_;
  AnyTensor leaf_, column_, row_;
};

/// In the rule of an op with a matrix as input: offers its gradient as column x row. False where a tensor is wanted in grads[input]:
/// where the matrix is no leaf or has a gradient already, where hooks or grad() want to see it, or where it is too small to matter.
bool give_outer_product(uint32_t input, const AnyTensor& column, const AnyTensor& row);

}  // namespace gradus
