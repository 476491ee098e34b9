// Convolutions of 3 x 3 with stride 1 by Winograd's F(4 x 4, 3 x 3): an output tile of 4 x 4 costs 36 multiplications a channel in place of
// 144. (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2016.) With the points 0, 5/8, -5/8, 3/2, -3/2 its rounding
// error is about twice that of the plain sum's.
#pragma once
#include "kernels/array.h"
#include "kernels/params.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {

/// Whether these shapes are worth it. Images are float32, their channels adjacent in memory, and multiples of 16.
bool winograd_suits(int64_t batch, int64_t in, int64_t out, int64_t out_height, int64_t out_width, const Array& w,
                    const ConvParams& p);

void winograd(const Array& y, const Array& x, const Array& w, const Array& bias, const ConvParams& p);
void winograd_backward_input(const Array& dx, const Array& dy, const Array& w, const ConvParams& p);
void winograd_backward_weight(const Array& dw, const Array& dy, const Array& x, const ConvParams& p);

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
