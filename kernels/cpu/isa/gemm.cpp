#include "kernels/cpu/isa/gemm.h"

#include <type_traits>

#include "kernels/cpu/isa/tile.h"
#include "kernels/cpu/isa/transpose.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/parallel_throwing.h"
#include "kernels/cpu/scratch.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {
namespace {

constexpr int64_t kDepth = 256;      // of one block: a panel of B in L1 is read by many rows of A
constexpr int64_t kColumns = 512;    // of one block: kDepth * kColumns floats of B stay in L2
constexpr int64_t kShare = 1 << 17;  // multiplications below which one thread is as fast as several
constexpr int64_t kSkinny = 4;       // so few rows, and B is read once: copying it would cost more than it saves
constexpr int64_t kFewRows = 64;     // up to so many rows, B is read where it stands if its rows are adjacent
constexpr int64_t kOnStack = 2048;   // elements of packed B that need no scratch

constexpr int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// ---- packing ------------------------------------------------------------------------------------------------------------

/// Columns [0, n) of `depth` rows of b, as rows of `width` >= n, filled with zeros.
template <class T, class F> void pack_b(const T* b, int64_t row, int64_t col, int64_t depth, int64_t n, int width, F* to) {
  constexpr int L = kLanes<F>;
  if (col == 1) {
    for (int64_t k = 0; k < depth; ++k, b += row, to += width) {
      int64_t j = 0;
      for (; j + L <= n; j += L) store(to + j, load(b + j));
      for (; j < n; ++j) to[j] = F(b[j]);
      for (; j < width; ++j) to[j] = F(0);
    }
    return;
  }
  for (int64_t j = 0; j < width; j += L) {
    int64_t k = 0, here = least(L, n - j);
    if (row == 1 && here > 0) {
      for (; k + L <= depth; k += L) {
        Packet<F> square[L];
        for (int i = 0; i < L; ++i) square[i] = i < here ? load(b + (j + i) * col + k) : Packet<F>(F(0));
        transpose(square);
        for (int i = 0; i < L; ++i) store(to + (k + i) * width + j, square[i]);
      }
    }
    for (; k < depth; ++k)
      for (int64_t i = 0; i < L; ++i) to[k * width + j + i] = i < here ? F(b[(j + i) * col + k * row]) : F(0);
  }
}

/// Rows [0, m) of a: along the depth (kDepth from row to row) where a is stored so, else kGroup rows side by side.
template <class T, class F> void pack_a(const T* a, int64_t row, int64_t col, int64_t m, int64_t depth, F* to, int64_t to_row) {
  constexpr int L = kLanes<F>;
  if (col == 1) {
    for (int64_t i = 0; i < m; ++i, a += row, to += to_row) {
      int64_t k = 0;
      for (; k + L <= depth; k += L) store(to + k, load(a + k));
      for (; k < depth; ++k) to[k] = F(a[k]);
    }
  } else if (row == 1 && m == kGroup && kGroup % 4 == 0) {
    for (int64_t k = 0; k < depth; ++k, a += col, to += kGroup)
      for (int i = 0; i < kGroup; ++i) to[i] = F(a[i]);
  } else {
    for (int64_t k = 0; k < depth; ++k, a += col, to += kGroup)
      for (int64_t i = 0; i < m; ++i) to[i] = F(a[i * row]);
  }
}

// ---- one panel: all rows of a task times up to kPanel columns --------------------------------------------------------------

template <class F> struct RowsOfA {
  const F* data;
  int64_t step;  // from row to row (along), or from k to k
  bool along;
  const F* at(int64_t i) const { return along ? data + i * step : data + i; }
};

/// Writes through a buffer where the tile is wider than what is left of C or C is of a half type.
template <class T, class F> void run_panel(const Product<T>& p, const RowsOfA<F>& a, int64_t rows, int64_t depth, const F* b,
                                           int64_t b_step, T* c, int64_t n, bool add, const T* bias) {
  int packets = packets_for<F>(n), width = packets * kLanes<F>, height = tile_rows(packets);
  bool direct = std::is_same_v<T, F> && n == width;
  F buffer[kGroup * kPanel<F>];
  for (int64_t i = 0; i < rows; i += height) {
    int here = int(least(height, rows - i));
    Tile<F> run = a.along ? pick_tile<F, true>(here, packets) : pick_tile<F, false>(here, packets);
    if (direct) {
      if constexpr (std::is_same_v<T, F>) run(depth, a.at(i), a.step, b, b_step, {c + i * p.c_row, p.c_row, p.alpha, add, bias});
      continue;
    }
    run(depth, a.at(i), a.step, b, b_step, {buffer, width, p.alpha});
    for (int r = 0; r < here; ++r) {
      T* to = c + (i + r) * p.c_row;
      const F* from = buffer + r * width;
      int64_t j = 0;
      for (; j + kLanes<F> <= n; j += kLanes<F>) {
        Packet<F> y = load(from + j);
        if (bias) y = y + load(bias + j);
        if (add) y = y + load(to + j);
        store(to + j, y);
      }
      for (; j < n; ++j) {
        F y = from[j];
        if (bias) y += F(bias[j]);
        if (add) y += F(to[j]);
        to[j] = T(y);
      }
    }
  }
}

// ---- few rows or few columns: B is read once, where it stands --------------------------------------------------------------

template <class P> GRADUS_FN auto sum_lanes(P x) {
  auto total = x.v[0];
  for (int i = 1; i < int(sizeof(x.v) / sizeof(x.v[0])); ++i) total += x.v[i];
  return total;
}

/// R rows of a times C rows of bt, both along the depth: R * C sums.
template <class T, int R, int C>
GRADUS_FN void dots(int64_t depth, const T* a, int64_t a_row, const T* bt, int64_t b_col, accumulate_t<T> (&out)[R][C]) {
  using P = Packet<T>;
  constexpr int L = kLanes<accumulate_t<T>>;
  P sum[R][C];
  for (int i = 0; i < R; ++i)
    for (int j = 0; j < C; ++j) sum[i][j] = P(accumulate_t<T>(0));
  int64_t k = 0;
  for (; k + L <= depth; k += L) {
    P bk[C];
    for (int j = 0; j < C; ++j) {
      bk[j] = load(bt + j * b_col + k);
      if (R == 1) __builtin_prefetch(bt + (C + j) * b_col + k);  // nothing but reading limits: the next rows are on their way
    }
    for (int i = 0; i < R; ++i) {
      P ai = load(a + i * a_row + k);
      for (int j = 0; j < C; ++j) sum[i][j] = sum[i][j] + ai * bk[j];
    }
  }
  for (int i = 0; i < R; ++i)
    for (int j = 0; j < C; ++j) {
      out[i][j] = sum_lanes(sum[i][j]);
      for (int64_t t = k; t < depth; ++t) out[i][j] += accumulate_t<T>(a[i * a_row + t]) * accumulate_t<T>(bt[j * b_col + t]);
    }
}

template <class T> GRADUS_FN void finish(const Product<T>& p, int64_t i, int64_t j, accumulate_t<T> sum) {
  using F = accumulate_t<T>;
  T& c = p.c[i * p.c_row + j];
  F y = p.alpha * sum;
  if (p.bias) y += F(p.bias[j]);
  if (p.add) y += F(c);
  c = T(y);
}

/// a along the depth, b along the depth; one of m and n is small.
template <class T> void gemm_dots(const Product<T>& p) {
  using F = accumulate_t<T>;
  bool swap = p.n < p.m;  // walk over the longer side four at a time
  int64_t few = swap ? p.n : p.m, many = swap ? p.m : p.n;
  const T* x = swap ? p.b : p.a;
  const T* y = swap ? p.a : p.b;
  int64_t x_row = swap ? p.b_col : p.a_row, y_row = swap ? p.a_row : p.b_col;
  parallel_for(many, few * many * p.k > kShare ? 4 : many, [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < few; ++i) {
      int64_t j = begin;
      for (; j + 4 <= end; j += 4) {
        F out[1][4];
        dots<T, 1, 4>(p.k, x + i * x_row, x_row, y + j * y_row, y_row, out);
        for (int t = 0; t < 4; ++t) finish(p, swap ? j + t : i, swap ? i : j + t, out[0][t]);
      }
      for (; j < end; ++j) {
        F out[1][1];
        dots<T, 1, 1>(p.k, x + i * x_row, x_row, y + j * y_row, y_row, out);
        finish(p, swap ? j : i, swap ? i : j, out[0][0]);
      }
    }
  });
}

