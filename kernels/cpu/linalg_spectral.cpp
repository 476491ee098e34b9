// Eigenvalues of symmetric matrices and singular values.
#include <Eigen/Eigenvalues>
#include <Eigen/SVD>

#include "kernels/cpu/linalg.h"
#include "kernels/table.h"

namespace gradus::cpu {
namespace {

// Float matrices are taken apart in double: these templates are the slowest to compile of all, and one instantiation serves both.
using Solver = Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>;
using Svd = Eigen::BDCSVD<Eigen::MatrixXd>;

}  // namespace

void linalg_eigh(const Array& w, const Array& v, const Array& info, const Array& a) {
  int64_t n = a.size(-1);
  dispatch_real("eigh", a.dtype, [&]<class T>() {
    for_each_matrix(batch_of(a, 2), n * n * n * 9, [&](int64_t i) {
      info.as<int32_t>()[i] = 0;
      if (n == 0) return;
      // Reads the lower triangle.
      Solver solver(matrix<T>(a, i).template cast<double>(), v ? Eigen::ComputeEigenvectors : Eigen::EigenvaluesOnly);
      if (solver.info() != Eigen::Success) info.as<int32_t>()[i] = 1;
      vector<T>(w, i) = solver.eigenvalues().template cast<T>();
      if (v) matrix<T>(v, i) = solver.eigenvectors().template cast<T>();
    });
  });
}

void linalg_svd(const Array& u, const Array& s, const Array& vh, const Array& info, const Array& a) {
  int64_t m = a.size(-2), n = a.size(-1), count = std::min(m, n);
  bool full = u && (u.size(-1) > count || vh.size(-2) > count);
  dispatch_real("svd", a.dtype, [&]<class T>() {
    for_each_matrix(batch_of(a, 2), m * n * count * 12, [&](int64_t i) {
      info.as<int32_t>()[i] = 0;
      if (count == 0) {
        if (u) matrix<T>(u, i).setIdentity(), matrix<T>(vh, i).setIdentity();
        return;
      }
      unsigned options = !u ? 0 : full ? Eigen::ComputeFullU | Eigen::ComputeFullV : Eigen::ComputeThinU | Eigen::ComputeThinV;
      Svd svd(matrix<T>(a, i).template cast<double>(), options);
      if (svd.info() != Eigen::Success) {
        info.as<int32_t>()[i] = 1;
        return;
      }
      vector<T>(s, i) = svd.singularValues().template cast<T>();
      if (!u) return;
      matrix<T>(u, i) = svd.matrixU().template cast<T>();
      matrix<T>(vh, i) = svd.matrixV().transpose().template cast<T>();
    });
  });
}

}  // namespace gradus::cpu
