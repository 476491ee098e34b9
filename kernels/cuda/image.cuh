// Images (N, C, H, W) of any strides, an element a thread, so that neighbours lie side by side in the result.
#pragma once
#include "kernels/cuda/places.cuh"

namespace gradus::cuda {

struct Image {
  void* data;
  int64_t stride[4];
  explicit Image(const Array& x) : data(x.data), stride{} {
    for (int d = 0; x && d < 4; ++d) stride[d] = x.stride[d];
  }
  template <class T> __device__ T* plane(int64_t n, int64_t c) const {
    return static_cast<T*>(data) + n * stride[0] + c * stride[1];
  }
  __device__ int64_t at(int64_t h, int64_t w) const { return h * stride[2] + w * stride[3]; }
};

/// Counts the elements of a result: channels run fastest where they lie side by side.
struct Pixels {
  int64_t channels, height, width;
  bool last;
  explicit Pixels(const Array& y)
      : channels(y.size(1)), height(y.size(2)), width(y.size(3)), last(y.step(1) == 1 && y.size(1) > 1) {}
  struct Place {
    int64_t n, c, h, w;
  };
  __device__ Place operator()(int64_t i) const {
    Place p;
    if (last) p.c = i % channels, i /= channels;
    p.w = i % width, i /= width;
    p.h = i % height, i /= height;
    if (!last) p.c = i % channels, i /= channels;
    p.n = i;
    return p;
  }
};

}  // namespace gradus::cuda
