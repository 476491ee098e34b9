#include "kernels/matmul_steps.h"

namespace gradus::steps {
namespace {

const Scalar kNoScalars[2];

void sum_to(const KernelTable& table, const Array& sums, const Array& x, int64_t rows, int64_t columns) {
  const int64_t shape[2] = {rows, columns}, stride[2] = {columns, 1};
  table.sum({sums.data, sums.dtype, true, 2, rows * columns, shape, stride}, x);
}

}  // namespace

void sum_rows(const KernelTable& table, const Array& sums, const Array& x) { sum_to(table, sums, x, x.size(0), 1); }
void sum_columns(const KernelTable& table, const Array& sums, const Array& x) { sum_to(table, sums, x, 1, x.size(1)); }

void gelu_backward(const KernelTable& table, const Array& y, const Array& h) {
  if (y.count == 0) return;
  Array none = y;
  none.data = nullptr;
  table.gelu_tanh_backward(call_over("gelu_tanh", y.dtype, 2, {&y, &none, &y, &h, &none, &none}, kNoScalars));
}

void matmul_sums(const KernelTable& table, const Array& y, const Array& sums, const Array& a, const Array& b) {
  table.matmul(y, a, b, {}, 1, false);
  sum_rows(table, sums, a);
}

void matmul_gelu(const KernelTable& table, const Array& y, const Array& h, const Array& a, const Array& b, const Array& bias) {
  const Array& inner = h ? h : y;
  table.matmul(inner, a, b, bias, 1, false);
  if (y.count) table.gelu_tanh(call_over("gelu_tanh", y.dtype, 1, {&y, &inner}, kNoScalars));
}

void matmul_gelu_backward(const KernelTable& table, const Array& y, const Array& sums, const Array& a, const Array& b,
                          const Array& h) {
  table.matmul(y, a, b, {}, 1, false);
  gelu_backward(table, y, h);
  if (sums) sum_columns(table, sums, y);
}

}  // namespace gradus::steps
