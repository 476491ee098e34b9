// What a GPU's sums, counts and greatest elements are against the CPU's, at the sizes where kernels change: teams of 4 to 256 threads, packs
// that fill up a thread's four reads or do not, parts joined by a thread, a warp or a block, rows and columns, axes that are not one run.
#include "tests/device/on_gpu.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

// The kernels' sizes: a team of 4 reads 4 packs a thread, a block takes 8192 elements of a part, 64 rows of a column; 33 and 65 parts.
const Shape kShapes[] = {{5, 3},    {7, 16},   {9, 63},    {130, 64}, {6, 128},   {5, 252},     {3, 260}, {4, 1028},
                         {3, 8196}, {67, 130}, {2112, 16}, {200, 9},  {3, 40, 8}, {130, 1, 40}, {0, 5},   {1, 20001}};
const Shape kLarge[] = {{278528}, {540674}, {4161, 16}, {70001, 1}, {64, 1024}};
/// All shapes; the large ones, of which the emulator takes seconds, in one type of each kind.
std::vector<Shape> shapes(DType t) {
  std::vector<Shape> all(std::begin(kShapes), std::end(kShapes));
  if (t == DType::float32 || t == DType::int8) all.insert(all.end(), std::begin(kLarge), std::end(kLarge));
  return all;
}
const DType kIntegers[] = {DType::int8, DType::int16, DType::int32, DType::int64, DType::uint8, DType::boolean};

/// x as it is, and views of it whose elements are no single run.
std::vector<AnyTensor> views(const AnyTensor& x) {
  std::vector<AnyTensor> all = {x};
  if (x.numel() > 10000 || x.numel() == 0) return all;
  if (x.dim() == 2 && x.size(1) > 8) all.push_back(x.narrow(1, 3, x.size(1) - 5)), all.push_back(x.slice(1, 0, x.size(1), 2));
  if (x.dim() == 2) all.push_back(x.t());
  if (x.dim() == 3) all.push_back(x.permute({1, 2, 0})), all.push_back(x.narrow(1, 0, 1)), all.push_back(x.transpose(0, 1));
  return all;
}
std::vector<Axes> axes_of(const AnyTensor& x) {
  std::vector<Axes> all = {Axes()};
  for (int64_t d = 0; d < x.dim(); ++d) all.push_back(Axes(d));
  if (x.dim() == 3) all.push_back({0, 2});
  return all;
}

}  // namespace

GPU_TEST(Gpu, IntegersAreSummedAndCountedExactly) {
  for (DType t : kIntegers)
    for (const Shape& shape : shapes(t))
      for (const AnyTensor& x : views(sample(shape, t))) {
        AnyTensor y = on_gpu(x);
        for (const Axes& axes : axes_of(x)) {
          EXPECT_EQ(distance(sum(y, axes), sum(x, axes)), 0) << name(t) << to_string(x.shape());
          EXPECT_EQ(distance(count_nonzero(y, axes), count_nonzero(x, axes)), 0) << name(t) << to_string(x.shape());
        }
      }
  // Sums within a pack are of 32 bits, a pack's of 64.
  for (DType t : {DType::int8, DType::int16, DType::int32, DType::uint8}) {
    AnyTensor x = full({1 << 14}, t == DType::int8 ? -128 : t == DType::uint8 ? 255 : t == DType::int16 ? -32768 : -2147483647, t);
    EXPECT_EQ(distance(sum(x.to(kGpu)), sum(x)), 0) << name(t);
  }
  AnyTensor large = full({1 << 10}, 3, DType::int64);
  large.fill_(1), large.mul_(int64_t(1) << 52);
  EXPECT_EQ(sum(large.to(kGpu)).to(kCPU).to(DType::int64).item(), 0x1p62);
}

