// Cholesky and LU factors, and what is solved with them.
#include <Eigen/Cholesky>
#include <cmath>

#include "kernels/cpu/linalg.h"
#include "kernels/table.h"

namespace gradus::cpu {
namespace {

/// The size of the first leading block that is not positive definite; 0 if all are.
template <class T> int32_t first_bad_minor(Matrix<T> a) {
  for (int64_t k = 0; k < a.rows(); ++k) {
    T d = a(k, k) - a.row(k).head(k).squaredNorm();
    if (!(d > 0) || std::isinf(d)) return int32_t(k + 1);
    a(k, k) = std::sqrt(d);
    for (int64_t i = k + 1; i < a.rows(); ++i) a(i, k) = (a(i, k) - a.row(i).head(k).dot(a.row(k).head(k))) / a(k, k);
  }
  return 0;
}

/// P L U in place, by panels: rows are exchanged in whole. Returns the first zero pivot, counted from 1, or 0.
template <class T> int32_t factor(MatrixView<T> a, int32_t* pivots) {
  constexpr int64_t kPanel = 32;
  int64_t m = a.rows(), n = a.cols(), count = std::min(m, n);
  int32_t info = 0;
  for (int64_t start = 0; start < count; start += kPanel) {
    int64_t width = std::min(kPanel, count - start), next = start + width;
    for (int64_t k = start; k < next; ++k) {
      int64_t best = k;
      for (int64_t i = k + 1; i < m; ++i)
        if (std::abs(a(i, k)) > std::abs(a(best, k))) best = i;
      pivots[k] = int32_t(best + 1);
      if (best != k) a.row(k).swap(a.row(best));
      if (a(k, k) == 0) {
        if (!info) info = int32_t(k + 1);
        continue;
      }
      for (int64_t i = k + 1; i < m; ++i) {
        T l = a(i, k) /= a(k, k);
        a.row(i).segment(k + 1, next - k - 1) -= l * a.row(k).segment(k + 1, next - k - 1);
      }
    }
    if (next == n) continue;
    auto right = a.block(start, next, width, n - next);
    a.block(start, start, width, width).template triangularView<Eigen::UnitLower>().solveInPlace(right);
    if (next < m) a.block(next, next, m - next, n - next).noalias() -= a.block(next, start, m - next, width) * right;
  }
  return info;
}

template <unsigned kMode, class A, class B> void solve_with(const A& a, B& x, bool transposed) {
  if (transposed)
    a.template triangularView<kMode>().transpose().solveInPlace(x);
  else
    a.template triangularView<kMode>().solveInPlace(x);
}

}  // namespace

void linalg_cholesky(const Array& l, const Array& info, const Array& a) {
  int64_t n = a.size(-1);
  dispatch_real("cholesky", a.dtype, [&]<class T>() {
    for_each_matrix(batch_of(a, 2), n * n * n / 3, [&](int64_t i) {
      MatrixView<T> in = matrix<T>(a, i), out = matrix<T>(l, i);
      out = in.template triangularView<Eigen::Lower>();
      Eigen::LLT<Eigen::Ref<Matrix<T>>, Eigen::Lower> llt(out);
      bool good = llt.info() == Eigen::Success && out.diagonal().allFinite();
      info.as<int32_t>()[i] = good ? 0 : first_bad_minor<T>(in);
    });
  });
}

void linalg_lu(const Array& lu, const Array& pivots, const Array& info, const Array& a) {
  int64_t count = std::min(a.size(-1), a.size(-2));
  dispatch_real("lu", a.dtype, [&]<class T>() {
    for_each_matrix(batch_of(a, 2), count * count * a.size(-1), [&](int64_t i) {
      matrix<T>(lu, i) = matrix<T>(a, i);
      info.as<int32_t>()[i] = factor<T>(matrix<T>(lu, i), pivots.as<int32_t>() + i * count);
    });
  });
}

void linalg_permutation(const Array& p, const Array& pivots) {
  int64_t m = p.size(-1), count = pivots.size(-1);
  dispatch_real("lu", p.dtype, [&]<class T>() {
    for_each_matrix(batch_of(p, 2), m * m, [&](int64_t i) {
      MatrixView<T> out = matrix<T>(p, i);
      out.setIdentity();
      for (int64_t k = count - 1; k >= 0; --k) out.row(k).swap(out.row(pivots.as<int32_t>()[i * count + k] - 1));
    });
  });
}

void linalg_lu_solve(const Array& x, const Array& lu, const Array& pivots, bool transposed) {
  int64_t n = lu.size(-1);
  dispatch_real("lu_solve", x.dtype, [&]<class T>() {
    for_each_matrix(batch_of(x, 2), n * n * x.size(-1), [&](int64_t i) {
      MatrixView<T> a = matrix<T>(lu, i), b = matrix<T>(x, i);
      const int32_t* pivot = pivots.as<int32_t>() + i * n;
      if (b.size() == 0) return;
      if (!transposed) {
        for (int64_t k = 0; k < n; ++k) b.row(k).swap(b.row(pivot[k] - 1));
        solve_with<Eigen::UnitLower>(a, b, false);
        solve_with<Eigen::Upper>(a, b, false);
      } else {
        solve_with<Eigen::Upper>(a, b, true);
        solve_with<Eigen::UnitLower>(a, b, true);
        for (int64_t k = n - 1; k >= 0; --k) b.row(k).swap(b.row(pivot[k] - 1));
      }
    });
  });
}

void linalg_solve_triangular(const Array& x, const Array& a, bool upper, bool unit) {
  int64_t n = a.size(-1);
  dispatch_real("solve_triangular", x.dtype, [&]<class T>() {
    for_each_matrix(batch_of(x, 2), n * n * x.size(-1) / 2, [&](int64_t i) {
      MatrixView<T> in = matrix<T>(a, i), b = matrix<T>(x, i);
      if (b.size() == 0) return;
      if (upper)
        unit ? solve_with<Eigen::UnitUpper>(in, b, false) : solve_with<Eigen::Upper>(in, b, false);
      else
        unit ? solve_with<Eigen::UnitLower>(in, b, false) : solve_with<Eigen::Lower>(in, b, false);
    });
  });
}

void linalg_det(const Array& det, const Array& sign, const Array& logabs, const Array& lu, const Array& pivots) {
  int64_t n = lu.size(-1);
  dispatch_real("det", lu.dtype, [&]<class T>() {
    for (int64_t i = 0; i < batch_of(lu, 2); ++i) {
      MatrixView<T> a = matrix<T>(lu, i);
      T product = 1, s = 1, sum = 0;
      for (int64_t k = 0; k < n; ++k) {
        if (pivots.as<int32_t>()[i * n + k] != k + 1) product = -product, s = -s;
        T d = a(k, k);
        product *= d;
        s *= d > 0 ? T(1) : d < 0 ? T(-1) : d;  // zero and NaN stay what they are
        sum += std::log(std::abs(d));
      }
      if (det) det.as<T>()[i] = product;
      if (sign) sign.as<T>()[i] = s;
      if (logabs) logabs.as<T>()[i] = sum;
    }
  });
}

}  // namespace gradus::cpu
