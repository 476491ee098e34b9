// Products. All end in one kernel, which takes matrices in any layout: a transposed operand is a view and no copy.
#include "gradus/ops/matmul.h"

#include "gradus/ops/create.h"
#include "gradus/ops/reduce.h"
#include "gradus/ops/view.h"
#include "src/ops/matrix.h"

namespace gradus {

namespace {

/// Two shapes whose inner sizes differ; says so if the other way round would fit.
[[noreturn, gnu::cold]] void fail_inner(const char* op, const AnyTensor& a, const AnyTensor& b, int64_t inner_a, int64_t inner_b) {
  std::string hint;
  if (b.dim() >= 2 && b.size(-1) == inner_a)
    hint = b.dim() == 2 ? "(x, w.t())?" : "(x, w.transpose(-2, -1))?";
  else if (a.dim() == 2 && a.size(0) == inner_b)
    hint = "(x.t(), w)?";
  hint = hint.empty() ? std::string("; they must be equal") : std::string("; did you mean ") + op + hint;
  fail<ShapeError>(op, ": ", a.shape(), " x ", b.shape(), ": inner sizes ", inner_a, " and ", inner_b, " differ", hint);
}

// Gradients. They run as plain kernel calls where no graph of the gradient is wanted, and as public ops where one is.

/// g b' for y = a b.
AnyTensor gradient_of_left(const char* op, const AnyTensor& g, const AnyTensor& b) {
  if (is_grad_enabled()) return matmul(g, b.transpose(-2, -1));
  Shape shape = g.shape();
  shape[-1] = b.size(-2);
  AnyTensor da = empty(shape, g.dtype(), g.device());
  Matrix mg(g), mb(b);
  multiply(op, da, mg, mb.transposed());
  return da;
}
/// a' g for y = a b.
AnyTensor gradient_of_right(const char* op, const AnyTensor& g, const AnyTensor& a) {
  if (is_grad_enabled()) return matmul(a.transpose(-2, -1), g);
  Shape shape = g.shape();
  shape[-2] = a.size(-1);
  AnyTensor db = empty(shape, g.dtype(), g.device());
  Matrix mg(g), ma(a);
  multiply(op, db, ma.transposed(), mg);
  return db;
}

/// Equal ranks of at least 2; batch axes broadcast.
AnyTensor multiply_matrices(const char* op, const AnyTensor& a, const AnyTensor& b) {
  int rank = a.dim();
  if (a.size(-1) != b.size(-2)) fail_inner(op, a, b, a.size(-1), b.size(-2));
  Shape shape = a.shape();
  for (int d = 0; d < rank - 2; ++d) {
    int64_t p = a.shape()[d], q = b.shape()[d];
    if (p != q && p != 1 && q != 1)
      fail<ShapeError>(op, ": ", a.shape(), " x ", b.shape(), ": batch sizes ", p, " and ", q,
                       " do not broadcast; one must be 1, or both equal");
    shape[d] = p == 1 ? q : p;
  }
  shape[-1] = b.shape()[-1];
  AnyTensor y = empty(shape, a.dtype(), a.device());
  Matrix ma(a), mb(b);
  multiply(op, y, ma, mb);
  if (is_float(a.dtype()))
    record(op, y, {&a, &b}, [op, a = Saved(a), b = Saved(b)](const AnyTensor& g, AnyTensor* grads) {
      if (wanted(0)) grads[0] = gradient_of_left(op, g, b());
      if (wanted(1)) grads[1] = gradient_of_right(op, g, a());
    });
  return y;
}

AnyTensor with_rank(const AnyTensor& x, int rank) {
  Shape shape = x.shape();
  while (shape.rank < rank) shape.insert(0, 1);
  return shape.rank == x.dim() ? x : reshape(x, shape);
}

}  // namespace

AnyTensor mm(const AnyTensor& a, const AnyTensor& b) {
  check_product("mm", a, b);
  check_rank("mm", "the left operand", a, 2), check_rank("mm", "the right operand", b, 2);
  return multiply_matrices("mm", a, b);
}

AnyTensor bmm(const AnyTensor& a, const AnyTensor& b) {
  check_product("bmm", a, b);
  check_rank("bmm", "the left operand", a, 3), check_rank("bmm", "the right operand", b, 3);
  if (a.size(0) != b.size(0))
    fail<ShapeError>("bmm: ", a.shape(), " x ", b.shape(), ": batch sizes differ; matmul broadcasts a batch of 1");
  return multiply_matrices("bmm", a, b);
}

AnyTensor mv(const AnyTensor& a, const AnyTensor& v) {
  check_product("mv", a, v);
  check_rank("mv", "the matrix", a, 2), check_rank("mv", "the vector", v, 1);
  if (a.size(1) != v.size(0)) fail_inner("mv", a, v, a.size(1), v.size(0));
  AnyTensor y = empty({a.size(0)}, a.dtype(), a.device());
  Matrix out(y), ma(a), mb(v);
  multiply("mv", y, out.column(), ma, mb.column());
  if (is_float(a.dtype()))
    record("mv", y, {&a, &v}, [a = Saved(a), v = Saved(v)](const AnyTensor& g, AnyTensor* grads) {
      if (wanted(0)) grads[0] = outer(g, v());
      if (wanted(1)) grads[1] = mv(a().t(), g);
    });
  return y;
}

AnyTensor dot(const AnyTensor& a, const AnyTensor& b) {
  check_product("dot", a, b);
  check_rank("dot", "the left operand", a, 1), check_rank("dot", "the right operand", b, 1);
  if (a.numel() != b.numel()) fail_inner("dot", a, b, a.numel(), b.numel());
  AnyTensor y = empty({}, a.dtype(), a.device());
  Matrix out(y), ma(a), mb(b);
  out.shape = {1, 1}, out.stride = {1, 1};
  multiply("dot", y, out, ma.row(), mb.column());
  if (is_float(a.dtype()))
    record("dot", y, {&a, &b}, [a = Saved(a), b = Saved(b)](const AnyTensor& g, AnyTensor* grads) {
      if (wanted(0)) grads[0] = g * b();
      if (wanted(1)) grads[1] = g * a();
    });
  return y;
}

AnyTensor outer(const AnyTensor& a, const AnyTensor& b) {
  check_product("outer", a, b);
  check_rank("outer", "the left operand", a, 1), check_rank("outer", "the right operand", b, 1);
  return a.unsqueeze(1) * b.unsqueeze(0);
}

AnyTensor matmul(const AnyTensor& a, const AnyTensor& b) {
  check_product("matmul", a, b);
  int ra = a.dim(), rb = b.dim();
  if (ra >= 2 && ra == rb) return multiply_matrices("matmul", a, b);
  if (ra == 0 || rb == 0) fail<ShapeError>("matmul: ", a.shape(), " x ", b.shape(), ": a scalar is no matrix; did you mean a * b?");
  int64_t inner_b = b.size(rb == 1 ? 0 : -2);
  if (a.size(-1) != inner_b) fail_inner("matmul", a, b, a.size(-1), inner_b);
  if (ra == 1 && rb == 1) return dot(a, b);
  if (ra == 2 && rb == 1) return mv(a, b);
  if (ra == 1) {  // a row
    AnyTensor y = matmul(a.unsqueeze(0), b);
    return y.squeeze(-2);
  }
  if (rb == 1) return matmul(a, b.unsqueeze(1)).squeeze(-1);
  if (rb == 2) {  // one matrix for the whole batch: one product of all rows, and so is its gradient
    Shape shape = a.shape();
    shape[-1] = b.size(1);
    int64_t rows = a.size(-1) ? a.numel() / a.size(-1) : 0;
    if (a.size(-1) == 0) {
      rows = 1;
      for (int d = 0; d < ra - 1; ++d) rows *= a.shape()[d];
    }
    return reshape(multiply_matrices("matmul", reshape(a, {rows, a.size(-1)}), b), shape);
  }
  int rank = std::max(ra, rb);
  return multiply_matrices("matmul", with_rank(a, rank), with_rank(b, rank));
}

AnyTensor inner(const AnyTensor& a, const AnyTensor& b) {
  check_product("inner", a, b);
  if (a.dim() == 0 || b.dim() == 0) return a * b;
  if (a.size(-1) != b.size(-1))
    fail<ShapeError>("inner: ", a.shape(), " and ", b.shape(), ": last sizes ", a.size(-1), " and ", b.size(-1), " differ");
  return tensordot(a, b, {a.dim() - 1}, {b.dim() - 1});
}

AnyTensor tensordot(const AnyTensor& a, const AnyTensor& b, int axes) {
  check_product("tensordot", a, b);
  if (axes < 0 || axes > a.dim() || axes > b.dim())
    fail<ShapeError>("tensordot: ", axes, " axes of ", a.shape(), " and ", b.shape(), "; neither operand may have fewer");
  Shape of_a, of_b;
  for (int i = 0; i < axes; ++i) of_a.push_back(a.dim() - axes + i), of_b.push_back(i);
  return tensordot(a, b, of_a, of_b);
}

AnyTensor tensordot(const AnyTensor& a, const AnyTensor& b, const Shape& axes_a, const Shape& axes_b) {
  check_product("tensordot", a, b);
  if (axes_a.rank != axes_b.rank)
    fail<ShapeError>("tensordot: ", axes_a.rank, " axes of the left and ", axes_b.rank,
                     " of the right operand; give as many of each");
  // Axes that stay in front of those summed over in a, behind them in b.
  bool summed_a[Shape::kMaxRank] = {}, summed_b[Shape::kMaxRank] = {};
  Shape shape, order_a, order_b, last_a, first_b;
  int64_t m = 1, k = 1, n = 1;
  for (int i = 0; i < axes_a.rank; ++i) {
    int p = axis_of("tensordot", axes_a[i], a.dim()), q = axis_of("tensordot", axes_b[i], b.dim());
    if (summed_a[p] || summed_b[q]) fail<ShapeError>("tensordot: an axis is named twice in ", axes_a, " or ", axes_b);
    if (a.shape()[p] != b.shape()[q] && a.shape()[p] == 1) return tensordot(a, sum(b, q, true), axes_a, axes_b);
    if (a.shape()[p] != b.shape()[q] && b.shape()[q] == 1) return tensordot(sum(a, p, true), b, axes_a, axes_b);
    if (a.shape()[p] != b.shape()[q])
      fail<ShapeError>("tensordot: ", a.shape(), " and ", b.shape(), ": axes ", p, " and ", q, " have sizes ", a.shape()[p],
                       " and ", b.shape()[q]);
    summed_a[p] = summed_b[q] = true;
    last_a.push_back(p), first_b.push_back(q), k *= a.shape()[p];
  }
  for (int d = 0; d < a.dim(); ++d)
    if (!summed_a[d]) order_a.push_back(d), shape.push_back(a.shape()[d]), m *= a.shape()[d];
  for (int64_t p : last_a) order_a.push_back(p);
  order_b = first_b;
  for (int d = 0; d < b.dim(); ++d)
    if (!summed_b[d]) order_b.push_back(d), shape.push_back(b.shape()[d]), n *= b.shape()[d];
  return reshape(mm(reshape(permute(a, order_a), {m, k}), reshape(permute(b, order_b), {k, n})), shape);
}

namespace {

/// beta * x + alpha * a b, for matrices or batches of such.
AnyTensor add_product(const char* op, const AnyTensor& x, const AnyTensor& a, const AnyTensor& b, const AddmmOptions& o) {
  check_same(op, x, a);
  if (a.size(-1) != b.size(-2)) fail_inner(op, a, b, a.size(-1), b.size(-2));
  Shape shape = a.shape();
  shape[-1] = b.size(-1);
  bool fits = x.dim() <= shape.rank;
  for (int d = 1; fits && d <= x.dim(); ++d) fits = x.size(-d) == shape[-d] || x.size(-d) == 1;
  if (!fits) fail<ShapeError>(op, ": ", x.shape(), " does not broadcast to the product's shape ", shape);
  bool integers = !is_float(a.dtype());
  if (integers && (o.alpha != double(int64_t(o.alpha)) || o.beta != double(int64_t(o.beta))))
    fail<DTypeError>(op, ": alpha ", o.alpha, " and beta ", o.beta, " for tensors of ", a.dtype(), "; cast them with to<float>()");
  AnyTensor y = empty(shape, a.dtype(), a.device());
  bool is_bias = x.dim() > 0 && x.is_contiguous() && x.numel() == shape[-1] && (x.dim() == 1 || x.numel() == x.size(-1));
  {
    NoGrad no_grad;
    Matrix out(y), ma(a), mb(b);
    if (o.beta == 1 && is_bias && !integers) {
      multiply(op, y, out, ma, mb, x, o.alpha);
    } else {
      if (o.beta == 0)
        y.fill_(0);  // whatever x holds, NaN included, does not count
      else
        y.copy_(o.beta == 1 ? x.expand(shape) : mul(x, integers ? Scalar(int64_t(o.beta)) : Scalar(o.beta)).expand(shape));
      multiply(op, y, out, ma, mb, {}, o.alpha, true);
    }
  }
  if (!integers)
    record(op, y, {&x, &a, &b}, [op, o, a = Saved(a), b = Saved(b)](const AnyTensor& g, AnyTensor* grads) {
      auto times = [](const AnyTensor& t, double s) { return s == 1 ? t : t * s; };
      if (wanted(0)) grads[0] = times(g, o.beta);
      if (wanted(1)) grads[1] = times(gradient_of_left(op, g, b()), o.alpha);
      if (wanted(2)) grads[2] = times(gradient_of_right(op, g, a()), o.alpha);
    });
  return y;
}

}  // namespace

AnyTensor addmm(const AnyTensor& x, const AnyTensor& a, const AnyTensor& b, const AddmmOptions& options) {
  check_product("addmm", a, b);
  check_rank("addmm", "the left operand", a, 2), check_rank("addmm", "the right operand", b, 2);
  return add_product("addmm", x, a, b, options);
}

AnyTensor baddbmm(const AnyTensor& x, const AnyTensor& a, const AnyTensor& b, const AddmmOptions& options) {
  check_product("baddbmm", a, b);
  check_rank("baddbmm", "the left operand", a, 3), check_rank("baddbmm", "the right operand", b, 3);
  if (a.size(0) != b.size(0))
    fail<ShapeError>("baddbmm: ", a.shape(), " x ", b.shape(), ": batch sizes differ; expand() the one of 1");
  return add_product("baddbmm", x, a, b, options);
}

AnyTensor addmv(const AnyTensor& x, const AnyTensor& a, const AnyTensor& v, const AddmmOptions& options) {
  check_product("addmv", a, v);
  check_rank("addmv", "the matrix", a, 2), check_rank("addmv", "the vector", v, 1);
  check_defined("addmv", x);
  AnyTensor column = x.dim() == 0 ? x : x.unsqueeze(-1);
  return add_product("addmv", column, a, v.unsqueeze(1), options).squeeze(-1);
}

}  // namespace gradus