GPU_TEST(Gpu, ZerosOfBothSignsAreZeroAndNothingElseIs) {
  for (DType t : kFloats) {
    AnyTensor x = zeros({4096}, t), lone = zeros({4096}, t);
    x.slice(0, 0, 4096, 3).fill_(-0.0);
    x.slice(0, 1, 4096, 4).fill_(NAN), x.slice(0, 5, 4096, 64).fill_(t == DType::float64 ? 5e-324 : 1e-7);
    EXPECT_EQ(distance(count_nonzero(x.to(kGpu)), count_nonzero(x)), 0) << name(t);
    EXPECT_EQ(distance(count_nonzero(x.view({64, 64}).to(kGpu), 0), count_nonzero(x.view({64, 64}), 0)), 0) << name(t);
    EXPECT_EQ(any(lone.to(kGpu)).to(kCPU).item(), 0);
    lone.narrow(0, 4095, 1).fill_(-1);
    EXPECT_EQ(any(lone.to(kGpu)).to(kCPU).item(), 1) << name(t);
    EXPECT_EQ(all(lone.to(kGpu)).to(kCPU).item(), 0) << name(t);
  }
  // An integer's top bit is no sign of zero.
  for (DType t : {DType::int8, DType::int16, DType::int32, DType::int64}) {
    AnyTensor x = full({100}, 1, t);
    x = bitwise_left_shift(x, 8 * int64_t(item_size(t)) - 1);
    EXPECT_EQ(count_nonzero(x.to(kGpu)).to(kCPU).item(), 100) << name(t);
  }
}

GPU_TEST(Gpu, FloatsAreSummedAtEverySize) {
  for (DType t : kFloats)
    for (const Shape& shape : shapes(t))
      for (const AnyTensor& x : views(draw(shape, 0.5, 1, 3, t))) {
        AnyTensor y = on_gpu(x);
        for (const Axes& axes : axes_of(x)) {
          // Of terms of one sign, relative to a sum far beyond 1.
          EXPECT_LE(distance(sum(y, axes), sum(x, axes)), tolerance(t)) << name(t) << to_string(x.shape());
          if (x.numel() && t == DType::float32) {
            EXPECT_LE(distance(var(y, axes, true, 0), var(x, axes, true, 0)), tolerance(t)) << to_string(x.shape());
            EXPECT_LE(distance(logsumexp(y, axes), logsumexp(x, axes)), tolerance(t)) << to_string(x.shape());
          }
        }
      }
}

GPU_TEST(Gpu, TheGreatestAndItsPlaceAtEverySize) {
  for (DType t : kAll) {
    if (t == DType::boolean) continue;
    for (const Shape& shape : shapes(t)) {
      AnyTensor from = sample(shape, t);  // a few values, so there are ties: the first counts
      if (from.numel() == 0) continue;
      for (const AnyTensor& x : views(from)) {
        AnyTensor y = on_gpu(x);
        EXPECT_EQ(distance(argmax(y), argmax(x)), 0) << name(t) << to_string(x.shape());
        for (int64_t d = 0; d < x.dim(); ++d) {
          auto here = max(x, d), there = max(y, d);
          EXPECT_EQ(distance(there.values, here.values), 0) << name(t) << to_string(x.shape()) << " over " << d;
          EXPECT_EQ(distance(there.indices, here.indices), 0) << name(t) << to_string(x.shape()) << " over " << d;
          EXPECT_EQ(distance(argmin(y, d), argmin(x, d)), 0) << name(t) << to_string(x.shape()) << " over " << d;
        }
      }
    }
  }
}

GPU_TEST(Gpu, TheFirstNotANumberIsBeyondAll) {
  for (DType t : kFloats)
    for (int64_t n : {5, 40, 1000, 3000, 70000})
      for (int64_t at : {int64_t(0), n / 2, n - 2}) {
        AnyTensor x = sample({n}, t);
        x.narrow(0, n - 1, 1).fill_(NAN), x.narrow(0, at, 1).fill_(NAN);
        AnyTensor y = x.to(kGpu), columns = x.view({n, 1}).expand({n, 24}).contiguous().to(kGpu);
        for (bool greatest : {true, false}) {
          EXPECT_EQ((greatest ? argmax(y) : argmin(y)).to(kCPU).item(), double(at)) << name(t) << n;
          EXPECT_EQ(values(greatest ? argmax(columns, 0) : argmin(columns, 0)), std::vector<double>(24, double(at)))
              << name(t) << n;
          EXPECT_TRUE(std::isnan((greatest ? max(y, 0) : min(y, 0)).values.to(kCPU).item()));
        }
      }
  for (DType t : kFloats) {  // the element itself comes back
    AnyTensor zero = full({3000}, 0, t), least = full({3000}, -HUGE_VAL, t);
    zero.narrow(0, 0, 1).fill_(-0.0);
    EXPECT_TRUE(std::signbit(max(zero.to(kGpu), 0).values.to(kCPU).item())) << "the first of the equal ones";
    EXPECT_EQ(argmax(least.to(kGpu)).to(kCPU).item(), 0) << "minus infinity is an element like others";
  }
}
