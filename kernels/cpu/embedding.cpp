// Rows of a table by index, and what comes back to them.
#include <algorithm>
#include <cstring>

#include "kernels/array.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/scratch.h"
#include "kernels/dispatch.h"

namespace gradus::cpu {

void embedding(const Array& y, const Array& table, const Array& index, int64_t zeros) {
  if (y.count == 0) return;
  const int64_t* rows = index.as<int64_t>();
  size_t item = item_size(y.dtype), bytes = size_t(table.size(1)) * item, step = size_t(table.step(0)) * item;
  const char* from = static_cast<const char*>(table.data);
  char* to = static_cast<char*>(y.data);
  parallel_for(index.count, kParallel / table.size(1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (rows[i] == zeros)
        std::memset(to + size_t(i) * bytes, 0, bytes);
      else
        std::memcpy(to + size_t(i) * bytes, from + size_t(rows[i]) * step, bytes);
    }
  });
}

/// Positions are sorted by their row, equal ones in order, so each row of the table is summed by one thread in the order of the
/// positions and written once; half types are summed in float.
void embedding_backward(const Array& dtable, const Array& g, const Array& index, int64_t skip) {
  int64_t rows = dtable.size(0), width = dtable.size(1), n = index.count;
  if (dtable.count == 0) return;
  const int64_t* of = index.as<int64_t>();
  Scratch memory(size_t(rows + 1 + n) * sizeof(int64_t));
  int64_t *first = memory.as<int64_t>(), *order = first + rows + 1;
  std::fill_n(first, rows + 1, 0);
  for (int64_t i = 0; i < n; ++i) ++first[of[i]];  // counts, then ends, which placing from behind turns into beginnings
  for (int64_t r = 0, total = 0; r <= rows; ++r) first[r] = total += r < rows ? first[r] : 0;
  for (int64_t i = n - 1; i >= 0; --i) order[--first[of[i]]] = i;
  dispatch_float("embedding_backward", g.dtype, [&]<class T>() {
    using A = accumulate_t<T>;
    constexpr int64_t kTile = 256;
    parallel_for(rows, kParallel / (width * (1 + n / rows)) + 1, [&](int64_t begin, int64_t end) {
      A sum[kTile];
      for (int64_t r = begin; r < end; ++r) {
        T* to = dtable.as<T>() + r * width;
        if (r == skip || first[r] == first[r + 1]) {
          std::memset(static_cast<void*>(to), 0, size_t(width) * sizeof(T));
          continue;
        }
        for (int64_t c = 0; c < width; c += kTile) {
          int64_t m = std::min(kTile, width - c);
          std::fill_n(sum, m, A(0));
          for (int64_t k = first[r]; k < first[r + 1]; ++k) {
            const T* from = g.as<T>() + order[k] * width + c;
            for (int64_t j = 0; j < m; ++j) sum[j] += A(from[j]);
          }
          for (int64_t j = 0; j < m; ++j) to[c + j] = T(sum[j]);
        }
      }
    });
  });
}

}  // namespace gradus::cpu
