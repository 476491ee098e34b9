// The kernels that cuDNN has a better one for. Each asks it, and where it has none, or is not there, does the work itself with what
// gradus::cuda has under the same name. Nothing of cuDNN stands here.
#pragma once
#include "kernels/params.h"

namespace gradus::cuda::dnn {

/// Before this thread captures a stream of the device: it gets what plans need of it and must not make meanwhile, if there are any plans.
void prepare_thread(int device) noexcept;

void conv2d(const Array& y, const Array& x, const Array& w, const Array& bias, const ConvParams& p);
void conv2d_backward_input(const Array& dx, const Array& dy, const Array& w, const ConvParams& p);
void conv2d_backward_weight(const Array& dw, const Array& dbias, const Array& dy, const Array& x, const ConvParams& p);
void attention(const Array& y, const Array& lse, const Array& q, const Array& k, const Array& v, const Array& mask,
               const AttentionParams& p);
void attention_backward(const Array& dq, const Array& dk, const Array& dv, const Array& g, const Array& y, const Array& lse,
                        const Array& q, const Array& k, const Array& v, const Array& mask, const AttentionParams& p);
void channel_norm(const Array& y, const Array& mean, const Array& rstd, const Array& running_mean, const Array& running_var,
                  const Array& sum, const Array& x, const Array& residual, const Array& past, const Array& weight,
                  const Array& bias, int64_t groups, double eps, double momentum, bool rectified);
void channel_norm_backward(const Array& dx, const Array& dweight, const Array& dbias, const Array& dpast, const Array& g,
                           const Array& x, const Array& y, const Array& mean, const Array& rstd, const Array& weight,
                           const Array& bias, int64_t groups, bool fixed, bool accumulate, bool rectified);

}  // namespace gradus::cuda::dnn
