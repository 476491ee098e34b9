// The largest element of each window, and where it stood. NaN counts as the largest.
#include "kernels/cpu/isa/planes.h"
#include "kernels/dispatch.h"
#include "kernels/params.h"
#include "kernels/windows.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {
namespace {

/// N and as many integers of its lanes' size; indices are int32 in memory.
template <class N> struct IndexOf { using V = decltype(N::Mask::v); };
template <class F> struct IndexOf<Number<F, 1>> { using V = int32_t; };
template <class N> using Index = typename IndexOf<N>::V;

template <class N> using Narrow = typename vector_of<int32_t, sizeof(Index<N>) / sizeof(Index<N>{}[0])>::type;

template <class N> GRADUS_FN Index<N> load_index(const int32_t* from) {
  if constexpr (std::is_same_v<Index<N>, int32_t>) {
    return *from;
  } else {
    return __builtin_convertvector(load_bits<Narrow<N>>(from), Index<N>);
  }
}
template <class N> GRADUS_FN void store_index(int32_t* to, Index<N> index) {
  if constexpr (std::is_same_v<Index<N>, int32_t>) {
    *to = index;
  } else {
    store_bits(to, __builtin_convertvector(index, Narrow<N>));
  }
}

template <class T, class N> GRADUS_FN void largest(const T* x, const Planes2d& from, const Windows& rows, const Windows& columns,
                                                   int64_t r, int64_t s, T* y, int32_t* where_to) {
  using F = accumulate_t<T>;
  int64_t top = rows.begin(r), bottom = rows.end(r), left = columns.begin(s), right = columns.end(s);
  N best = N(F(-__builtin_inf()));
  Index<N> at = Index<N>{} + int32_t(top * from.width + left);
  for (int64_t h = top; h < bottom; h += rows.step)
    for (int64_t w = left; w < right; w += columns.step) {
      N v = load_as<N>(x + h * from.per_row + w * from.per_pixel);
      auto better = (v > best).v | (v != v).v;
      best = N(better ? v.v : best.v);
      at = better ? Index<N>{} + int32_t(h * from.width + w) : at;
    }
  store_as<N>(y, best);
  if (where_to) store_index<N>(where_to, at);
}

/// Each input pixel gathers from the windows that chose it: no pixel is written twice, and sums of half types are in float.
template <class T, class N> GRADUS_FN void gather(const T* dy, const int32_t* indices, const Planes2d& from, const Planes2d& chosen,
                                                  const Windows& rows, const Windows& columns, int64_t h, int64_t w, T* dx) {
  using F = accumulate_t<T>;
  N sum = N(F(0));
  Index<N> here = Index<N>{} + int32_t(h * columns.in + w);
  for (int64_t r = rows.first(h), last_r = rows.last(h), last_s = columns.last(w); r <= last_r; ++r)
    for (int64_t s = columns.first(w); s <= last_s; ++s) {
      auto mine = load_index<N>(indices + r * chosen.per_row + s * chosen.per_pixel) == here;
      N g = load_as<N>(dy + r * from.per_row + s * from.per_pixel);
      sum = N(mine ? (sum + g).v : sum.v);
    }
  store_as<N>(dx, sum);
}

template <class T> inline constexpr int kLanesOf = sizeof(Packet<T>) / sizeof(accumulate_t<T>);

template <class T> void max_pool(const Array& y, const Array& indices, const Array& x, const PoolParams& p) {
  bool together = channels_adjacent(y, x) && (!indices || channels_adjacent(indices));
  const Planes2d to(y, together), from(x, together), chosen(indices ? indices : y, together);
  const Windows rows(x.size(2), y.size(2), p, 0), columns(x.size(3), y.size(3), p, 1);
  parallel_for(to.walks * to.height, kParallel / 4 / (to.width * to.inner + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; ++at) {
      int64_t walk = at / to.height, r = at % to.height;
      const T* source = x.as<T>() + from.walk(walk);
      for (int64_t s = 0; s < to.width; ++s) {
        T* here = y.as<T>() + to.walk(walk) + r * to.per_row + s * to.per_pixel;
        int32_t* index = indices ? indices.as<int32_t>() + chosen.walk(walk) + r * chosen.per_row + s * chosen.per_pixel : nullptr;
        int64_t c = 0;
        for (; c + kLanesOf<T> <= to.inner; c += kLanesOf<T>)
          largest<T, Packet<T>>(source + c, from, rows, columns, r, s, here + c, index ? index + c : nullptr);
        for (; c < to.inner; ++c)
          largest<T, Single<T>>(source + c, from, rows, columns, r, s, here + c, index ? index + c : nullptr);
      }
    }
  });
}

template <class T> void max_pool_backward(const Array& dx, const Array& dy, const Array& indices, const PoolParams& p) {
  bool together = channels_adjacent(dx, dy, indices);
  const Planes2d to(dx, together), from(dy, together), chosen(indices, together);
  const Windows rows(dx.size(2), dy.size(2), p, 0), columns(dx.size(3), dy.size(3), p, 1);
  parallel_for(to.walks * to.height, kParallel / 4 / (to.width * to.inner + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; ++at) {
      int64_t walk = at / to.height, h = at % to.height;
      const T* g = dy.as<T>() + from.walk(walk);
      const int32_t* index = indices.as<int32_t>() + chosen.walk(walk);
      for (int64_t w = 0; w < to.width; ++w) {
        T* here = dx.as<T>() + to.walk(walk) + h * to.per_row + w * to.per_pixel;
        int64_t c = 0;
        for (; c + kLanesOf<T> <= to.inner; c += kLanesOf<T>)
          gather<T, Packet<T>>(g + c, index + c, from, chosen, rows, columns, h, w, here + c);
        for (; c < to.inner; ++c) gather<T, Single<T>>(g + c, index + c, from, chosen, rows, columns, h, w, here + c);
      }
    }
  });
}

}  // namespace

void max_pool2d(const Array& y, const Array& indices, const Array& x, const PoolParams& p) {
  if (y.count == 0) return;
  dispatch_float("max_pool2d", y.dtype, [&]<class T>() { max_pool<T>(y, indices, x, p); });
}

void max_pool2d_backward(const Array& dx, const Array& dy, const Array& indices, const PoolParams& p) {
  if (dx.count == 0) return;
  dispatch_float("max_pool2d", dx.dtype, [&]<class T>() { max_pool_backward<T>(dx, dy, indices, p); });
}

void take_pixels(const Array& y, const Array& x, const Array& indices) {
  if (y.count == 0) return;
  dispatch_float("max_pool2d", y.dtype, [&]<class T>() {
    const Planes2d to(y, false), from(x, false), chosen(indices, false);
    parallel_for(to.walks, kParallel / (to.width * to.height + 1) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t walk = begin; walk < end; ++walk)
        for (int64_t r = 0; r < to.height; ++r)
          for (int64_t s = 0; s < to.width; ++s) {
            int64_t at = indices.as<int32_t>()[chosen.walk(walk) + r * chosen.per_row + s * chosen.per_pixel];
            y.as<T>()[to.walk(walk) + r * to.per_row + s * to.per_pixel] =
                x.as<T>()[from.walk(walk) + at / from.width * from.per_row + at % from.width * from.per_pixel];
          }
    });
  });
}

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
