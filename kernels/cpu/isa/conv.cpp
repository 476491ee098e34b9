// Convolutions over two axes: chooses who computes them, and is able to do so alone, as products of the image's windows.
#include "kernels/cpu/isa/gemm.h"
#include "kernels/cpu/isa/winograd.h"
#include "kernels/cpu/onednn.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/parallel_throwing.h"
#include "kernels/cpu/scratch.h"
#include "kernels/dispatch.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {
namespace {

constexpr int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// ---- windows ---------------------------------------------------------------------------------------------------------------------

/// The sizes of one convolution. A window is what one output pixel sees of one group's channels: (tap, channel).
struct Sizes {
  int64_t batch, in, height, width, out, out_height, out_width, taps[2], groups;
  ConvParams p;
  Sizes(const Array& x, const Array& y, const Array& w, const ConvParams& p)
      : batch(x.size(0)),
        in(x.size(1)),
        height(x.size(2)),
        width(x.size(3)),
        out(y.size(1)),
        out_height(y.size(2)),
        out_width(y.size(3)),
        taps{w.size(2), w.size(3)},
        groups(p.groups),
        p(p) {}
  int64_t pixels() const { return batch * out_height * out_width; }
  int64_t group_in() const { return in / groups; }
  int64_t group_out() const { return out / groups; }
  int64_t window() const { return taps[0] * taps[1] * group_in(); }
  /// Windows are pixels, as they stand.
  bool is_pointwise() const { return taps[0] * taps[1] == 1 && p.stride[0] * p.stride[1] == 1 && p.padding[0] + p.padding[1] == 0; }
  /// Calls f(tap, offset) for each tap of output pixel `at`; the offset of the input pixel in the image, or -1 where it is padding.
  template <class F> void each_tap(int64_t at, F&& f) const {
    int64_t n = at / (out_height * out_width), row = at / out_width % out_height, column = at % out_width;
    for (int64_t i = 0, tap = 0; i < taps[0]; ++i) {
      int64_t h = row * p.stride[0] - p.padding[0] + i * p.dilation[0];
      for (int64_t j = 0; j < taps[1]; ++j, ++tap) {
        int64_t v = column * p.stride[1] - p.padding[1] + j * p.dilation[1];
        bool inside = uint64_t(h) < uint64_t(height) && uint64_t(v) < uint64_t(width);
        f(tap, inside ? ((n * height + h) * width + v) * in : -1);
      }
    }
  }
};

/// Windows of output pixels [begin, end), one group's channels.
template <class T> void gather(const Sizes& s, const T* x, int64_t group, int64_t begin, int64_t end, T* to) {
  const int64_t channels = s.group_in(), run = s.taps[1] * channels;
  const bool runs = s.groups == 1 && s.p.dilation[1] == 1;  // the taps of one row lie side by side
  int64_t n = begin / (s.out_height * s.out_width), row = begin / s.out_width % s.out_height, column = begin % s.out_width;
  for (int64_t at = begin; at < end; ++at) {
    int64_t left = column * s.p.stride[1] - s.p.padding[1];
    for (int64_t i = 0; i < s.taps[0]; ++i, to += run) {
      int64_t h = row * s.p.stride[0] - s.p.padding[0] + i * s.p.dilation[0];
      const T* line = x + (n * s.height + h) * s.width * s.in + group * channels;
      if (h < 0 || h >= s.height) {
        for (int64_t c = 0; c < run; ++c) to[c] = T(0);
      } else if (runs && left >= 0 && left + s.taps[1] <= s.width) {
        for (int64_t c = 0; c < run; ++c) to[c] = line[left * s.in + c];
      } else {
        for (int64_t j = 0; j < s.taps[1]; ++j) {
          int64_t v = left + j * s.p.dilation[1];
          bool inside = v >= 0 && v < s.width;
          for (int64_t c = 0; c < channels; ++c) to[j * channels + c] = inside ? line[v * s.in + c] : T(0);
        }
      }
    }
    if (++column == s.out_width) {
      column = 0;
      if (++row == s.out_height) row = 0, ++n;
    }
  }
}
/// The adjoint: adds windows to the image.
template <class T> void scatter(const Sizes& s, const T* from, int64_t group, int64_t begin, int64_t end, T* dx) {
  const int64_t channels = s.group_in();
  dx += group * channels;
  for (int64_t at = begin; at < end; ++at, from += s.window())
    s.each_tap(at, [&](int64_t tap, int64_t offset) {
      if (offset < 0) return;
      const T* here = from + tap * channels;
      for (int64_t c = 0; c < channels; ++c) dx[offset + c] += here[c];
    });
}

/// Weights (out, channel, tap) as (out, tap, channel).
template <class T> void turn_weights(const Sizes& s, const T* from, T* to) {
  const int64_t taps = s.taps[0] * s.taps[1], channels = s.group_in();
  for (int64_t o = 0; o < s.out; ++o, to += s.window())
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t t = 0; t < taps; ++t) to[t * channels + c] = *from++;
}

