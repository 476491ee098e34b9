// Decompositions against what they must satisfy, in float and double, over batches and odd sizes; gradients against differences.
#include "gradus/ops/linalg.h"

#include <limits>

#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;
namespace la = gradus::linalg;

namespace {

AnyTensor mt(const AnyTensor& a) { return transpose(a, -2, -1); }
AnyTensor eye(int64_t n, DType dtype = DType::float64) { return placed(gradus::eye(n, n, dtype)); }
/// Symmetric and well away from singular.
AnyTensor definite(const AnyTensor& a) { return matmul(a, mt(a)) + eye(a.size(-2), a.dtype()); }
AnyTensor symmetric(const AnyTensor& a) { return a + mt(a); }

const Shape kBatches[] = {{5, 5}, {3, 5, 5}, {2, 1, 3, 3}, {1, 1}, {0, 4, 4}, {2, 0, 0}};
const Shape kRectangles[] = {{4, 7}, {7, 4}, {2, 5, 3}, {3, 2, 6}, {1, 3}, {3, 1}, {0, 2, 3}, {2, 0, 3}, {2, 3, 0}};
double tolerance(DType t) { return t == DType::float32 ? 3e-5 : 1e-12; }

/// Each function must be right in both dtypes, on a transposed operand too.
template <class F> void on_all(std::initializer_list<Shape> shapes, F&& f) {
  for (const Shape& shape : shapes)
    for (DType t : {DType::float32, DType::float64}) {
      SCOPED_TRACE(to_string(shape) + " " + name(t));
      f(draw(shape, -1, 1, 3, t), tolerance(t));
      Shape swapped = shape;
      std::swap(swapped[-1], swapped[-2]);
      f(mt(draw(swapped, -1, 1, 3, t)), tolerance(t));
    }
}
template <class F> void on_square(F&& f) {
  for (const Shape& s : kBatches) on_all({s}, f);
}
template <class F> void on_rectangles(F&& f) {
  for (const Shape& s : kRectangles) on_all({s}, f);
}

AnyTensor leaf(const Shape& shape, uint64_t seed = 5) { return draw(shape, -1, 1, seed).requires_grad_(); }

}  // namespace

DEVICE_TEST(Linalg, SolveAndInverse) {
  on_square([](const AnyTensor& x, double tolerance) {
    AnyTensor a = definite(x), b = draw({a.size(-2), 3}, -1, 1, 4, a.dtype());
    EXPECT_LT(distance(matmul(a, la::solve(a, b)), b.expand(matmul(a, b).shape())), tolerance);
    AnyTensor one = eye(a.size(-1), a.dtype());
    EXPECT_LT(distance(matmul(a, la::inv(a)), one.expand(a.shape())), tolerance);
    EXPECT_EQ(values(la::solve_ex(a, b).info.to<double>().sum())[0], 0);
  });
  // Several panels.
  AnyTensor a = draw({350, 350}, -1, 1, 1), x = draw({350, 2}, -1, 1, 2);
  EXPECT_LT(distance(la::solve(a, matmul(a, x)), x), 1e-9);
}

DEVICE_TEST(Linalg, SolveTakesVectorsAndBroadcasts) {
  AnyTensor a = definite(draw({3, 4, 4})), b = draw({4}), many = draw({3, 4});
  AnyTensor x = la::solve(a, b);
  EXPECT_EQ(x.shape(), Shape({3, 4}));
  EXPECT_LT(distance(matmul(a, x.unsqueeze(-1)).squeeze(-1), b.expand({3, 4})), 1e-12);
  EXPECT_LT(distance(matmul(a, la::solve(a, many).unsqueeze(-1)).squeeze(-1), many), 1e-12);
  AnyTensor one = definite(draw({4, 4})), columns = draw({2, 5, 4, 3});
  EXPECT_LT(distance(matmul(one, la::solve(one, columns)), columns), 1e-12);
  AnyTensor l = la::cholesky(one);
  EXPECT_LT(distance(matmul(l, la::solve_triangular(l, columns, {.upper = false})), columns), 1e-12);
}

