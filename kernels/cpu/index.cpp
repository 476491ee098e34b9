// Blocks picked and placed by offsets: what indexing with tensors comes down to; and the places of what is not zero.
#include <atomic>
#include <cstring>
#include <utility>
#include <vector>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/walk.h"
#include "kernels/dispatch.h"
#include "kernels/params.h"

namespace gradus::cpu {
namespace {

/// The axes of a block, without those that `blocks` has in front (one, of which block it is).
Plan block_plan(const Array& blocks, const Array& block) {
  View views[] = {{block.rank, block.shape, blocks.stride + 1}, {block.rank, block.shape, block.stride}};
  Plan plan;
  plan.set(block.rank, block.shape, views, 2);
  return plan;
}

/// For the blocks begin .. end, calls one(a, b) for each pair of elements, or run(a, b, n) for runs of n that lie side by side in
/// both; a in blocks, b in the block's place.
template <class Block, class One, class Run> void for_each_pair(const Plan& plan, int64_t step, const int64_t* offsets,
                                                                Block&& which, int64_t begin, int64_t end, One&& one,
                                                                Run&& run_of) {
  const int last = plan.rank - 1;
  const int64_t s = plan.stride[0][last], t = plan.stride[1][last];
  if (plan.count == 1) {
    for (int64_t i = begin; i < end; ++i) one(which(i) * step, offsets[which(i)]);
  } else if (s > step && step > 0) {  // neighbouring elements of `blocks` belong to different blocks
    walk<2>(plan, 0, plan.count, [&](const int64_t* at, int64_t run) {
      for (int64_t k = 0; k < run; ++k)
        for (int64_t i = begin; i < end; ++i) one(at[0] + k * s + which(i) * step, at[1] + k * t + offsets[which(i)]);
    });
  } else {
    for (int64_t i = begin; i < end; ++i) {
      int64_t from = which(i) * step, to = offsets[which(i)];
      walk<2>(plan, 0, plan.count, [&](const int64_t* at, int64_t run) {
        if (s == 1 && t == 1) return run_of(from + at[0], to + at[1], run);
        for (int64_t k = 0; k < run; ++k) one(from + at[0] + k * s, to + at[1] + k * t);
      });
    }
  }
}

template <class T> bool is_true(T v) {
  if constexpr (std::is_same_v<T, half> || std::is_same_v<T, bfloat16>)
    return (v.bits & 0x7fff) != 0;
  else
    return v != T(0);
}

constexpr int64_t kChunk = 1 << 14;  // elements of a mask that are counted together

template <class T> std::vector<int64_t> counts_of(const Array& x) {
  int64_t chunks = (x.count + kChunk - 1) / kChunk;
  std::vector<int64_t> counts(size_t(chunks), 0);
  parallel_for(chunks, 4, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      const T *from = x.as<T>() + c * kChunk, *to = x.as<T>() + std::min(x.count, (c + 1) * kChunk);
      int64_t n = 0;
      for (; from < to; ++from) n += is_true(*from);
      counts[size_t(c)] = n;
    }
  });
  return counts;
}

}  // namespace

void locate(const Array& offsets, const Array& index, int64_t size, int64_t stride, IndexRange range, bool begins, int64_t* bad) {
  const Array& over = offsets ? offsets : index;
  View views[] = {{over.rank, over.shape, over.stride}, {index.rank, index.shape, index.stride}};
  int64_t row_major[kMaxRank], step = 1;  // so that a place in the plan is a place in the tensor
  for (int d = over.rank - 1; d >= 0; --d) row_major[d] = step, step *= over.shape[d];
  views[0].stride = row_major;
  Plan plan;
  plan.set(over.rank, over.shape, views, 2);
  const int last = plan.rank - 1;
  const int64_t t = plan.stride[1][last], least = range == IndexRange::both_ways ? -size : 0;
  std::atomic<int64_t> first_bad{INT64_MAX};
  parallel_for(plan.count, kParallel, [&](int64_t begin, int64_t end) {
    int64_t worst = INT64_MAX;
    walk<2>(plan, begin, end - begin, [&](const int64_t* at, int64_t run) {
      const int64_t* from = index.as<int64_t>() + at[1];
      bool fits = true;
      for (int64_t i = 0; i < run; ++i) fits &= (from[i * t] >= least) & (from[i * t] < size);
      for (int64_t i = 0; !fits && i < run && worst == INT64_MAX; ++i)
        if (from[i * t] < least || from[i * t] >= size) worst = at[0] + i;
      if (!offsets) return;
      int64_t* to = offsets.as<int64_t>() + at[0];
      for (int64_t i = 0; i < run; ++i) {
        int64_t v = from[i * t], offset = (v < 0 ? v + size : v) * stride;
        to[i] = begins ? offset : to[i] + offset;
      }
    });
    for (int64_t seen = first_bad; worst < seen && !first_bad.compare_exchange_weak(seen, worst);) {
    }
  });
  *bad = first_bad == INT64_MAX ? -1 : first_bad.load();
}

void take_blocks(const Array& y, const Array& x, const Array& offsets) {
  Plan plan = block_plan(y, x);
  int64_t n = y.size(0), step = y.step(0), grain = std::max<int64_t>(1, kParallel / 4 / std::max<int64_t>(1, plan.count));
  if (plan.count == 0) return;
  dispatch_size(y.dtype, [&]<class T>() {
    T* to = y.as<T>();
    const T* from = x.as<T>();
    parallel_for(n, grain, [&](int64_t begin, int64_t end) {
      for_each_pair(
          plan, step, offsets.as<int64_t>(), [](int64_t i) { return i; }, begin, end,
          [&](int64_t a, int64_t b) { to[a] = from[b]; },
          [&](int64_t a, int64_t b, int64_t run) { std::memcpy(to + a, from + b, size_t(run) * sizeof(T)); });
    });
  });
}

