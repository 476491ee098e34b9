// Tensors as the matrices of products.
#pragma once
#include "src/ops/op.h"

namespace gradus {

inline void check_product(const char* op, const AnyTensor& a, const AnyTensor& b) {
  check_same(op, a, b);
  if (a.dtype() == DType::boolean) fail<DTypeError>(op, ": has no meaning for bool; cast with to<float>()");
}

/// A matrix, or a batch of such, as the kernel sees it; its shape may differ from the tensor's.
struct Matrix {
  Shape shape, stride;
  Array view;
  explicit Matrix(const AnyTensor& x) : shape(x.shape()), stride(x.stride()), view(array(x)) {}
  Matrix(const Matrix&) = delete;

  Matrix& transposed() {
    std::swap(shape[-2], shape[-1]), std::swap(stride[-2], stride[-1]);
    return *this;
  }
  /// A vector as a matrix of one row or one column.
  Matrix& row() { return shape.insert(0, 1), stride.insert(0, shape[1]), *this; }
  Matrix& column() { return shape.push_back(1), stride.push_back(1), *this; }
  const Array& array_view() {
    view.rank = shape.rank, view.shape = shape.size, view.stride = stride.size, view.contiguous = false;
    return view;
  }
};

inline void multiply(const char* op, const AnyTensor& y, Matrix& out, Matrix& a, Matrix& b, const AnyTensor& bias = {},
                     double alpha = 1, bool accumulate = false) {
  kernel(op, &KernelTable::matmul, y)(out.array_view(), a.array_view(), b.array_view(), array(bias), alpha, accumulate);
}
inline void multiply(const char* op, const AnyTensor& y, Matrix& a, Matrix& b) {
  Matrix out(y);
  multiply(op, y, out, a, b);
}

/// (..., n) as one matrix of rows; the tensor has to live as long as the matrix. `copy` holds its own memory where it must.
struct Rows : Matrix {
  static const AnyTensor& flat(const AnyTensor& x, AnyTensor& copy) {
    if (x.is_contiguous() || x.dim() == 2) return x;
    return copy = dense(x);
  }
  explicit Rows(const AnyTensor& x, int64_t rows, AnyTensor&& copy = {}) : Matrix(flat(x, copy)), copy(std::move(copy)) {
    if (shape.rank == 2) return;
    int64_t n = shape[-1];
    shape = {rows, n}, stride = {n, 1};
  }
  AnyTensor copy;
};

}  // namespace gradus