/// Windows at once: enough that a block of them, packed once, meets many rows.
int64_t block_of(const Sizes& s, int64_t bytes) { return least(s.pixels(), bytes / (s.window() * 8 + 1) / 12 * 12 + 12); }

template <class T> void conv2d_windows(const Sizes& s, T* y, const T* x, const T* w, const T* bias) {
  const int64_t taps = s.window(), block = block_of(s, 1 << 20);
  Scratch turned(s.out * taps * sizeof(T));
  turn_weights(s, w, turned.as<T>());
  parallel_for_throwing(s.pixels(), block, [&](int64_t begin, int64_t end) {
    Scratch windows(s.is_pointwise() ? 0 : block * taps * sizeof(T));
    for (int64_t at = begin; at < end; at += block)
      for (int64_t g = 0; g < s.groups; ++g) {
        int64_t rows = least(block, end - at), first = g * s.group_out();
        const T* a = x + at * s.in + g * taps;
        if (!s.is_pointwise()) gather(s, x, g, at, at + rows, windows.as<T>()), a = windows.as<T>();
        gemm(Product<T>{rows, s.group_out(), taps, a, s.is_pointwise() ? s.in : taps, 1, turned.as<T>() + first * taps, 1, taps,
                        y + at * s.out + first, s.out, 1, false, bias ? bias + first : nullptr});
      }
  });
}

template <class T> void conv2d_backward_input_windows(const Sizes& s, T* dx, const T* dy, const T* w) {
  const int64_t taps = s.window(), per_image = s.out_height * s.out_width, block = least(per_image, block_of(s, 1 << 20));
  Scratch turned(s.out * taps * sizeof(T));
  turn_weights(s, w, turned.as<T>());
  parallel_for_throwing(s.batch, 1, [&](int64_t begin, int64_t end) {  // windows overlap, images do not
    Scratch windows(block * taps * sizeof(T));
    int64_t image = s.height * s.width * s.in;
    for (int64_t i = begin * image; i < end * image; ++i) dx[i] = T(0);
    for (int64_t at = begin * per_image; at < end * per_image; at += block)
      for (int64_t g = 0; g < s.groups; ++g) {
        int64_t rows = least(block, end * per_image - at), first = g * s.group_out();
        gemm(Product<T>{rows, taps, s.group_out(), dy + at * s.out + first, s.out, 1, turned.as<T>() + first * taps, taps, 1,
                        windows.as<T>(), taps});
        scatter(s, windows.as<T>(), g, at, at + rows, dx);
      }
  });
}

/// Sums over pixels of products of dy and windows, for one group. `sums` is (out, tap, channel), or (tap, channel, out) where windows are
/// smaller than what they give: then both factors are read as they stand.
template <class T> struct WeightSums {
  const Sizes& s;
  const T *dy, *x;
  bool by_tap = s.window() < s.group_out();
  int64_t size() const { return s.group_out() * s.window(); }

  /// Adds those of pixels [begin, end); `windows` has room for them, or is null where they are pixels.
  void add(int64_t group, int64_t begin, int64_t end, T* windows, T* sums) const {
    const int64_t taps = s.window(), rows = end - begin;
    const T* g = dy + begin * s.out + group * s.group_out();
    const T* a = s.is_pointwise() ? x + begin * s.in + group * taps : windows;
    int64_t a_row = s.is_pointwise() ? s.in : taps;
    if (!s.is_pointwise())
      parallel_for(rows, 64,
                   [&](int64_t first, int64_t last) { gather(s, x, group, begin + first, begin + last, windows + first * taps); });
    if (by_tap)
      gemm(Product<T>{taps, s.group_out(), rows, a, 1, a_row, g, s.out, 1, sums, s.group_out(), 1, true});
    else
      gemm(Product<T>{s.group_out(), taps, rows, g, 1, s.out, a, a_row, 1, sums, taps, 1, true});
  }
  /// To where the weights of this group stand: (out, channel, tap).
  void finish(const T* sums, T* dw) const {
    const int64_t taps = s.taps[0] * s.taps[1], channels = s.group_in(), out = s.group_out();
    for (int64_t o = 0; o < out; ++o)
      for (int64_t c = 0; c < channels; ++c)
        for (int64_t t = 0; t < taps; ++t) {
          int64_t at = t * channels + c;
          *dw++ = by_tap ? sums[at * out + o] : sums[o * s.window() + at];
        }
  }
};

