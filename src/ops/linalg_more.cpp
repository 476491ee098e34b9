// What is composed of decompositions and products; gradients come with them.
#include <cmath>
#include <limits>

#include "src/ops/linalg_common.h"

namespace gradus::linalg {

Lstsq<AnyTensor> lstsq(const AnyTensor& a, const AnyTensor& b, const LstsqOptions& o) {
  check_same("lstsq", a, b);
  check_matrix("lstsq", a), check_matrix("lstsq", b);
  int64_t m = rows(a), n = columns(a);
  if (rows(b) != m) fail<ShapeError>("lstsq: ", a.shape(), " and ", b.shape(), ": A has ", m, " rows, B has ", rows(b));
  with_batch_of("lstsq", a, b);  // checks
  Lstsq<AnyTensor> out{
      {}, empty({0}, a.dtype(), a.device()), empty({0}, DType::int64, a.device()), empty({0}, a.dtype(), a.device())};
  bool full = true;
  if (o.full_rank) {
    auto [q, r] = qr(m >= n ? a : mt(a));
    out.solution = m >= n ? solve_triangular(r, matmul(mt(q), b)) : matmul(q, solve_triangular(mt(r), b, {.upper = false}));
  } else {
    PinvOptions p{.rtol = o.rcond};
    out.solution = matmul(pinv(a, p), b);
    out.rank = matrix_rank(a, p);
    NoGrad no_grad;
    out.singular_values = svdvals(a);
    full = sum(out.rank < (m < n ? m : n)).item() == 0;
  }
  if (m > n && full) {
    AnyTensor left = matmul(a, out.solution) - b;
    out.residuals = sum(square(left), -2);
  }
  return out;
}

AnyTensor matrix_exp(const AnyTensor& a) {
  check_square("matrix_exp", a);
  if (a.numel() == 0) return a * 1;
  // The largest column sum decides how often A is halved; the approximant is right to double precision below 5.37.
  std::vector<double> sums = Tensor<double>(sum(abs(a.detach()), -2).to(DType::float64)).vector();
  double largest = 0;
  for (double s : sums) largest = s > largest ? s : largest;
  int halvings = largest > 5.37 && std::isfinite(largest) ? int(std::ceil(std::log2(largest / 5.37))) : 0;
  constexpr double kB[] = {64764752532480000.,
                           32382376266240000.,
                           7771770303897600.,
                           1187353796428800.,
                           129060195264000.,
                           10559470521600.,
                           670442572800.,
                           33522128640.,
                           1323241920.,
                           40840800.,
                           960960.,
                           16380.,
                           182.,
                           1.};
  AnyTensor x = a * std::ldexp(1., -halvings), one = weights(a, rows(a), rows(a), 0, 1, 0);
  AnyTensor x2 = matmul(x, x), x4 = matmul(x2, x2), x6 = matmul(x4, x2);
  auto scaled = [&](double c) { return c / kB[0]; };  // of order one, so that float does not overflow
  AnyTensor odd = matmul(x6, x6 * scaled(kB[13]) + x4 * scaled(kB[11]) + x2 * scaled(kB[9])) + x6 * scaled(kB[7]) +
                  x4 * scaled(kB[5]) + x2 * scaled(kB[3]) + one * scaled(kB[1]);
  AnyTensor even = matmul(x6, x6 * scaled(kB[12]) + x4 * scaled(kB[10]) + x2 * scaled(kB[8])) + x6 * scaled(kB[6]) +
                   x4 * scaled(kB[4]) + x2 * scaled(kB[2]) + one;
  odd = matmul(x, odd);
  AnyTensor y = solve(even - odd, even + odd);
  for (int k = 0; k < halvings; ++k) y = matmul(y, y);
  return y;
}

AnyTensor multi_dot(const TensorList& matrices) {
  size_t n = matrices.size();
  if (n < 2) fail<ValueError>("multi_dot: ", n, " matrices; at least two are needed");
  for (const AnyTensor& x : matrices) check_same("multi_dot", matrices[0], x);
  std::vector<AnyTensor> list = matrices;
  bool row = list[0].dim() == 1, column = list[n - 1].dim() == 1;
  if (row) list[0] = unsqueeze(list[0], 0);
  if (column) list[n - 1] = unsqueeze(list[n - 1], -1);
  std::vector<int64_t> sizes{list[0].dim() == 2 ? rows(list[0]) : 0};
  for (size_t i = 0; i < n; ++i) {
    check_rank("multi_dot", "a matrix", list[i], 2);
    if (i && rows(list[i]) != sizes[i])
      fail<ShapeError>("multi_dot: ", list[i - 1].shape(), " x ", list[i].shape(), ": inner sizes ", sizes[i], " and ",
                       rows(list[i]), " differ");
    sizes.push_back(columns(list[i]));
  }
  // cost[i][j]: the fewest multiplications for the product of the matrices i to j; last[i][j]: its outermost split.
  std::vector<std::vector<double>> cost(n, std::vector<double>(n, 0));
  std::vector<std::vector<size_t>> last(n, std::vector<size_t>(n, 0));
  for (size_t length = 1; length < n; ++length)
    for (size_t i = 0; i + length < n; ++i) {
      size_t j = i + length;
      cost[i][j] = std::numeric_limits<double>::infinity();
      for (size_t k = i; k < j; ++k) {
        double c = cost[i][k] + cost[k + 1][j] + double(sizes[i]) * double(sizes[k + 1]) * double(sizes[j + 1]);
        if (c < cost[i][j]) cost[i][j] = c, last[i][j] = k;
      }
    }
  auto product = [&](auto& self, size_t i, size_t j) -> AnyTensor {
    return i == j ? list[i] : mm(self(self, i, last[i][j]), self(self, last[i][j] + 1, j));
  };
  AnyTensor y = product(product, 0, n - 1);
  if (row) y = squeeze(y, 0);
  return column ? squeeze(y, -1) : y;
}

AnyTensor vecdot(const AnyTensor& a, const AnyTensor& b, int64_t axis) {
  check_same("vecdot", a, b);
  return sum(a * b, axis);
}

AnyTensor vander(const AnyTensor& x, int64_t n) {
  check_float("vander", x);
  AnyTensor column = unsqueeze(x.dim() ? x : unsqueeze(x, 0), -1);
  if (n < 0) n = column.size(-2);
  return pow(column, arange(n, x.dtype(), x.device()));
}

AnyTensor tensorinv(const AnyTensor& a, int64_t ind) {
  check_defined("tensorinv", a);
  if (ind < 1 || ind > a.dim()) fail<ValueError>("tensorinv: ind ", ind, " is outside 1 to ", a.dim(), " for shape ", a.shape());
  int64_t m = 1, n = 1;
  Shape shape;
  for (int d = int(ind); d < a.dim(); ++d) shape.push_back(a.shape()[d]), n *= a.shape()[d];
  for (int d = 0; d < ind; ++d) shape.push_back(a.shape()[d]), m *= a.shape()[d];
  if (m != n)
    fail<ShapeError>("tensorinv: the first ", ind, " axes of ", a.shape(), " hold ", m, " elements, the others ", n,
                     "; both must agree");
  return reshape(inv(reshape(a, {m, n})), shape);
}

AnyTensor tensorsolve(const AnyTensor& a, const AnyTensor& b, const Shape& axes) {
  check_same("tensorsolve", a, b);
  AnyTensor moved = a;
  if (axes.rank) {
    Shape order;
    bool at_end[Shape::kMaxRank] = {};
    for (int64_t axis : axes) at_end[axis_of("tensorsolve", axis, a.dim())] = true;
    for (int d = 0; d < a.dim(); ++d)
      if (!at_end[d]) order.push_back(d);
    for (int64_t axis : axes) order.push_back(axis);
    moved = permute(a, order);
  }
  Shape shape;
  int64_t n = 1;
  for (int d = b.dim(); d < moved.dim(); ++d) shape.push_back(moved.shape()[d]), n *= moved.shape()[d];
  if (n != b.numel() || moved.numel() != n * n)
    fail<ShapeError>("tensorsolve: a of shape ", a.shape(), " and b of shape ", b.shape(), " make no square system");
  return reshape(solve(reshape(moved, {n, n}), reshape(b, {n})), shape);
}

}  // namespace gradus::linalg