/// sum[j] += a row of a times columns [0, n) of b: scaled rows of b, four at a time.
template <class T> void add_rows(const Product<T>& p, const T* a, const T* b, int64_t depth, int64_t n, accumulate_t<T>* sum) {
  using F = accumulate_t<T>;
  using P = Packet<T>;
  constexpr int L = kLanes<F>;
  const int64_t whole = n / L * L;
  int64_t k = 0;
  for (; k + 4 <= depth; k += 4, a += 4 * p.a_col, b += 4 * p.b_row) {
    F a0 = F(a[0]), a1 = F(a[p.a_col]), a2 = F(a[2 * p.a_col]), a3 = F(a[3 * p.a_col]);
    int64_t j = 0;
    for (; j < whole; j += L) {
      P y = load(sum + j);
      y = y + P(a0) * load(b + j);
      y = y + P(a1) * load(b + p.b_row + j);
      y = y + P(a2) * load(b + 2 * p.b_row + j);
      y = y + P(a3) * load(b + 3 * p.b_row + j);
      store(sum + j, y);
    }
    for (; j < n; ++j) {
      F y = sum[j];
      y = y + a0 * F(b[j]);
      y = y + a1 * F(b[p.b_row + j]);
      y = y + a2 * F(b[2 * p.b_row + j]);
      y = y + a3 * F(b[3 * p.b_row + j]);
      sum[j] = y;
    }
  }
  for (; k < depth; ++k, a += p.a_col, b += p.b_row) {
    F ak = F(*a);
    int64_t j = 0;
    for (; j < whole; j += L) store(sum + j, load(sum + j) + P(ak) * load(b + j));
    for (; j < n; ++j) sum[j] = sum[j] + ak * F(b[j]);
  }
}

