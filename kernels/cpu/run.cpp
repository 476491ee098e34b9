#include "kernels/cpu/run.h"

#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/parallel_throwing.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/strided.h"

namespace gradus::cpu {
namespace {

constexpr int64_t kBlock = 512;         // elements of a buffer: six operands of float take 12 KiB of L1
constexpr int64_t kTile = 4096;         // elements of a tile that is turned over
constexpr int64_t kTileColumns = 64;    // of a square one
constexpr int64_t kStrip = 16;          // of them, turned over at once
constexpr int64_t kLarge = 1 << 20;     // elements that are not in a cache of this core
constexpr int64_t kAhead = 4 * kBlock;  // how far ahead they are asked for

int64_t padded(int64_t n) { return (n + kQuantum - 1) / kQuantum * kQuantum; }

struct Work {
  Run run;
  bool copies;
  Writes writes = Writes::cached;  // past the caches where outputs are one run, or rows of whole cache lines
  bool streams() const { return writes != Writes::cached; }
};

/// Runs of at most a block, and the buffers for what is not one run.
class Pieces {
 public:
  Pieces(const Elementwise& c, const Work& work) : c_(c), run_(work.run), copies_(work.copies), writes_(work.writes) {}

  /// n elements of each operand, step[k] apart from p[k] on. Bit k of `room`: operand k may be read up to whole packets. An output
  /// at nullptr stays in its slot.
  void run(int64_t n, char* const* p, const int64_t* step, unsigned room) {
    if (copies_) return copy(n, p, step);
    const int64_t whole = padded(n);
    void* at[kMaxOperands];
    for (int k = 0; k < c_.operands; ++k) {
      const int item = c_.item_size[k];
      if (!c_.data[k])
        at[k] = nullptr;
      else if (k < c_.outputs)
        at[k] = p[k] && step[k] == 1 && n == whole ? p[k] : slot(k);
      else if (step[k] == 1 && (n == whole || room >> k & 1))
        at[k] = p[k];
      else if (step[k] == 0)
        at[k] = repeated(k, p[k], whole);
      else
        at[k] = slot(k), gather_line(at[k], p[k], step[k], n, item), pad(k, n);
    }
    run_(whole, at, c_.scalars, n == whole ? writes_ : Writes::cached);  // a part of a packet is a slot's
    for (int k = 0; k < c_.outputs; ++k)
      if (at[k] == slot(k) && p[k]) put(k, p[k], step[k], at[k], n);
  }
  /// Where operand k may be brought by the caller.
  char* slot(int k) {
    filled_[k] = nullptr;
    return slots_[k];
  }
  /// Zeros from element n of a slot to the end of its packet.
  void pad(int k, int64_t n) { std::memset(slots_[k] + n * c_.item_size[k], 0, size_t((padded(n) - n) * c_.item_size[k])); }

 private:
  void copy(int64_t n, char* const* p, const int64_t* step) {
    const int item = c_.item_size[0];
    const bool direct = p[0] && step[0] == 1 && writes_ == Writes::cached;
    const char* from = p[1];
    if (step[1] == 0 && !direct) {
      from = repeated(1, p[1], n);
    } else if (step[1] != 1) {
      char* to = direct ? p[0] : slot(0);
      gather_line(to, p[1], step[1], n, item);
      if (direct) return;
      from = to;
    }
    if (p[0])
      put(0, p[0], step[0], from, n);
    else if (from != slots_[0])
      std::memcpy(slots_[0], from, size_t(n) * item);
  }
  void put(int k, char* to, int64_t step, const void* from, int64_t n) {
    const int item = c_.item_size[k];
    if (step != 1) return scatter_line(to, step, from, n, item);
    if (copies_ && writes_ != Writes::cached) {
      void* const operands[] = {to, const_cast<void*>(from)};
      return run_(n, operands, nullptr, Writes::past);
    }
    std::memcpy(to, from, size_t(n) * item);
  }
  /// A slot full of one element, which mostly is there already.
  char* repeated(int k, const char* element, int64_t n) {
    if (filled_[k] != element || full_[k] < n) {
      gather_line(slots_[k], element, 0, n, c_.item_size[k]);
      filled_[k] = element, full_[k] = n;
    }
    return slots_[k];
  }

