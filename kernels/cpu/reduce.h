// Between a reduction and its kernels: lays out a call, cuts it into parts, and shares these among threads. Parts have bounds that
// are functions of sizes alone, and are put together in a fixed order: the result does not depend on the number of threads.
#pragma once
#include "kernels/params.h"

namespace gradus::cpu {

/// One call: the axes that stay and those that go, each kind with the largest step first and neighbours merged.
struct Reduce {
  const char* x;
  char* y;
  const char* center;  // laid out as y, of the accumulator's type; null where the kind has none
  /// Copies n elements, `step` bytes apart, side by side and of the type that the fold reads. Null where they lie so already.
  void (*gather)(void* to, const char* from, int64_t step, int64_t n);
  ReduceKind kind;
  DType y_type;
  uint8_t x_item, y_item, sum_item;  // bytes of an element and of an accumulator
  double p;
  int kept_rank, gone_rank;                                    // at least 1
  int64_t outputs, depth;                                      // how many results, each of how many elements
  int64_t kept[kMaxRank], kept_x[kMaxRank], kept_y[kMaxRank];  // sizes, and steps in bytes
  int64_t gone[kMaxRank], gone_x[kMaxRank];
  bool by_rows;  // a result's elements are taken together, rather than one from each of neighbouring results

  /// The center of the result `y` bytes from the first.
  [[gnu::always_inline]] const char* center_of(int64_t y) const { return center ? center + y / y_item * sum_item : nullptr; }
  /// Where the first element of a result lies, and the result itself, in bytes.
  struct Place {
    int64_t x = 0, y = 0;
  };
  [[gnu::always_inline]] Place place(int64_t result, int first_axis) const {
    Place at;
    for (int d = first_axis; d >= 0; --d) {
      int64_t i = result % kept[d];
      at.x += i * kept_x[d], at.y += i * kept_y[d], result /= kept[d];
    }
    return at;
  }
};

/// Results that lie side by side: `width` of them, of which x and y have their first element here.
struct Columns {
  const char *x, *center;
  char* y;
  int64_t width;
};
inline constexpr int64_t kMaxWidth = 2048;

/// A kind of reduction for one dtype and instruction set.
struct Fold {
  DType reads;  // what it loads without a gather
  uint8_t sum_item;
  /// Results first..last, each of all its elements, into y.
  void (*rows)(const Reduce&, int64_t first, int64_t last);
  /// Elements begin..end of one result, into an accumulator.
  void (*row_part)(const Reduce&, int64_t result, int64_t begin, int64_t end, void* sum);
  /// Elements begin..end of each column, into accumulators, for whole packets of which there is room.
  void (*columns)(const Reduce&, const Columns&, int64_t begin, int64_t end, void* sums);
  /// a[i] joined with b[i].
  void (*join)(void* a, const void* b, int64_t n);
  /// Accumulators become results.
  void (*finish)(const Reduce&, const Columns&, const void* sums);
};

/// Lays out the call: all but `gather`, `center`, `kind`, `p` and `sum_item`. y has fewer axes than x or ones in place of those that go.
void lay_out(Reduce& r, const Array& y, const Array& x);
void reduce(const Reduce& r, const Fold& fold);

}  // namespace gradus::cpu