DEVICE_TEST(Linalg, Triangular) {
  on_square([](const AnyTensor& x, double tolerance) {
    int64_t n = x.size(-1);
    AnyTensor a = x + 3 * eye(n, x.dtype()), l = la::cholesky(definite(x)), b = draw({n, 2}, -1, 1, 9, x.dtype());
    AnyTensor wide = b.expand(matmul(a, b).shape());
    EXPECT_LT(distance(matmul(l, la::solve_triangular(l, b, {.upper = false})), wide), tolerance);
    EXPECT_LT(distance(matmul(mt(l), la::solve_triangular(mt(l), b)), wide), tolerance);
    AnyTensor right = la::solve_triangular(l, mt(b), {.upper = false, .left = false});
    EXPECT_LT(distance(matmul(right, l), mt(wide)), tolerance);
    // Only the named triangle is read.
    AnyTensor unit = la::lu(a).l, noisy = unit + 5 * mt(l);
    EXPECT_LT(distance(matmul(unit, la::solve_triangular(noisy, b, {.upper = false, .unitriangular = true})), wide), tolerance);
  });
  // Several panels, many right sides, a batch.
  AnyTensor l = la::cholesky(definite(draw({2, 300, 300}) * 0.1)), b = draw({2, 300, 70}, -1, 1, 9);
  EXPECT_LT(distance(matmul(l, la::solve_triangular(l, b, {.upper = false})), b), 1e-12);
  EXPECT_LT(distance(matmul(mt(l), la::solve_triangular(mt(l), b)), b), 1e-12);
  AnyTensor a = draw({2, 300, 300}, -1, 1, 2) + 30 * eye(300);
  auto [packed, pivots] = la::lu_factor(a);
  EXPECT_LT(distance(matmul(mt(a), la::lu_solve(packed, pivots, b, {.adjoint = true})), b), 1e-12);
  AnyTensor right = b.clone().requires_grad_(), x = la::solve(a, right);
  EXPECT_LT(distance(matmul(a, x), b), 1e-12);
  x.backward(b);
  EXPECT_LT(distance(matmul(mt(a), right.grad()), b), 1e-12);
}

DEVICE_TEST(Linalg, Cholesky) {
  on_square([](const AnyTensor& x, double tolerance) {
    AnyTensor a = definite(x), l = la::cholesky(a), u = la::cholesky(a, true);
    EXPECT_LT(distance(matmul(l, mt(l)), a), tolerance);
    EXPECT_LT(distance(u, mt(l)), tolerance);
    AnyTensor b = draw(a.shape(), -1, 1, 8, a.dtype());
    EXPECT_LT(distance(matmul(a, la::cholesky_solve(b, l)), b), tolerance);
    EXPECT_LT(distance(la::cholesky_inverse(u, true), la::inv(a)), tolerance);
  });
}

DEVICE_TEST(Linalg, LuOfAllShapes) {
  on_rectangles([](const AnyTensor& a, double tolerance) {
    auto [p, l, u] = la::lu(a);
    EXPECT_LT(distance(matmul(p, matmul(l, u)), a), tolerance);
    EXPECT_LE(a.numel() ? values(sum(abs(l) > 1))[0] : 0, 0) << "partial pivoting keeps L within one";
  });
  AnyTensor a = draw({2, 4, 4}, -1, 1, 2), b = draw({2, 4, 3}, -1, 1, 3);
  auto [packed, pivots] = la::lu_factor(a);
  EXPECT_LT(distance(matmul(a, la::lu_solve(packed, pivots, b)), b), 1e-11);
  EXPECT_LT(distance(matmul(mt(a), la::lu_solve(packed, pivots, b, {.adjoint = true})), b), 1e-11);
  EXPECT_LT(distance(matmul(la::lu_solve(packed, pivots, mt(b), {.left = false}), a), mt(b)), 1e-11);
}

