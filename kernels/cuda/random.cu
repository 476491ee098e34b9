// Draws. Which element takes which word is fixed (see kernels/philox.h), so integers and uniform numbers are the CPU's to the bit; normal
// ones differ in the last places, as the functions do that make them.
#include "kernels/cuda/row.cuh"
#include "kernels/dispatch.h"
#include "kernels/params.h"
#include "kernels/philox.h"

namespace gradus::cuda {
namespace {

/// How many bits of a word a uniform draw of T takes: as many as T can hold, so that it never rounds up to 1.
template <class T> constexpr int kBits = 24;
template <> constexpr int kBits<half> = 11;
template <> constexpr int kBits<bfloat16> = 8;
template <class T> __device__ __forceinline__ float unit(uint32_t word) {
  return float(int32_t(word >> (32 - kBits<T>))) * (1.0f / float(1 << kBits<T>));
}

/// A thread takes one block of four words: f(words, place of its first element, how many) writes kPer elements or what is left.
template <int kPer, class F> __global__ void __launch_bounds__(kThreads) draw_blocks(int64_t n, Draw given, F f) {
  const Draw draw = given.now();
  int64_t blocks = (n + kPer - 1) / kPer, step = int64_t(gridDim.x) * kThreads;
  for (int64_t b = int64_t(blockIdx.x) * kThreads + threadIdx.x; b < blocks; b += step) {
    Philox words = Philox::at(draw.seed, draw.offset + uint64_t(b));
    int64_t first = b * kPer, left = n - first;
    f(words, first, left < kPer ? int(left) : kPer);
  }
}
template <int kPer, class F> void launch_draw(const char* op, const Array& y, Draw draw, F f) {
  if (y.count == 0) return;
  int64_t blocks = ((y.count + kPer - 1) / kPer + kThreads - 1) / kThreads, most = 1 << 20;
  draw_blocks<kPer><<<unsigned(blocks < most ? blocks : most), kThreads, 0, stream()>>>(y.count, draw, f);
  check_launch(op, {&y});
}

/// The first n elements of a block, all at once where it is whole.
template <class T, int kPer> __device__ __forceinline__ void put(T* y, const T (&from)[kPer], int n) {
  if (n == kPer) return store_items(y, from);
#pragma unroll
  for (int i = 0; i < kPer; ++i)
    if (i < n) y[i] = from[i];
}
template <class T> constexpr int kPerBlock = std::is_same_v<T, double> ? 2 : 4;

/// from + span * u, rounded twice: so do the CPU's kernels, whose instruction sets have not all an operation that rounds once.
__device__ __forceinline__ float placed(float from, float span, float u) { return __fadd_rn(from, __fmul_rn(span, u)); }
__device__ __forceinline__ double placed(double from, double span, double u) { return __dadd_rn(from, __dmul_rn(span, u)); }

/// The largest T below the number `high`.
template <class T> T below(double high) {
  using Acc = accumulate_t<T>;
  T t = T(Acc(high));
  if (double(Acc(t)) < high) return t;
  using Bits = std::conditional_t<sizeof(T) == 2, uint16_t, std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>>;
  Bits bits = __builtin_bit_cast(Bits, t);
  constexpr Bits kSign = Bits(Bits(1) << (sizeof(T) * 8 - 1));
  if (Bits(bits & Bits(~kSign)) == 0)
    bits = kSign | 1;
  else
    bits = bits & kSign ? Bits(bits + 1) : Bits(bits - 1);
  return __builtin_bit_cast(T, bits);
}

template <class T> struct Uniform {
  T* y;
  accumulate_t<T> from, span, last;
  __device__ void operator()(const Philox& w, int64_t first, int n) const {
    constexpr int kPer = kPerBlock<T>;
    T out[kPer];
#pragma unroll
    for (int i = 0; i < kPer; ++i) {
      accumulate_t<T> v;
      if constexpr (std::is_same_v<T, double>)
        v = placed(from, span, uniform_double(w.word[2 * i], w.word[2 * i + 1]));
      else
        v = placed(from, span, unit<T>(w.word[i]));
      out[i] = narrow<T>(v < last ? v : last);
    }
    put(y + first, out, n);
  }
};

/// Box and Muller: words 0 and 1 of a block make its first two numbers, words 2 and 3 the others; in double all four make two.
template <class T> struct Normal {
  T* y;
  accumulate_t<T> mean, deviation;
  __device__ void operator()(const Philox& w, int64_t first, int n) const {
    T out[kPerBlock<T>];
    if constexpr (std::is_same_v<T, double>) {
      double u = uniform_double(w.word[0], w.word[1]), angle = 6.283185307179586 * uniform_double(w.word[2], w.word[3]);
      double radius = sqrt(-2 * log(1 - u));
      out[0] = mean + deviation * (radius * cos(angle));
      out[1] = mean + deviation * (radius * sin(angle));
    } else {
#pragma unroll
      for (int pair = 0; pair < 2; ++pair) {
        float radius = sqrtf(-2 * logf(1 - unit<float>(w.word[2 * pair]))),
              angle = 6.283185307179586f * unit<float>(w.word[2 * pair + 1]);
        out[2 * pair] = narrow<T>(mean + deviation * (radius * cosf(angle)));
        out[2 * pair + 1] = narrow<T>(mean + deviation * (radius * sinf(angle)));
      }
    }
    put(y + first, out, n);
  }
};

/// 1 where a uniform number is below p.
template <class T, class P> struct Bernoulli {
  T* y;
  const P* p;  // null: probability
  double probability;
  __device__ void operator()(const Philox& w, int64_t first, int n) const {
    constexpr int kPer = kPerBlock<P>;
    T out[kPer];
    P of[kPer] = {};
    if (p && n == kPer) load_items(of, p + first);
#pragma unroll
    for (int i = 0; i < kPer; ++i) {
      if (p && n < kPer && i < n) of[i] = p[first + i];
      bool one;
      if constexpr (std::is_same_v<P, double>)
        one = uniform_double(w.word[2 * i], w.word[2 * i + 1]) < of[i];
      else
        one = p ? unit<float>(w.word[i]) < widen(of[i]) : double(unit<float>(w.word[i])) < probability;
      out[i] = narrow<T>(accumulate_t<T>(one));
    }
    put(y + first, out, n);
  }
};

template <class T> struct Integers {
  T* y;
  int64_t low;
  uint64_t range;
  __device__ void operator()(const Philox& w, int64_t first, int n) const {
    T out[2];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      uint64_t word = uint64_t(w.word[2 * i]) << 32 | w.word[2 * i + 1];
      uint64_t below = range ? __umul64hi(word, range) : word;
      out[i] = narrow<T>(accumulate_t<T>(int64_t(uint64_t(low) + below)));
    }
    put(y + first, out, n);
  }
};

}  // namespace

