#include "src/ops/linalg_common.h"

namespace gradus::linalg {

void check_matrix(const char* op, const AnyTensor& a) {
  check_defined(op, a);
  if (a.dtype() != DType::float32 && a.dtype() != DType::float64)
    fail<DTypeError>(op, ": needs float32 or float64, got ", a.dtype(), "; cast with to<float>()");
  if (a.dim() < 2) fail<ShapeError>(op, ": shape ", a.shape(), " is no matrix; at least 2 dimensions are needed");
}

void check_square(const char* op, const AnyTensor& a) {
  check_matrix(op, a);
  if (rows(a) != columns(a)) fail<ShapeError>(op, ": matrices of shape ", a.shape(), " are not square; see lstsq() or pinv()");
}

void check_pair(const char* op, const AnyTensor& a, const AnyTensor& b) {
  check_same(op, a, b);
  check_square(op, a);
}

void check_info(const char* op, const Tensor<int32_t>& info, const char* is, const char* where) {
  Tensor<int32_t> host = info.to(kCPU);
  for (int64_t i = 0; i < host.numel(); ++i) {
    int32_t at = host.data()[i];
    if (at == 0) continue;
    if (host.dim() == 0) fail<ValueError>(op, ": the matrix ", is, where, at);
    Shape index = host.shape();
    for (int64_t d = host.dim() - 1, rest = i; d >= 0; --d)
      index.size[d] = rest % host.shape()[int(d)], rest /= host.shape()[int(d)];
    fail<ValueError>(op, ": matrix ", index, " of the batch ", is, where, at);
  }
}

Shape batch_and(const AnyTensor& a, std::initializer_list<int64_t> last) {
  Shape shape = a.shape();
  shape.rank -= 2;
  for (int64_t n : last) shape.push_back(n);
  return shape;
}

AnyTensor with_batch_of(const char* op, const AnyTensor& a, const AnyTensor& b) {
  Shape shape;
  int ra = a.dim() - 2, rb = b.dim() - 2, rank = ra > rb ? ra : rb;
  for (int d = 0; d < rank; ++d) {
    int64_t p = d < rank - ra ? 1 : a.shape()[d - (rank - ra)], q = d < rank - rb ? 1 : b.shape()[d - (rank - rb)];
    if (p != q && p != 1 && q != 1) fail<ShapeError>(op, ": batches of ", a.shape(), " and ", b.shape(), " do not broadcast");
    shape.push_back(p == 1 ? q : p);
  }
  shape.push_back(rows(a)), shape.push_back(columns(a));
  return shape == a.shape() ? a : expand(a, shape);
}

AnyTensor weights(const AnyTensor& like, int64_t m, int64_t n, double below, double diagonal, double above) {
  AnyTensor w = empty({m, n}, like.dtype(), kCPU);
  auto fill = [&]<class T>(T* p) {
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) *p++ = T(i > j ? below : i == j ? diagonal : above);
  };
  like.dtype() == DType::float32 ? fill(static_cast<float*>(w.raw_data())) : fill(static_cast<double*>(w.raw_data()));
  return w.to(like.device());
}

Factors factor(const AnyTensor& a) {
  NoGrad no_grad;
  AnyTensor in = dense(a);
  int64_t k = rows(a) < columns(a) ? rows(a) : columns(a);
  Factors f{empty(a.shape(), a.dtype(), a.device()), empty<int32_t>(batch_and(a, {k}), a.device()),
            empty<int32_t>(batch_and(a, {}), a.device())};
  kernel("lu_factor", &KernelTable::linalg_lu, a)(array(f.lu), array(f.pivots), array(f.info), array(in));
  return f;
}

AnyTensor solve_with(const Factors& f, const AnyTensor& b, bool transposed) {
  NoGrad no_grad;
  AnyTensor x = with_batch_of("solve", b, f.lu);
  x = x.is_same(b) && b.is_contiguous() ? b.clone() : dense(x);
  if (x.impl()->storage.get() == b.impl()->storage.get()) x = x.clone();
  AnyTensor lu = dense(with_batch_of("solve", f.lu, x));
  AnyTensor pivots = f.pivots;
  if (!(lu.shape() == f.lu.shape())) pivots = dense(expand(pivots, batch_and(x, {columns(f.lu)})));
  kernel("solve", &KernelTable::linalg_lu_solve, x)(array(x), array(lu), array(pivots), transposed);
  return x;
}

}  // namespace gradus::linalg
