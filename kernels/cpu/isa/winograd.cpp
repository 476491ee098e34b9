#include "kernels/cpu/isa/winograd.h"

#include "kernels/cpu/isa/tile.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/parallel_throwing.h"
#include "kernels/cpu/scratch.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {
namespace {

using P = PacketF;
constexpr int L = kLanes<float>;
constexpr int kTile = 6, kPlanes = kTile * kTile;  // a tile of 6 x 6 numbers becomes one number in each of 36 planes
constexpr int kOut = 4, kTaps = 3;
constexpr int64_t kFewChannels = 128 * 128;     // products of channels up to which all filters, transformed, stay in a shared cache
constexpr int64_t kCached = int64_t(24) << 20;  // bytes of planes that threads hand to each other
constexpr int64_t kLine =
    16;  // floats in a cache line: rows and planes are offset by one, so that they do not fall on the same sets

constexpr int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// ---- the transforms, one dimension at a time --------------------------------------------------------------------------------------
// With the points 0, +-a, +-b and infinity: a polynomial is known by its values there.
constexpr float a = 0.625f, b = 1.5f, a2 = a * a, b2 = b * b;

/// Six samples of the image: B'd.
GRADUS_FN void image_1d(const P (&d)[6], P (&v)[6]) {
  P even_a = d[4] - P(b2) * d[2], odd_a = P(a) * (d[3] - P(b2) * d[1]);
  P even_b = d[4] - P(a2) * d[2], odd_b = P(b) * (d[3] - P(a2) * d[1]);
  v[0] = P(a2 * b2) * d[0] - P(a2 + b2) * d[2] + d[4];
  v[1] = even_a + odd_a;
  v[2] = even_a - odd_a;
  v[3] = even_b + odd_b;
  v[4] = even_b - odd_b;
  v[5] = P(a2 * b2) * d[1] - P(a2 + b2) * d[3] + d[5];
}

constexpr float kZero = 1 / (a2 * b2), kA = 1 / (2 * a2 * (a2 - b2)), kB = 1 / (2 * b2 * (b2 - a2));

/// A filter of three taps: G g.
GRADUS_FN void filter_1d(const P (&g)[3], P (&u)[6]) {
  P even_a = P(kA) * g[0] + P(kA * a2) * g[2], odd_a = P(kA * a) * g[1];
  P even_b = P(kB) * g[0] + P(kB * b2) * g[2], odd_b = P(kB * b) * g[1];
  u[0] = P(kZero) * g[0];
  u[1] = even_a + odd_a;
  u[2] = even_a - odd_a;
  u[3] = even_b + odd_b;
  u[4] = even_b - odd_b;
  u[5] = g[2];
}
/// Four samples of the output's gradient, which in the gradient of the weights plays the filter's part.
GRADUS_FN void filter_1d(const P (&g)[4], P (&u)[6]) {
  P even_a = P(kA) * g[0] + P(kA * a2) * g[2], odd_a = P(kA * a) * g[1] + P(kA * a * a2) * g[3];
  P even_b = P(kB) * g[0] + P(kB * b2) * g[2], odd_b = P(kB * b) * g[1] + P(kB * b * b2) * g[3];
  u[0] = P(kZero) * g[0];
  u[1] = even_a + odd_a;
  u[2] = even_a - odd_a;
  u[3] = even_b + odd_b;
  u[4] = even_b - odd_b;
  u[5] = g[3];
}

/// Four outputs, or three taps of the weights' gradient: A'm.
template <int N> GRADUS_FN void result_1d(const P (&m)[6], P (&y)[N]) {
  P plus_a = m[1] + m[2], minus_a = m[1] - m[2], plus_b = m[3] + m[4], minus_b = m[3] - m[4];
  y[0] = m[0] + plus_a + plus_b;
  y[1] = P(a) * minus_a + P(b) * minus_b;
  y[2] = P(a2) * plus_a + P(b2) * plus_b;
  if constexpr (N == 4)
    y[3] = P(a * a2) * minus_a + P(b * b2) * minus_b + m[5];
  else
    y[2] = y[2] + m[5];
}

GRADUS_FN void image_2d(P (&d)[6][6]) {
  for (int j = 0; j < 6; ++j) {
    P column[6], v[6];
    for (int i = 0; i < 6; ++i) column[i] = d[i][j];
    image_1d(column, v);
    for (int i = 0; i < 6; ++i) d[i][j] = v[i];
  }
  for (int i = 0; i < 6; ++i) {
    P v[6];
    image_1d(d[i], v);
    for (int j = 0; j < 6; ++j) d[i][j] = v[j];
  }
}
template <int N> GRADUS_FN void filter_2d(const P (&g)[N][N], P (&u)[6][6]) {
  P half[6][N];
  for (int j = 0; j < N; ++j) {
    P column[N], v[6];
    for (int i = 0; i < N; ++i) column[i] = g[i][j];
    filter_1d(column, v);
    for (int i = 0; i < 6; ++i) half[i][j] = v[i];
  }
  for (int i = 0; i < 6; ++i) filter_1d(half[i], u[i]);
}
template <int N> GRADUS_FN void result_2d(const P (&m)[6][6], P (&y)[N][N]) {
  P half[N][6];
  for (int j = 0; j < 6; ++j) {
    P column[6], v[N];
    for (int i = 0; i < 6; ++i) column[i] = m[i][j];
    result_1d(column, v);
    for (int i = 0; i < N; ++i) half[i][j] = v[i];
  }
  for (int i = 0; i < N; ++i) result_1d(half[i], y[i]);
}

// ---- images and their tiles ------------------------------------------------------------------------------------------------------

struct Image {
  float* data;
  int64_t height, width, channels;
  int64_t per_image, per_row, per_pixel;  // strides; channels are adjacent
  explicit Image(const Array& x)
      : data(x.as<float>()),
        height(x.size(2)),
        width(x.size(3)),
        channels(x.size(1)),
        per_image(x.step(0)),
        per_row(x.step(2)),
        per_pixel(x.step(3)) {}
};

/// Output tiles of all images, numbered row by row. `padding` is what the image is extended by in front.
struct Tiles {
  int64_t rows, columns, count, padding[2];
  struct Place {
    int64_t image, row, column;
  };  // first output pixel
  Tiles(int64_t batch, int64_t out_height, int64_t out_width, int64_t pad_height, int64_t pad_width)
      : rows(ceil_div(out_height, kOut)),
        columns(ceil_div(out_width, kOut)),
        count(batch * rows * columns),
        padding{pad_height, pad_width} {}
  Place operator[](int64_t t) const { return {t / (rows * columns), t / columns % rows * kOut, t % columns * kOut}; }
};

alignas(64) constexpr float kZeros[L] = {};

/// Addresses of N x N pixels from (row, column) on; those outside the image are zeros.
template <int N> struct Window {
  const float* at[N][N];
  Window(const Image& image, int64_t n, int64_t row, int64_t column) {
    const float* first = image.data + n * image.per_image + row * image.per_row + column * image.per_pixel;
    for (int i = 0; i < N; ++i)
      for (int j = 0; j < N; ++j) {
        bool inside = uint64_t(row + i) < uint64_t(image.height) && uint64_t(column + j) < uint64_t(image.width);
        at[i][j] = inside ? first + i * image.per_row + j * image.per_pixel : nullptr;
      }
  }
  GRADUS_FN P load_at(int i, int j, int64_t c) const { return load(at[i][j] ? at[i][j] + c : kZeros); }
};

/// Tiles [begin, end) of the image into `to`: 36 planes of (end - begin) rows.
void transform_image(const Image& image, const Tiles& tiles, int64_t begin, int64_t end, float* to, int64_t plane, int64_t row) {
  for (int64_t t = begin; t < end; ++t, to += row) {
    Tiles::Place at = tiles[t];
    Window<6> window(image, at.image, at.row - tiles.padding[0], at.column - tiles.padding[1]);
    for (int64_t c = 0; c < image.channels; c += L) {
      P d[6][6];
      for (int i = 0; i < 6; ++i)
        for (int j = 0; j < 6; ++j) d[i][j] = window.load_at(i, j, c);
      image_2d(d);
      for (int i = 0; i < 6; ++i)
        for (int j = 0; j < 6; ++j) store(to + (i * 6 + j) * plane + c, d[i][j]);
    }
  }
}

/// The same for the output's gradient as a filter of 4 x 4.
void transform_gradient(const Image& image, const Tiles& tiles, int64_t begin, int64_t end, float* to, int64_t plane, int64_t row) {
  for (int64_t t = begin; t < end; ++t, to += row) {
    Tiles::Place at = tiles[t];
    Window<4> window(image, at.image, at.row, at.column);
    for (int64_t c = 0; c < image.channels; c += L) {
      P g[4][4], u[6][6];
      for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j) g[i][j] = window.load_at(i, j, c);
      filter_2d(g, u);
      for (int i = 0; i < 6; ++i)
        for (int j = 0; j < 6; ++j) store(to + (i * 6 + j) * plane + c, u[i][j]);
    }
  }
}

