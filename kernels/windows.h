// Windows that slide over an axis of an image, or divide it.
#pragma once
#include "kernels/number.h"
#include "kernels/params.h"

namespace gradus {
inline namespace GRADUS_ISA {

/// The windows along one axis: positions begin, begin + step, ... below end.
struct Windows {
  int64_t in, out, kernel, stride, padding, step;
  bool adaptive;
  Windows(int64_t in, int64_t out, const PoolParams& p, int d)
      : in(in),
        out(out),
        kernel(p.kernel[d]),
        stride(p.stride[d]),
        padding(p.padding[d]),
        step(p.dilation[d]),
        adaptive(p.adaptive) {}
  GRADUS_FN int64_t begin(int64_t o) const {
    if (adaptive) return o * in / out;
    int64_t first = o * stride - padding;
    return first >= 0 ? first : first + (-first + step - 1) / step * step;
  }
  GRADUS_FN int64_t end(int64_t o) const {
    if (adaptive) return ((o + 1) * in + out - 1) / out;
    int64_t beyond = o * stride - padding + (kernel - 1) * step + 1;
    return beyond < in ? beyond : in;
  }
  /// Outputs [first, last] whose windows may hold input i; none beyond them does.
  GRADUS_FN int64_t first(int64_t i) const {
    if (adaptive) return i * out / in;
    int64_t reach = (kernel - 1) * step;
    return i + padding > reach ? (i + padding - reach + stride - 1) / stride : 0;
  }
  GRADUS_FN int64_t last(int64_t i) const {
    int64_t o = adaptive ? ((i + 1) * out - 1) / in : (i + padding) / stride;
    return o < out - 1 ? o : out - 1;
  }
};

}  // namespace GRADUS_ISA
}  // namespace gradus