void uniform(const Array& y, Draw draw, double low, double high) {
  dispatch_float("uniform", y.dtype, [&]<class T>() {
    using Acc = accumulate_t<T>;
    const Acc last = Acc(high > low ? below<T>(high) : T(Acc(low)));
    launch_draw<kPerBlock<T>>("uniform", y, draw, Uniform<T>{y.as<T>(), Acc(low), Acc(high - low), last});
  });
}
void normal(const Array& y, Draw draw, double mean, double deviation) {
  dispatch_float("normal", y.dtype, [&]<class T>() {
    using Acc = accumulate_t<T>;
    launch_draw<kPerBlock<T>>("normal", y, draw, Normal<T>{y.as<T>(), Acc(mean), Acc(deviation)});
  });
}
void bernoulli(const Array& y, const Array& p, Draw draw, double probability) {
  dispatch_all("bernoulli", y.dtype, [&]<class T>() {
    if (p)
      dispatch_float("bernoulli", p.dtype, [&]<class P>() {
        launch_draw<kPerBlock<P>>("bernoulli", y, draw, Bernoulli<T, P>{y.as<T>(), p.as<P>(), 0});
      });
    else
      launch_draw<4>("bernoulli", y, draw, Bernoulli<T, float>{y.as<T>(), nullptr, probability});
  });
}
void random_integers(const Array& y, Draw draw, int64_t low, uint64_t range) {
  dispatch_all("random_integers", y.dtype, [&]<class T>() {
    launch_draw<2>("random_integers", y, draw, Integers<T>{y.as<T>(), low, range});
  });
}

}  // namespace gradus::cuda