DEVICE_TEST(Linalg, Determinants) {
  Tensor<double> a = placed(Tensor<double>{{0, 2}, {3, 4}});
  EXPECT_DOUBLE_EQ(la::det(a).item(), -6);
  auto [sign, logabs] = la::slogdet(a);
  EXPECT_EQ(sign.item(), -1);
  EXPECT_DOUBLE_EQ(logabs.item(), std::log(6.));
  EXPECT_TRUE(std::isnan(la::logdet(a).item()));
  Tensor<double> singular = placed(Tensor<double>{{1, 2}, {2, 4}});
  EXPECT_EQ(la::det(singular).item(), 0);
  EXPECT_EQ(la::slogdet(singular).sign.item(), 0);
  EXPECT_EQ(la::slogdet(singular).logabsdet.item(), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(values(la::det(draw({2, 0, 0}))), (std::vector<double>{1, 1}));
  EXPECT_EQ(la::det(draw({0, 3, 3})).shape(), Shape({0}));
}

DEVICE_TEST(Linalg, DeterminantOfASingularMatrixHasItsCofactorsAsGradient) {
  AnyTensor a = AnyTensor(placed(Tensor<double>{{1, 2}, {2, 4}})).clone().requires_grad_();
  la::det(a).backward();
  EXPECT_LT(distance(a.grad(), Tensor<double>{{4, -2}, {-2, 1}}), 1e-12);
}

DEVICE_TEST(Linalg, QrOfAllShapes) {
  on_rectangles([](const AnyTensor& a, double tolerance) {
    auto [q, r] = la::qr(a);
    EXPECT_LT(distance(matmul(q, r), a), tolerance);
    AnyTensor one = eye(q.size(-1), a.dtype());
    EXPECT_LT(distance(matmul(mt(q), q), one.expand(matmul(mt(q), q).shape())), tolerance);
    auto [full, tall] = la::qr(a, la::QrMode::complete);
    EXPECT_EQ(full.size(-1), a.size(-2));
    EXPECT_LT(distance(matmul(full, tall), a), tolerance);
    EXPECT_LT(distance(la::qr(a, la::QrMode::r).r, r), tolerance);
    if (a.size(-2) < a.size(-1)) return;
    auto [packed, tau] = la::geqrf(a);
    EXPECT_LT(distance(la::householder_product(packed, tau), q), tolerance);
    AnyTensor leaf = packed.clone().requires_grad_();
    EXPECT_LT(distance(la::householder_product(leaf, tau), q), tolerance) << "with a graph";
  });
}

DEVICE_TEST(Linalg, SvdOfAllShapes) {
  on_rectangles([](const AnyTensor& a, double tolerance) {
    auto [u, s, vh] = la::svd(a, false);
    EXPECT_LT(distance(matmul(u * unsqueeze(s, -2), vh), a), tolerance);
    AnyTensor one = eye(u.size(-1), a.dtype());
    EXPECT_LT(distance(matmul(mt(u), u), one.expand(matmul(mt(u), u).shape())), tolerance);
    EXPECT_LT(distance(matmul(vh, mt(vh)), one.expand(matmul(vh, mt(vh)).shape())), tolerance);
    EXPECT_LT(distance(la::svdvals(a), s), tolerance);
    auto [full_u, full_s, full_vh] = la::svd(a);
    EXPECT_EQ(full_u.size(-1), a.size(-2));
    EXPECT_EQ(full_vh.size(-2), a.size(-1));
    AnyTensor identity = eye(a.size(-1), a.dtype());
    EXPECT_LT(distance(matmul(full_vh, mt(full_vh)), identity.expand(full_vh.shape())), tolerance);
  });
}

DEVICE_TEST(Linalg, EigenvaluesOfSymmetricMatrices) {
  on_square([](const AnyTensor& x, double tolerance) {
    AnyTensor a = symmetric(x);
    auto [w, v] = la::eigh(a);
    EXPECT_LT(distance(matmul(a, v), v * unsqueeze(w, -2)), 10 * tolerance);
    EXPECT_LT(distance(la::eigvalsh(a), w), tolerance);
    EXPECT_LT(distance(la::eigvalsh(x, true), la::eigvalsh(mt(x))), tolerance) << "the other triangle";
  });
}

DEVICE_TEST(Linalg, PseudoInverse) {
  on_rectangles([](const AnyTensor& a, double tolerance) {
    AnyTensor p = la::pinv(a);
    EXPECT_LT(distance(matmul(matmul(a, p), a), a), 10 * tolerance);
    EXPECT_LT(distance(matmul(matmul(p, a), p), p), 100 * tolerance);
  });
  AnyTensor thin = draw({2, 5, 2}, -1, 1, 3), low = matmul(thin, mt(thin));
  EXPECT_EQ(values(la::matrix_rank(low)), (std::vector<double>{2, 2}));
  EXPECT_EQ(values(la::matrix_rank(low, {.hermitian = true})), (std::vector<double>{2, 2}));
  EXPECT_EQ(values(la::matrix_rank(low, {.atol = 1e9})), (std::vector<double>{0, 0}));
  AnyTensor p = la::pinv(low, {.hermitian = true});
  EXPECT_LT(distance(matmul(matmul(low, p), low), low), 1e-11);
  EXPECT_LT(distance(p, la::pinv(low)), 1e-8);
}

DEVICE_TEST(Linalg, PowersAndTypes) {
  Tensor<double> a = {{1, 1}, {0, 1}};
  EXPECT_EQ(la::matrix_power(a, 5).vector(), (std::vector<double>{1, 5, 0, 1}));
  EXPECT_EQ(la::matrix_power(a, 0).vector(), (std::vector<double>{1, 0, 0, 1}));
  EXPECT_EQ(la::matrix_power(a, -2).vector(), (std::vector<double>{1, -2, 0, 1}));
  static_assert(std::is_same_v<decltype(la::svd(a).s), Tensor<double>> && std::is_same_v<decltype(la::inv(a)), Tensor<double>>);
}

DEVICE_TEST(Linalg, LeastSquares) {
  for (bool full_rank : {true, false})
    for (const Shape& shape : {Shape{5, 3}, Shape{3, 5}, Shape{2, 4, 4}, Shape{2, 6, 2}}) {
      AnyTensor a = draw(shape, -1, 1, 3), b = draw({shape[-2], 2}, -1, 1, 4);
      auto [x, residuals, rank, s] = la::lstsq(a, b, {.full_rank = full_rank});
      AnyTensor left = matmul(a, x) - b;
      EXPECT_LT(distance(matmul(mt(a), left), zeros_like(matmul(mt(a), left)), 1), 1e-12)
          << "the rest is orthogonal to the columns";
      EXPECT_LT(distance(x, matmul(la::pinv(a), b)), 1e-11) << "the shortest";
      AnyTensor rest = shape[-2] > shape[-1] ? sum(left * left, -2) : placed(zeros({0}, DType::float64));
      EXPECT_LT(distance(residuals, rest), 1e-12);
      EXPECT_EQ(full_rank ? std::min(shape[-1], shape[-2]) : int64_t(values(rank)[0]), std::min(shape[-1], shape[-2]));
    }
  AnyTensor low = matmul(draw({4, 1}), draw({1, 3})), b = draw({4, 1}, -1, 1, 5);
  auto [x, residuals, rank, s] = la::lstsq(low, b);
  EXPECT_EQ(values(rank)[0], 1);
  EXPECT_EQ(residuals.numel(), 0);
  EXPECT_LT(distance(x, matmul(la::pinv(low), b)), 1e-12);
}

DEVICE_TEST(Linalg, MatrixExponential) {
  Tensor<double> turn = placed(Tensor<double>{{0, -2}, {2, 0}});
  EXPECT_LT(distance(la::matrix_exp(turn), Tensor<double>{{std::cos(2), -std::sin(2)}, {std::sin(2), std::cos(2)}}), 1e-14);
  AnyTensor a = draw({3, 4, 4}, -1, 1, 2);
  EXPECT_LT(distance(matmul(la::matrix_exp(a * 9), la::matrix_exp(a * -9)), eye(4).expand({3, 4, 4})), 1e-3)
      << "scaled and squared";
  EXPECT_LT(distance(la::matrix_exp(a * 9), matmul(la::matrix_exp(a * 4), la::matrix_exp(a * 5))), 1e-10);
  auto [w, v] = la::eigh(symmetric(a));
  EXPECT_LT(distance(la::matrix_exp(symmetric(a)), matmul(v * unsqueeze(exp(w), -2), mt(v))), 1e-12);
  AnyTensor f = draw({2, 5, 5}, -3, 3, 3, DType::float32);
  EXPECT_LT(distance(la::matrix_exp(f).to(DType::float64), la::matrix_exp(f.to(DType::float64))), 1e-5);
  EXPECT_EQ(la::matrix_exp(draw({2, 0, 0})).shape(), Shape({2, 0, 0}));
}

DEVICE_TEST(Linalg, ProductsOfSeveral) {
  AnyTensor a = draw({2, 9}), b = draw({9, 3}, -1, 1, 2), c = draw({3, 8}, -1, 1, 3), v = draw({8}, -1, 1, 4),
            u = draw({2}, -1, 1, 5);
  EXPECT_LT(distance(la::multi_dot({a, b, c}), matmul(matmul(a, b), c)), 1e-13);
  EXPECT_LT(distance(la::multi_dot({u, a, b, c, v}), matmul(matmul(matmul(matmul(u, a), b), c), v)), 1e-13);
  EXPECT_LT(distance(la::vecdot(a, draw({9}, -1, 1, 6)), matmul(a, draw({9}, -1, 1, 6))), 1e-13);
  EXPECT_EQ(values(la::vander(Tensor<double>{2, 3}, 3)), (std::vector<double>{1, 2, 4, 1, 3, 9}));
  EXPECT_EQ(la::vander(draw({}), 2).shape(), Shape({1, 2}));
  AnyTensor t = draw({2, 3, 6}, -1, 1, 7);
  EXPECT_EQ(la::tensorinv(t).shape(), Shape({6, 2, 3}));
  AnyTensor y = draw({2, 3}, -1, 1, 8), x = la::tensorsolve(t, y);
  EXPECT_LT(distance(tensordot(t, x, 1), y), 1e-12);
  EXPECT_LT(distance(tensordot(la::tensorinv(t), y, 2), x), 1e-12);
  EXPECT_LT(distance(la::tensorsolve(permute(t, {2, 0, 1}), y, {0}), x), 1e-12);
}

DEVICE_TEST(Linalg, ReflectorsOnAMatrix) {
  AnyTensor a = draw({2, 5, 3}), c = draw({2, 5, 4}, -1, 1, 2);
  auto [packed, tau] = la::geqrf(a);
  AnyTensor q = la::qr(a, la::QrMode::complete).q;
  EXPECT_LT(distance(la::ormqr(packed, tau, c), matmul(q, c)), 1e-13);
  EXPECT_LT(distance(la::ormqr(packed, tau, c, {.transpose = true}), matmul(mt(q), c)), 1e-13);
  EXPECT_LT(distance(la::ormqr(packed, tau, mt(c), {.left = false}), matmul(mt(c), q)), 1e-13);
}

DEVICE_TEST(LinalgGradients, Compositions) {
  EXPECT_EQ(gradcheck([](const auto& in) { return la::matrix_exp(in[0] * 4); }, {leaf({3, 3})},
                      {.tolerance = 1e-5, .second_tolerance = 1e-3}),
            "");
  for (bool full_rank : {true, false})
    for (const Shape& shape : {Shape{4, 2}, Shape{2, 4}})
      EXPECT_EQ(gradcheck([&](const auto& in) { return la::lstsq(in[0], in[1], {.full_rank = full_rank}).solution; },
                          {leaf(shape), leaf({shape[0], 2}, 6)}, {.second_tolerance = 1e-3}),
                "");
  EXPECT_EQ(gradcheck(
                [](const auto& in) {
                  return la::multi_dot({in[0], in[1], in[2]});
                },
                {leaf({2, 3}), leaf({3, 2}, 6), leaf({2, 4}, 7)}),
            "");
  EXPECT_EQ(gradcheck([](const auto& in) { return la::vander(in[0], 4); }, {leaf({2, 3})}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return la::ormqr(in[0], in[1], in[2]); }, {leaf({4, 2}), leaf({2}, 6), leaf({4, 3}, 7)}),
            "");
}