// The sums must not depend on the number of threads. Small ones are taken in this many parts; large ones by the product's own threads.
constexpr int64_t kParts = 16, kSmall = 1 << 16;

template <class T> void conv2d_backward_weight_windows(const Sizes& s, T* dw, const T* dy, const T* x) {
  const WeightSums<T> weight{s, dy, x};
  const int64_t size = weight.size(), pixels = s.pixels();
  const bool parted = size <= kSmall;
  const int64_t block = s.is_pointwise() ? (parted ? pixels : 1 << 14) : block_of(s, parted ? 1 << 20 : 8 << 20);
  Scratch sums((parted ? kParts : 1) * size * sizeof(T)), shared(parted || s.is_pointwise() ? 0 : block * s.window() * sizeof(T));
  for (int64_t g = 0; g < s.groups; ++g) {
    auto all_of = [&](int64_t begin, int64_t end, T* windows, T* to) {
      for (int64_t i = 0; i < size; ++i) to[i] = T(0);
      for (int64_t at = begin; at < end; at += block) weight.add(g, at, least(at + block, end), windows, to);
    };
    if (parted) {
      parallel_for_throwing(kParts, 1, [&](int64_t begin, int64_t end) {
        Scratch own(s.is_pointwise() ? 0 : block * s.window() * sizeof(T));
        for (int64_t part = begin; part < end; ++part)
          all_of(pixels * part / kParts, pixels * (part + 1) / kParts, own.as<T>(), sums.as<T>() + part * size);
      });
      for (int64_t part = 1; part < kParts; ++part)
        for (int64_t i = 0; i < size; ++i) sums.as<T>()[i] += sums.as<T>()[part * size + i];
    } else {
      all_of(0, pixels, shared.as<T>(), sums.as<T>());
    }
    weight.finish(sums.as<T>(), dw + g * size);
  }
}

/// One filter a channel: sums of products of pixels with their neighbours, all channels side by side.
template <class T> void conv2d_backward_weight_depthwise(const Sizes& s, T* dw, const T* dy, const T* x) {
  const int64_t taps = s.taps[0] * s.taps[1], channels = s.in, size = taps * channels, rows = s.batch * s.out_height;
  Scratch sums(kParts * size * sizeof(T));
  parallel_for(kParts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      T* sum = sums.as<T>() + part * size;  // (tap, channel)
      for (int64_t i = 0; i < size; ++i) sum[i] = T(0);
      for (int64_t at = rows * part / kParts * s.out_width; at < rows * (part + 1) / kParts * s.out_width; ++at)
        s.each_tap(at, [&](int64_t tap, int64_t offset) {
          if (offset < 0) return;
          const T *g = dy + at * channels, *image = x + offset;
          for (int64_t c = 0; c < channels; ++c) sum[tap * channels + c] += g[c] * image[c];
        });
    }
  });
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t t = 0; t < taps; ++t) {
      T sum = 0;
      for (int64_t part = 0; part < kParts; ++part) sum += sums.as<T>()[part * size + t * channels + c];
      dw[c * taps + t] = sum;
    }
}

template <class T> void conv2d_backward_weight_of(const Sizes& s, T* dw, const T* dy, const T* x) {
  if (s.groups > 1 && s.groups == s.in && s.groups == s.out)
    conv2d_backward_weight_depthwise(s, dw, dy, x);
  else
    conv2d_backward_weight_windows(s, dw, dy, x);
}

// ---- sums over pixels --------------------------------------------------------------------------------------------------------------

/// dbias: sums of dy over all but the channels. The pixels are cut into parts whose number does not depend on the threads.
template <class T> void sum_pixels(const Array& dbias, const Array& dy) {
  using F = accumulate_t<T>;
  const int64_t channels = dy.size(1), pixels = channels ? dy.count / channels : 0;
  Scratch sums(kParts * channels * sizeof(F));
  parallel_for(kParts, kParts * channels * pixels < kParallel ? kParts : 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      F* sum = sums.as<F>() + part * channels;
      for (int64_t c = 0; c < channels; ++c) sum[c] = 0;
      for (int64_t i = pixels * part / kParts; i < pixels * (part + 1) / kParts; ++i) {
        const T* row = dy.as<T>() + i * channels;
        for (int64_t c = 0; c < channels; ++c) sum[c] += F(row[c]);
      }
    }
  });
  for (int64_t c = 0; c < channels; ++c) {
    F sum = 0;
    for (int64_t part = 0; part < kParts; ++part) sum += sums.as<F>()[part * channels + c];
    dbias.as<T>()[c] = T(sum);
  }
}

