// oneDNN's share of products and convolutions. Each function returns false, having done nothing, where oneDNN is not in, does not take
// these operands, or takes them only by a slow road. What it is asked for does not depend on the number of threads. Primitives are kept, each thread its own, by what they were made for.
#pragma once
#include "kernels/array.h"
#include "kernels/params.h"

namespace gradus::cpu {

/// y = alpha * a b (+ bias) (+ y), operands of one dtype, of rank 2 or 3, sizes of one in the first of three broadcast.
bool onednn_matmul(const Array& y, const Array& a, const Array& b, const Array& bias, double alpha, bool accumulate);

/// Images lie in memory as (N, H, W, C), without gaps; weights and their gradients are row-major.
bool onednn_conv2d(const Array& y, const Array& x, const Array& w, const Array& bias, const ConvParams& p);
bool onednn_conv2d_backward_input(const Array& dx, const Array& dy, const Array& w, const ConvParams& p);

}  // namespace gradus::cpu