void transform_result(const Image& y, const Tiles& tiles, int64_t begin, int64_t end, const float* from, int64_t plane, int64_t row,
                      const float* bias) {
  for (int64_t t = begin; t < end; ++t, from += row) {
    Tiles::Place at = tiles[t];
    float* first = y.data + at.image * y.per_image + at.row * y.per_row + at.column * y.per_pixel;
    int rows = int(least(kOut, y.height - at.row)), columns = int(least(kOut, y.width - at.column));
    for (int64_t c = 0; c < y.channels; c += L) {
      P m[6][6], out[4][4];
      for (int i = 0; i < 6; ++i)
        for (int j = 0; j < 6; ++j) m[i][j] = load(from + (i * 6 + j) * plane + c);
      result_2d(m, out);
      P shift = bias ? load(bias + c) : P(0.f);
      for (int i = 0; i < rows; ++i)
        for (int j = 0; j < columns; ++j) store(first + i * y.per_row + j * y.per_pixel + c, out[i][j] + shift);
    }
  }
}

// ---- weights -----------------------------------------------------------------------------------------------------------------------

/// How the nine taps of (out, in) are found: forward they are the weights', backward the roles are changed and the taps turned around.
struct Filters {
  const float* data;
  int64_t per_out, per_in;
  bool turned;
};

