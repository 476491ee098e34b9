// Dropout: whether an element stays is a function of the seed and its place, so nothing is stored for backward.
#include "kernels/array.h"
#include "kernels/cpu/isa/words.h"
#include "kernels/cpu/parallel.h"
#include "kernels/dispatch.h"
#include "kernels/params.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {

void dropout(const Array& y, const Array& x, Draw draw, double p) {
  constexpr int64_t kChunk = 4 * kBlocks, kGrain = 16;
  dispatch_float("dropout", x.dtype, [&]<class T>() {
    using A = accumulate_t<T>;
    const A scale = p < 1 ? A(1 / (1 - p)) : A(0);
    const uint32_t bound = drop_bound(p);
    parallel_for((x.count + kChunk - 1) / kChunk, kGrain, [&](int64_t begin, int64_t end) {
      Words words;
      alignas(64) A keep[kChunk];
      for (int64_t c = begin; c < end; ++c) {
        fill_words(words, draw.seed, draw.offset + uint64_t(c * kBlocks));
        keep_or_drop(keep, words, bound, scale);
        const T* from = x.as<T>() + c * kChunk;
        T* to = y.as<T>() + c * kChunk;
        int64_t n = x.count - c * kChunk < kChunk ? x.count - c * kChunk : kChunk, i = 0;
        constexpr int kLanes = sizeof(Packet<T>) / sizeof(A);
        for (; i + kLanes <= n; i += kLanes) {
          Packet<T> k = load(keep + i);
          store(to + i, where(k > 0, load(from + i) * k, 0));  // a dropped infinity is 0
        }
        for (; i < n; ++i) to[i] = keep[i] > 0 ? T(A(from[i]) * keep[i]) : T(A(0));
      }
    });
  });
}

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