DEVICE_TEST(LinalgGradients, Solutions) {
  auto solve = [](const auto& in) { return la::solve(definite(in[0]), in[1]); };
  EXPECT_EQ(gradcheck(solve, {leaf({3, 3}), leaf({3, 2}, 6)}), "");
  EXPECT_EQ(gradcheck(solve, {leaf({2, 3, 3}), leaf({3, 2}, 6)}), "") << "a right side for all";
  EXPECT_EQ(gradcheck(solve, {leaf({3, 3}), leaf({2, 3, 2}, 6)}), "") << "a matrix for all";
  EXPECT_EQ(gradcheck(solve, {leaf({2, 3, 3}), leaf({2, 3}, 6)}), "") << "vectors";
  EXPECT_EQ(gradcheck([](const auto& in) { return la::inv(definite(in[0])); }, {leaf({2, 3, 3})}), "");
  EXPECT_EQ(
      gradcheck([](const auto& in) { return la::matrix_power(definite(in[0]), -3); }, {leaf({2, 2})}, {.second_tolerance = 1e-4}),
      "");
  for (bool upper : {false, true})
    for (bool left : {false, true})
      for (bool unit : {false, true})
        EXPECT_EQ(gradcheck(
                      [&](const auto& in) {
                        return la::solve_triangular(in[0] + 2 * eye(3), in[1], {upper, left, unit});
                      },
                      {leaf({2, 3, 3}), leaf({2, 3, 3}, 6)}),
                  "")
            << upper << left << unit;
}