// ---- half types: through float ------------------------------------------------------------------------------------------------------

/// A copy in float of what lies in memory without gaps. The shape is shared with the original.
struct InFloat {
  Scratch memory;
  Array array;
  explicit InFloat(const Array& x, bool read = true) : memory(x.data ? x.count * sizeof(float) : 0), array(x) {
    array.dtype = DType::float32;
    array.data = x.data ? memory.as<float>() : nullptr;
    if (read && x.data) convert(x, array);
  }
  static void convert(const Array& from, const Array& to) {
    parallel_for(to.count, kParallel, [&](int64_t begin, int64_t end) {
      if (from.dtype == DType::float32)
        dispatch_float("conv2d", to.dtype, [&]<class T>() {
          for (int64_t i = begin; i < end; ++i) to.as<T>()[i] = T(from.as<float>()[i]);
        });
      else
        dispatch_float("conv2d", from.dtype, [&]<class T>() {
          for (int64_t i = begin; i < end; ++i) to.as<float>()[i] = float(from.as<T>()[i]);
        });
    });
  }
};

bool suits_winograd(const Array& y, const Array& x, const Array& w, const ConvParams& p) {
  return winograd_suits(y.size(0), x.size(1), y.size(1), y.size(2), y.size(3), w, p);
}

}  // namespace

void conv2d(const Array& y, const Array& x, const Array& w, const Array& bias, const ConvParams& p) {
  if (y.count == 0) return;
  if (suits_winograd(y, x, w, p)) return winograd(y, x, w, bias, p);
  if (onednn_conv2d(y, x, w, bias, p)) return;
  if (is_half(y.dtype)) {
    InFloat fy(y, false), fx(x), fw(w), fbias(bias);
    conv2d(fy.array, fx.array, fw.array, fbias.array, p);
    return InFloat::convert(fy.array, y);
  }
  Sizes s(x, y, w, p);
  if (y.dtype == DType::float64)
    conv2d_windows(s, y.as<double>(), x.as<double>(), w.as<double>(), bias.as<double>());
  else
    conv2d_windows(s, y.as<float>(), x.as<float>(), w.as<float>(), bias.as<float>());
}

void conv2d_backward_input(const Array& dx, const Array& dy, const Array& w, const ConvParams& p) {
  if (dx.count == 0) return;
  if (suits_winograd(dx, dy, w, p)) return winograd_backward_input(dx, dy, w, p);
  if (onednn_conv2d_backward_input(dx, dy, w, p)) return;
  if (is_half(dx.dtype)) {
    InFloat fdx(dx, false), fdy(dy), fw(w);
    conv2d_backward_input(fdx.array, fdy.array, fw.array, p);
    return InFloat::convert(fdx.array, dx);
  }
  Sizes s(dx, dy, w, p);
  if (dx.dtype == DType::float64)
    conv2d_backward_input_windows(s, dx.as<double>(), dy.as<double>(), w.as<double>());
  else
    conv2d_backward_input_windows(s, dx.as<float>(), dy.as<float>(), w.as<float>());
}

void conv2d_backward_weight(const Array& dw, const Array& dbias, const Array& dy, const Array& x, const ConvParams& p) {
  if (dbias) dispatch_float("conv2d", dy.dtype, [&]<class T>() { sum_pixels<T>(dbias, dy); });
  if (dw.count == 0) return;
  if (dy.count > 0 && suits_winograd(dy, x, dw, p)) return winograd_backward_weight(dw, dy, x, p);
  if (is_half(dw.dtype)) {
    InFloat fdw(dw, false), fdy(dy), fx(x);
    conv2d_backward_weight(fdw.array, {}, fdy.array, fx.array, p);
    return InFloat::convert(fdw.array, dw);
  }
  Sizes s(x, dy, dw, p);
  if (dw.dtype == DType::float64)
    conv2d_backward_weight_of(s, dw.as<double>(), dy.as<double>(), x.as<double>());
  else
    conv2d_backward_weight_of(s, dw.as<float>(), dy.as<float>(), x.as<float>());
}

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
