// Products with a step before or after: what goes from one to the next is in the caches of their processor where it is small, and where it is
// large the product takes longer than any pass over it.
#include "kernels/matmul_steps.h"

#include "kernels/cpu/tables.h"

namespace gradus::cpu {

void matmul_sums(const Array& y, const Array& sums, const Array& a, const Array& b) {
  steps::matmul_sums(best_table(), y, sums, a, b);
}
void matmul_gelu(const Array& y, const Array& h, const Array& a, const Array& b, const Array& bias) {
  steps::matmul_gelu(best_table(), y, h, a, b, bias);
}
void matmul_gelu_backward(const Array& y, const Array& sums, const Array& a, const Array& b, const Array& h) {
  steps::matmul_gelu_backward(best_table(), y, sums, a, b, h);
}

}  // namespace gradus::cpu
