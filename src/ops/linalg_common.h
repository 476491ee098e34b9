// What the sources of gradus::linalg share.
#pragma once
#include "gradus/ops/create.h"
#include "gradus/ops/linalg.h"
#include "gradus/ops/matmul.h"
#include "gradus/ops/reduce.h"
#include "gradus/ops/view.h"
#include "src/ops/op.h"

namespace gradus::linalg {

/// At least two axes, float or double.
void check_matrix(const char* op, const AnyTensor& a);
void check_square(const char* op, const AnyTensor& a);
void check_pair(const char* op, const AnyTensor& a, const AnyTensor& b);
/// Throws ValueError where some info is not zero: "solve: matrix [2] of the batch is singular: pivot 3 is zero".
void check_info(const char* op, const Tensor<int32_t>& info, const char* is, const char* where);

inline AnyTensor mt(const AnyTensor& a) { return transpose(a, -2, -1); }
inline int64_t rows(const AnyTensor& a) { return a.shape()[-2]; }
inline int64_t columns(const AnyTensor& a) { return a.shape()[-1]; }
/// The batch axes, followed by others.
Shape batch_and(const AnyTensor& a, std::initializer_list<int64_t> last);
/// a with its batch axes broadcast against those of b.
AnyTensor with_batch_of(const char* op, const AnyTensor& a, const AnyTensor& b);

/// An (m, n) matrix of weights, one value below, on and above the diagonal: what a product with it leaves of a matrix.
AnyTensor weights(const AnyTensor& like, int64_t m, int64_t n, double below, double diagonal, double above);
inline AnyTensor lower(const AnyTensor& a, double diagonal = 1) { return a * weights(a, rows(a), columns(a), 1, diagonal, 0); }
inline AnyTensor upper(const AnyTensor& a, double diagonal = 1) { return a * weights(a, rows(a), columns(a), 0, diagonal, 1); }
/// diag(v) x: rows of x scaled, and x diag(v): columns.
inline AnyTensor scale_rows(const AnyTensor& v, const AnyTensor& x) { return unsqueeze(v, -1) * x; }
inline AnyTensor scale_columns(const AnyTensor& x, const AnyTensor& v) { return x * unsqueeze(v, -2); }

/// The factors as they come from the kernel; no graph.
struct Factors {
  AnyTensor lu;
  Tensor<int32_t> pivots, info;
};
Factors factor(const AnyTensor& a);
/// A X = B with those factors, or A' X = B; the batch axes of both broadcast. No graph.
AnyTensor solve_with(const Factors& f, const AnyTensor& b, bool transposed);

}  // namespace gradus::linalg
