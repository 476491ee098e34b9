// softmax(q k' * scale + mask) v without the matrix of all scores: a block of queries meets the keys a tile at a time, and each row
// keeps its largest score and its sum so far (Milakov, Gimelshein: Online normalizer calculation, 2018; Dao et al.: FlashAttention,
// 2022). Backward makes the scores again from the log-sum-exp of each row. One thread does one head from beginning to end.
#include "kernels/array.h"
#include "kernels/cpu/isa/sweep.h"
#include "kernels/cpu/isa/tile.h"
#include "kernels/cpu/isa/transpose.h"
#include "kernels/cpu/isa/words.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/scratch.h"
#include "kernels/dispatch.h"
#include "kernels/params.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {
namespace {

constexpr int64_t kQueries = 32, kKeys = 256;  // of a block: its scores stay in the caches next to the core

constexpr int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/// The columns that tiles write where n are wanted.
template <class F> constexpr int64_t padded(int64_t n) {
  int64_t whole = n / kPanel<F> * kPanel<F>;
  return n == whole ? n : whole + packets_for<F>(n - whole) * kLanes<F>;
}

/// c = alpha * a b (+ c) of small matrices, all within the caches. b and c have padded(columns) columns.
template <class F, bool kAlong> void product(int64_t rows, int64_t columns, int64_t depth, const F* a, int64_t a_step, const F* b,
                                             int64_t b_step, F* c, int64_t c_step, F alpha, bool add) {
  for (int64_t j = 0; j < columns; j += kPanel<F>) {
    int packets = packets_for<F>(least(columns - j, kPanel<F>));
    int64_t tiles = (rows + tile_rows(packets) - 1) / tile_rows(packets);
    for (int64_t i = 0; tiles > 0; --tiles) {  // as even as can be
      int n = int((rows - i + tiles - 1) / tiles);
      TileOut<F> out{c + i * c_step + j, c_step, alpha, add};
      pick_tile<F, kAlong>(n, packets)(depth, kAlong ? a + i * a_step : a + i, a_step, b + j, b_step, out);
      i += n;
    }
  }
}

/// Rows of `width` numbers, `step` apart, as rows of `to_step` >= width, zeros behind.
template <class T, class F> void pack(F* to, int64_t to_step, const T* from, int64_t step, int64_t rows, int64_t width) {
  for (int64_t r = 0; r < rows; ++r, to += to_step, from += step) {
    sweep<T>(width, [&](int64_t i, auto part) { store(to + i, load(from + i, part), part); });
    for (int64_t i = width; i < to_step; ++i) to[i] = F(0);
  }
}
/// The same turned over: `width` rows of `to_step` >= rows.
template <class T, class F> void pack_turned(F* to, int64_t to_step, const T* from, int64_t step, int64_t rows, int64_t width) {
  constexpr int L = kLanes<F>;
  for (int64_t r = 0; r < to_step; r += L) {
    int64_t here = least(L, rows - r), i = 0;
    for (; here > 0 && i + L <= width; i += L) {
      Packet<F> square[L];
      for (int k = 0; k < L; ++k) square[k] = k < here ? gradus::load(from + (r + k) * step + i) : Packet<F>(F(0));
      transpose(square);
      for (int k = 0; k < L; ++k) store(to + (i + k) * to_step + r, square[k], Whole{});
    }
    for (; i < width; ++i)
      for (int64_t k = 0; k < L; ++k) to[i * to_step + r + k] = k < here ? F(from[(r + k) * step + i]) : F(0);
  }
}

/// The shapes of a call, and where each head begins.
struct Heads {
  int64_t count = 1, queries, keys, size, value_size;
  int rank;  // outer axes
  const Array& q;
  Heads(const Array& q, const Array& k, const Array& v)
      : queries(q.size(-2)), keys(k.size(-2)), size(q.size(-1)), value_size(v.size(-1)), rank(q.rank - 2), q(q) {
    for (int d = 0; d < rank; ++d) count *= q.size(d);
  }
  int64_t at(int64_t head, const Array& x) const {
    int64_t offset = 0;
    for (int d = rank - 1; d >= 0; --d) offset += head % q.size(d) * x.step(d), head /= q.size(d);
    return offset;
  }
  template <class T> T* of(int64_t head, const Array& x) const { return x ? x.as<T>() + at(head, x) : nullptr; }
  /// Keys that queries up to `last` see.
  int64_t seen(int64_t last, bool causal) const { return causal ? least(keys, last) : keys; }
};

/// Shares heads among threads, each with memory of its own; f(head, memory).
template <class F, class Work> void each_head(const Heads& shape, int64_t numbers, Work work) {
  int64_t heads = shape.count, workers = least(threads_here(), heads);
  if (heads * shape.queries * shape.keys * shape.size < kParallel) workers = 1;
  numbers = (numbers + 15) / 16 * 16;
  Scratch memory(size_t(workers * numbers) * sizeof(F));
  parallel_for(workers, 1, [&](int64_t begin, int64_t end) {
    for (int64_t w = begin; w < end; ++w)
      for (int64_t h = heads * w / workers; h < heads * (w + 1) / workers; ++h) work(h, memory.as<F>() + w * numbers);
  });
}

/// What dropout multiplies the weights of a row by.
template <class F> struct Keep {
  Draw draw;
  uint32_t bound;
  F scale;
  explicit Keep(const AttentionParams& p)
      : draw(p.draw), bound(drop_bound(p.dropout)), scale(p.dropout < 1 ? F(1 / (1 - p.dropout)) : F(0)) {}
  /// f(i, value) for n elements of the draw from `first` on.
  template <class G> void row(int64_t first, int64_t n, G f) const {
    Words words;
    F keep[4 * kBlocks];
    for (int64_t i = -(first % 4); i < n; i += 4 * kBlocks) {
      fill_words(words, draw.seed, draw.offset + uint64_t((first + i) / 4));
      keep_or_drop(keep, words, bound, scale);
      for (int64_t k = i < 0 ? -i : 0; k < 4 * kBlocks && i + k < n; ++k) f(i + k, keep[k]);
    }
  }
};

/// A tile of scores, rows of queries by columns of keys.
template <class T> struct Scores {
  using F = accumulate_t<T>;
  const Heads& heads;
  const Array& mask;
  const AttentionParams& params;
  Keep<F> keep{params};

  /// Keys of [first, first + n) that a query may look at, if they are the first ones.
  int64_t open(int64_t query, int64_t first, int64_t n) const {
    if (!params.causal) return n;
    int64_t seen = query + 1 - first;
    return seen < 0 ? 0 : least(seen, n);
  }
  void add_mask(F* row, int64_t head, int64_t query, int64_t first, int64_t n) const {
    if (!mask) return;
    int64_t at = heads.at(head, mask) + query * mask.step(-2) + first * mask.step(-1), step = mask.step(-1);
    if (mask.dtype == DType::boolean)
      for (int64_t j = 0; j < n; ++j) row[j] = mask.as<bool>()[at + j * step] ? row[j] : -F(__builtin_inf());
    else
      for (int64_t j = 0; j < n; ++j) row[j] += F(mask.as<T>()[at + j * step]);
  }
  void drop(F* row, int64_t head, int64_t query, int64_t first, int64_t n) const {
    if (params.dropout == 0) return;
    keep.row((head * heads.queries + query) * heads.keys + first, n,
             [&](int64_t j, F by) { row[j] = by > 0 ? row[j] * by : F(0); });
  }
};

template <class F> void clear(F* p, int64_t from, int64_t to) {
  for (int64_t i = from; i < to; ++i) p[i] = F(0);
}

/// Scores of a row become exp(score - top); the largest score and the sum move on. Returns what the sums so far are multiplied by.
template <class F> F exponentials(F* row, int64_t n, F& top, F& total) {
  using P = Packet<F>;
  constexpr F kLowest = -F(__builtin_inf());
  P m = kLowest, s = 0;
  sweep<F>(n, [&](int64_t j, auto part) { m = larger(m, load(row + j, part, kLowest)); });
  F before = top, now = largest_of(larger(m, P(before)));
  if (now == kLowest) {  // nothing to look at so far, or NaN
    for (int64_t j = 0; j < n; ++j) now = row[j] != row[j] ? row[j] : now;
    if (now == kLowest) {
      clear(row, 0, n);
      return 1;
    }
  }
  sweep<F>(n, [&](int64_t j, auto part) {
    P e = exp(load(row + j, part, kLowest) - P(now));
    store(row + j, e, part);
    s = s + e;
  });
  F by = before == now ? F(1) : before == kLowest ? F(0) : std::exp(before - now);
  top = now, total = total * by + sum_of(s);
  return by;
}

}  // namespace

