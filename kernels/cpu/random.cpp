// Draws of integers, permutations and classes: two words an element, as for double.
#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/parallel_throwing.h"
#include "kernels/dispatch.h"
#include "kernels/params.h"
#include "kernels/philox.h"

namespace gradus::cpu {
namespace {

uint64_t word_pair(Draw draw, int64_t i) {
  Philox block = Philox::at(draw.seed, draw.offset + uint64_t(i / 2));
  return uint64_t(block.word[i % 2 * 2]) << 32 | block.word[i % 2 * 2 + 1];
}
double unit(Draw draw, int64_t i) { return double(word_pair(draw, i) >> 11) * 0x1p-53; }

}  // namespace

void random_integers(const Array& y, Draw draw, int64_t low, uint64_t range) {
  dispatch_all("random_integers", y.dtype, [&]<class T>() {
    parallel_for(y.count, 4096, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        uint64_t word = word_pair(draw, i);
        // The upper half of the product: no value is likelier than another by more than range / 2^64.
        uint64_t below = range ? uint64_t((unsigned __int128)(word)*range >> 64) : word;
        y.as<T>()[i] = T(accumulate_t<T>(int64_t(uint64_t(low) + below)));
      }
    });
  });
}

/// The order of random keys: as good on a device that sorts in parallel.
void random_permutation(const Array& y, Draw draw) {
  struct Keyed {
    uint64_t key;
    int64_t index;
    bool operator<(const Keyed& o) const { return key != o.key ? key < o.key : index < o.index; }
  };
  std::vector<Keyed> order(size_t(y.count));
  for (int64_t i = 0; i < y.count; ++i) order[size_t(i)] = {word_pair(draw, i), i};
  std::sort(order.begin(), order.end());
  for (int64_t i = 0; i < y.count; ++i) y.as<int64_t>()[i] = order[size_t(i)].index;
}

/// With replacement: sample i of the draw inverts the running sum of its row. Without: element i of the weights races with an
/// exponential clock, and the first n of a row to ring are taken, in that order.
void multinomial(const Array& y, const Array& weights, Draw draw, bool replacement) {
  int64_t rows = y.size(0), n = y.size(1), classes = weights.size(1);
  parallel_for_throwing(rows, 1, [&](int64_t begin, int64_t end) {
    std::vector<std::pair<double, int64_t>> race(replacement ? 0 : size_t(classes));
    std::vector<double> running(replacement ? size_t(classes) : 0);
    for (int64_t row = begin; row < end; ++row) {
      const double* weight = weights.as<double>() + row * classes;
      int64_t* taken = y.as<int64_t>() + row * n;
      if (replacement) {
        double total = 0;
        int64_t last = 0;  // the last class that can be drawn: where rounding would lead beyond the sum
        for (int64_t c = 0; c < classes; ++c) {
          running[size_t(c)] = total += weight[c];
          if (weight[c] > 0) last = c;
        }
        for (int64_t i = 0; i < n; ++i) {
          double at = unit(draw, row * n + i) * total;
          int64_t c = std::upper_bound(running.begin(), running.end(), at) - running.begin();
          taken[i] = std::min(c, last);
        }
      } else {
        for (int64_t c = 0; c < classes; ++c) {
          double time = -std::log1p(-unit(draw, row * classes + c));
          race[size_t(c)] = {weight[c] > 0 ? time / weight[c] : HUGE_VAL, c};
        }
        std::partial_sort(race.begin(), race.begin() + n, race.end());
        for (int64_t i = 0; i < n; ++i) taken[i] = race[size_t(i)].second;
      }
    }
  });
}

}  // namespace gradus::cpu
