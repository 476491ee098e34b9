// The inner loops of reductions. A reduction is an operation `Op` with
//   Op::kFirst<A>             what joins with anything to give that
//   Op::kCentered             take() reads the center
//   Op::take(x, center, p)    what a packet of elements counts as
//   Op::join(a, b)            two such put together
// Elements are put together in many lanes, by blocks, and the blocks' results as the leaves of a binary tree: the error of a sum
// grows like the logarithm of its length. Folds are there for float, double and int64; what is of another type or does not lie side
// by side is gathered into a buffer first.
#pragma once
#include "kernels/cpu/reduce.h"
#include "kernels/packet.h"

#pragma GCC diagnostic ignored "-Wuninitialized"  // intrinsics start from undefined registers on purpose

namespace gradus::cpu {
inline namespace GRADUS_ISA {
namespace {

struct Add;

/// The first n of a packet's elements; the rest are zero bits.
template <class Bits, class V> GRADUS_FN V load_first(const void* from, int64_t n) {
#if defined(__AVX512F__)
  if constexpr (sizeof(V) == 64 && sizeof(Bits) == 4) return (V)_mm512_maskz_loadu_epi32(__mmask16((1u << n) - 1), from);
  if constexpr (sizeof(V) == 64 && sizeof(Bits) == 8) return (V)_mm512_maskz_loadu_epi64(__mmask8((1u << n) - 1), from);
  if constexpr (sizeof(V) == 32 && sizeof(Bits) == 2) return (V)_mm256_maskz_loadu_epi16(__mmask16((1u << n) - 1), from);
#endif
  Bits few[sizeof(V) / sizeof(Bits)] = {};
  for (int64_t i = 0; i < n; ++i) few[i] = static_cast<const Bits*>(from)[i];
  return load_bits<V>(few);
}

/// T is what is loaded. Half types are, where the operation is worth code of its own for them.
template <class Op, class T> struct Folding {
  using A = accumulate_t<T>;
  static constexpr int kLanes = kRegister / sizeof(A);
  using P = Number<A, kLanes>;
  static constexpr int kBlock = 128 * kLanes;  // elements between two leaves
  static constexpr int64_t kLeaf = 256;        // rows between two leaves

  // ---------------------------------------------------------------- packets
  GRADUS_FN static P get(const T* from) {
    if constexpr (std::is_same_v<T, A>)
      return get_sums(from);
    else
      return load(from);
  }
  GRADUS_FN static P get_first(const T* from, int64_t n) {
    if constexpr (std::is_same_v<T, A>) {
      return P(load_first<A, typename P::V>(from, n));
    } else {
      T few[kLanes];
      store_bits(few, load_first<uint16_t, Bits16>(from, n));
      return load(few);
    }
  }
  /// Asks for what lies a page further, in the second-level cache: reading alone is limited by what the core has asked for.
  template <int kBytes = 4096> GRADUS_FN static void expect(const T* x) {
    __builtin_prefetch(reinterpret_cast<const char*>(x) + kBytes, 0, 2);
  }
  GRADUS_FN static P get_sums(const A* from) { return P(load_bits<typename P::V>(from)); }
  GRADUS_FN static typename P::Mask first_lanes(int64_t n) {
    using M = decltype(P::Mask::v);
    using Lane = std::remove_cvref_t<decltype(M{}[0])>;
    M lane;
    for (int i = 0; i < kLanes; ++i) lane[i] = i;
    return {lane < M{} + Lane(n)};
  }
  /// All lanes put together, halves first.
  template <int kN> GRADUS_FN static A across(Number<A, kN> x) {
    if constexpr (kN == 1) {
      return x.v;
    } else {
      using Half = Number<A, kN / 2>;
      auto part = [&]<int kFrom, int... I>(std::integer_sequence<int, I...>) {
        if constexpr (kN == 2)
          return Half(x.v[kFrom]);
        else
          return Half(__builtin_shufflevector(x.v, x.v, (kFrom + I)...));
      };
      constexpr auto lanes = std::make_integer_sequence<int, kN / 2>();
      return across<kN / 2>(Op::join(part.template operator()<0>(lanes), part.template operator()<kN / 2>(lanes)));
    }
  }

  // ---------------------------------------------------------------- one result
  struct Tree {
    P level[48];
    uint64_t count = 0;
    GRADUS_FN void push(P p) {
      int at = 0;
      for (uint64_t n = count++; n & 1; n >>= 1) p = Op::join(level[at++], p);
      level[at] = p;
    }
    GRADUS_FN P total() const {
      P p = Op::template kFirst<A>;
      bool any = false;
      int at = 0;
      for (uint64_t n = count; n; n >>= 1, ++at)
        if (n & 1) p = any ? Op::join(level[at], p) : level[at], any = true;
      return p;
    }
  };
  struct Parameters {
    P center, p;
  };
  GRADUS_FN static Parameters parameters(const Reduce& r, const char* center) {
    return {P(Op::kCentered ? *reinterpret_cast<const A*>(center) : A(0)), P(A(r.p))};
  }

  /// Fewer than kBlock elements side by side.
  static P short_run(const T* x, int64_t n, const Parameters& s) {
    auto take = [&](int64_t i) { return Op::take(get(x + i), s.center, s.p); };
    P sum = Op::template kFirst<A>;
    int64_t i = 0;
    if (n >= 4 * kLanes) {
      P a = take(0), b = take(kLanes), c = take(2 * kLanes), d = take(3 * kLanes);
      for (i = 4 * kLanes; i + 4 * kLanes <= n; i += 4 * kLanes) {
        a = Op::join(a, take(i)), b = Op::join(b, take(i + kLanes));
        c = Op::join(c, take(i + 2 * kLanes)), d = Op::join(d, take(i + 3 * kLanes));
      }
      sum = Op::join(Op::join(a, b), Op::join(c, d));
    }
    for (; i + kLanes <= n; i += kLanes) sum = Op::join(sum, take(i));
    if (i < n) {
      P rest = Op::take(get_first(x + i, n - i), s.center, s.p);
      sum = Op::join(sum, where(first_lanes(n - i), rest, P(Op::template kFirst<A>)));
    }
    return sum;
  }
  /// kStep 2: of every second element; the element after the last one must be there.
  template <int kStep = 1> static P block(const T* x, const Parameters& s) {
    auto take = [&](int i) {
      const T* from = x + i * kLanes * kStep;
      for (int k = 0; k < kStep; ++k) expect<kStep == 1 ? 4096 : 2048>(from + k * kLanes);
      if constexpr (kStep == 1) return Op::take(get(from), s.center, s.p);
      using V = typename P::V;
      V a = load_bits<V>(from), b = load_bits<V>(from + kLanes);
      return [&]<int... I>(std::integer_sequence<int, I...>) {
        return Op::take(P(__builtin_shufflevector(a, b, 2 * I...)), s.center, s.p);
      }
      (std::make_integer_sequence<int, kLanes>());
    };
    P a[8];
    for (int k = 0; k < 8; ++k) a[k] = P(Op::template kFirst<A>);
    for (int i = 0; i < 128; i += 8)
#pragma GCC unroll 8
      for (int k = 0; k < 8; ++k) a[k] = Op::join(a[k], take(i + k));
    return Op::join(Op::join(Op::join(a[0], a[1]), Op::join(a[2], a[3])), Op::join(Op::join(a[4], a[5]), Op::join(a[6], a[7])));
  }
  /// Two blocks at once: memory answers faster when asked in several places.
  static void two_blocks(P* first, P* second, const T* x, const T* z, const Parameters& s, const Parameters& t) {
    auto take = [](const T* from, int i, const Parameters& s) {
      expect(from + i * kLanes);
      return Op::take(get(from + i * kLanes), s.center, s.p);
    };
    P a[8], b[8];
    for (int k = 0; k < 8; ++k) a[k] = b[k] = P(Op::template kFirst<A>);
    for (int i = 0; i < 128; i += 8)
#pragma GCC unroll 8
      for (int k = 0; k < 8; ++k) a[k] = Op::join(a[k], take(x, i + k, s)), b[k] = Op::join(b[k], take(z, i + k, t));
    *first = Op::join(Op::join(Op::join(a[0], a[1]), Op::join(a[2], a[3])), Op::join(Op::join(a[4], a[5]), Op::join(a[6], a[7])));
    *second = Op::join(Op::join(Op::join(b[0], b[1]), Op::join(b[2], b[3])), Op::join(Op::join(b[4], b[5]), Op::join(b[6], b[7])));
  }
  static void run(Tree& tree, const T* x, int64_t n, const Parameters& s) {
    constexpr int kBlocks = 16;
    for (; n >= kBlocks * kBlock; n -= kBlocks * kBlock, x += kBlocks * kBlock) {
      P sums[kBlocks];
      constexpr int kHalf = kBlocks / 2;
      for (int i = 0; i < kHalf; ++i) two_blocks(&sums[i], &sums[i + kHalf], x + i * kBlock, x + (i + kHalf) * kBlock, s, s);
      for (const P& sum : sums) tree.push(sum);  // in their order: the result is that of one block after the other
    }
    for (; n >= kBlock; n -= kBlock, x += kBlock) tree.push(block(x, s));
    if (n > 0) tree.push(short_run(x, n, s));
  }
  /// `more`: the axis goes on behind these n elements.
  static void line(Tree& tree, const Reduce& r, const char* x, int64_t n, bool more, const Parameters& s) {
    if (!r.gather) return run(tree, reinterpret_cast<const T*>(x), n, s);
    const int64_t step = r.gone_x[r.gone_rank - 1];
    if constexpr (std::is_same_v<Op, Add> && std::is_same_v<T, float>)  // others are not worth the code
      if (step == 2 * sizeof(T) && r.x_item == sizeof(T))
        for (; n > kBlock || (n == kBlock && more); n -= kBlock, x += kBlock * step)
          tree.push(block<2>(reinterpret_cast<const T*>(x), s));
    alignas(64) T buffer[kBlock];
    for (int64_t m; n > 0; n -= m, x += m * step) {
      m = n < kBlock ? n : kBlock;
      r.gather(buffer, x, step, m);
      run(tree, buffer, m, s);
    }
  }
  /// Elements begin..end of the result whose first element is x.
  static A one(const Reduce& r, const char* x, int64_t begin, int64_t end, const Parameters& s) {
    Tree tree;
    const int last = r.gone_rank - 1;
    if (begin >= end) return across(tree.total());  // of nothing: an axis may have size 0
    if (last == 0) {
      line(tree, r, x + begin * r.gone_x[0], end - begin, end < r.gone[0], s);
      return across(tree.total());
    }
    int64_t at[kMaxRank];
    for (int64_t d = last, rest = begin; d >= 0; --d) {
      at[d] = rest % r.gone[d], rest /= r.gone[d];
      x += at[d] * r.gone_x[d];
    }
    for (int64_t rest = end - begin; rest > 0;) {
      int64_t n = r.gone[last] - at[last];
      if (n > rest) n = rest;
      // The hardware follows a row, but does not know where the next one begins.
      if (!r.gather && n * sizeof(T) >= 4096)
        for (int i = 0; i < 4096; i += 64) __builtin_prefetch(x + r.gone_x[last - 1] + i, 0, 2);
      line(tree, r, x, n, at[last] + n < r.gone[last], s);
      x += n * r.gone_x[last], at[last] += n, rest -= n;
      for (int d = last; d > 0 && at[d] == r.gone[d]; --d) {
        x += r.gone_x[d - 1] - at[d] * r.gone_x[d];
        at[d] = 0, ++at[d - 1];
      }
    }
    return across(tree.total());
  }
  static void row_part(const Reduce& r, int64_t result, int64_t begin, int64_t end, void* sum) {
    Reduce::Place at = r.place(result, r.kept_rank - 1);
    *static_cast<A*>(sum) = one(r, r.x + at.x, begin, end, parameters(r, r.center_of(at.y)));
  }
  /// The sums of rows of a few blocks, two that lie some way apart at once. Returns the first row that is left.
  static int64_t pairs_of_rows(const Reduce& r, int64_t first, int64_t end) {
    const int64_t apart = 8 * kBlock / r.depth;
    for (; first + 2 * apart <= end; first += 2 * apart)
      for (int64_t i = first; i < first + apart; ++i) {
        const char *x = r.x + i * r.kept_x[0], *z = x + apart * r.kept_x[0];
        char *y = r.y + i * r.kept_y[0], *v = y + apart * r.kept_y[0];
        const char *c = r.center_of(y - r.y), *d = r.center_of(v - r.y);
        Parameters s = parameters(r, c), t = parameters(r, d);
        Tree a, b;
        int64_t n = r.depth;
        for (; n >= kBlock; n -= kBlock, x += kBlock * sizeof(T), z += kBlock * sizeof(T)) {
          P sums[2];
          two_blocks(&sums[0], &sums[1], reinterpret_cast<const T*>(x), reinterpret_cast<const T*>(z), s, t);
          a.push(sums[0]), b.push(sums[1]);
        }
        if (n > 0) a.push(short_run(reinterpret_cast<const T*>(x), n, s)), b.push(short_run(reinterpret_cast<const T*>(z), n, t));
        const A sum = across(a.total()), other = across(b.total());
        finish(r, {nullptr, c, y, 1}, &sum), finish(r, {nullptr, d, v, 1}, &other);
      }
    return first;
  }
  static void rows(const Reduce& r, int64_t first, int64_t end) {
    if (r.gone_rank == 1 && r.kept_rank == 1 && !r.gather && r.depth >= kBlock && r.depth <= 8 * kBlock)
      first = pairs_of_rows(r, first, end);
    int64_t at[kMaxRank], x = 0, y = 0, rest = first;
    const int last = r.kept_rank - 1;
    for (int d = last; d >= 0; --d) {
      at[d] = rest % r.kept[d], rest /= r.kept[d];
      x += at[d] * r.kept_x[d], y += at[d] * r.kept_y[d];
    }
    const bool brief = r.gone_rank == 1 && !r.gather && r.depth < kBlock;
    for (int64_t i = first; i < end; ++i) {
      const char* center = r.center_of(y);
      Parameters s = parameters(r, center);
      A sum = brief ? across(short_run(reinterpret_cast<const T*>(r.x + x), r.depth, s)) : one(r, r.x + x, 0, r.depth, s);
      finish(r, {nullptr, center, r.y + y, 1}, &sum);
      x += r.kept_x[last], y += r.kept_y[last];
      if (++at[last] < r.kept[last]) continue;
      for (int d = last; d > 0 && at[d] == r.kept[d]; --d) {
        x += r.kept_x[d - 1] - at[d] * r.kept_x[d], y += r.kept_y[d - 1] - at[d] * r.kept_y[d];
        at[d] = 0, ++at[d - 1];
      }
    }
  }

  // ---------------------------------------------------------------- results side by side
  /// The elements of one result, in order; all those of its neighbours lie the same way.
  struct Walk {
    const Reduce* r;
    const char* x;
    int64_t at[kMaxRank];
    Walk(const Reduce& r, const char* first, int64_t begin) : r(&r), x(first) {
      for (int d = r.gone_rank - 1; d >= 0; --d) {
        at[d] = begin % r.gone[d], begin /= r.gone[d];
        x += at[d] * r.gone_x[d];
      }
    }
    /// Goes on by n elements.
    void skip(int64_t n) {
      for (int d = r->gone_rank - 1; n > 0; --d) {
        x -= at[d] * r->gone_x[d];
        n += at[d], at[d] = d > 0 ? n % r->gone[d] : n, n = d > 0 ? n / r->gone[d] : 0;
        x += at[d] * r->gone_x[d];
      }
    }
    GRADUS_FN const char* next() {
      const char* now = x;
      int d = r->gone_rank - 1;
      x += r->gone_x[d];
      for (++at[d]; d > 0 && at[d] == r->gone[d]; --d) {
        x += r->gone_x[d - 1] - at[d] * r->gone_x[d];
        at[d] = 0, ++at[d - 1];
      }
      return now;
    }
  };
  struct Wide {  // what all rows of a call share
    int64_t width;
    const A* centers;
    P p;
  };

  /// `ahead`: how many bytes further the rows lie that come next.
  template <int kRows, bool kBegin> static void add_rows(A* sums, const T* const* row, const Wide& w, int64_t ahead) {
    auto packet = [&](auto read, int64_t j) {
      P center = Op::kCentered ? get_sums(w.centers + j) : P(A(0));
      P sum = Op::take(read(row[0] + j), center, w.p);
      if constexpr (kRows == 4)
        sum = Op::join(Op::join(sum, Op::take(read(row[1] + j), center, w.p)),
                       Op::join(Op::take(read(row[2] + j), center, w.p), Op::take(read(row[3] + j), center, w.p)));
      if constexpr (!kBegin) sum = Op::join(get_sums(sums + j), sum);
      store_bits(sums + j, sum.v);
    };
    int64_t j = 0;
    for (; j + kLanes <= w.width; j += kLanes) {
      if (ahead != 0 && j * int64_t(sizeof(T)) % 64 == 0)
        for (int k = 0; k < kRows; ++k) __builtin_prefetch(reinterpret_cast<const char*>(row[k] + j) + ahead, 0, 2);
      packet([](const T* from) { return get(from); }, j);
    }
    if (j < w.width) packet([n = w.width - j](const T* from) { return get_first(from, n); }, j);
  }
  /// `count` rows into sums.
  static void leaf(A* sums, Walk& walk, int64_t count, const Wide& w) {
    alignas(64) T gathered[4][kMaxWidth];
    const T* row[4];
    const Reduce& r = *walk.r;
    auto next = [&](int k, Walk& at) {
      const char* from = at.next();
      row[k] = reinterpret_cast<const T*>(from);
      if (r.gather) r.gather(gathered[k], from, r.kept_x[r.kept_rank - 1], w.width), row[k] = gathered[k];
    };
    // Two rows here and two half the leaf away: memory answers faster when asked in several places. The hardware follows rows, but
    // does not know where the next ones begin.
    const int64_t half = count / 4 * 2, ahead = r.gather ? 0 : 2 * r.gone_x[r.gone_rank - 1];
    Walk far = walk;
    far.skip(half);
    bool begun = false;
    for (int64_t i = 0; i < half; i += 2, begun = true) {
      next(0, walk), next(1, walk), next(2, far), next(3, far);
      begun ? add_rows<4, false>(sums, row, w, ahead) : add_rows<4, true>(sums, row, w, ahead);
    }
    if (half > 0) walk = far;
    count -= 2 * half;
    for (; count > 0; --count, begun = true) {
      next(0, walk);
      begun ? add_rows<1, false>(sums, row, w, 0) : add_rows<1, true>(sums, row, w, 0);
    }
  }
  static void many_leaves(A* sums, Walk& walk, int64_t count, const Wide& w) {
    A level[32][kMaxWidth];
    uint64_t leaves = 0;
    for (int64_t n; count > 0; count -= n) {
      n = count < kLeaf ? count : kLeaf;
      leaf(sums, walk, n, w);
      int at = 0;
      for (uint64_t full = leaves++; full & 1; full >>= 1) join(sums, level[at++], w.width);
      if (count > n) __builtin_memcpy(level[at], sums, size_t(w.width) * sizeof(A));
    }
    // The last leaf is in sums, joined with what it completed; the rest are the levels of the bits above.
    int at = __builtin_ctzll(leaves) + 1;
    for (uint64_t left = leaves >> at; left; left >>= 1, ++at)
      if (left & 1) join(sums, level[at], w.width);
  }
  static void all_rows(A* sums, Walk& walk, int64_t count, const Wide& w) {
    if (count <= kLeaf)
      leaf(sums, walk, count, w);
    else
      many_leaves(sums, walk, count, w);
  }
  static void columns(const Reduce& r, const Columns& c, int64_t begin, int64_t end, void* to) {
    A* sums = static_cast<A*>(to);
    alignas(64) A centers[Op::kCentered ? kMaxWidth : 1];
    for (int64_t i = 0; Op::kCentered && i < c.width; ++i)
      centers[i] = *reinterpret_cast<const A*>(c.center + i * (r.kept_y[r.kept_rank - 1] / r.y_item) * r.sum_item);
    Wide w{c.width, centers, P(A(r.p))};

    // Narrow rows without gaps between them are read as fewer, wider ones.
    constexpr int64_t kNarrow = 16 * kLanes;
    int64_t group = 1;
    while (group * c.width < kNarrow) group *= 2;
    const bool packed = r.gone_rank == 1 && !r.gather && r.gone_x[0] == c.width * int64_t(sizeof(T));
    if (group == 1 || !packed || end - begin < 4 * group) {
      Walk walk(r, c.x, begin);
      return all_rows(sums, walk, end - begin, w);
    }
    const int64_t whole = (end - begin) / group, wide = group * c.width;
    alignas(64) A of_groups[2 * kNarrow];
    for (int64_t i = c.width; Op::kCentered && i < wide; ++i) centers[i] = centers[i - c.width];
    Reduce grouped = r;
    grouped.gone[0] = whole, grouped.gone_x[0] = wide * int64_t(sizeof(T));
    Walk groups(grouped, c.x + begin * r.gone_x[0], 0);
    all_rows(of_groups, groups, whole, {wide, centers, w.p});
    for (int64_t half = group / 2; half > 0; half /= 2) join(of_groups, of_groups + half * c.width, half * c.width);
    begin += whole * group;
    if (begin < end) {
      Walk rest(r, c.x, begin);
      leaf(sums, rest, end - begin, w);
      join(sums, of_groups, c.width);
    } else {
      __builtin_memcpy(sums, of_groups, size_t(c.width) * sizeof(A));
    }
  }

  // ---------------------------------------------------------------- results
  static void join(void* to, const void* from, int64_t n) {
    A* a = static_cast<A*>(to);
    const A* b = static_cast<const A*>(from);
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) store_bits(a + i, Op::join(get_sums(a + i), get_sums(b + i)).v);
    using One = Number<A, 1>;
    for (; i < n; ++i) a[i] = Op::join(One(a[i]), One(b[i])).v;
  }
  GRADUS_FN static A finished(const Reduce& r, A sum, A center) {
    if constexpr (std::is_floating_point_v<A>) {
      switch (r.kind) {
        case ReduceKind::mean: return sum / A(r.depth);
        case ReduceKind::norm: return r.p == 1 ? sum : r.p == 2 ? std::sqrt(sum) : std::pow(sum, A(1 / r.p));
        case ReduceKind::var: return sum / A(double(r.depth) > r.p ? double(r.depth) - r.p : 0);
        case ReduceKind::std: return std::sqrt(sum / A(double(r.depth) > r.p ? double(r.depth) - r.p : 0));
        case ReduceKind::logsumexp: return std::log(sum) + (center - center == 0 ? center : A(0));
        default: return sum;
      }
    }
    return r.kind == ReduceKind::all ? A(sum == A(r.depth)) : r.kind == ReduceKind::any ? A(sum != A(0)) : sum;
  }
  static void finish(const Reduce& r, const Columns& c, const void* from) {
    const A* sums = static_cast<const A*>(from);
    const int64_t step = c.width == 1 ? 1 : r.kept_y[r.kept_rank - 1] / r.y_item;
    auto store = [&]<class Out>(Out* y) {
      for (int64_t i = 0; i < c.width; ++i)
        y[i * step] = Out(finished(r, sums[i], Op::kCentered ? reinterpret_cast<const A*>(c.center)[i * step] : A(0)));
    };
    if (r.y_item == sizeof(A)) return store(reinterpret_cast<A*>(c.y));
    if constexpr (std::is_same_v<A, int64_t>) {
      if (r.y_item == 1) return store(reinterpret_cast<uint8_t*>(c.y));
      if (r.y_item == 2) return store(reinterpret_cast<uint16_t*>(c.y));
      store(reinterpret_cast<uint32_t*>(c.y));
    } else if constexpr (std::is_same_v<A, float>) {
      r.y_type == DType::bfloat16 ? store(reinterpret_cast<bfloat16*>(c.y)) : store(reinterpret_cast<half*>(c.y));
    }
  }

  static constexpr Fold kFold{dtype_of<T>, sizeof(A), rows, row_part, columns, join, finish};
};

// ------------------------------------------------------------------ operations
struct Add {
  template <class A> static constexpr A kFirst = 0;
  static constexpr bool kCentered = false;
  template <class P> GRADUS_FN static P take(P x, P, P) { return x; }
  template <class P> GRADUS_FN static P join(P a, P b) { return a + b; }
};

}  // namespace

// Other types than these are gathered: halves as float, integers and bool as int64.
#define GRADUS_FLOAT_FOLD(Op, x) ((x) == DType::float64 ? Folding<Op, double>::kFold : Folding<Op, float>::kFold)
#define GRADUS_NUMBER_FOLD(Op, x) (is_float(x) ? GRADUS_FLOAT_FOLD(Op, x) : Folding<Op, int64_t>::kFold)

/// Chooses how elements of type x become what a fold reads; with `nonzero` they count as 0 or 1.
void set_gather(Reduce& r, DType x, DType reads, bool nonzero = false);

/// The folds of the other sources, for elements of type x.
const Fold& extreme_fold(ReduceKind kind, DType x);
const Fold& norm_fold(ReduceKind kind, DType x, double p);

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
