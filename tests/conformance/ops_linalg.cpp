// Linear algebra. Factors that are free up to the signs of their vectors are turned to the recorded ones before they are compared.
#include <cmath>

#include "tests/conformance/ops.h"

namespace conformance {
namespace {

using namespace gradus;
namespace la = gradus::linalg;

AnyTensor mt(const AnyTensor& x) { return transpose(x, -2, -1); }

/// +1 or -1 for each column of the recorded matrix: whether ours points the same way or the other.
AnyTensor column_signs(const AnyTensor& got, const AnyTensor& wanted) {
  AnyTensor along = sum(got * wanted, -2, true);
  return where(along < 0, full_like(along, -1), ones_like(along));
}
bool same_shapes(const std::vector<AnyTensor>& got, const std::vector<AnyTensor>& wanted) {
  bool same = got.size() == wanted.size();
  for (size_t k = 0; same && k < got.size(); ++k) same = got[k].shape() == wanted[k].shape();
  return same;
}
std::string orthonormal(const AnyTensor& q, Tolerance t) {
  AnyTensor gram = matmul(mt(q), q), one = eye(q.size(-1), q.size(-1), q.dtype());
  std::string wrong = difference(gram, one.expand(gram.shape()).contiguous(), t);
  return wrong.empty() ? "" : "columns are not orthonormal: " + wrong;
}

/// Columns of output `vectors` belong to the entries of output 0, and their signs are free.
Satisfies eigenvectors() {
  return [](const Arguments&, const auto& got, const auto& wanted, auto& cotangents, Tolerance t) -> std::string {
    NoGrad no_grad;
    if (!same_shapes(got, wanted)) return "shapes differ";
    if (std::string wrong = difference(got[0], wanted[0], t); !wrong.empty()) return "values: " + wrong;
    AnyTensor signs = column_signs(got[1], wanted[1]);
    if (std::string wrong = difference(got[1] * signs, wanted[1], t); !wrong.empty()) return "vectors: " + wrong;
    if (cotangents[1]) cotangents[1] = cotangents[1] * signs;
    return "";
  };
}

/// U and V (or V', if `transposed`) may change the sign of a column together. Columns beyond the singular values are any
/// orthonormal ones.
Satisfies singular_vectors(bool transposed) {
  return [transposed](const Arguments&, const auto& got, const auto& wanted, auto& cotangents, Tolerance t) -> std::string {
    NoGrad no_grad;
    if (!same_shapes(got, wanted)) return "shapes differ";
    if (std::string wrong = difference(got[1], wanted[1], t); !wrong.empty()) return "singular values: " + wrong;
    int64_t k = got[1].size(-1);
    AnyTensor v = transposed ? mt(got[2]) : got[2], wanted_v = transposed ? mt(wanted[2]) : wanted[2];
    AnyTensor signs = column_signs(narrow(got[0], -1, 0, k), narrow(wanted[0], -1, 0, k));
    if (std::string wrong = difference(narrow(got[0], -1, 0, k) * signs, narrow(wanted[0], -1, 0, k), t); !wrong.empty())
      return "U: " + wrong;
    if (std::string wrong = difference(narrow(v, -1, 0, k) * signs, narrow(wanted_v, -1, 0, k), t); !wrong.empty())
      return "V: " + wrong;
    for (const AnyTensor& q : {got[0], v})
      if (std::string wrong = orthonormal(q, t); !wrong.empty()) return wrong;
    if (cotangents[0] && got[0].size(-1) == k) cotangents[0] = cotangents[0] * signs;
    if (cotangents[2] && v.size(-1) == k) cotangents[2] = cotangents[2] * (transposed ? mt(signs) : signs);
    return "";
  };
}

/// Columns of Q and rows of R may change sign together.
Satisfies qr_signs() {
  return [](const Arguments&, const auto& got, const auto& wanted, auto& cotangents, Tolerance t) -> std::string {
    NoGrad no_grad;
    if (got.size() != 2 || !same_shapes(got, wanted)) return "shapes differ";
    if (got[0].size(-1) != got[1].size(-2)) {  // mode r
      return difference(abs(got[1]), abs(wanted[1]), t);
    }
    int64_t k = std::min(got[1].size(-2), got[1].size(-1));
    AnyTensor diagonal = column_signs(narrow(got[0], -1, 0, k), narrow(wanted[0], -1, 0, k));
    if (std::string wrong = difference(narrow(got[0], -1, 0, k) * diagonal, narrow(wanted[0], -1, 0, k), t); !wrong.empty())
      return "Q: " + wrong;
    if (std::string wrong = difference(narrow(got[1], -2, 0, k) * mt(diagonal), narrow(wanted[1], -2, 0, k), t); !wrong.empty())
      return "R: " + wrong;
    if (std::string wrong = orthonormal(got[0], t); !wrong.empty()) return wrong;
    if (got[0].size(-1) != k) return "";
    if (cotangents[0]) cotangents[0] = cotangents[0] * diagonal;
    if (cotangents[1]) cotangents[1] = cotangents[1] * mt(diagonal);
    return "";
  };
}

la::PinvOptions rank_options(const Arguments& c, int position) {
  la::PinvOptions o;
  for (const char* name : {"atol", "rtol"})
    if (c.is_tensor(-1, name) && c.t(-1, name).numel() != 1) throw LeftOut("a tolerance for each matrix: Gradus takes one for all");
  o.atol = c.d(position, "atol", 0), o.rtol = c.d(position + 1, "rtol", -1), o.hermitian = c.b(position + 2, "hermitian", false);
  return o;
}

Outputs qr_outputs(const AnyTensor& a, const std::string& mode) {
  auto [q, r] = la::qr(a, mode == "complete" ? la::QrMode::complete : mode == "r" ? la::QrMode::r : la::QrMode::reduced);
  if (!q) q = empty({0}, a.dtype());
  return {q, r};
}

void add_factors(Registry& ops) {
  OP("cholesky", la::cholesky(c[0], c.b(1, "upper", false))).loose();
  OP("linalg.cholesky", la::cholesky(c[0], c.b(1, "upper", false))).loose();
  ops.add("linalg.cholesky_ex",
          [](Arguments& c) -> Outputs {
            auto [l, info] = la::cholesky_ex(c[0], c.b(1, "upper", false));
            return {l, info};
          })
      .loose();
  OP("cholesky_solve", la::cholesky_solve(c[0], c.t(1), c.b(2, "upper", false))).loose();
  OP("cholesky_inverse", la::cholesky_inverse(c[0], c.b(1, "upper", false))).loose();
  auto lu_factor = [](Arguments& c) -> Outputs {
    if (!c.b(1, "pivot", true)) throw LeftOut("LU without pivoting, which Gradus does not do");
    auto [lu, pivots] = la::lu_factor(c[0]);
    return {lu, pivots};
  };
  auto lu_factor_ex = [](Arguments& c) -> Outputs {
    if (!c.b(1, "pivot", true)) throw LeftOut("LU without pivoting, which Gradus does not do");
    auto [factor, info] = la::lu_factor_ex(c[0]);
    return {factor.lu, factor.pivots, info};
  };
  ops.add("linalg.lu_factor", lu_factor).loose();
  ops.add("linalg.lu_factor_ex", lu_factor_ex).loose();
  ops.add("lu", [=](Arguments& c) -> Outputs { return c.b(2, "get_infos", false) ? lu_factor_ex(c) : lu_factor(c); }).loose();
  ops.add("linalg.lu",
          [](Arguments& c) -> Outputs {
            if (!c.b(1, "pivot", true)) throw LeftOut("LU without pivoting, which Gradus does not do");
            auto [p, l, u] = la::lu(c[0]);
            return {p, l, u};
          })
      .loose();
  ops.add("lu_unpack",
          [](Arguments& c) -> Outputs {
            if (!c.b(2, "unpack_data", true) || !c.b(3, "unpack_pivots", true)) throw LeftOut("a part of lu_unpack's outputs only");
            auto [p, l, u] = la::lu_unpack(c[0], c.t(1));
            return {p, l, u};
          })
      .loose();
  OP("lu_solve", la::lu_solve(c.t(1), c.t(2), c[0])).loose();
  OP("linalg.lu_solve", la::lu_solve(c[0], c.t(1), c.t(2), {.left = c.b(3, "left", true), .adjoint = c.b(4, "adjoint", false)}))
      .loose();
  OP("linalg.qr", qr_outputs(c[0], c.str(1, "mode", "reduced")))
      .loose()
      .free("signs of the columns of Q and the rows of R", qr_signs());
  OP("qr", qr_outputs(c[0], c.b(1, "some", true) ? "reduced" : "complete"))
      .loose()
      .free("signs of the columns of Q and the rows of R", qr_signs());
  ops.add("geqrf",
          [](Arguments& c) -> Outputs {
            auto [a, tau] = la::geqrf(c[0]);
            return {a, tau};
          })
      .loose();
  OP("ormqr", la::ormqr(c[0], c.t(1), c.t(2), {.left = c.b(3, "left", true), .transpose = c.b(4, "transpose", false)})).loose();
  OP("linalg.householder_product", la::householder_product(c[0], c.t(1))).loose();
}

void add_spectra(Registry& ops) {
  ops.add("linalg.eigh",
          [](Arguments& c) -> Outputs {
            auto [values, vectors] = la::eigh(c[0], c.str(1, "UPLO", "L") == "U");
            return {values, vectors};
          })
      .loose()
      .free("signs of the eigenvectors", eigenvectors());
  OP("linalg.eigvalsh", la::eigvalsh(c[0], c.str(1, "UPLO", "L") == "U")).loose();
  ops.add("linalg.svd",
          [](Arguments& c) -> Outputs {
            auto [u, s, vh] = la::svd(c[0], c.b(1, "full_matrices", true));
            return {u, s, vh};
          })
      .loose()
      .free("signs of the singular vectors", singular_vectors(true));
  ops.add("svd",
          [](Arguments& c) -> Outputs {
            auto [u, s, vh] = la::svd(c[0], !c.b(1, "some", true));
            return {u, s, mt(vh)};
          })
      .loose()
      .free("signs of the singular vectors", singular_vectors(false));
  OP("linalg.svdvals", la::svdvals(c[0])).loose();
  ops.add("linalg.matrix_rank", [](Arguments& c) -> Outputs { return la::matrix_rank(c[0], rank_options(c, 1)); });
  ops.add("linalg.matrix_rank.hermitian", [](Arguments& c) -> Outputs { return la::matrix_rank(c[0], rank_options(c, 1)); });
  auto pinv = [](Arguments& c) -> Outputs { return la::pinv(c[0], rank_options(c, 1)); };
  ops.add("linalg.pinv", pinv).loose();
  ops.add("linalg.pinv.hermitian", pinv).loose();
  OP("linalg.pinv.singular", la::pinv(matmul(c[0], mt(c.t(1))))).loose();
  OP("pinverse", la::pinv(c[0], {.rtol = c.d(1, "rcond", 1e-15)})).loose();
}

void add_solvers(Registry& ops) {
  OP("linalg.inv", la::inv(c[0])).loose();
  ops.add("linalg.inv_ex",
          [](Arguments& c) -> Outputs {
            auto [x, info] = la::inv_ex(c[0]);
            return {x, info};
          })
      .loose();
  OP("linalg.solve", c.b(2, "left", true) ? la::solve(c[0], c.t(1)) : mt(la::solve(mt(c[0]), mt(c.t(1))))).loose();
  ops.add("linalg.solve_ex",
          [](Arguments& c) -> Outputs {
            auto [x, info] = la::solve_ex(c[0], c.t(1));
            return {x, info};
          })
      .loose();
  auto triangular = [](Arguments& c) -> Outputs {
    return la::solve_triangular(
        c[0], c.t(1),
        {.upper = c.b(-1, "upper", true), .left = c.b(-1, "left", true), .unitriangular = c.b(-1, "unitriangular", false)});
  };
  ops.add("linalg.solve_triangular", triangular).loose();
  OP("linalg.det", la::det(c[0])).loose();
  OP("logdet", la::logdet(c[0])).loose();
  ops.add("linalg.slogdet",
          [](Arguments& c) -> Outputs {
            auto [sign, logabsdet] = la::slogdet(c[0]);
            return {sign, logabsdet};
          })
      .loose();
  ops.add("triangular_solve",
          [](Arguments& c) -> Outputs {
            AnyTensor a = c.b(3, "transpose", false) ? mt(c.t(1)) : c.t(1);
            bool upper = c.b(2, "upper", true) != c.b(3, "transpose", false);
            return {la::solve_triangular(a, c[0], {.upper = upper, .unitriangular = c.b(4, "unitriangular", false)}), c.t(1) + 0};
          })
      .loose();
  for (const char* name : {"linalg.lstsq", "linalg.lstsq.grad_oriented"}) {
    bool gradients_only = std::string(name) != "linalg.lstsq";
    ops.add(name,
            [=](Arguments& c) -> Outputs {
              std::string driver = c.str(-1, "driver", "gelsy");
              auto [x, residuals, rank, s] = la::lstsq(c[0], c.t(1), {.full_rank = driver == "gels", .rcond = c.d(2, "rcond", -1)});
              if (gradients_only) return {x, residuals};
              if (driver == "gelsy") s = empty({0}, s.dtype());
              return {x, residuals, rank, s};
            })
        .loose();
  }
  OP("matrix_exp", la::matrix_exp(c[0])).loose();
  OP("linalg.multi_dot", la::multi_dot(c.list(0))).loose();
  OP("linalg.vecdot", la::vecdot(c[0], c.t(1), c.i(-1, "dim", -1))).loose();
  OP("vdot", la::vecdot(c[0], c.t(1))).loose();
  OP("linalg.vander", la::vander(c[0], c.i(-1, "N", -1))).loose();
  OP("linalg.tensorinv", la::tensorinv(c[0], c.i(1, "ind", 2))).loose();
  OP("linalg.tensorsolve", la::tensorsolve(c[0], c.t(1), c.given(2, "dims") ? c.shape(2, "dims") : Shape())).loose();
  OP("linalg.matrix_power", la::matrix_power(c[0], c.i(1, "n"))).loose();
}

AddmmOptions scales(const Arguments& c) { return {.beta = c.d(-1, "beta", 1), .alpha = c.d(-1, "alpha", 1)}; }

void add_products(Registry& ops) {
  OP("matmul", matmul(c[0], c.t(1, "other"))).loose();
  OP("einsum", einsum(c.str(1, "equation", ""), c.list(0))).loose();
  OP("mm", mm(c[0], c.t(1))).loose();
  OP("bmm", bmm(c[0], c.t(1))).loose();
  OP("mv", mv(c[0], c.t(1))).loose();
  OP("dot", dot(c[0], c.t(1))).loose();
  OP("outer", outer(c[0], c.t(1)));
  OP("inner", inner(c[0], c.t(1))).loose();
  OP("addmm", addmm(c[0], c.t(1), c.t(2), scales(c))).loose();
  OP("addmm.decomposed", addmm(c[0], c.t(1), c.t(2), scales(c))).loose();
  OP("addmv", addmv(c[0], c.t(1), c.t(2), scales(c))).loose();
  OP("baddbmm", baddbmm(c[0], c.t(1), c.t(2), scales(c))).loose();
  OP("nn.functional.linear", linear(c[0], c.t(1, "weight"), c.maybe(2, "bias"))).loose();
  ops.add("tensordot",
          [](Arguments& c) -> Outputs {
            const Value& dims = c.at(2, "dims");
            if (dims.kind == Value::integer) return tensordot(c[0], c.t(1), int(dims.i));
            Shape axes[2];
            for (size_t k = 0; k < 2; ++k)
              for (const Value& axis : dims.items.at(k).items) axes[k].push_back(axis.i);
            return tensordot(c[0], c.t(1), axes[0], axes[1]);
          })
      .loose();
}

}  // namespace

void add_linalg(Registry& ops) {
  add_products(ops);
  add_factors(ops);
  add_spectra(ops);
  add_solvers(ops);
}

}  // namespace conformance