DEVICE_TEST(LinalgGradients, Cholesky) {
  for (bool upper : {false, true})
    EXPECT_EQ(gradcheck([&](const auto& in) { return la::cholesky(definite(in[0]), upper); }, {leaf({2, 3, 3})}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return la::cholesky_solve(in[1], la::cholesky(definite(in[0]))); },
                      {leaf({3, 3}), leaf({3, 2}, 6)}),
            "");
}

DEVICE_TEST(LinalgGradients, Lu) {
  for (const Shape& shape : {Shape{3, 3}, Shape{2, 2, 4}, Shape{2, 4, 2}}) {
    // L and U weighed differently; far from where rows change places.
    AnyTensor a = leaf(shape), offset = placed(zeros(shape, DType::float64));
    for (int64_t i = 0; i < 2; ++i) offset.select(-1, i).select(-1, i).fill_(4);
    Function f = [&](const auto& in) {
      auto [p, l, u] = la::lu(in[0] + offset);
      return matmul(l * l, u * u);
    };
    EXPECT_EQ(gradcheck(f, {a}, {.second_tolerance = 1e-3}), "") << to_string(shape);
  }
  EXPECT_EQ(gradcheck(
                [](const auto& in) {
                  auto [packed, pivots] = la::lu_factor(in[0] + 4 * eye(3));
                  return la::lu_solve(packed, pivots, in[1]);
                },
                {leaf({3, 3}), leaf({3, 2}, 6)}),
            "");
}

