// What a GPU puts where several values meet - rows of a table, scattered elements, blocks placed by indices - against the CPU: runs that a
// thread joins, and runs of whole chunks (64 elements, 128 rows) that are joined first, beginning at a chunk's start and within one.
#include "tests/device/on_gpu.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

/// n numbers below `most`, of which the first takes `share` of the places.
AnyTensor skewed(int64_t n, int64_t most, double share, uint64_t seed = 4) {
  AnyTensor at = draw({n}, 0, 1, seed), other = draw({n}, 0, double(most), seed + 1).to(DType::int64);
  return where(at < share, most / 2, other);
}

}  // namespace

GPU_TEST(Gpu, GradientsOfRowsThatAreNamedOften) {
  for (DType t : kFloats)
    for (int64_t width : {1, 7, 130, 264})
      for (int64_t n : {0, 127, 128, 700, 1500})
        for (int64_t padding : {-1, 5}) {
          if (n > 700 && width > 7 && t != DType::float32) continue;
          AnyTensor i = skewed(n, 11, 0.6), w = draw({11, width}, -1, 1, 3, t), g = draw({n, width}, 0.5, 1, 5, t);
          AnyTensor a = w.clone().requires_grad_(), b = w.to(kGpu).requires_grad_();
          EmbeddingOptions o;
          if (padding >= 0) o.padding_idx = padding;
          embedding(i, a, o).backward(g), embedding(i.to(kGpu), b, o).backward(g.to(kGpu));
          EXPECT_LE(distance(b.grad(), a.grad()), tolerance(t)) << name(t) << " " << n << " of " << width;
        }
  // Every one of many, each once: small integers are summed exactly.
  AnyTensor w = zeros({3, 5}, DType::float32).requires_grad_(), u = w.detach().to(kGpu).requires_grad_();
  AnyTensor i = remainder(arange(3000), 3), g = remainder(arange(15000), 17).to(DType::float32).view({3000, 5});
  embedding(i, w).backward(g), embedding(i.to(kGpu), u).backward(g.to(kGpu));
  EXPECT_EQ(distance(u.grad(), w.grad()), 0);
}

GPU_TEST(Gpu, ScattersThatMeet) {
  using R = ScatterReduction;
  for (DType t : {DType::float32, DType::float64, DType::float16, DType::int32, DType::int8})
    for (int64_t n : {40, 64, 65, 500, 3000})
      for (int64_t lines : {1, 3}) {
        AnyTensor i = skewed(n * lines, 20, 0.5).view({n, lines}),
                  source = is_float(t) ? draw({n, lines}, 0.9, 1.1, 7, t) : sample({n, lines}, t);
        AnyTensor x = is_float(t) ? draw({20, lines}, 0.9, 1.1, 8, t) : sample({20, lines}, t);
        AnyTensor y = x.to(kGpu), j = i.to(kGpu), from = source.to(kGpu);
        const std::string what = std::string(name(t)) + " " + std::to_string(n) + " x " + std::to_string(lines);
        EXPECT_EQ(distance(scatter(y, 0, j, from), scatter(x, 0, i, source)), 0) << what << ": the last stays";
        const double near = t == DType::float32 ? 1e-4 : t == DType::float16 ? 0.02 : t == DType::float64 ? 1e-12 : 0;
        EXPECT_LE(distance(scatter_add(y, 0, j, from), scatter_add(x, 0, i, source)), near) << what;
        for (R how : {R::prod, R::amax, R::amin})
          EXPECT_LE(distance(scatter_reduce(y, 0, j, from, how), scatter_reduce(x, 0, i, source, how)), how == R::prod ? near : 0)
              << what;
      }
  AnyTensor i = zeros({1000}, DType::int64), source = draw({1000}, -1, 1, 3, DType::float32), x = zeros({2}, DType::float32);
  source.narrow(0, 130, 1).fill_(NAN);  // in the middle of a chunk
  EXPECT_TRUE(std::isnan(scatter_reduce(x.to(kGpu), 0, i.to(kGpu), source.to(kGpu), R::amax).select(0, 0).to(kCPU).item()));
  EXPECT_EQ(scatter_reduce(x.to(kGpu), 0, i.to(kGpu), source.to(kGpu), R::amax).select(0, 1).to(kCPU).item(), 0);
}

GPU_TEST(Gpu, BlocksThatMeet) {
  for (DType t : {DType::float32, DType::float64, DType::bfloat16, DType::int64, DType::uint8})
    for (int64_t n : {1, 63, 64, 200, 1000})
      for (int64_t width : {1, 5}) {
        AnyTensor i = skewed(n, 9, 0.5), x = sample({9, width}, t), v = sample({n, width}, t, 3), y = x.to(kGpu);
        EXPECT_EQ(distance(index_put(y, {i.to(kGpu)}, v.to(kGpu)), index_put(x, {i}, v)), 0) << name(t) << n << ": the last stays";
        EXPECT_LE(distance(index_put(y, {i.to(kGpu)}, v.to(kGpu), true), index_put(x, {i}, v, true)),
                  is_float(t) ? 2 * tolerance(t) : 0)
            << name(t) << n;
        AnyTensor turned = v.t().contiguous().t();
        EXPECT_LE(distance(index_put(y, {i.to(kGpu)}, turned.to(kGpu), true), index_put(x, {i}, v, true)),
                  is_float(t) ? 2 * tolerance(t) : 0);
      }
}