/// Few rows, B's rows adjacent. Wide ones are shared by columns, in strips that stay in L1. In others a thread takes some of B's rows,
/// the same that it has in its cache from other passes over B; what it sums up alone has bounds that no number of threads moves.
template <class T> void gemm_rows(const Product<T>& p) {
  using F = accumulate_t<T>;
  constexpr int64_t kStrip = 1024, kPart = 128, kMostParts = 64;
  const bool shared = p.m * p.n * p.k > kShare;
  if (p.n > kStrip || p.k < 2 * kPart || !shared) {
    parallel_for(p.n, shared ? 64 : p.n, [&](int64_t begin, int64_t end) {
      alignas(64) F sum[kStrip];
      for (int64_t strip = begin; strip < end; strip += kStrip) {
        int64_t n = least(kStrip, end - strip);
        for (int64_t i = 0; i < p.m; ++i) {
          for (int64_t j = 0; j < n; ++j) sum[j] = 0;
          add_rows(p, p.a + i * p.a_row, p.b + strip, p.k, n, sum);
          for (int64_t j = 0; j < n; ++j) finish(p, i, strip + j, sum[j]);
        }
      }
    });
    return;
  }
  int64_t depth = ceil_div(p.k, kMostParts * 4) * 4;
  if (depth < kPart) depth = kPart;
  const int64_t parts = ceil_div(p.k, depth), width = ceil_div(p.n, kLanes<F>) * kLanes<F>;
  Scratch scratch(parts * p.m * width * sizeof(F));
  F* sums = scratch.as<F>();
  parallel_for(parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      for (int64_t i = 0; i < p.m; ++i) {
        F* sum = sums + (part * p.m + i) * width;
        for (int64_t j = 0; j < width; ++j) sum[j] = 0;
        const int64_t k = part * depth;
        add_rows(p, p.a + i * p.a_row + k * p.a_col, p.b + k * p.b_row, least(depth, p.k - k), p.n, sum);
      }
    }
  });
  for (int64_t i = 0; i < p.m; ++i) {
    F* total = sums + i * width;
    for (int64_t part = 1; part < parts; ++part) {
      const F* sum = sums + (part * p.m + i) * width;
      for (int64_t j = 0; j < width; ++j) total[j] += sum[j];
    }
    for (int64_t j = 0; j < p.n; ++j) finish(p, i, j, total[j]);
  }
}

