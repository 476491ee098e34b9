// What cuDNN is asked for a call of a kernel. No memory is looked at: the arrays may have none.
#pragma once
#include "kernels/cuda/dnn/graph.h"
#include "kernels/params.h"

namespace gradus::cuda::dnn {

/// x, w and y are what a convolution reads and writes, or their gradients. Sets no device. False where the sizes or the dtype are not for
/// cuDNN.
bool convolution_task(Task& task, Job job, const Array& x, const Array& w, const Array& y, const Array& bias, const ConvParams& p);

/// Without a mask, dropout and gradients: heads of 8, 16, ... 256 numbers of a half type, whose rows begin at multiples of 16 bytes, and so
/// many of them that they are worth a plan, which takes half a second to make. `y` is also how the cotangent lies.
bool attention_task(Task& task, const Array& y, const Array& q, const Array& k, const Array& v, const Array& mask,
                    const AttentionParams& p);
/// After attention_task: of an absent gradient, one without gaps.
bool add_gradients(Task& task, const Array& dq, const Array& dk, const Array& dv, const Array& g);

/// Of x whose channels come last, in whole 16 bytes, over a batch that is worth it: 2^22 elements. Elsewhere false. A gradient's operands
/// are those of the forward pass, with what it writes in place of the bias.
bool batch_norm_task(Task& task, Job job, const Array& x, double eps);

}  // namespace gradus::cuda::dnn
