// Walks over the pixels of images, whichever axis is adjacent in memory. Channels that are adjacent are done a packet at a time;
// otherwise each plane of each image is a walk of its own over single numbers.
#pragma once
#include "kernels/array.h"
#include "kernels/cpu/parallel.h"
#include "kernels/packet.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {

/// One number or a packet of the type that T is computed in.
template <class T> using Single = Number<accumulate_t<T>, 1>;
template <class N, class T> GRADUS_FN N load_as(const T* from) {
  if constexpr (std::is_same_v<N, Single<T>>)
    return N(accumulate_t<T>(*from));
  else
    return load(from);
}
template <class N, class T> GRADUS_FN void store_as(T* to, N x) {
  if constexpr (std::is_same_v<N, Single<T>>)
    *to = T(x.v);
  else
    store(to, x);
}

/// (N, C, H, W) in memory: `walks` sequences of pixels, each of `inner` adjacent numbers.
struct Planes2d {
  int64_t walks, inner, height, width;
  int64_t channels, per_image, per_channel, per_row, per_pixel;
  Planes2d(const Array& x, bool together)
      : walks(together ? x.size(0) : x.size(0) * x.size(1)),
        inner(together ? x.size(1) : 1),
        height(x.size(2)),
        width(x.size(3)),
        channels(together ? 1 : x.size(1)),
        per_image(x.step(0)),
        per_channel(x.step(1)),
        per_row(x.step(2)),
        per_pixel(x.step(3)) {}
  int64_t walk(int64_t i) const { return i / channels * per_image + i % channels * per_channel; }
};
/// Whether the channels of all are adjacent.
template <class... A> bool channels_adjacent(const A&... x) { return ((x.step(1) == 1 && x.size(1) > 1) && ...); }

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