/// Columns [first, first + width) of the transformed filters: 36 planes of (in, width).
void transform_filters(const Filters& w, int64_t in, int64_t first, int64_t here, int64_t width, float* to, int64_t plane) {
  for (int64_t i = 0; i < in; ++i, to += width)
    for (int64_t o = 0; o < width; o += L) {
      alignas(64) float taps[9][L] = {};
      const float* from = w.data + (first + o) * w.per_out + i * w.per_in;
      for (int l = 0; l < L && o + l < here; ++l, from += w.per_out)
        for (int r = 0; r < 9; ++r) taps[r][l] = from[r];
      P g[3][3], u[6][6];
      for (int r = 0; r < 9; ++r) g[r / 3][r % 3] = load(taps[w.turned ? 8 - r : r]);
      filter_2d(g, u);
      for (int r = 0; r < kPlanes; ++r) store(to + r * plane + o, u[r / 6][r % 6]);
    }
}

// ---- y = x * w -----------------------------------------------------------------------------------------------------------------------

/// For one plane and one panel: (count, in) x (in, width).
void multiply_panel(int64_t count, int64_t in, const float* v, int64_t v_row, const float* u, int64_t width, float* m,
                    int64_t m_row) {
  int packets = int(width / L), height = tile_rows(packets);
  for (int64_t t = 0; t < count; t += height) {
    int here = int(least(height, count - t));
    pick_tile<float, true>(here, packets)(in, v + t * v_row, v_row, u, width, {m + t * m_row, m_row});
  }
}

/// The planes of some tiles: v of the image, m of the result.
struct Planes {
  int64_t v_row, m_row, v_plane, m_plane;
  Planes(int64_t tiles, int64_t in, int64_t out)
      : v_row(in + kLine),
        m_row(ceil_div(out, 2 * L) * 2 * L + kLine),
        v_plane(tiles * v_row + kLine),
        m_plane(tiles * m_row + kLine) {}
  int64_t size() const { return kPlanes * (v_plane + m_plane); }
};

int64_t thread_count() {
#ifdef _OPENMP
  return omp_in_parallel() ? 1 : omp_get_max_threads();
#else
  return 1;
#endif
}

