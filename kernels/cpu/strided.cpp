#include "kernels/cpu/strided.h"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/isa/transpose.h"

namespace gradus::cpu {
namespace {

constexpr int64_t kNarrow = 512;  // bytes; shorter rows than this are taken many at a time
constexpr int64_t kFar = 256;     // bytes from row to row

template <class F> void with_item(int item, F f) {
  switch (item) {
    case 1: return f(uint8_t());
    case 2: return f(uint16_t());
    case 4: return f(uint32_t());
    default: return f(uint64_t());
  }
}

// What lies two apart is as much as memory gives where it is put together quickly: in the processor's widest registers.
#if GRADUS_WITH_X86 && defined(__GNUC__) && !defined(__clang__)
[[gnu::target_clones("avx512f", "avx2", "default")]]
#endif
void every_second(uint32_t* __restrict to, const uint32_t* __restrict from, int64_t n) {
  constexpr int kTogether = 32;
  for (; n >= kTogether; n -= kTogether, to += kTogether, from += 2 * kTogether) {
    for (int i = 0; i < 2 * kTogether; i += 16) __builtin_prefetch(from + i + 1024, 0, 2);  // a page ahead
    for (int i = 0; i < kTogether; ++i) to[i] = from[2 * i];
  }
  for (int64_t i = 0; i < n; ++i) to[i] = from[2 * i];
}
template <class Item> void every_second(Item* to, const Item* from, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = from[2 * i];
}

template <class Item> void line(Item* to, const Item* from, int64_t step, int64_t n) {
  if (step == 1)
    std::memcpy(to, from, size_t(n) * sizeof(Item));
  else if (step == 0)
    std::fill_n(to, n, *from);
  else if (step == 2)  // constants that the compiler knows what to do with
    every_second(to, from, n);
  else if (step == -1)
    for (int64_t i = 0; i < n; ++i) to[i] = from[-i];
  else
    for (int64_t i = 0; i < n; ++i) to[i] = from[i * step];
}

template <class Item> void short_line(Item* to, const Item* from, int64_t n) {
  if (n * int64_t(sizeof(Item)) >= 32)
    std::memcpy(to, from, size_t(n) * sizeof(Item));
  else
    for (int64_t i = 0; i < n; ++i) to[i] = from[i];
}

/// `rows` rows of n elements, n beside each other and `down` from row to row.
template <class Item> void short_rows(Item* to, const Item* from, int64_t rows, int64_t down, int64_t n, int64_t step) {
  if (down == 0) {  // one row, again and again: what is there is doubled
    line(to, from, step, n);
    for (int64_t done = n, all = rows * n; done < all;) {
      int64_t more = std::min(done, all - done);
      std::memcpy(to + done, to, size_t(more) * sizeof(Item));
      done += more;
    }
  } else if (step == 1) {
    // Rows far apart are no stream that the hardware would follow.
    const int64_t ahead = std::abs(down) * sizeof(Item) >= kFar && n * sizeof(Item) >= 64 ? 3 * rows * down : 0;
    for (int64_t i = 0; i < rows; ++i, from += down, to += n) {
      if (ahead != 0)
        for (int64_t k = 0; k < n; k += 64 / int64_t(sizeof(Item))) _mm_prefetch(from + ahead + k, _MM_HINT_T1);
      short_line(to, from, n);
    }
  } else {
    for (int64_t j = 0; j < n; ++j, from += step)
      for (int64_t i = 0; i < rows; ++i) to[i * n + j] = from[i * down];
  }
}

/// Pieces of rows, and in between whole narrow rows many at a time.
template <class Item> void gather(Item* to, const Plan& plan, int k, const Item* data, const Cursor& cursor, int64_t n) {
  const int last = plan.rank - 1;
  const int64_t* stride = plan.stride[k];
  const int64_t inner = plan.size[last];
  int64_t at[kMaxRank], offset = cursor.offset[k];
  std::copy_n(cursor.at, plan.rank, at);
  while (n > 0) {
    int64_t rows = 0;
    if (last > 0 && inner * int64_t(sizeof(Item)) < kNarrow && at[last] == 0)
      rows = std::min(n / inner, plan.size[last - 1] - at[last - 1]);
    if (rows > 1) {
      const int64_t down = stride[last - 1];
      short_rows(to, data + offset, rows, down, inner, stride[last]);
      to += rows * inner, n -= rows * inner, at[last - 1] += rows - 1, at[last] = inner;
      offset += (rows - 1) * down + inner * stride[last];
    } else {
      int64_t run = std::min(n, inner - at[last]);
      line(to, data + offset, stride[last], run);
      to += run, n -= run, offset += run * stride[last], at[last] += run;
    }
    for (int d = last; d > 0 && at[d] == plan.size[d]; --d) {  // carry, as an odometer does
      offset += stride[d - 1] - at[d] * stride[d];
      at[d] = 0, ++at[d - 1];
    }
  }
}

template <class Item> void scatter(const Plan& plan, int k, Item* data, const Cursor& cursor, const Item* from, int64_t n) {
  const int last = plan.rank - 1;
  const int64_t* stride = plan.stride[k];
  const int64_t step = stride[last];
  int64_t at[kMaxRank], offset = cursor.offset[k];
  std::copy_n(cursor.at, plan.rank, at);
  while (n > 0) {
    int64_t run = std::min(n, plan.size[last] - at[last]);
    Item* p = data + offset;
    if (step == 1)
      std::memcpy(p, from, size_t(run) * sizeof(Item));
    else
      for (int64_t i = 0; i < run; ++i) p[i * step] = from[i];
    from += run, n -= run, offset += run * step, at[last] += run;
    for (int d = last; d > 0 && at[d] == plan.size[d]; --d) {
      offset += stride[d - 1] - at[d] * stride[d];
      at[d] = 0, ++at[d - 1];
    }
  }
}

template <class Item>
void turn(Item* to, int64_t to_step, const Item* from, int64_t from_step, int64_t rows, int64_t columns, int64_t ahead) {
  constexpr int kLanes = 16 / sizeof(Item);
  using Lanes = Number<Item, kLanes>;
  int64_t j = 0;
  for (; j + kLanes <= columns; j += kLanes) {
    const Item* row = from + j * from_step;
    if (ahead != 0)  // whole lines of the rows that the next tile reads
      for (int k = 0; k < kLanes; ++k)
        for (int64_t i = 0; i < rows; i += 64 / int(sizeof(Item))) _mm_prefetch(row + k * from_step + ahead + i, _MM_HINT_T1);
    int64_t i = 0;
    for (; i + kLanes <= rows; i += kLanes) {
      Lanes square[kLanes];
      for (int k = 0; k < kLanes; ++k) std::memcpy(&square[k].v, row + k * from_step + i, 16);
      transpose(square);
      for (int k = 0; k < kLanes; ++k) std::memcpy(to + (i + k) * to_step + j, &square[k].v, 16);
    }
    for (; i < rows; ++i)
      for (int k = 0; k < kLanes; ++k) to[i * to_step + j + k] = row[k * from_step + i];
  }
  for (; j < columns; ++j)
    for (int64_t i = 0; i < rows; ++i) to[i * to_step + j] = from[j * from_step + i];
}

}  // namespace

void Cursor::seek(const Plan& plan, int operands, int64_t first) {
  if (first == 0) {
    std::fill_n(at, plan.rank, 0), std::fill_n(offset, operands, 0);
    return;
  }
  for (int d = plan.rank - 1; d >= 0; --d) at[d] = first % plan.size[d], first /= plan.size[d];
  for (int k = 0; k < operands; ++k) {
    offset[k] = 0;
    for (int d = 0; d < plan.rank; ++d) offset[k] += at[d] * plan.stride[k][d];
  }
}
void Cursor::advance(const Plan& plan, int operands, int64_t first, int64_t n) {
  const int last = plan.rank - 1;
  if (at[last] + n >= plan.size[last]) return seek(plan, operands, first + n);
  at[last] += n;
  for (int k = 0; k < operands; ++k) offset[k] += n * plan.stride[k][last];
}

void gather(void* to, const Elementwise& c, int k, const Cursor& cursor, int64_t n) {
  with_item(c.item_size[k],
            [&]<class Item>(Item) { gather(static_cast<Item*>(to), c.plan, k, static_cast<const Item*>(c.data[k]), cursor, n); });
}
void scatter(const Elementwise& c, int k, const Cursor& cursor, const void* from, int64_t n) {
  with_item(c.item_size[k], [&]<class Item>(Item) {
    scatter(c.plan, k, static_cast<Item*>(c.data[k]), cursor, static_cast<const Item*>(from), n);
  });
}
void gather_line(void* to, const void* from, int64_t step, int64_t n, int item) {
  with_item(item, [&]<class Item>(Item) { line(static_cast<Item*>(to), static_cast<const Item*>(from), step, n); });
}
void scatter_line(void* to, int64_t step, const void* from, int64_t n, int item) {
  with_item(item, [&]<class Item>(Item) {
    for (int64_t i = 0; i < n; ++i) static_cast<Item*>(to)[i * step] = static_cast<const Item*>(from)[i];
  });
}
void turn(void* to, int64_t to_step, const void* from, int64_t from_step, int64_t rows, int64_t columns, int64_t ahead, int item) {
  with_item(item, [&]<class Item>(Item) {
    turn(static_cast<Item*>(to), to_step, static_cast<const Item*>(from), from_step, rows, columns, ahead);
  });
}

}  // namespace gradus::cpu