/// Blocks may meet in one place: each place belongs to one of a few parts, and a part takes its blocks in their order.
void put_blocks(const Array& y, const Array& offsets, const Array& values, bool accumulate) {
  Plan plan = block_plan(values, y);
  const int64_t n = values.size(0), step = values.step(0), *offset = offsets.as<int64_t>();
  if (plan.count == 0 || n == 0) return;
  constexpr int64_t kParts = 16;
  std::vector<int64_t> order, first;
  if (n * plan.count >= kParallel) {
    int64_t least = INT64_MAX, most = INT64_MIN;
    for (int64_t i = 0; i < n; ++i) least = std::min(least, offset[i]), most = std::max(most, offset[i]);
    int64_t width = (most - least) / kParts + 1;
    first.assign(kParts + 1, 0);
    for (int64_t i = 0; i < n; ++i) ++first[size_t((offset[i] - least) / width) + 1];
    for (int64_t p = 0; p < kParts; ++p) first[size_t(p) + 1] += first[size_t(p)];
    std::vector<int64_t> next(first.begin(), first.end() - 1);
    order.resize(size_t(n));
    for (int64_t i = 0; i < n; ++i) order[size_t(next[size_t((offset[i] - least) / width)]++)] = i;
  }
  auto put = [&]<class T>(auto one, auto run) {
    if (order.empty())
      return for_each_pair(
          plan, step, offset, [](int64_t i) { return i; }, 0, n, one, run);
    parallel_for(kParts, 1, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p)
        for_each_pair(
            plan, step, offset, [&](int64_t i) { return order[size_t(i)]; }, first[size_t(p)], first[size_t(p) + 1], one, run);
    });
  };
  if (!accumulate)
    return dispatch_size(y.dtype, [&]<class T>() {
      T* to = y.as<T>();
      const T* from = values.as<T>();
      put.template operator()<T>(
          [=](int64_t a, int64_t b) { to[b] = from[a]; },
          [=](int64_t a, int64_t b, int64_t run) { std::memcpy(to + b, from + a, size_t(run) * sizeof(T)); });
    });
  dispatch_all("index_put", y.dtype, [&]<class T>() {
    T* to = y.as<T>();
    const T* from = values.as<T>();
    using Acc = accumulate_t<T>;
    auto one = [=](int64_t a, int64_t b) { to[b] = T(Acc(to[b]) + Acc(from[a])); };
    put.template operator()<T>(one, [=](int64_t a, int64_t b, int64_t run) {
      for (int64_t k = 0; k < run; ++k) one(a + k, b + k);
    });
  });
}

void nonzero_count(int64_t* count, const Array& x) {
  *count = 0;
  dispatch_all("nonzero", x.dtype, [&]<class T>() {
    for (int64_t n : counts_of<T>(x)) *count += n;
  });
}

void nonzero_places(const Array& y, const Array& x) {
  dispatch_all("nonzero", x.dtype, [&]<class T>() {
    std::vector<int64_t> before = counts_of<T>(x);
    int64_t total = 0;
    for (int64_t& n : before) total += std::exchange(n, total);
    parallel_for(int64_t(before.size()), 4, [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; ++c) {
        int64_t* to = y.as<int64_t>() + before[size_t(c)] * x.rank;
        for (int64_t i = c * kChunk; i < std::min(x.count, (c + 1) * kChunk); ++i) {
          if (!is_true(x.as<T>()[i])) continue;
          for (int64_t d = x.rank - 1, rest = i; d >= 0; --d) to[d] = rest % x.shape[d], rest /= x.shape[d];
          to += x.rank;
        }
      }
    });
  });
}

void triangle(const Array& y, const Array& x, int64_t diagonal, bool upper) {
  int64_t rows = x.size(-2), columns = x.size(-1), step = x.step(-1);
  View views[] = {{y.rank - 1, y.shape, y.stride}, {x.rank - 1, x.shape, x.stride}};  // y is row-major; an element is a row
  Plan plan;
  plan.set(y.rank - 1, y.shape, views, 2);
  dispatch_size(y.dtype, [&]<class T>() {
    parallel_for(plan.count, std::max<int64_t>(1, kParallel / std::max<int64_t>(columns, 1)), [&](int64_t begin, int64_t end) {
      int64_t row = begin % rows;
      walk<2>(plan, begin, end - begin, [&](const int64_t* at, int64_t run) {
        for (int64_t i = 0; i < run; ++i, row = row + 1 == rows ? 0 : row + 1) {
          T* to = y.as<T>() + at[0] + i * plan.stride[0][plan.rank - 1];
          const T* from = x.as<T>() + at[1] + i * plan.stride[1][plan.rank - 1];
          int64_t border = std::clamp<int64_t>(row + diagonal + !upper, 0, columns);  // kept: before it, or from it on
          int64_t first = upper ? border : 0, last = upper ? columns : border;
          std::memset(to, 0, size_t(first) * sizeof(T));
          if (step == 1)
            std::memcpy(to + first, from + first, size_t(last - first) * sizeof(T));
          else
            for (int64_t j = first; j < last; ++j) to[j] = from[j * step];
          std::memset(to + last, 0, size_t(columns - last) * sizeof(T));
        }
      });
    });
  });
}

}  // namespace gradus::cpu