void attention(const Array& y, const Array& lse, const Array& q, const Array& k, const Array& v, const Array& mask,
               const AttentionParams& p) {
  Heads heads(q, k, v);
  if (y.count == 0) return;
  dispatch_float("attention", q.dtype, [&]<class T>() {
    using F = accumulate_t<T>;
    using P = Packet<F>;
    const int64_t size = heads.size, width = padded<F>(heads.value_size), tile = least(kKeys, heads.keys), across = padded<F>(tile);
    const int64_t turned = padded<F>(heads.keys);
    Scores<T> scores{heads, mask, p};
    int64_t numbers = size * turned + heads.keys * width + kQueries * (size + across + width + 2);
    each_head<F>(heads, numbers, [&](int64_t head, F* memory) {
      F *keys = memory, *values = keys + size * turned, *block = values + heads.keys * width,
        *tile_scores = block + kQueries * size;
      F *sums = tile_scores + kQueries * across, *top = sums + kQueries * width, *total = top + kQueries;
      pack_turned(keys, turned, heads.of<T>(head, k), k.step(-2), heads.keys, size);
      pack(values, width, heads.of<T>(head, v), v.step(-2), heads.keys, heads.value_size);
      T* out = heads.of<T>(head, y);
      for (int64_t i0 = 0; i0 < heads.queries; i0 += kQueries) {
        int64_t rows = least(kQueries, heads.queries - i0), seen = heads.seen(i0 + rows, p.causal);
        pack(block, size, heads.of<T>(head, q) + i0 * q.step(-2), q.step(-2), rows, size);
        for (int64_t r = 0; r < rows; ++r) top[r] = -F(__builtin_inf()), total[r] = 0;
        clear(sums, 0, rows * width);
        for (int64_t j0 = 0; j0 < seen; j0 += tile) {
          int64_t n = least(tile, seen - j0);
          product<F, true>(rows, n, size, block, size, keys + j0, turned, tile_scores, across, F(p.scale), false);
          for (int64_t r = 0; r < rows; ++r) {
            F* row = tile_scores + r * across;
            int64_t open = scores.open(i0 + r, j0, n);
            scores.add_mask(row, head, i0 + r, j0, open);
            F by = exponentials(row, open, top[r], total[r]);
            if (j0 > 0 && by != 1)
              for (int64_t e = 0; e < width; ++e) sums[r * width + e] *= by;
            scores.drop(row, head, i0 + r, j0, open);
            clear(row, open, n);
          }
          product<F, true>(rows, heads.value_size, n, tile_scores, across, values + j0 * width, width, sums, width, F(1), j0 > 0);
        }
        for (int64_t r = 0; r < rows; ++r) {
          bool any = total[r] != 0;  // a query that may look at nothing gives zeros
          P by = any ? 1 / total[r] : F(0);
          T* to = out + (i0 + r) * y.step(-2);
          sweep<F>(heads.value_size, [&](int64_t e, auto part) { store(to + e, load(sums + r * width + e, part) * by, part); });
          if (lse) lse.as<F>()[head * heads.queries + i0 + r] = any ? top[r] + std::log(total[r]) : F(__builtin_inf());
        }
      }
    });
  });
}

