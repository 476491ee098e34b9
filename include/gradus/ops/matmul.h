// Products of matrices and vectors. Half types are summed in float. Operands have one dtype, floating point or integer.
#pragma once
#include "gradus/ops/elementwise.h"

namespace gradus {

/// The product of matrices, as in NumPy: (..., m, k) x (..., k, n) gives (..., m, n) with broadcast batch axes; a vector on the left is
/// a row, on the right a column, whose axis goes away again. Throws ShapeError where inner sizes differ.
///     AnyTensor scores = matmul(q, k.transpose(-2, -1));  // (batch, heads, query, key)
AnyTensor matmul(const AnyTensor& a, const AnyTensor& b);
/// (m, k) x (k, n) gives (m, n).
AnyTensor mm(const AnyTensor& a, const AnyTensor& b);
/// (batch, m, k) x (batch, k, n) gives (batch, m, n).
AnyTensor bmm(const AnyTensor& a, const AnyTensor& b);
/// (m, k) x (k) gives (m).
AnyTensor mv(const AnyTensor& a, const AnyTensor& v);
/// The sum of products of two vectors: a scalar.
AnyTensor dot(const AnyTensor& a, const AnyTensor& b);
/// (m) and (n) give (m, n).
AnyTensor outer(const AnyTensor& a, const AnyTensor& b);
/// Sums over the last axis of both: (..., k) and (___, k) give (..., ___).
AnyTensor inner(const AnyTensor& a, const AnyTensor& b);
/// Sums over the last `axes` axes of a and the first of b.
AnyTensor tensordot(const AnyTensor& a, const AnyTensor& b, int axes = 2);
/// Sums over the axes of a and of b that are named, pair by pair; one of size 1 broadcasts.
AnyTensor tensordot(const AnyTensor& a, const AnyTensor& b, const Shape& axes_a, const Shape& axes_b);

struct AddmmOptions {
  double beta = 1;   // times what is added
  double alpha = 1;  // times the product
};
/// beta * x + alpha * mm(a, b); x broadcasts to the product's shape.
AnyTensor addmm(const AnyTensor& x, const AnyTensor& a, const AnyTensor& b, const AddmmOptions& options = {});
/// The same with bmm(a, b).
AnyTensor baddbmm(const AnyTensor& x, const AnyTensor& a, const AnyTensor& b, const AddmmOptions& options = {});
/// beta * x + alpha * the sum of bmm(a, b) over the batch.
AnyTensor addbmm(const AnyTensor& x, const AnyTensor& a, const AnyTensor& b, const AddmmOptions& options = {});
/// beta * x + alpha * outer(a, b).
AnyTensor addr(const AnyTensor& x, const AnyTensor& a, const AnyTensor& b, const AddmmOptions& options = {});
/// The same with mv(a, v).
AnyTensor addmv(const AnyTensor& x, const AnyTensor& a, const AnyTensor& v, const AddmmOptions& options = {});

/// x W' + bias over the last axis of x: (..., in) with a weight of (out, in) and a bias of (out), which may be undefined, gives
/// (..., out).
AnyTensor linear(const AnyTensor& x, const AnyTensor& weight, const AnyTensor& bias = {});
/// linear(gelu_tanh(linear(x, weight1, bias1)), weight2, bias2), the two layers after attention in a transformer, in fewer passes over
/// memory where the device has them: (..., in) with weights of (hidden, in) and (out, hidden) gives (..., out). Biases may be undefined.
AnyTensor feed_forward(const AnyTensor& x, const AnyTensor& weight1, const AnyTensor& bias1, const AnyTensor& weight2,
                       const AnyTensor& bias2);
/// a' W[k] b + bias[k] for each k: (..., in1) and (..., in2) with a weight of (out, in1, in2) give (..., out).
AnyTensor bilinear(const AnyTensor& a, const AnyTensor& b, const AnyTensor& weight, const AnyTensor& bias = {});

#define GRADUS_TYPED_PRODUCT(name)                                                                                              \
  template <class T> Tensor<T> name(const Tensor<T>& a, const Tensor<T>& b) { return Tensor<T>(name(untyped(a), untyped(b))); } \
  template <class T, class U>                                                                                                   \
  requires(!std::is_same_v<T, U>) void name(const Tensor<T>&, const Tensor<U>&) = delete;
GRADUS_TYPED_PRODUCT(matmul)
GRADUS_TYPED_PRODUCT(mm)
GRADUS_TYPED_PRODUCT(bmm)
GRADUS_TYPED_PRODUCT(mv)
GRADUS_TYPED_PRODUCT(dot)
GRADUS_TYPED_PRODUCT(outer)
GRADUS_TYPED_PRODUCT(inner)
#undef GRADUS_TYPED_PRODUCT
template <class T> Tensor<T> tensordot(const Tensor<T>& a, const Tensor<T>& b, int axes = 2) {
  return Tensor<T>(tensordot(untyped(a), untyped(b), axes));
}
template <class T> Tensor<T> tensordot(const Tensor<T>& a, const Tensor<T>& b, const Shape& axes_a, const Shape& axes_b) {
  return Tensor<T>(tensordot(untyped(a), untyped(b), axes_a, axes_b));
}
#define GRADUS_TYPED_ADD(name)                                                                                   \
  template <class T>                                                                                             \
  Tensor<T> name(const Tensor<T>& x, const Tensor<T>& a, const Tensor<T>& b, const AddmmOptions& options = {}) { \
    return Tensor<T>(name(untyped(x), untyped(a), untyped(b), options));                                         \
  }
GRADUS_TYPED_ADD(addmm)
GRADUS_TYPED_ADD(baddbmm)
GRADUS_TYPED_ADD(addbmm)
GRADUS_TYPED_ADD(addr)
GRADUS_TYPED_ADD(addmv)
#undef GRADUS_TYPED_ADD
template <class T> Tensor<T> linear(const Tensor<T>& x, const Tensor<T>& weight, const Tensor<T>& bias = {}) {
  return Tensor<T>(linear(untyped(x), untyped(weight), untyped(bias)));
}
template <class T, class U>
requires(!std::is_same_v<T, U>) void linear(const Tensor<T>&, const Tensor<U>&) = delete;
template <class T> Tensor<T> feed_forward(const Tensor<T>& x, const Tensor<T>& weight1, const Tensor<T>& bias1,
                                          const Tensor<T>& weight2, const Tensor<T>& bias2) {
  return Tensor<T>(feed_forward(untyped(x), untyped(weight1), untyped(bias1), untyped(weight2), untyped(bias2)));
}
template <class T, class U, class V>
requires(!std::is_same_v<T, U> || !std::is_same_v<T, V>) void feed_forward(const Tensor<T>&, const Tensor<U>&, const AnyTensor&,
                                                                           const Tensor<V>&, const AnyTensor&) = delete;

}  // namespace gradus
