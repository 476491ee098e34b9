// The squares of many tensors' elements in one sum: parts of fixed bounds, each in the type that it accumulates in, all of them in double.
#include <vector>

#include "kernels/array.h"
#include "kernels/cpu/isa/sweep.h"
#include "kernels/cpu/parallel.h"
#include "kernels/dispatch.h"
#include "kernels/update.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {
namespace {

constexpr int64_t kLeaf = 4096;        // elements that are added up in the type of sums
constexpr int64_t kPart = 16 * kLeaf;  // one thread's work

template <class T> double of_leaf(const T* x, int64_t n) {
  using P = Packet<T>;
  P s[4] = {0, 0, 0, 0};
  sweep4<T>(n, [&](int64_t i, auto part, int k) {
    P v = load(x + i, part);
    s[k] = s[k] + v * v;
  });
  return double(sum_of((s[0] + s[1]) + (s[2] + s[3])));
}
double of_part(const Stretch& all, int64_t begin) {
  const int64_t end = begin + kPart < all.count ? begin + kPart : all.count;
  double sum = 0;
  dispatch_float("sum_of_squares", all.dtype, [&]<class T>() {
    const T* x = static_cast<const T*>(all.data);
    for (int64_t i = begin; i < end; i += kLeaf) sum += of_leaf(x + i, i + kLeaf < end ? kLeaf : end - i);
  });
  return sum;
}

}  // namespace

void sum_of_squares(const Array& sum, const Stretch* list, int64_t count) {
  struct Part {
    const Stretch* of;
    int64_t begin;
    double sum;
  };
  std::vector<Part> parts;
  for (int64_t i = 0; i < count; ++i)
    for (int64_t begin = 0; begin < list[i].count; begin += kPart) parts.push_back({list + i, begin, 0});
  parallel_for(int64_t(parts.size()), 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) parts[size_t(i)].sum = of_part(*parts[size_t(i)].of, parts[size_t(i)].begin);
  });
  double total = 0;
  for (const Part& p : parts) total += p.sum;
  *sum.as<double>() = total;
}

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
