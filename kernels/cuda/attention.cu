// softmax(q k' * scale + mask) v without the matrix of all scores: a block takes a tile of queries and meets the keys a tile at a time,
// and each row keeps its largest score and its sum so far (Milakov, Gimelshein: Online normalizer calculation, 2018; Dao et al.:
// FlashAttention, 2022). Backward makes the scores again from the log-sum-exp of each row, once for the queries' gradients and once for
// those of keys and values, so that each is summed by one block in a fixed order.
#include "kernels/cuda/row.cuh"
#include "kernels/cuda/scratch.h"
#include "kernels/cuda/tile.cuh"
#include "kernels/dispatch.h"
#include "kernels/params.h"
#include "kernels/philox.h"

namespace gradus::cuda {
namespace {

template <class A> constexpr int kTile = sizeof(A) == 8 ? 32 : 64;  // queries and keys: two squares have to fit shared memory
constexpr int kMostOuter = kMaxRank - 2;

/// (..., rows, numbers side by side).
struct Operand {
  void* data;
  int64_t row, outer[kMostOuter];
  explicit Operand(const Array& x) : data(x.data), row(x ? x.step(-2) : 0), outer{} {
    for (int d = 0; x && d + 2 < x.rank; ++d) outer[d] = x.stride[d];
  }
};

template <class A> struct Call {
  Operand q, k, v, y, mask;  // of backward, y is the cotangent
  A* lse;
  int64_t heads, queries, keys, size, value_size, mask_column;
  int64_t outer[kMostOuter];
  int rank;
  bool mask_is_bool, causal, drops;
  A scale, keep;  // what a weight that stays is multiplied by
  uint32_t bound;
  Draw draw;
};

template <class T, class A> __device__ T* head_of(const Operand& o, const Call<A>& c, int64_t head) {
  int64_t offset = 0;
  for (int d = c.rank - 1; d >= 0; --d) offset += head % c.outer[d] * o.outer[d], head /= c.outer[d];
  return static_cast<T*>(o.data) + offset;
}

/// The scores of one head.
template <class T> struct Scores {
  using A = accumulate_t<T>;
  const Call<A>& c;
  const void* mask;
  int64_t head;
  __device__ Scores(const Call<A>& c, int64_t head)
      : c(c),
        mask(!c.mask.data     ? nullptr
             : c.mask_is_bool ? (const void*)head_of<bool>(c.mask, c, head)
                              : head_of<T>(c.mask, c, head)),
        head(head) {}
  /// -infinity where the query may not look.
  __device__ A of(int64_t query, int64_t key, A product) const {
    if (query >= c.queries || key >= c.keys || (c.causal && key > query)) return -A(INFINITY);
    const int64_t at = query * c.mask.row + key * c.mask_column;
    if (mask && c.mask_is_bool && !static_cast<const bool*>(mask)[at]) return -A(INFINITY);
    return product * c.scale + (mask && !c.mask_is_bool ? A(widen(static_cast<const T*>(mask)[at])) : A(0));
  }
  /// What dropout makes of a weight or of its slope.
  __device__ A dropped(int64_t query, int64_t key, A v) const {
    if (!c.drops) return v;
    const uint64_t place = uint64_t((head * c.queries + query) * c.keys + key);
    const Draw draw = c.draw.now();
    return Philox::at(draw.seed, draw.offset + place / 4).word[place % 4] >> 8 >= c.bound ? v * c.keep : A(0);
  }
};

/// s[i][j] = the product of row i of a and row j of b; of rows beyond `rows_a` and `rows_b`, 0.
template <class T, int kSide, class A>
__device__ void products_of_rows(Square<kSide, A>& s, A (*left)[kSide + 1], A (*right)[kSide + 1], const T* a, int64_t step_a,
                                 int64_t rows_a, const T* b, int64_t step_b, int64_t rows_b, int64_t size) {
  s.clear();
  for (int64_t d0 = 0; d0 < size; d0 += kDepth) {
    __syncthreads();  // what was there before has been used
    fill_slab<kSide>(left, true,
                     [&](int d, int i, int) { return i < rows_a && d0 + d < size ? A(widen(a[i * step_a + d0 + d])) : A(0); });
    fill_slab<kSide>(right, true,
                     [&](int d, int i, int) { return i < rows_b && d0 + d < size ? A(widen(b[i * step_b + d0 + d])) : A(0); });
    __syncthreads();
    s.add_product(left, right);
  }
}
/// s[i][j] += the sum over k of weights[k][i] * b[k][first + j]; b has `rows` rows of `width` numbers.
template <class T, int kSide, class A> __device__ void add_weighted_rows(Square<kSide, A>& s, const A (*weights)[kSide + 1],
                                                                         A (*right)[kSide + 1], const T* b, int64_t step,
                                                                         int64_t rows, int64_t first, int64_t width) {
  for (int k = 0; k < kSide && k < rows; k += kDepth) {
    __syncthreads();  // weights are there, and what was in `right` has been used
    fill_slab<kSide>(right, false, [&](int d, int i, int) {
      return k + d < rows && first + i < width ? A(widen(b[(k + d) * step + first + i])) : A(0);
    });
    __syncthreads();
    s.add_product(weights + k, right);
  }
}

template <class T> __global__ void __launch_bounds__(kThreads) forward(const __grid_constant__ Call<accumulate_t<T>> c) {
  using A = accumulate_t<T>;
  constexpr int kSide = kTile<A>;
  using Tile = Square<kSide, A>;
  __shared__ typename Tile::Slab left[kDepth], right[kDepth], weights[kSide];  // weights[key][query]
  __shared__ A top[kSide], total[kSide], by[kSide];
  const int64_t tiles = (c.queries + kSide - 1) / kSide, head = blockIdx.x / tiles;
  const int64_t first = (tiles - 1 - blockIdx.x % tiles) * kSide,
                column = int64_t(blockIdx.y) * kSide;  // those that see most come first
  const int64_t rows = c.queries - first, seen = c.causal && first + kSide < c.keys ? first + kSide : c.keys;
  const T *q = head_of<T>(c.q, c, head) + first * c.q.row, *k = head_of<T>(c.k, c, head), *v = head_of<T>(c.v, c, head);
  const Scores<T> scores(c, head);
  if (threadIdx.x < kSide) top[threadIdx.x] = -A(INFINITY), total[threadIdx.x] = A(0);
  Tile sums, s;
  sums.clear();
  for (int64_t j0 = 0; j0 < seen; j0 += kSide) {
    products_of_rows<T, kSide>(s, left, right, q, c.q.row, rows, k + j0 * c.k.row, c.k.row, c.keys - j0, c.size);
    __syncthreads();
    s.for_each([&](int i, int j, A product) { weights[j][i] = scores.of(first + i, j0 + j, product); });
    __syncthreads();
    const int lane = threadIdx.x % 32;
    for (int i = threadIdx.x / 32; i < kSide; i += int(kThreads / 32)) {
      A most = -A(INFINITY), sum = 0;
      for (int j = lane; j < kSide; j += 32) most = Larger()(most, weights[j][i]);
      const A before = top[i], now = Larger()(before, of_team(most, 32, Larger()));
      const A base = now == -A(INFINITY) ? A(0) : now;  // so that rows that see nothing yet stay without NaN
      for (int j = lane; j < kSide; j += 32) {
        const A e = ::exp(weights[j][i] - base);
        sum += e;
        weights[j][i] = scores.dropped(first + i, j0 + j, e);
      }
      sum = of_team(sum, 32, Plus());
      if (lane == 0) by[i] = ::exp(before - base), top[i] = now, total[i] = total[i] * by[i] + sum;
    }
    __syncthreads();
    sums.for_each([&](int i, int, A& sum) { sum *= by[i]; });
    add_weighted_rows<T, kSide>(sums, weights, right, v + j0 * c.v.row, c.v.row, c.keys - j0, column, c.value_size);
  }
  __syncthreads();
  T* y = head_of<T>(c.y, c, head) + first * c.y.row;
  sums.for_each([&](int i, int j, A sum) {
    if (i < rows && column + j < c.value_size) y[i * c.y.row + column + j] = narrow<T>(total[i] != 0 ? sum / total[i] : A(0));
  });
  const int i = threadIdx.x;  // a query that may look at nothing gives zeros
  if (c.lse && blockIdx.y == 0 && i < kSide && i < rows)
    c.lse[head * c.queries + first + i] = total[i] != 0 ? top[i] + ::log(total[i]) : A(INFINITY);
}

/// sum(g * y) of each query, a warp each.
template <class T> __global__ void __launch_bounds__(kThreads)
    levels(accumulate_t<T>* level, const __grid_constant__ Operand y, const __grid_constant__ Call<accumulate_t<T>> c) {
  using A = accumulate_t<T>;
  const int64_t row = row_of_team(32);
  if (row >= c.heads * c.queries) return;
  const int64_t head = row / c.queries, query = row % c.queries;
  const T *a = head_of<T>(c.y, c, head) + query * c.y.row, *b = head_of<T>(y, c, head) + query * y.row;
  A sum = 0;
  for (int64_t i = lane_of_team(32); i < c.value_size; i += 32) sum += widen(a[i]) * widen(b[i]);
  sum = of_team(sum, 32, Plus());
  if (lane_of_team(32) == 0) level[row] = sum;
}

/// A tile's weights P and slopes dS = P (dP - level), where dP = g v'.
template <class T> struct Slopes {
  using A = accumulate_t<T>;
  static constexpr int kSide = kTile<A>;
  const Call<A>& c;
  const A* level;
  Scores<T> scores;
  const T *q, *k, *v, *g;
  __device__ Slopes(const Call<A>& c, const A* level, int64_t head)
      : c(c),
        level(level + head * c.queries),
        scores(c, head),
        q(head_of<T>(c.q, c, head)),
        k(head_of<T>(c.k, c, head)),
        v(head_of<T>(c.v, c, head)),
        g(head_of<T>(c.y, c, head)) {}
  /// put(query, key, weight with dropout, slope) for this thread's of the tile at (i0, j0).
  template <class F> __device__ void tile(int64_t i0, int64_t j0, A (*left)[kSide + 1], A (*right)[kSide + 1], F put) const {
    Square<kSide, A> s, d;
    products_of_rows<T, kSide>(s, left, right, q + i0 * c.q.row, c.q.row, c.queries - i0, k + j0 * c.k.row, c.k.row, c.keys - j0,
                               c.size);
    products_of_rows<T, kSide>(d, left, right, g + i0 * c.y.row, c.y.row, c.queries - i0, v + j0 * c.v.row, c.v.row, c.keys - j0,
                               c.value_size);
    __syncthreads();  // what `put` writes over has been used
#pragma unroll
    for (int a = 0; a < s.kEach; ++a) {
#pragma unroll
      for (int b = 0; b < s.kEach; ++b) {
        const int i = int(threadIdx.x / 16) + 16 * a, j = int(threadIdx.x % 16) + 16 * b;
        const int64_t query = i0 + i, key = j0 + j;
        const A score = scores.of(query, key, s.sum[a][b]);
        A weight = 0, slope = 0;
        if (score != -A(INFINITY)) {
          weight = ::exp(score - c.lse[scores.head * c.queries + query]);
          slope = weight * (scores.dropped(query, key, d.sum[a][b]) - level[query]);
          weight = scores.dropped(query, key, weight);
        }
        put(i, j, weight, slope);
      }
    }
  }
};

/// dq = dS k scale.
template <class T> __global__ void __launch_bounds__(kThreads)
    query_gradient(const __grid_constant__ Operand dq, const accumulate_t<T>* level,
                   const __grid_constant__ Call<accumulate_t<T>> c) {
  using A = accumulate_t<T>;
  constexpr int kSide = kTile<A>;
  using Tile = Square<kSide, A>;
  __shared__ typename Tile::Slab left[kDepth], right[kDepth], slopes[kSide];  // slopes[key][query]
  const int64_t tiles = (c.queries + kSide - 1) / kSide, head = blockIdx.x / tiles;
  const int64_t first = (tiles - 1 - blockIdx.x % tiles) * kSide, column = int64_t(blockIdx.y) * kSide;
  const int64_t seen = c.causal && first + kSide < c.keys ? first + kSide : c.keys;
  const Slopes<T> of(c, level, head);
  Tile sums;
  sums.clear();
  for (int64_t j0 = 0; j0 < seen; j0 += kSide) {
    of.tile(first, j0, left, right, [&](int i, int j, A, A slope) { slopes[j][i] = slope; });
    add_weighted_rows<T, kSide>(sums, slopes, right, of.k + j0 * c.k.row, c.k.row, c.keys - j0, column, c.size);
  }
  T* to = head_of<T>(dq, c, head) + first * dq.row;
  sums.for_each([&](int i, int j, A sum) {
    if (first + i < c.queries && column + j < c.size) to[i * dq.row + column + j] = narrow<T>(sum * c.scale);
  });
}

/// dk = dS' q scale and dv = (P D)' g, where D is dropout's.
template <class T> __global__ void __launch_bounds__(kThreads)
    key_gradients(const __grid_constant__ Operand dk, const __grid_constant__ Operand dv, const accumulate_t<T>* level,
                  const __grid_constant__ Call<accumulate_t<T>> c) {
  using A = accumulate_t<T>;
  constexpr int kSide = kTile<A>;
  using Tile = Square<kSide, A>;
  __shared__ typename Tile::Slab left[kDepth], right[kDepth], weights[kSide], slopes[kSide];  // both [query][key]
  const int64_t tiles = (c.keys + kSide - 1) / kSide, head = blockIdx.x / tiles, first = blockIdx.x % tiles * kSide;
  const int64_t column = int64_t(blockIdx.y) * kSide;
  const Slopes<T> of(c, level, head);
  Tile keys, values;
  keys.clear(), values.clear();
  for (int64_t i0 = c.causal ? first : 0; i0 < c.queries; i0 += kSide) {
    of.tile(i0, first, left, right, [&](int i, int j, A weight, A slope) { weights[i][j] = weight, slopes[i][j] = slope; });
    if (dk.data && column < c.size)
      add_weighted_rows<T, kSide>(keys, slopes, right, of.q + i0 * c.q.row, c.q.row, c.queries - i0, column, c.size);
    if (dv.data && column < c.value_size)
      add_weighted_rows<T, kSide>(values, weights, right, of.g + i0 * c.y.row, c.y.row, c.queries - i0, column, c.value_size);
  }
  auto write = [&](const Operand& o, Tile& sums, int64_t width, A by) {
    if (!o.data) return;
    T* to = head_of<T>(o, c, head) + first * o.row;
    sums.for_each([&](int i, int j, A sum) {
      if (first + i < c.keys && column + j < width) to[i * o.row + column + j] = narrow<T>(sum * by);
    });
  };
  write(dk, keys, c.size, c.scale), write(dv, values, c.value_size, A(1));
}

template <class A> Call<A> call_of(const Array& y, const Array& lse, const Array& q, const Array& k, const Array& v,
                                   const Array& mask, const AttentionParams& p) {
  Call<A> c{Operand(q), Operand(k), Operand(v), Operand(y), Operand(mask), lse.as<A>()};
  c.heads = 1, c.queries = q.size(-2), c.keys = k.size(-2), c.size = q.size(-1), c.value_size = v.size(-1), c.rank = q.rank - 2;
  for (int d = 0; d < c.rank; ++d) c.heads *= c.outer[d] = q.size(d);
  c.mask_column = mask ? mask.step(-1) : 0, c.mask_is_bool = mask && mask.dtype == DType::boolean;
  c.causal = p.causal, c.scale = A(p.scale), c.drops = p.dropout > 0, c.draw = p.draw, c.bound = drop_bound(p.dropout);
  c.keep = p.dropout < 1 ? A(1 / (1 - p.dropout)) : A(0);
  return c;
}

/// A block for each tile of rows of each head, and for each stretch of columns.
template <class A> dim3 grid_of(const char* op, int64_t heads, int64_t rows, int64_t columns) {
  const int64_t tiles = (rows + kTile<A> - 1) / kTile<A> * heads, across = (columns + kTile<A> - 1) / kTile<A>;
  if (tiles > INT32_MAX || across > 65535)
    throw Error(std::string(op) + ": " + std::to_string(heads) + " heads of " + std::to_string(rows) +
                " rows are too many for one call");
  return dim3(unsigned(tiles), unsigned(across));
}

}  // namespace

void attention(const Array& y, const Array& lse, const Array& q, const Array& k, const Array& v, const Array& mask,
               const AttentionParams& p) {
  if (y.count == 0) return;
  dispatch_float("attention", q.dtype, [&]<class T>() {
    using A = accumulate_t<T>;
    const Call<A> c = call_of<A>(y, lse, q, k, v, mask, p);
    const dim3 grid = grid_of<A>("scaled_dot_product_attention", c.heads, c.queries, c.value_size);
    forward<T><<<grid, kThreads, 0, stream()>>>(c);
  });
  check_launch("scaled_dot_product_attention", {&q, &k, &v});
}

void attention_backward(const Array& dq, const Array& dk, const Array& dv, const Array& g, const Array& y, const Array& lse,
                        const Array& q, const Array& k, const Array& v, const Array& mask, const AttentionParams& p) {
  const char* op = "scaled_dot_product_attention";
  dispatch_float("attention_backward", q.dtype, [&]<class T>() {
    using A = accumulate_t<T>;
    const Call<A> c = call_of<A>(g, lse, q, k, v, mask, p);
    if (c.heads == 0) return;
    const int64_t rows = c.heads * c.queries;
    Scratch level(size_t(rows + 1) * sizeof(A));
    if (rows > 0)
      levels<T><<<unsigned((rows * 32 + kThreads - 1) / kThreads), kThreads, 0, stream()>>>(level.as<A>(), Operand(y), c);
    if (dq && dq.count > 0) {
      const dim3 grid = grid_of<A>(op, c.heads, c.queries, c.size);
      query_gradient<T><<<grid, kThreads, 0, stream()>>>(Operand(dq), level.as<A>(), c);
    }
    if ((dk && dk.count > 0) || (dv && dv.count > 0)) {
      const dim3 grid = grid_of<A>(op, c.heads, c.keys, c.size > c.value_size ? c.size : c.value_size);
      key_gradients<T><<<grid, kThreads, 0, stream()>>>(Operand(dk), Operand(dv), level.as<A>(), c);
    }
  });
  check_launch(op, {&q, &k, &v});
}

}  // namespace gradus::cuda
