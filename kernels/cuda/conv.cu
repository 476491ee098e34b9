// Convolutions as products of matrices that are never made: a row of the left one is a pixel's surroundings, read from the image when its
// slab is filled. Images lie as (N, H, W, C), so neighbouring terms are neighbouring channels. The weight's gradient is summed over
// stretches of pixels, whose bounds sizes alone decide, and then over the stretches.
#include "kernels/cuda/scratch.h"
#include "kernels/cuda/tile.cuh"
#include "kernels/dispatch.h"
#include "kernels/params.h"

namespace gradus::cuda {

void sum(const Array& y, const Array& x);

namespace {

template <class A> constexpr int kTile = sizeof(A) == 8 ? 32 : 64;

struct Conv {
  int n, c, h, w, o, out_h, out_w, kernel_h, kernel_w;
  int stride[2], padding[2], dilation[2], groups;
  __host__ __device__ int from() const { return c / groups; }  // channels of a group
  __host__ __device__ int to() const { return o / groups; }
  __host__ __device__ int taps() const { return kernel_h * kernel_w; }
  __host__ __device__ int64_t pixels_in() const { return int64_t(n) * h * w; }
  __host__ __device__ int64_t pixels_out() const { return int64_t(n) * out_h * out_w; }
};

/// A pixel of an image of this height and width.
struct Pixel {
  int64_t image;  // where its image begins, in pixels of the other image
  int row, column;
  bool there;
  __device__ Pixel() {}
  __device__ Pixel(int64_t at, int64_t pixels, int height, int width, int64_t other_size) : there(at < pixels) {
    const uint32_t place = uint32_t(at), line = place / uint32_t(width);
    column = int(place - line * uint32_t(width)), row = int(line % uint32_t(height));
    image = int64_t(line / uint32_t(height)) * other_size;
  }
};

/// Pixels of y by channels out; terms are (tap, channel in).
template <class T> __global__ void __launch_bounds__(kThreads)
    forward(T* y, const T* x, const T* weight, const T* bias, const Conv v) {
  using A = accumulate_t<T>;
  constexpr int kSide = kTile<A>;
  __shared__ typename Square<kSide, A>::Slab left[kDepth], right[kDepth];
  const int64_t first = int64_t(blockIdx.x) * kSide;
  const int column = blockIdx.y * kSide, group = blockIdx.z, from = v.from(), to = v.to(), depth = v.taps() * from;
  Pixel pixel[kSide / 16];
#pragma unroll
  for (int k = 0; k < kSide / 16; ++k)
    pixel[k] = Pixel(first + threadIdx.x / kDepth + 16 * k, v.pixels_out(), v.out_h, v.out_w, int64_t(v.h) * v.w);
  Square<kSide, A> square;
  square.clear();
  for (int k0 = 0; k0 < depth; k0 += kDepth) {
    const int term = k0 + int(threadIdx.x % kDepth), tap = term / from, channel = term - tap * from;
    const int down = tap / v.kernel_w * v.dilation[0] - v.padding[0], across = tap % v.kernel_w * v.dilation[1] - v.padding[1];
    __syncthreads();  // what was there before has been used
    fill_slab<kSide>(left, true, [&](int, int, int n) {
      const int h = pixel[n].row * v.stride[0] + down, w = pixel[n].column * v.stride[1] + across;
      const bool inside = pixel[n].there && term < depth && h >= 0 && h < v.h && w >= 0 && w < v.w;
      return inside ? A(widen(x[(pixel[n].image + int64_t(h) * v.w + w) * v.c + group * from + channel])) : A(0);
    });
    fill_slab<kSide>(right, true, [&](int, int i, int) {
      return term < depth && column + i < to
                 ? A(widen(weight[(int64_t(group * to + column + i) * from + channel) * v.taps() + tap]))
                 : A(0);
    });
    __syncthreads();
    square.add_product(left, right);
  }
  square.for_each([&](int i, int j, A sum) {
    if (first + i >= v.pixels_out() || column + j >= to) return;
    const int o = group * to + column + j;
    y[(first + i) * v.o + o] = narrow<T>(bias ? A(sum + widen(bias[o])) : sum);
  });
}

/// Pixels of x by channels in; terms are (tap, channel out).
template <class T> __global__ void __launch_bounds__(kThreads) input_gradient(T* dx, const T* dy, const T* weight, const Conv v) {
  using A = accumulate_t<T>;
  constexpr int kSide = kTile<A>;
  __shared__ typename Square<kSide, A>::Slab left[kDepth], right[kDepth];
  const int64_t first = int64_t(blockIdx.x) * kSide;
  const int column = blockIdx.y * kSide, group = blockIdx.z, from = v.from(), to = v.to(), depth = v.taps() * to;
  Pixel pixel[kSide / 16];
#pragma unroll
  for (int k = 0; k < kSide / 16; ++k)
    pixel[k] = Pixel(first + threadIdx.x / kDepth + 16 * k, v.pixels_in(), v.h, v.w, int64_t(v.out_h) * v.out_w);
  Square<kSide, A> square;
  square.clear();
  for (int k0 = 0; k0 < depth; k0 += kDepth) {
    const int term = k0 + int(threadIdx.x % kDepth), tap = term / to, channel = term - tap * to;
    const int down = v.padding[0] - tap / v.kernel_w * v.dilation[0], across = v.padding[1] - tap % v.kernel_w * v.dilation[1];
    __syncthreads();
    fill_slab<kSide>(left, true, [&](int, int, int n) {  // the output whose window has this pixel at this tap, if there is one
      const int h = pixel[n].row + down, w = pixel[n].column + across, r = h / v.stride[0], s = w / v.stride[1];
      const bool one = pixel[n].there && term < depth && h >= 0 && w >= 0 && r * v.stride[0] == h && s * v.stride[1] == w &&
                       r < v.out_h && s < v.out_w;
      return one ? A(widen(dy[(pixel[n].image + int64_t(r) * v.out_w + s) * v.o + group * to + channel])) : A(0);
    });
    fill_slab<kSide>(right, true, [&](int, int i, int) {
      return term < depth && column + i < from
                 ? A(widen(weight[(int64_t(group * to + channel) * from + column + i) * v.taps() + tap]))
                 : A(0);
    });
    __syncthreads();
    square.add_product(left, right);
  }
  square.for_each([&](int i, int j, A sum) {
    if (first + i < v.pixels_in() && column + j < from) dx[(first + i) * v.c + group * from + column + j] = narrow<T>(sum);
  });
}

/// Channels out by (tap, channel in); terms are pixels of y, of one stretch. parts: (stretch, channel out, tap, channel in).
template <class T> __global__ void __launch_bounds__(kThreads)
    weight_parts(accumulate_t<T>* parts, const T* dy, const T* x, const Conv v, int64_t stretch) {
  using A = accumulate_t<T>;
  constexpr int kSide = kTile<A>;
  __shared__ typename Square<kSide, A>::Slab left[kDepth], right[kDepth];
  const int row = blockIdx.y * kSide, column = blockIdx.x * kSide, group = blockIdx.z % v.groups, from = v.from(), to = v.to();
  const int columns = v.taps() * from;
  const int64_t part = blockIdx.z / v.groups, begin = part * stretch;
  const int64_t end = begin + stretch < v.pixels_out() ? begin + stretch : v.pixels_out();
  const int own = column + int(threadIdx.x % kSide), tap = own / from, channel = own - tap * from;
  const int down = tap / v.kernel_w * v.dilation[0] - v.padding[0], across = tap % v.kernel_w * v.dilation[1] - v.padding[1];
  Square<kSide, A> square;
  square.clear();
  for (int64_t k0 = begin; k0 < end; k0 += kDepth) {
    __syncthreads();
    fill_slab<kSide>(left, false, [&](int d, int i, int) {
      return k0 + d < end && row + i < to ? A(widen(dy[(k0 + d) * v.o + group * to + row + i])) : A(0);
    });
    fill_slab<kSide>(right, false, [&](int d, int, int) {
      const Pixel pixel(k0 + d, end, v.out_h, v.out_w, int64_t(v.h) * v.w);
      const int h = pixel.row * v.stride[0] + down, w = pixel.column * v.stride[1] + across;
      const bool inside = pixel.there && own < columns && h >= 0 && h < v.h && w >= 0 && w < v.w;
      return inside ? A(widen(x[(pixel.image + int64_t(h) * v.w + w) * v.c + group * from + channel])) : A(0);
    });
    __syncthreads();
    square.add_product(left, right);
  }
  square.for_each([&](int i, int j, A sum) {
    if (row + i < to && column + j < columns) parts[(part * v.o + group * to + row + i) * columns + column + j] = sum;
  });
}
template <class T> __global__ void __launch_bounds__(kThreads)
    join_parts(T* dw, const accumulate_t<T>* parts, int count, const Conv v) {
  const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x, columns = int64_t(v.taps()) * v.from(), all = v.o * columns;
  if (i >= all) return;
  accumulate_t<T> sum = 0;
  for (int k = 0; k < count; ++k) sum += parts[k * all + i];
  const int64_t o = i / columns, tap = i % columns / v.from(), channel = i % v.from();
  dw[(o * v.from() + channel) * v.taps() + tap] = narrow<T>(sum);
}

Conv conv_of(const char* op, const Array& x, const Array& y, const Array& w, const ConvParams& p) {
  for (const Array* a : {&x, &y, &w})
    if (a->count > INT32_MAX)
      throw Error(std::string(op) + ": " + std::to_string(a->count) + " elements are too many for one call");
  Conv v{};
  v.n = int(x.size(0)), v.c = int(x.size(1)), v.h = int(x.size(2)), v.w = int(x.size(3));
  v.o = int(y.size(1)), v.out_h = int(y.size(2)), v.out_w = int(y.size(3)), v.kernel_h = int(w.size(2)),
  v.kernel_w = int(w.size(3));
  for (int d = 0; d < 2; ++d) {  // a stride that is never taken may be any number, also one of more than 32 bits; so may a dilation
    if (p.padding[d] > INT32_MAX / 4)
      throw Error(std::string(op) + ": a padding of " + std::to_string(p.padding[d]) + " is too much for one call");
    v.stride[d] = y.size(2 + d) == 1 ? 1 : int(p.stride[d]), v.padding[d] = int(p.padding[d]);
    v.dilation[d] = w.size(2 + d) == 1 ? 1 : int(p.dilation[d]);
  }
  v.groups = int(p.groups);
  if (v.groups > 65535) throw Error(std::string(op) + ": " + std::to_string(v.groups) + " groups are too many for one call");
  return v;
}
unsigned tiles(int64_t n, int side) { return unsigned((n + side - 1) / side); }

}  // namespace

void conv2d(const Array& y, const Array& x, const Array& w, const Array& bias, const ConvParams& p) {
  if (y.count == 0) return;
  const Conv v = conv_of("conv2d", x, y, w, p);
  dispatch_float("conv2d", y.dtype, [&]<class T>() {
    constexpr int kSide = kTile<accumulate_t<T>>;
    const dim3 grid(tiles(v.pixels_out(), kSide), tiles(v.to(), kSide), unsigned(v.groups));
    forward<T><<<grid, kThreads, 0, stream()>>>(y.as<T>(), x.as<T>(), w.as<T>(), bias.as<T>(), v);
  });
  check_launch("conv2d", {&x, &w});
}

void conv2d_backward_input(const Array& dx, const Array& dy, const Array& w, const ConvParams& p) {
  if (dx.count == 0) return;
  const Conv v = conv_of("conv2d_backward_input", dx, dy, w, p);
  dispatch_float("conv2d_backward_input", dx.dtype, [&]<class T>() {
    constexpr int kSide = kTile<accumulate_t<T>>;
    const dim3 grid(tiles(v.pixels_in(), kSide), tiles(v.from(), kSide), unsigned(v.groups));
    input_gradient<T><<<grid, kThreads, 0, stream()>>>(dx.as<T>(), dy.as<T>(), w.as<T>(), v);
  });
  check_launch("conv2d_backward_input", {&dy, &w});
}

void conv2d_backward_weight(const Array& dw, const Array& dbias, const Array& dy, const Array& x, const ConvParams& p) {
  if (dbias && dbias.count > 0) {
    const int64_t shape[] = {1, dbias.count, 1, 1}, stride[] = {0, 1, 0, 0};
    sum(Array{dbias.data, dbias.dtype, true, 4, dbias.count, shape, stride}, dy);
  }
  if (dw.count == 0) return;
  const Conv v = conv_of("conv2d_backward_weight", x, dy, dw, p);
  dispatch_float("conv2d_backward_weight", dw.dtype, [&]<class T>() {
    using A = accumulate_t<T>;
    constexpr int kSide = kTile<A>;
    dim3 grid(tiles(int64_t(v.taps()) * v.from(), kSide), tiles(v.to(), kSide));  // of a kernel as large as an image, many columns
    // As many stretches as give the GPU enough to do, none shorter than 256 pixels.
    const int64_t squares = int64_t(grid.x) * grid.y * v.groups, wanted = (511 + squares) / squares,
                  room = v.pixels_out() / 256 + 1;
    int64_t count = wanted < room ? wanted : room;
    if (count * v.groups > 65535) count = 65535 / v.groups;
    const int64_t stretch = (v.pixels_out() + count - 1) / count;
    grid.z = unsigned(count * v.groups);
    Scratch parts(size_t(count * dw.count) * sizeof(A));
    weight_parts<T><<<grid, kThreads, 0, stream()>>>(parts.as<A>(), dy.as<T>(), x.as<T>(), v, stretch);
    join_parts<T><<<tiles(dw.count, int(kThreads)), kThreads, 0, stream()>>>(dw.as<T>(), parts.as<A>(), int(count), v);
  });
  check_launch("conv2d_backward_weight", {&dy, &x});
}

}  // namespace gradus::cuda