DEVICE_TEST(LinalgGradients, Determinants) {
  EXPECT_EQ(gradcheck([](const auto& in) { return la::det(in[0]); }, {leaf({2, 3, 3})}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return la::slogdet(in[0]).logabsdet; }, {leaf({2, 3, 3})}, {.second_tolerance = 1e-3}),
            "");
  EXPECT_EQ(gradcheck([](const auto& in) { return la::logdet(definite(in[0])); }, {leaf({3, 3})}), "");
}

DEVICE_TEST(LinalgGradients, Qr) {
  for (const Shape& shape : {Shape{3, 3}, Shape{2, 4, 2}, Shape{2, 4}}) {
    EXPECT_EQ(gradcheck([](const auto& in) { return la::qr(in[0]).q; }, {leaf(shape)}, {.second_tolerance = 1e-3}), "");
    EXPECT_EQ(gradcheck([](const auto& in) { return la::qr(in[0]).r; }, {leaf(shape)}, {.second_tolerance = 1e-3}), "");
    EXPECT_EQ(gradcheck(
                  [](const auto& in) {
                    auto [q, r] = la::qr(in[0]);
                    return matmul(q * q, r * r);
                  },
                  {leaf(shape)}, {.second_tolerance = 1e-3}),
              "");
  }
  AnyTensor packed = leaf({4, 3}), tau = leaf({3}, 6);
  EXPECT_EQ(gradcheck([](const auto& in) { return la::householder_product(in[0], in[1]); }, {packed, tau}), "");
}

