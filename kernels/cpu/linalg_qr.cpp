// Householder QR, in LAPACK's form: R above, the reflectors' tails below the diagonal, their scales in tau.
#include <Eigen/QR>

#include "kernels/cpu/linalg.h"
#include "kernels/table.h"

namespace gradus::cpu {

void linalg_geqrf(const Array& qr, const Array& tau, const Array& a) {
  int64_t m = a.size(-2), n = a.size(-1), count = std::min(m, n);
  dispatch_real("qr", a.dtype, [&]<class T>() {
    for_each_matrix(batch_of(a, 2), 2 * m * n * count, [&](int64_t i) {
      if (count == 0) return;
      Eigen::HouseholderQR<Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>> factored(matrix<T>(a, i));
      matrix<T>(qr, i) = factored.matrixQR();
      vector<T>(tau, i) = factored.hCoeffs();
    });
  });
}

void linalg_orgqr(const Array& q, const Array& qr, const Array& tau) {
  int64_t m = q.size(-2), n = q.size(-1), count = tau.size(-1);
  dispatch_real("qr", q.dtype, [&]<class T>() {
    for_each_matrix(batch_of(q, 2), 2 * m * n * count, [&](int64_t i) {
      MatrixView<T> out = matrix<T>(q, i);
      out.setIdentity();
      if (count == 0 || out.size() == 0) return;
      Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic> tails = matrix<T>(qr, i).leftCols(count);
      Eigen::Matrix<T, Eigen::Dynamic, 1> scales = vector<T>(tau, i);
      out.applyOnTheLeft(Eigen::householderSequence(tails, scales));
    });
  });
}

}  // namespace gradus::cpu