  const Elementwise& c_;
  const Run run_;
  const bool copies_;
  const Writes writes_;
  const char* filled_[kMaxOperands] = {};
  int64_t full_[kMaxOperands];
  alignas(64) char slots_[kMaxOperands][kBlock * 8];
};

/// Elements begin..end where all operands are one run.
void contiguous(const Elementwise& c, const Work& work, int64_t begin, int64_t end) {
  char* p[kMaxOperands];
  auto seek = [&](int64_t first) {
    for (int k = 0; k < c.operands; ++k) p[k] = c.data[k] ? static_cast<char*>(c.data[k]) + first * c.item_size[k] : nullptr;
  };
  const int64_t whole = work.copies ? end - begin : (end - begin) / kQuantum * kQuantum;
  if (whole) seek(begin), work.run(whole, reinterpret_cast<void**>(p), c.scalars, work.writes);
  if (begin + whole == end) return;
  int64_t step[kMaxOperands];
  std::fill_n(step, kMaxOperands, 1);
  seek(begin + whole);
  Pieces(c, work).run(end - begin - whole, p, step, 0);
}

/// Elements begin..end in the plan's order. Where a block lies within one row, most operands need no buffer.
void blocks(const Elementwise& c, const Work& work, int64_t begin, int64_t end) {
  const Plan& plan = c.plan;
  const int last = plan.rank - 1;
  const bool large = plan.count >= kLarge && plan.size[last] >= kBlock;
  Pieces pieces(c, work);
  Cursor cursor, ahead;
  cursor.seek(plan, c.operands, begin);
  if (large && begin + kAhead < end) ahead.seek(plan, c.operands, begin + kAhead);
  for (int64_t n; begin < end; begin += n) {
    n = std::min(kBlock, end - begin);
    const bool within = cursor.at[last] + n <= plan.size[last];
    char* p[kMaxOperands];
    int64_t step[kMaxOperands];
    unsigned room = 0;
    for (int k = 0; k < c.operands; ++k) {
      if (!c.data[k]) continue;
      p[k] = static_cast<char*>(c.data[k]) + cursor.offset[k] * c.item_size[k];
      step[k] = plan.dense >> k & 1 ? 1 : plan.stride[k][last];
      if (within || plan.dense >> k & 1) continue;
      p[k] = nullptr, step[k] = 1;
      if (k < c.outputs) continue;
      p[k] = pieces.slot(k);
      gather(p[k], c, k, cursor, n), pieces.pad(k, n);
      room |= 1u << k;
    }
    if (large && begin + kAhead < end) {
      for (int k = c.outputs; k < c.operands; ++k) {
        if (!c.data[k] || plan.dense >> k & 1) continue;
        const int64_t step = plan.stride[k][last], lanes = 64 / c.item_size[k];
        // The hardware follows a row, but does not know where the next one begins, and falls behind where only a part of each line is taken.
        if (step == 1 ? ahead.at[last] >= kAhead : step < 3 || step > lanes) continue;
        for (int64_t i = 0; i < kBlock * step; i += lanes)
          _mm_prefetch(static_cast<char*>(c.data[k]) + (ahead.offset[k] + i) * c.item_size[k], _MM_HINT_T1);
      }
      ahead.advance(plan, c.operands, begin + kAhead, n);
    }
    pieces.run(n, p, step, room);
    for (int k = 0; k < c.outputs; ++k)
      if (c.data[k] && !p[k]) scatter(c, k, cursor, pieces.slot(k), n);
    if (begin + n < end) cursor.advance(plan, c.operands, begin, n);
  }
}

/// A call with operands that lie side by side along another dimension than the result does: they are turned over, a tile at a time.
struct Tiles {
  int along = -1;  // that dimension
  unsigned turned = 0;
  int64_t rows, columns;  // of a tile: along it, and along the last dimension