/// With P the weights, D the dropout's factors: dv = (P D)' g; dP = g v' D; dS = P (dP - sum(g y)); dq = dS k scale; dk = dS' q scale.
void attention_backward(const Array& dq, const Array& dk, const Array& dv, const Array& g, const Array& y, const Array& lse,
                        const Array& q, const Array& k, const Array& v, const Array& mask, const AttentionParams& p) {
  Heads heads(q, k, v);
  if (heads.count == 0) return;
  dispatch_float("attention_backward", q.dtype, [&]<class T>() {
    using F = accumulate_t<T>;
    using P = Packet<F>;
    const int64_t keys_n = heads.keys, size = heads.size, value_size = heads.value_size;
    const int64_t size_to = padded<F>(size), value_to = padded<F>(value_size), tile = least(kKeys, keys_n),
                  across = padded<F>(tile);
    const int64_t turned = padded<F>(keys_n);
    Scores<T> scores{heads, mask, p};
    int64_t numbers =
        (size + value_size) * turned + keys_n * (2 * size_to + value_to) + kQueries * (2 * across + 2 * size_to + value_to);
    each_head<F>(heads, numbers, [&](int64_t head, F* memory) {
      F *keys = memory, *values = keys + size * turned, *plain_keys = values + value_size * turned;
      F *key_sums = plain_keys + keys_n * size_to, *value_sums = key_sums + keys_n * size_to;
      F *weights = value_sums + keys_n * value_to, *slopes = weights + kQueries * across, *query = slopes + kQueries * across;
      F *query_sums = query + kQueries * size_to, *cotangent = query_sums + kQueries * size_to;
      pack_turned(keys, turned, heads.of<T>(head, k), k.step(-2), keys_n, size);
      pack_turned(values, turned, heads.of<T>(head, v), v.step(-2), keys_n, value_size);
      pack(plain_keys, size_to, heads.of<T>(head, k), k.step(-2), keys_n, size);
      clear(key_sums, 0, keys_n * (size_to + value_to));
      for (int64_t i0 = 0; i0 < heads.queries; i0 += kQueries) {
        int64_t rows = least(kQueries, heads.queries - i0), seen = heads.seen(i0 + rows, p.causal);
        pack(query, size_to, heads.of<T>(head, q) + i0 * q.step(-2), q.step(-2), rows, size);
        pack(cotangent, value_to, heads.of<T>(head, g) + i0 * g.step(-2), g.step(-2), rows, value_size);
        F level[kQueries];
        for (int64_t r = 0; r < rows; ++r) {
          const T* out = heads.of<T>(head, y) + (i0 + r) * y.step(-2);
          P s = 0;
          sweep<T>(value_size,
                   [&](int64_t e, auto part) { s = s + load(out + e, part) * load(cotangent + r * value_to + e, part); });
          level[r] = sum_of(s);
        }
        clear(query_sums, 0, rows * size_to);
        for (int64_t j0 = 0; j0 < seen; j0 += tile) {
          int64_t n = least(tile, seen - j0);
          product<F, true>(rows, n, size, query, size_to, keys + j0, turned, weights, across, F(p.scale), false);
          product<F, true>(rows, n, value_size, cotangent, value_to, values + j0, turned, slopes, across, F(1), false);
          for (int64_t r = 0; r < rows; ++r) {
            F *w = weights + r * across, *d = slopes + r * across;
            int64_t open = scores.open(i0 + r, j0, n);
            scores.add_mask(w, head, i0 + r, j0, open);
            scores.drop(d, head, i0 + r, j0, open);
            P top = P(lse.as<F>()[head * heads.queries + i0 + r]), mean = P(level[r]);
            sweep<F>(open, [&](int64_t j, auto part) {
              P e = exp(load(w + j, part) - top);
              store(w + j, e, part);
              store(d + j, e * (load(d + j, part) - mean), part);
            });
            scores.drop(w, head, i0 + r, j0, open);
            clear(w, open, n), clear(d, open, n);
          }
          product<F, true>(rows, size, n, slopes, across, plain_keys + j0 * size_to, size_to, query_sums, size_to, F(p.scale),
                           j0 > 0);
          product<F, false>(n, size, rows, slopes, across, query, size_to, key_sums + j0 * size_to, size_to, F(p.scale), true);
          product<F, false>(n, value_size, rows, weights, across, cotangent, value_to, value_sums + j0 * value_to, value_to, F(1),
                            true);
        }
        if (!dq) continue;
        T* to = heads.of<T>(head, dq) + i0 * dq.step(-2);
        for (int64_t r = 0; r < rows; ++r)
          sweep<F>(size,
                   [&](int64_t e, auto part) { store(to + r * dq.step(-2) + e, load(query_sums + r * size_to + e, part), part); });
      }
      auto write = [&](const Array& to, const F* from, int64_t step, int64_t width) {
        for (int64_t r = 0; to && r < keys_n; ++r)
          sweep<F>(width, [&](int64_t e, auto part) {
            store(heads.of<T>(head, to) + r * to.step(-2) + e, load(from + r * step + e, part), part);
          });
      };
      write(dk, key_sums, size_to, size), write(dv, value_sums, value_to, value_size);
    });
  });
}

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