DEVICE_TEST(LinalgGradients, Spectra) {
  GradcheckOptions loose{.second_tolerance = 1e-3};
  for (const Shape& shape : {Shape{3, 3}, Shape{2, 4, 2}, Shape{2, 4}}) {
    // Products of the factors that do not change with the vectors' signs.
    EXPECT_EQ(gradcheck([](const auto& in) { return la::svdvals(in[0]); }, {leaf(shape)}, loose), "");
    EXPECT_EQ(gradcheck(
                  [](const auto& in) {
                    AnyTensor u = la::svd(in[0], false).u;
                    return u * u;
                  },
                  {leaf(shape)}, loose),
              "");
    EXPECT_EQ(gradcheck(
                  [](const auto& in) {
                    AnyTensor v = la::svd(in[0], false).vh;
                    return v * v;
                  },
                  {leaf(shape)}, loose),
              "");
    EXPECT_EQ(gradcheck(
                  [](const auto& in) {
                    auto [u, s, vh] = la::svd(in[0], false);
                    return matmul(u * unsqueeze(s * s, -2), vh);
                  },
                  {leaf(shape)}, loose),
              "");
  }
  EXPECT_EQ(gradcheck([](const auto& in) { return la::eigvalsh(symmetric(in[0])); }, {leaf({2, 3, 3})}, loose), "");
  EXPECT_EQ(gradcheck(
                [](const auto& in) {
                  auto [w, v] = la::eigh(symmetric(in[0]), true);
                  return matmul(v * unsqueeze(w * w, -2), mt(v));
                },
                {leaf({3, 3})}, loose),
            "");
  // Of rank 2 all around.
  Function low = [](const auto& in) { return la::pinv(matmul(in[0], in[1])); };
  EXPECT_EQ(gradcheck(low, {leaf({4, 2}), leaf({2, 3}, 6)}, {.tolerance = 1e-5, .second_tolerance = 1e-2}), "");
  EXPECT_EQ(gradcheck(low, {leaf({3, 2}), leaf({2, 4}, 6)}, {.tolerance = 1e-5, .second_tolerance = 1e-2}), "");
  EXPECT_EQ(gradcheck([](const auto& in) { return la::pinv(in[0], {}); }, {leaf({2, 4, 3})}, loose), "");
}

DEVICE_TEST(LinalgGradients, TheHarnessSeesHalfAGradient) {
  Function half = [](const auto& in) {
    AnyTensor l = la::cholesky(definite(in[0]));
    return l.detach() * 0.5 + l * 0.5;
  };
  EXPECT_NE(gradcheck(half, {leaf({3, 3})}, {.second = false}), "");
}