/// A depth of one: C is written once, and that is all the work.
template <class T> void gemm_outer(const Product<T>& p) {
  using F = accumulate_t<T>;
  using P = Packet<T>;
  constexpr int L = kLanes<F>;
  constexpr int64_t kShareElements = 1 << 15;
  parallel_for(p.m, p.m * p.n > kShareElements ? 1 : p.m, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const F scale = F(p.a[i * p.a_row]);
      T* c = p.c + i * p.c_row;
      int64_t j = 0;
      for (; j + L <= p.n; j += L) {
        P y = P(scale) * load(p.b + j) * P(p.alpha);
        if (p.bias) y = y + load(p.bias + j);
        if (p.add) y = y + load(c + j);
        store(c + j, y);
      }
      for (; j < p.n; ++j) {
        F y = scale * F(p.b[j]) * p.alpha;
        if (p.bias) y += F(p.bias[j]);
        if (p.add) y += F(c[j]);
        c[j] = T(y);
      }
    }
  });
}

// ---- the general case -------------------------------------------------------------------------------------------------------

template <class T> void gemm_blocks(const Product<T>& p) {
  using F = accumulate_t<T>;
  constexpr bool kHalf = !std::is_same_v<T, F>;
  // Half types keep a sum in float from beginning to end: their depth is not cut.
  const int64_t depth_block = kHalf && p.k > 0 ? p.k : kDepth;
  const int64_t column_block = kColumns * 4 / int64_t(sizeof(F));
  const bool shared = p.m * p.n * p.k >= kShare;
  const bool along = p.a_col == 1 || p.k == 1;
  const bool pack_rows = kHalf || (!along && !(p.a_row == 1 && p.m <= kGroup));
  const bool direct_b = !kHalf && p.b_col == 1 && p.m <= kFewRows;
  const int64_t group = kHalf && along ? 4 * kGroup : kGroup;
  auto share = [&](int64_t n, auto&& f) { shared ? parallel_for_throwing(n, 1, f) : f(int64_t(0), n); };

  for (int64_t jc = 0; jc < p.n; jc += column_block) {
    const int64_t columns = least(column_block, p.n - jc), panels = ceil_div(columns, kPanel<F>);
    const int64_t longest = least(depth_block, p.k), tail = columns % kPanel<F>;
    const int64_t packed_size = longest * (direct_b ? (tail ? kPanel<F> : 0) : panels * kPanel<F>);
    alignas(64) F on_stack[kOnStack];
    Scratch scratch(packed_size > kOnStack ? packed_size * sizeof(F) : 0);
    F* packed = packed_size > kOnStack ? scratch.as<F>() : on_stack;

    for (int64_t pc = 0; pc == 0 || pc < p.k; pc += depth_block) {
      const int64_t depth = least(depth_block, p.k - pc);
      const bool add = p.add || pc > 0, last = pc + depth >= p.k;
      const T* b = p.b + pc * p.b_row + jc * p.b_col;
      auto panel_columns = [&](int64_t j) { return least(kPanel<F>, columns - j * kPanel<F>); };
      auto in_place = [&](int64_t j) { return direct_b && panel_columns(j) == kPanel<F>; };
      auto packed_panel = [&](int64_t j) { return packed + (direct_b ? 0 : j * kPanel<F> * longest); };
      share(panels, [&](int64_t begin, int64_t end) {
        for (int64_t j = begin; j < end; ++j) {
          if (in_place(j)) continue;
          int64_t n = panel_columns(j);
          pack_b(b + j * kPanel<F> * p.b_col, p.b_row, p.b_col, depth, n, packets_for<F>(n) * kLanes<F>, packed_panel(j));
        }
      });

      int64_t row_parts = 1, column_parts = 1;
#ifdef _OPENMP
      if (shared && !omp_in_parallel()) {
        int64_t threads = omp_get_max_threads();
        row_parts = least(threads, p.m / kGroup > 1 ? p.m / kGroup : 1);
        column_parts = least(panels, ceil_div(threads, row_parts));
      }
#endif
      share(row_parts * column_parts, [&](int64_t begin, int64_t end) {
        Scratch rows_scratch(pack_rows ? group * (depth + kLanes<F>)*sizeof(F) : 0);
        for (int64_t t = begin; t < end; ++t) {
          int64_t r = t / column_parts, q = t % column_parts;
          int64_t row_begin = p.m * r / row_parts, row_end = p.m * (r + 1) / row_parts;
          int64_t panel_begin = panels * q / column_parts, panel_end = panels * (q + 1) / column_parts;
          for (int64_t i = row_begin; i < row_end; i += group) {
            int64_t rows = least(group, row_end - i);
            const T* a = p.a + i * p.a_row + pc * p.a_col;
            RowsOfA<F> left{nullptr, 0, along};
            if (pack_rows) {
              left.data = rows_scratch.as<F>();
              left.step = along ? depth : kGroup;
              pack_a(a, p.a_row, along ? 1 : p.a_col, rows, depth, rows_scratch.as<F>(), depth);
            } else if constexpr (!kHalf) {
              left.data = a;
              left.step = along ? p.a_row : p.a_col;
            }
            for (int64_t j = panel_begin; j < panel_end; ++j) {
              int64_t n = panel_columns(j), first = jc + j * kPanel<F>;
              const F* panel = packed_panel(j);
              int64_t b_step = packets_for<F>(n) * kLanes<F>;
              if constexpr (!kHalf) {
                if (in_place(j)) panel = b + j * kPanel<F>, b_step = p.b_row;
              }
              run_panel(p, left, rows, depth, panel, b_step, p.c + i * p.c_row + first, n, add,
                        p.bias && last ? p.bias + first : nullptr);
            }
          }
        }
      });
    }
  }
}

