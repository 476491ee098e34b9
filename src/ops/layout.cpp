#include "src/ops/layout.h"

namespace gradus {

bool is_channels_last(const AnyTensor& x) {
  const Shape &shape = x.shape(), &stride = x.stride();
  int64_t expected = 1;
  for (int d : {1, 3, 2, 0}) {
    if (shape[d] != 1 && stride[d] != expected) return x.numel() == 0;
    expected *= shape[d];
  }
  return true;
}

AnyTensor channels_last(const AnyTensor& x) {
  if (is_channels_last(x)) return x;
  NoGrad no_grad;
  AnyTensor y = empty_channels_last(x.shape(), x.dtype(), x.device());
  y.copy_(x.detach());
  return y;
}

AnyTensor image_like(const AnyTensor& x, const Shape& shape, DType type) {
  bool channels_adjacent = x.stride()[1] == 1 && x.shape()[1] > 1;
  return channels_adjacent ? empty_channels_last(shape, type, x.device()) : empty(shape, type, x.device());
}

}  // namespace gradus
