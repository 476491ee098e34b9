// Linear algebra on the last two axes of float and double tensors; leading axes are a batch. Gradients are written with public ops,
// so they can be differentiated again. Matrices that cannot be factored raise ValueError with their place in the batch; the *_ex
// functions give that as info (0: good) instead. Other dtypes raise DTypeError, shapes that do not fit ShapeError.
#pragma once
#include "gradus/core/tensor_list.h"
#include "gradus/ops/elementwise.h"

namespace gradus::linalg {

template <class X> struct Eigh { X values, vectors; };
template <class X> struct Svd { X u, s, vh; };
template <class X> struct Qr { X q, r; };
template <class X> struct Slogdet { X sign, logabsdet; };
template <class X> struct LuFactor {
  X lu;
  Tensor<int32_t> pivots;
};
template <class X> struct Lu { X p, l, u; };
template <class X> struct WithInfo {
  X value;
  Tensor<int32_t> info;
};  // info per matrix: 0, or where it failed, counted from 1
template <class X> struct Reflectors { X a, tau; };
enum class QrMode { reduced, complete, r };

/// X with A X = B for square A (..., n, n). B is (..., n, k); or vectors (..., n): one, or one for each matrix of A.
AnyTensor solve(const AnyTensor& a, const AnyTensor& b);
WithInfo<AnyTensor> solve_ex(const AnyTensor& a, const AnyTensor& b);
AnyTensor inv(const AnyTensor& a);
WithInfo<AnyTensor> inv_ex(const AnyTensor& a);

struct TriangularOptions {
  bool upper = true;           // which triangle of A is read
  bool left = true;            // A X = B, or X A = B
  bool unitriangular = false;  // A's diagonal is taken as ones
};
/// X with A X = B, or X A = B, for triangular A. A zero on the diagonal gives infinities.
AnyTensor solve_triangular(const AnyTensor& a, const AnyTensor& b, const TriangularOptions& options = {});

/// Lower L with L L' = A (upper: U with U' U = A) of symmetric positive definite A, of which that triangle is read.
AnyTensor cholesky(const AnyTensor& a, bool upper = false);
WithInfo<AnyTensor> cholesky_ex(const AnyTensor& a, bool upper = false);
/// X with A X = B, given the factor of A from cholesky(). The factor's gradient says what each element of a whole matrix in its place
/// would do, also beyond the triangle that is read.
AnyTensor cholesky_solve(const AnyTensor& b, const AnyTensor& factor, bool upper = false);
/// The inverse of A, given its factor from cholesky().
AnyTensor cholesky_inverse(const AnyTensor& factor, bool upper = false);

/// A = P L U with partial pivoting, packed: L below the diagonal, whose ones are left out, U above. Row i was exchanged with row
/// pivots[i] - 1. Singular matrices are no error.
LuFactor<AnyTensor> lu_factor(const AnyTensor& a);
WithInfo<LuFactor<AnyTensor>> lu_factor_ex(const AnyTensor& a);
Lu<AnyTensor> lu(const AnyTensor& a);
/// P, L and U from the packed form.
Lu<AnyTensor> lu_unpack(const AnyTensor& lu, const AnyTensor& pivots);
struct LuSolveOptions {
  bool left = true;      // A X = B, or X A = B
  bool adjoint = false;  // A' in place of A
};
AnyTensor lu_solve(const AnyTensor& lu, const AnyTensor& pivots, const AnyTensor& b, const LuSolveOptions& options = {});

AnyTensor det(const AnyTensor& a);
/// Sign and logarithm of the absolute value of det(a): 0 and -infinity where it is zero.
Slogdet<AnyTensor> slogdet(const AnyTensor& a);
/// log(det(a)): NaN where det(a) is negative.
AnyTensor logdet(const AnyTensor& a);

/// A = Q R with orthonormal columns in Q: reduced (m, k) x (k, n) with k = min(m, n), or complete (m, m) x (m, n); mode r leaves Q
/// undefined.
Qr<AnyTensor> qr(const AnyTensor& a, QrMode mode = QrMode::reduced);
/// The Householder form of QR: R above the diagonal, the reflectors' tails below, their scales in tau. Has no gradient.
Reflectors<AnyTensor> geqrf(const AnyTensor& a);
/// The first columns of the product of reflectors: Q (..., m, n) from geqrf().
AnyTensor householder_product(const AnyTensor& a, const AnyTensor& tau);

/// A = U diag(S) V', S descending. Full matrices are square; otherwise U is (m, k) and V' is (k, n) with k = min(m, n). The gradient
/// exists where singular values differ from each other (and from zero, if A is not square).
Svd<AnyTensor> svd(const AnyTensor& a, bool full_matrices = true);
AnyTensor svdvals(const AnyTensor& a);

/// Eigenvalues, ascending, and orthonormal eigenvectors (columns) of symmetric A, of which one triangle is read. The gradient of
/// the vectors exists where eigenvalues differ.
Eigh<AnyTensor> eigh(const AnyTensor& a, bool upper = false);
AnyTensor eigvalsh(const AnyTensor& a, bool upper = false);

/// A to an integer power, by repeated squaring; negative powers are those of the inverse.
AnyTensor matrix_power(const AnyTensor& a, int64_t n);

struct PinvOptions {
  double atol = 0;         // singular values up to max(atol, rtol * the largest) count as zero
  double rtol = -1;        // negative: max(m, n) times the dtype's epsilon, or 0 where atol is given
  bool hermitian = false;  // A is symmetric: through eigh
};
/// The Moore-Penrose inverse. Its gradient holds where the rank does not change.
AnyTensor pinv(const AnyTensor& a, const PinvOptions& options = {});
/// The number of singular values that do not count as zero: int64.
Tensor<int64_t> matrix_rank(const AnyTensor& a, const PinvOptions& options = {});

struct LstsqOptions {
  bool full_rank = false;  // A is known to be: through QR. Else through singular values, and of all solutions the shortest
  double rcond = -1;  // singular values up to rcond times the largest count as zero; negative: max(m, n) times the dtype's epsilon
};
template <class X> struct Lstsq {
  X solution;
  X residuals;     // the sums of squares that are left, where there are more rows than columns and all are of full rank; else empty
  AnyTensor rank;  // int64; empty where full_rank was said
  AnyTensor singular_values;
};
/// X that makes the sum of squares of A X - B smallest, for A (..., m, n) and B (..., m, k).
Lstsq<AnyTensor> lstsq(const AnyTensor& a, const AnyTensor& b, const LstsqOptions& options = {});

struct OrmqrOptions {
  bool left = true;        // Q C, or C Q
  bool transpose = false;  // Q' in place of Q
};
/// The product of C with the square Q that the reflectors from geqrf() stand for.
AnyTensor ormqr(const AnyTensor& a, const AnyTensor& tau, const AnyTensor& c, const OrmqrOptions& options = {});

/// exp(A) by scaling, a Pade approximant and squaring. Higham: The scaling and squaring method for the matrix exponential revisited (2005).
AnyTensor matrix_exp(const AnyTensor& a);
/// The product of several matrices in the order that costs least; the first and the last may be vectors.
AnyTensor multi_dot(const TensorList& matrices);
/// The sum of products along an axis; a and b broadcast.
AnyTensor vecdot(const AnyTensor& a, const AnyTensor& b, int64_t axis = -1);
/// x^0, x^1, ... x^(n - 1) along a new last axis; n = -1: as many as the last axis of x has. A scalar counts as a vector of one.
AnyTensor vander(const AnyTensor& x, int64_t n = -1);
/// The inverse of tensordot(a, ., a.dim() - ind): a's first `ind` axes are the rows of a matrix, the others its columns.
AnyTensor tensorinv(const AnyTensor& a, int64_t ind = 2);
/// x with tensordot(a, x, x.dim()) = b; `axes` of a are first moved to the end.
AnyTensor tensorsolve(const AnyTensor& a, const AnyTensor& b, const Shape& axes = {});

enum class NormKind { frobenius, nuclear };
/// Norms of the matrices along two axes: the root of the sum of squares, or the sum of singular values.
AnyTensor matrix_norm(const AnyTensor& a, NormKind kind = NormKind::frobenius, const Shape& axes = {-2, -1}, bool keepdim = false);
/// p = 2 and -2: the largest and the least singular value; 1 and -1: the largest and the least sum of magnitudes of a column; infinity and
/// -infinity: of a row. Throws ValueError for another p.
AnyTensor matrix_norm(const AnyTensor& a, double p, const Shape& axes = {-2, -1}, bool keepdim = false);
/// matrix_norm(a, p) times that of the inverse; for 2 and -2 of matrices of any shape.
AnyTensor cond(const AnyTensor& a, double p = 2);

// On typed tensors.
template <class T> concept Real = std::is_same_v<T, float> || std::is_same_v<T, double>;
#define GRADUS_TYPED_LINALG(name, parameters, arguments) \
  template <Real T> Tensor<T> name parameters { return Tensor<T>(name arguments); }
GRADUS_TYPED_LINALG(solve, (const Tensor<T>& a, const Tensor<T>& b), (untyped(a), untyped(b)))
GRADUS_TYPED_LINALG(cond, (const Tensor<T>& a, double p = 2), (untyped(a), p))
GRADUS_TYPED_LINALG(inv, (const Tensor<T>& a), (untyped(a)))
GRADUS_TYPED_LINALG(solve_triangular, (const Tensor<T>& a, const Tensor<T>& b, const TriangularOptions& options = {}),
                    (untyped(a), untyped(b), options))
GRADUS_TYPED_LINALG(cholesky, (const Tensor<T>& a, bool upper = false), (untyped(a), upper))
GRADUS_TYPED_LINALG(cholesky_solve, (const Tensor<T>& b, const Tensor<T>& factor, bool upper = false),
                    (untyped(b), untyped(factor), upper))
GRADUS_TYPED_LINALG(cholesky_inverse, (const Tensor<T>& factor, bool upper = false), (untyped(factor), upper))
GRADUS_TYPED_LINALG(lu_solve,
                    (const Tensor<T>& lu, const Tensor<int32_t>& pivots, const Tensor<T>& b, const LuSolveOptions& options = {}),
                    (untyped(lu), untyped(pivots), untyped(b), options))
GRADUS_TYPED_LINALG(det, (const Tensor<T>& a), (untyped(a)))
GRADUS_TYPED_LINALG(logdet, (const Tensor<T>& a), (untyped(a)))
GRADUS_TYPED_LINALG(householder_product, (const Tensor<T>& a, const Tensor<T>& tau), (untyped(a), untyped(tau)))
GRADUS_TYPED_LINALG(svdvals, (const Tensor<T>& a), (untyped(a)))
GRADUS_TYPED_LINALG(eigvalsh, (const Tensor<T>& a, bool upper = false), (untyped(a), upper))
GRADUS_TYPED_LINALG(matrix_power, (const Tensor<T>& a, int64_t n), (untyped(a), n))
GRADUS_TYPED_LINALG(ormqr, (const Tensor<T>& a, const Tensor<T>& tau, const Tensor<T>& c, const OrmqrOptions& options = {}),
                    (untyped(a), untyped(tau), untyped(c), options))
GRADUS_TYPED_LINALG(matrix_exp, (const Tensor<T>& a), (untyped(a)))
GRADUS_TYPED_LINALG(multi_dot, (const std::vector<Tensor<T>>& matrices), (std::vector<AnyTensor>(matrices.begin(), matrices.end())))
GRADUS_TYPED_LINALG(multi_dot, (std::initializer_list<Tensor<T>> matrices),
                    (std::vector<AnyTensor>(matrices.begin(), matrices.end())))
GRADUS_TYPED_LINALG(vecdot, (const Tensor<T>& a, const Tensor<T>& b, int64_t axis = -1), (untyped(a), untyped(b), axis))
GRADUS_TYPED_LINALG(vander, (const Tensor<T>& x, int64_t n = -1), (untyped(x), n))
GRADUS_TYPED_LINALG(tensorinv, (const Tensor<T>& a, int64_t ind = 2), (untyped(a), ind))
GRADUS_TYPED_LINALG(tensorsolve, (const Tensor<T>& a, const Tensor<T>& b, const Shape& axes = {}), (untyped(a), untyped(b), axes))
GRADUS_TYPED_LINALG(pinv, (const Tensor<T>& a, const PinvOptions& options = {}), (untyped(a), options))
#undef GRADUS_TYPED_LINALG
template <Real T> LuFactor<Tensor<T>> lu_factor(const Tensor<T>& a) {
  auto [lu, pivots] = lu_factor(untyped(a));
  return {Tensor<T>(lu), pivots};
}
template <Real T> Lu<Tensor<T>> lu(const Tensor<T>& a) {
  auto [p, l, u] = lu(untyped(a));
  return {Tensor<T>(p), Tensor<T>(l), Tensor<T>(u)};
}
template <Real T> Slogdet<Tensor<T>> slogdet(const Tensor<T>& a) {
  auto [sign, logabsdet] = slogdet(untyped(a));
  return {Tensor<T>(sign), Tensor<T>(logabsdet)};
}
template <Real T> Qr<Tensor<T>> qr(const Tensor<T>& a, QrMode mode = QrMode::reduced) {
  auto [q, r] = qr(untyped(a), mode);
  return {Tensor<T>(q), Tensor<T>(r)};
}
template <Real T> Svd<Tensor<T>> svd(const Tensor<T>& a, bool full_matrices = true) {
  auto [u, s, vh] = svd(untyped(a), full_matrices);
  return {Tensor<T>(u), Tensor<T>(s), Tensor<T>(vh)};
}
template <Real T> Eigh<Tensor<T>> eigh(const Tensor<T>& a, bool upper = false) {
  auto [values, vectors] = eigh(untyped(a), upper);
  return {Tensor<T>(values), Tensor<T>(vectors)};
}

}  // namespace gradus::linalg