DEVICE_TEST(LinalgErrors, NameTheMatrix) {
  AnyTensor a = definite(draw({2, 3, 3, 3})), singular = a.clone();
  {
    NoGrad no_grad;
    AnyTensor one = singular.select(0, 1).select(0, 2);
    one.select(0, 1).fill_(0);  // zeros stay zeros, however rows are subtracted
  }
  EXPECT_NE(message_of<ValueError>([&] { la::inv(singular); }).find("inv: matrix [1, 2] of the batch is singular"),
            std::string::npos);
  AnyTensor flat = placed(zeros({2, 2}, DType::float64));
  EXPECT_EQ(message_of<ValueError>([&] { la::solve(flat, flat); }),
            "solve: the matrix is singular: no pivot other than zero in column 1");
  EXPECT_EQ(message_of<ValueError>([&] { la::cholesky(-a.select(0, 0)); }),
            "cholesky: matrix [0] of the batch is not positive definite: it fails at the leading block of size 1");
  AnyTensor indefinite = placed(Tensor<float>{{1, 2}, {2, 1}});
  EXPECT_EQ(values(la::cholesky_ex(indefinite).info), (std::vector<double>{2}));
  EXPECT_EQ(values(la::inv_ex(flat).info), (std::vector<double>{1}));
  AnyTensor nan = placed(full({3, 3}, std::numeric_limits<double>::quiet_NaN(), DType::float64));
  EXPECT_THROW(la::cholesky(nan), ValueError);
  EXPECT_THROW(la::eigh(nan), ValueError);
  EXPECT_THROW(la::svd(nan), ValueError);
}

DEVICE_TEST(LinalgErrors, NameTheShapes) {
  AnyTensor a = draw({2, 3, 4}), square = draw({3, 3}), v = draw({3});
  EXPECT_NE(message_of<ShapeError>([&] { la::inv(a); }).find("inv: matrices of shape [2, 3, 4] are not square"), std::string::npos);
  EXPECT_THROW(la::det(v), ShapeError);
  EXPECT_THROW(la::qr(v), ShapeError);
  EXPECT_THROW(la::solve(square, draw({4, 2})), ShapeError);
  EXPECT_THROW(la::solve(draw({2, 3, 3}), draw({5, 3, 1})), ShapeError);
  EXPECT_THROW(la::solve_triangular(square, v), ShapeError);
  EXPECT_THROW(la::lu_unpack(square, zeros({2}, DType::int32)), ShapeError);
  EXPECT_THROW(la::lu_unpack(square, full({3}, 9, DType::int32)), IndexError);
  EXPECT_THROW(la::lu_unpack(square, zeros({3}, DType::int64)), DTypeError);
  EXPECT_THROW(la::householder_product(draw({2, 3}), draw({2})), ShapeError);
  EXPECT_EQ(message_of<DTypeError>([&] { la::inv(square.to(DType::bfloat16)); }),
            "inv: needs float32 or float64, got bfloat16; cast with to<float>()");
  EXPECT_THROW(la::svd(square.to(DType::int32)), DTypeError);
  EXPECT_THROW(la::solve(square, square.to(DType::float32)), DTypeError);
  EXPECT_THROW(la::inv(AnyTensor()), ValueError);
  EXPECT_THROW(la::lstsq(a, draw({4, 2})), ShapeError);
  EXPECT_THROW(la::multi_dot({square}), ValueError);
  EXPECT_THROW(la::multi_dot({square, draw({4, 2})}), ShapeError);
  EXPECT_THROW(la::tensorinv(draw({2, 3, 5})), ShapeError);
  EXPECT_THROW(la::tensorinv(square, 0), ValueError);
  EXPECT_THROW(la::tensorsolve(draw({2, 3, 5}), draw({2, 3})), ShapeError);
  EXPECT_THROW(la::ormqr(draw({4, 2}), draw({2}), draw({5, 2})), ShapeError);
  AnyTensor leaf = draw({4, 3}).requires_grad_();
  EXPECT_THROW(la::qr(leaf, la::QrMode::complete).q.backward(draw({4, 4})), GraphError);
  EXPECT_THROW(la::svd(leaf).u.backward(draw({4, 4})), GraphError);
}
