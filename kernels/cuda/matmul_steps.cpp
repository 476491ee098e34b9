// Products with a step before or after: one call of the library where it has one, else step by step.
#include "kernels/matmul_steps.h"

#include "kernels/cuda/backend.h"
#include "kernels/cuda/cublas_lt.h"

namespace gradus::cuda {
namespace {

bool at_once(const Array& y, const Array& a, const Array& b, const After& after) {
  return cublas_lt_matmul(y, a, b, after, 1, false, float32_matmul_precision());
}

}  // namespace

void matmul_sums(const Array& y, const Array& sums, const Array& a, const Array& b) {
  if (!at_once(y, a, b, {Epilogue::sums, sums})) steps::matmul_sums(table(), y, sums, a, b);
}

void matmul_gelu(const Array& y, const Array& h, const Array& a, const Array& b, const Array& bias) {
  if (!at_once(y, a, b, {Epilogue::gelu, bias, h})) steps::matmul_gelu(table(), y, h, a, b, bias);
}

void matmul_gelu_backward(const Array& y, const Array& sums, const Array& a, const Array& b, const Array& h) {
  if (at_once(y, a, b, {Epilogue::gelu_backward, sums, h})) return;
  if (!sums || !at_once(y, a, b, {Epilogue::gelu_backward, {}, h})) return steps::matmul_gelu_backward(table(), y, sums, a, b, h);
  steps::sum_columns(table(), sums, y);
}

}  // namespace gradus::cuda
