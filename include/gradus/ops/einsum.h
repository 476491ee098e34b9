// Sums of products, written with letters for axes.
#pragma once
#include <string>

#include "gradus/core/tensor_list.h"
#include "gradus/ops/elementwise.h"

namespace gradus {

/// Einstein's summation: a letter names an axis of each operand that has it, and what does not stand behind the arrow is summed over.
///     einsum("ij,jk->ik", {a, b})      a matrix product          einsum("bij,bjk->bik", {a, b})   a batch of them
///     einsum("ii->i", {a})             the diagonal              einsum("...i,...i->...", {a, b})  rows' dot products
/// Without an arrow, the letters that occur once, in alphabetical order, behind the axes of "...". Sizes of 1 broadcast. Products are taken
/// from left to right through matmul. Throws ValueError for an equation that makes no sense, ShapeError for sizes that differ.
AnyTensor einsum(const std::string& equation, const TensorList& operands);

template <class T> Tensor<T> einsum(const std::string& equation, const std::vector<Tensor<T>>& operands) {
  return Tensor<T>(einsum(equation, std::vector<AnyTensor>(operands.begin(), operands.end())));
}
template <class T> Tensor<T> einsum(const std::string& equation, std::initializer_list<Tensor<T>> operands) {
  return Tensor<T>(einsum(equation, std::vector<AnyTensor>(operands.begin(), operands.end())));
}

}  // namespace gradus