/// One panel of a small depth: what the general case does, without its bookkeeping.
template <class T> void gemm_small(const Product<T>& p) {
  alignas(64) T packed[kOnStack];
  const int width = packets_for<T>(p.n) * kLanes<T>;
  const bool along = p.a_col == 1;
  pack_b(p.b, p.b_row, p.b_col, p.k, p.n, width, packed);
  run_panel<T, T>(p, {p.a, along ? p.a_row : p.a_col, along}, p.m, p.k, packed, width, p.c, p.n, p.add, p.bias);
}

}  // namespace

template <class T> void gemm(const Product<T>& given) {
  Product<T> p = given;
  if (p.m == 0 || p.n == 0) return;
  // The stride of an axis of size one says nothing: choose what suits.
  if (p.m == 1) p.a_row = p.a_col == 1 ? p.k : 1;
  if (p.n == 1) p.b_col = p.b_row == 1 ? p.k : 1;
  if (p.k == 1) p.a_col = 1, p.b_row = 1 == p.b_col ? p.n : 1;
  if (p.k == 1 && p.b_col == 1 && p.n >= kLanes<accumulate_t<T>>) return gemm_outer(p);
  bool along = p.a_col == 1 && p.b_row == 1;
  if (along && p.k >= 8 && (p.m <= kSkinny || p.n <= kSkinny)) return gemm_dots(p);
  if (p.m <= kSkinny && p.b_col == 1 && p.n >= 2 * kLanes<accumulate_t<T>> && p.k >= 4) return gemm_rows(p);
  if constexpr (std::is_same_v<T, accumulate_t<T>>) {
    bool small = p.n <= kPanel<T> && p.k * kPanel<T> <= kOnStack && p.m * p.n * p.k < kShare;
    if (small && (p.a_col == 1 || p.a_row == 1)) return gemm_small(p);
  }
  gemm_blocks(p);
}

template void gemm(const Product<float>&);
template void gemm(const Product<double>&);
template void gemm(const Product<half>&);
template void gemm(const Product<bfloat16>&);

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