  explicit Tiles(const Elementwise& c) {
    const Plan& plan = c.plan;
    const int last = plan.rank - 1;
    if (plan.size[last] < kQuantum) return;
    for (int d = 0; d < last && along < 0; ++d)
      for (int k = c.outputs; k < c.operands; ++k)
        if (c.data[k] && plan.stride[k][d] == 1 && plan.size[d] > 1 && plan.stride[k][last] != 0) along = d, turned |= 1u << k;
    if (along < 0) return;
    // Few rows make a wide tile. Columns stay whole cache lines, whatever the item.
    const int64_t most = kTile / padded(std::min(plan.size[along], kTileColumns)) / kTileColumns * kTileColumns;
    columns = std::min({padded(plan.size[last]), most, kBlock});
    rows = std::min(plan.size[along], kTile / columns);
  }
};

void tiles(const Elementwise& c, const Work& work, const Tiles& t) {
  const Plan& plan = c.plan;
  const int last = plan.rank - 1;
  const int64_t height = plan.size[t.along], width = plan.size[last];
  const int64_t down = (height + t.rows - 1) / t.rows, across = (width + t.columns - 1) / t.columns;
  // Tiles of whole rows lie side by side in what is not turned.
  bool joined = width == t.columns;
  for (int k = 0; k < c.operands; ++k)
    if (c.data[k] && !(t.turned >> k & 1)) joined = joined && plan.stride[k][last] == 1 && plan.stride[k][t.along] == width;

  auto part = [&](int64_t first, int64_t end) {
    Pieces pieces(c, work);
    Scratch scratch(size_t(kTile) * 8 * c.operands);
    for (int64_t task = first; task < end; ++task) {
      const int64_t i0 = task % down * t.rows, j0 = task / down % across * t.columns;
      const int64_t rows = std::min(t.rows, height - i0), columns = std::min(t.columns, width - j0);
      const int64_t ahead = i0 + rows < height ? t.rows : 0;  // the next tile's lines beside this one's
      char* p[kMaxOperands];
      int64_t step[kMaxOperands], next[kMaxOperands];  // from element to element, and from row to row in bytes
      for (int k = 0; k < c.operands; ++k) {
        p[k] = static_cast<char*>(c.data[k]);
        if (!p[k]) continue;
        int64_t offset = i0 * plan.stride[k][t.along] + j0 * plan.stride[k][last], rest = task / across / down;
        for (int d = last - 1; d >= 0; --d)
          if (d != t.along) offset += rest % plan.size[d] * plan.stride[k][d], rest /= plan.size[d];
        p[k] += offset * c.item_size[k];
        step[k] = plan.stride[k][last], next[k] = plan.stride[k][t.along] * c.item_size[k];
      }
      // Pieces so short are no stream that the hardware would follow. What is not turned is asked for while the tile is turned over, and what the
      // next tile turns while this one's rows are written: memory has both to do all the time.
      bool others = false;
      auto expect = [&](const char* from, int64_t bytes) {
        for (int64_t b = 0; b < bytes; b += 64) _mm_prefetch(from + b, _MM_HINT_T1);
      };
      const char* source[kMaxOperands];
      int64_t column[kMaxOperands];  // bytes from column to column of a source
      for (int k = 0; k < c.operands; ++k) {
        const bool asked = p[k] && step[k] == 1 && !(t.turned >> k & 1) && !(work.streams() && k < c.outputs) && !joined;
        source[k] = asked || (p[k] && t.turned >> k & 1) ? p[k] : nullptr, column[k] = step[k] * c.item_size[k];
        others = others || asked;
      }
      int64_t expected = 0;
      for (int k = 0; k < c.operands; ++k) {
        if (!p[k] || !(t.turned >> k & 1)) continue;
        const int item = c.item_size[k];
        char* tile = scratch.as<char>() + kTile * 8 * k;
        for (int64_t j = 0, n; j < columns; j += n) {
          n = std::min(kStrip, columns - j);
          for (const int64_t until = rows * (j + n) / columns; others && expected < until; ++expected)
            for (int o = 0; o < c.operands; ++o)
              if (source[o] && !(t.turned >> o & 1)) expect(source[o] + expected * next[o], columns * c.item_size[o]);
          turn(tile + j * item, t.columns, p[k] + j * column[k], step[k], rows, n,
               down == 1 ? t.columns * step[k]
               : others  ? 0
                         : ahead,
               item);
        }
        if (columns < padded(columns))
          for (int64_t i = 0; i < rows; ++i)
            std::memset(tile + (i * t.columns + columns) * item, 0, size_t(padded(columns) - columns) * item);
        p[k] = tile, step[k] = 1, next[k] = t.columns * item;
      }
      if (joined) {
        for (int64_t n, rest = rows * columns; rest > 0; rest -= n) {
          n = std::min(kBlock, rest);
          pieces.run(n, p, step, t.turned);
          for (int k = 0; k < c.operands; ++k)
            if (p[k]) p[k] += n * c.item_size[k];
        }
        continue;
      }
      bool plain = !work.copies && columns == padded(columns);  // rows that need no buffer: a run at once, since they are short
      for (int k = 0; k < c.operands; ++k) plain = plain && (!p[k] || step[k] == 1);
      int64_t j = 0;
      for (int64_t i = 0; i < rows; ++i) {
        for (const int64_t until = columns * (i + 1) / rows; others && ahead != 0 && j < until; ++j)
          for (int k = 0; k < c.operands; ++k)
            if (source[k] && t.turned >> k & 1) expect(source[k] + j * column[k] + ahead * c.item_size[k], rows * c.item_size[k]);
        if (plain)
          work.run(columns, reinterpret_cast<void**>(p), c.scalars, work.writes);
        else
          pieces.run(columns, p, step, t.turned);
        for (int k = 0; k < c.operands; ++k)
          if (p[k]) p[k] += next[k];
      }
    }
    if (work.streams()) _mm_sfence();
  };
  // Tiles follow each other along what is turned, where the next one's lines are neighbours of this one's.
  const int64_t tasks = plan.count / (height * width) * down * across;
  if (plan.count < kParallel) return part(0, tasks);
  parallel_for_throwing(tasks, 1, part);
}

}  // namespace

bool streamed(const Elementwise& c) {
  bool large = c.plan.count >= kStreamed / 8;
  for (int k = 0; k < c.outputs && large; ++k) {
    if (!c.data[k]) continue;
    large = c.plan.count * c.item_size[k] >= kStreamed && c.plan.dense >> k & 1 && reinterpret_cast<uintptr_t>(c.data[k]) % 64 == 0;
    for (int i = c.outputs; i < c.operands; ++i) large = large && c.data[i] != c.data[k];
  }
  return large;
}

void for_each_run(const Elementwise& c, Run run, bool copies) {
  const bool one = c.plan.contiguous(c.operands);
  Work work{run, copies};
  if (c.plan.count < kParallel && one) return contiguous(c, work, 0, c.plan.count);
  if (c.plan.count < kTile) return blocks(c, work, 0, c.plan.count);
  if (streamed(c)) work.writes = Writes::stream;
  if (!one) {
    Tiles t(c);
    if (t.along >= 0) {
      for (int k = 0; k < c.outputs; ++k)  // a line that is written in two pieces would be written twice
        if (work.streams()) work.writes = c.plan.size[c.plan.rank - 1] * c.item_size[k] % 64 == 0 ? Writes::past : Writes::cached;
      return tiles(c, work, t);
    }
  }
  auto part = [&](int64_t begin, int64_t end) {
    one ? contiguous(c, work, begin, end) : blocks(c, work, begin, end);
    if (work.streams()) _mm_sfence();
  };
  if (c.plan.count < kParallel) return part(0, c.plan.count);
  // Shares are multiples of a block: they begin at cache lines, and only the last one has a ragged end.
  parallel_for(c.plan.count, kBlock, part);
}

}  // namespace gradus::cpu
