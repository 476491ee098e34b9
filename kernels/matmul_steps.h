// Products with a step before or after them, done one after the other by kernels that a backend has anyway: its rows of these names, where
// nothing better serves a call.
#pragma once
#include "kernels/table.h"

namespace gradus::steps {

void matmul_sums(const KernelTable& table, const Array& y, const Array& sums, const Array& a, const Array& b);
void matmul_gelu(const KernelTable& table, const Array& y, const Array& h, const Array& a, const Array& b, const Array& bias);
void matmul_gelu_backward(const KernelTable& table, const Array& y, const Array& sums, const Array& a, const Array& b,
                          const Array& h);

// Their parts.
void gelu_backward(const KernelTable& table, const Array& y, const Array& h);  // y *= the slope of gelu_tanh at h
void sum_rows(const KernelTable& table, const Array& sums, const Array& x);
void sum_columns(const KernelTable& table, const Array& sums, const Array& x);

}  // namespace gradus::steps