/// Few channels: the filters of all stay in a cache that the threads share. Each thread takes some tiles through all three steps while
/// they are in its own.
void convolve_by_tiles(const Image& y, const Image& x, const Filters& w, const float* bias, const Tiles& tiles) {
  constexpr int64_t kBlock = 24;
  const int64_t in = x.channels, out = y.channels, panels = ceil_div(out, kPanel<float>);
  const int64_t u_plane = panels * kPanel<float> * in + kLine;
  Scratch filters(kPlanes * u_plane * sizeof(float));
  float* u = filters.as<float>();
  auto width = [&](int64_t p) { return packets_for<float>(least(kPanel<float>, out - p * kPanel<float>)) * L; };
  parallel_for(panels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p)
      transform_filters(w, in, p * kPanel<float>, out - p * kPanel<float>, width(p), u + p * kPanel<float> * in, u_plane);
  });
  parallel_for_throwing(tiles.count, kBlock, [&](int64_t begin, int64_t end) {
    Planes planes(kBlock, in, out);
    Scratch memory(planes.size() * sizeof(float));
    float *v = memory.as<float>(), *m = v + kPlanes * planes.v_plane;
    for (int64_t t = begin; t < end; t += kBlock) {
      int64_t stop = least(t + kBlock, end);
      transform_image(x, tiles, t, stop, v, planes.v_plane, planes.v_row);
      for (int64_t i = 0; i < kPlanes; ++i)
        for (int64_t p = 0; p < panels; ++p)
          multiply_panel(stop - t, in, v + i * planes.v_plane, planes.v_row, u + i * u_plane + p * kPanel<float> * in, width(p),
                         m + i * planes.m_plane + p * kPanel<float>, planes.m_row);
      transform_result(y, tiles, t, stop, m, planes.m_plane, planes.m_row, bias);
    }
  });
}

/// Many channels: the filters are larger than the image. The threads share each step for as many tiles as the cache holds; whoever
/// multiplies by a panel of the filters transforms it first.
void convolve_by_panels(const Image& y, const Image& x, const Filters& w, const float* bias, const Tiles& tiles) {
  const int64_t in = x.channels, out = y.channels;
  const Planes one(1, in, out);
  const int64_t block = least(tiles.count, kCached / (one.size() * int64_t(sizeof(float))) + 1);
  const Planes planes(block, in, out);
  const int64_t step = ceil_div(out, kPanel<float>) < 2 * thread_count() ? 2 * L : kPanel<float>, u_plane = in * step + kLine;
  Scratch memory(planes.size() * sizeof(float));
  float *v = memory.as<float>(), *m = v + kPlanes * planes.v_plane;
  for (int64_t t = 0; t < tiles.count; t += block) {
    int64_t count = least(block, tiles.count - t);
    parallel_for(count, 1, [&](int64_t begin, int64_t end) {
      transform_image(x, tiles, t + begin, t + end, v + begin * planes.v_row, planes.v_plane, planes.v_row);
    });
    parallel_for_throwing(ceil_div(out, step), 1, [&](int64_t begin, int64_t end) {
      Scratch filters(kPlanes * u_plane * sizeof(float));
      for (int64_t p = begin; p < end; ++p) {
        int64_t first = p * step, width = packets_for<float>(least(step, out - first)) * L;
        transform_filters(w, in, first, out - first, width, filters.as<float>(), u_plane);
        for (int64_t i = 0; i < kPlanes; ++i)
          multiply_panel(count, in, v + i * planes.v_plane, planes.v_row, filters.as<float>() + i * u_plane, width,
                         m + i * planes.m_plane + first, planes.m_row);
      }
    });
    parallel_for(count, 1, [&](int64_t begin, int64_t end) {
      transform_result(y, tiles, t + begin, t + end, m + begin * planes.m_row, planes.m_plane, planes.m_row, bias);
    });
  }
}

void convolve(const Image& y, const Image& x, const Filters& w, const float* bias, const Tiles& tiles) {
  bool small = x.channels * y.channels <= kFewChannels && tiles.count >= 48 * thread_count();
  small ? convolve_by_tiles(y, x, w, bias, tiles) : convolve_by_panels(y, x, w, bias, tiles);
}

}  // namespace

bool winograd_suits(int64_t batch, int64_t in, int64_t out, int64_t out_height, int64_t out_width, const Array& w,
                    const ConvParams& p) {
  bool shape = w.dtype == DType::float32 && w.size(2) == 3 && w.size(3) == 3 && p.groups == 1 && p.stride[0] == 1 &&
               p.stride[1] == 1 && p.dilation[0] == 1 && p.dilation[1] == 1 && p.padding[0] <= 2 && p.padding[1] <= 2;
  if (!shape || in % 16 || out % 16 || in < 32 || out < 32) return false;
  // Pixels that tiles compute in vain, and filters that few tiles pay for, must not eat what is won.
  int64_t rows = ceil_div(out_height, kOut) * kOut, columns = ceil_div(out_width, kOut) * kOut;
  return rows * columns * 2 <= out_height * out_width * 3 && batch * rows * columns >= 256;
}

