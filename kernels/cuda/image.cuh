// Images (N, C, H, W) of any strides: a thread takes an element, or, where channels lie side by side, 16 bytes of them; so neighbours read and
// write side by side.
#pragma once
#include "kernels/cuda/places.cuh"
#include "kernels/cuda/row.cuh"

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

/// Counts the elements of a result, or `together` channels of it at once: channels run fastest where they lie side by side. Sizes are divided by
/// through multiplications where there are less than 2^31 elements.
struct Pixels {
  int64_t count;  // of what is counted
  int64_t channels, height, width;
  Divider by_channels, by_height, by_width;
  int together;
  bool last, narrow;
  explicit Pixels(const Array& y, int together = 1)
      : count(y.count / together),
        channels(y.size(1) / together),
        height(y.size(2)),
        width(y.size(3)),
        together(together),
        last(y.step(1) == 1 && y.size(1) > 1),
        narrow(y.count < int64_t(1) << 31) {
    if (!narrow) return;
    by_channels = Divider(uint32_t(channels)), by_height = Divider(uint32_t(height)), by_width = Divider(uint32_t(width));
  }
  struct Place {
    int64_t n;
    int32_t c, h, w;
  };
  __device__ __forceinline__ Place operator()(int64_t i) const {
    Place p;
    auto split = [&](int64_t size, const Divider& by) {
      const int64_t outer = narrow ? int64_t(divide(uint32_t(i), by)) : i / size, rest = i - outer * size;
      i = outer;
      return int32_t(rest);
    };
    if (last) p.c = split(channels, by_channels) * together;
    p.w = split(width, by_width);
    p.h = split(height, by_height);
    if (!last) p.c = split(channels, by_channels) * together;
    p.n = i;
    return p;
  }
};

/// How many channels of T a thread may take at once: those of 16 bytes where they lie side by side in all of these images, else one. An absent
/// image has no say.
template <class T> int channels_together(std::initializer_list<const Array*> images) {
  for (const Array* x : images)
    if (*x && (x->size(1) % kItemsOf<T> != 0 || x->step(1) != 1)) return 1;
  return kItemsOf<T>;
}

}  // namespace gradus::cuda