void winograd(const Array& y, const Array& x, const Array& w, const Array& bias, const ConvParams& p) {
  Tiles tiles(y.size(0), y.size(2), y.size(3), p.padding[0], p.padding[1]);
  int64_t in = x.size(1);
  convolve(Image(y), Image(x), {w.as<float>(), in * 9, 9, false}, bias.as<float>(), tiles);
}

void winograd_backward_input(const Array& dx, const Array& dy, const Array& w, const ConvParams& p) {
  Tiles tiles(dx.size(0), dx.size(2), dx.size(3), 2 - p.padding[0], 2 - p.padding[1]);
  int64_t in = dx.size(1);
  convolve(Image(dx), Image(dy), {w.as<float>(), 9, in * 9, true}, nullptr, tiles);
}

void winograd_backward_weight(const Array& dw, const Array& dy, const Array& x, const ConvParams& p) {
  const Image image(x), gradient(dy);
  const Tiles tiles(dy.size(0), dy.size(2), dy.size(3), p.padding[0], p.padding[1]);
  const int64_t in = image.channels, out = gradient.channels;
  // As many tiles at once as keep a panel of them in L1; but where there are few tiles in all, or the sums are large, as many as the
  // caches hold, so that the sums need not be kept from one block to the next.
  const int64_t a_tile = kPlanes * (in + out + 2 * kLine) * int64_t(sizeof(float));
  const int64_t block = least(tiles.count, in * out > kFewChannels ? kCached / a_tile + 1 : 96);
  const bool at_once = block == tiles.count;
  const int64_t v_row = in + kLine, g_row = out + kLine, v_plane = block * v_row + kLine, g_plane = block * g_row + kLine;
  constexpr int64_t kRows = 2 * kGroup;
  const int64_t sum_plane = (at_once ? kRows : out) * in + kLine;
  Scratch memory(kPlanes * (v_plane + g_plane) * sizeof(float)), kept(at_once ? 0 : kPlanes * sum_plane * sizeof(float));
  float *v = memory.as<float>(), *g = v + kPlanes * v_plane;

  auto multiply = [&](int64_t count, int64_t first, int64_t last, float* sums, bool add) {  // sums: planes of (last - first, in)
    for (int64_t i = 0; i < kPlanes; ++i)
      for (int64_t c = 0; c < in;) {  // tiles as wide as what is left of a row: there is no room to spare
        int packets = in - c >= kPanel<float> ? kPanelPackets : in - c >= 2 * L ? 2 : 1, height = tile_rows(packets);
        for (int64_t o = first; o < last; o += height)
          pick_tile<float, false>(int(least(height, last - o)), packets)(count, g + i * g_plane + o, g_row, v + i * v_plane + c,
                                                                         v_row,
                                                                         {sums + i * sum_plane + (o - first) * in + c, in, 1, add});
        c += packets * L;
      }
  };
  auto finish = [&](int64_t first, int64_t last, const float* sums) {
    for (int64_t o = first; o < last; ++o, sums += in)
      for (int64_t c = 0; c < in; c += L) {
        P m[6][6], y[3][3];
        for (int r = 0; r < kPlanes; ++r) m[r / 6][r % 6] = load(sums + r * sum_plane + c);
        result_2d(m, y);
        alignas(64) float taps[9][L];
        for (int r = 0; r < 9; ++r) store(taps[r], y[r / 3][r % 3]);
        float* to = dw.as<float>() + (o * in + c) * 9;
        for (int l = 0; l < L; ++l)
          for (int r = 0; r < 9; ++r) to[l * 9 + r] = taps[r][l];
      }
  };
  // A sum is taken by one thread in the order of the tiles, so it does not depend on how many threads there are.
  for (int64_t t = 0; t < tiles.count; t += block) {
    int64_t count = least(block, tiles.count - t);
    parallel_for(count, 1, [&](int64_t begin, int64_t end) {
      transform_image(image, tiles, t + begin, t + end, v + begin * v_row, v_plane, v_row);
      transform_gradient(gradient, tiles, t + begin, t + end, g + begin * g_row, g_plane, g_row);
    });
    parallel_for_throwing(ceil_div(out, kRows), 1, [&](int64_t begin, int64_t end) {
      Scratch own(at_once ? kPlanes * sum_plane * sizeof(float) : 0);
      for (int64_t r = begin; r < end; ++r) {
        int64_t first = r * kRows, last = least(first + kRows, out);
        float* sums = at_once ? own.as<float>() : kept.as<float>() + first * in;
        multiply(count, first, last, sums, t > 0);
        if (t + count == tiles.count) finish(first, last, sums);
      }
    });
  }
}

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
