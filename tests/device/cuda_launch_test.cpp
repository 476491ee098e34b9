// How calls are cut for a GPU, followed by hand on the CPU: every element once, at its place, and packs only where they fit.
#include "tests/check.h"

#if GRADUS_WITH_CUDA
#include <random>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/reduce_plan.h"
#include "kernels/table.h"

using namespace gradus;
using cuda::Divider;
using cuda::Part;
using gradus::testing::message_of;

namespace {

uint32_t divide(uint32_t n, const Divider& by) { return (uint32_t(uint64_t(n) * by.factor >> 32) + n) >> by.shift; }

/// What a thread does to find element i of operand k.
int64_t offset_of(uint32_t i, const Part& part, int k) {
  int64_t offset = 0;
  for (int d = 0; d < part.layout.rank; ++d) {
    uint32_t outer = d + 1 < part.layout.rank ? divide(i, part.layout.size[d]) : 0, at = i - outer * part.layout.size[d].divisor;
    offset += int64_t(at) * part.layout.stride[d][k];
    i = outer;
  }
  return offset;
}

std::vector<Part> parts;
void keep(const Part& part, const Elementwise&) { parts.push_back(part); }

/// y = f(a, b) of floats with given strides (in elements) of y, a and b.
Elementwise call(const Shape& shape, const std::vector<Shape>& strides, std::vector<char*> data, int item = 4) {
  Elementwise c{"test", DType::float32, 1, int(strides.size()), {}, {}, nullptr, {}};
  View views[kMaxOperands];
  for (size_t k = 0; k < strides.size(); ++k) {
    views[k] = {shape.rank, shape.size, strides[k].size};
    c.data[k] = data[k], c.item_size[k] = uint8_t(item);
  }
  c.plan.set(shape.rank, shape.size, views, c.operands);
  return c;
}
char* address(uintptr_t a) { return reinterpret_cast<char*>(a); }  // never looked at

}  // namespace

TEST(CudaLaunch, DividesByMultiplying) {
  std::mt19937 random(5);
  for (int i = 0; i < 20000; ++i) {
    uint32_t d = i < 2000 ? uint32_t(i) + 1 : std::max(1u, uint32_t(random() >> random() % 31) & 0x7fffffff);
    Divider by(d);
    for (uint32_t n : {0u, 1u, d - 1, d, d + 1, 2 * d - 1, uint32_t(random() & 0x7fffffff), 0x7fffffffu})
      ASSERT_EQ(divide(n & 0x7fffffff, by), (n & 0x7fffffff) / d) << n << " / " << d;
  }
}

TEST(CudaLaunch, EveryElementIsAtItsPlace) {
  // A turned operand, a broadcast one, one with gaps.
  Shape shape{5, 7, 6};
  std::vector<Shape> strides = {{42, 6, 1}, {1, 5, 35}, {0, 20, 2}};
  std::vector<char*> data = {address(1 << 20), address(2 << 20), address(3 << 20)};
  parts.clear();
  cuda::for_each_part(call(shape, strides, data), 4, keep);
  ASSERT_EQ(parts.size(), 1u);
  EXPECT_EQ(parts[0].packs, 0u);
  ASSERT_EQ(parts[0].count, 210u);
  for (int k = 0; k < 3; ++k)
    for (uint32_t i = 0; i < 210; ++i) {
      int64_t at[3] = {i / 42, i / 6 % 7, i % 6}, expected = 0;
      for (int d = 0; d < 3; ++d) expected += at[d] * strides[size_t(k)][d];
      ASSERT_EQ(offset_of(i, parts[0], k), expected);
    }
}

TEST(CudaLaunch, PacksOnlyWhereTheyFit) {
  auto packs = [&](const Shape& shape, const std::vector<Shape>& strides, std::vector<char*> data) {
    parts.clear();
    cuda::for_each_part(call(shape, strides, data), 4, keep);
    EXPECT_EQ(parts.size(), 1u);
    EXPECT_EQ(parts[0].single, parts[0].packs * 4);
    return parts[0].packs;
  };
  std::vector<char*> aligned = {address(4096), address(8192)};
  EXPECT_EQ(packs({103}, {{1}, {1}}, aligned), 25u);                        // and a tail of three
  EXPECT_EQ(packs({103}, {{1}, {1}}, {address(4096), address(8196)}), 0u);  // not at a multiple of 16 bytes
  EXPECT_EQ(packs({3}, {{1}, {1}}, aligned), 0u);
  EXPECT_EQ(packs({6, 8}, {{8, 1}, {0, 1}}, aligned), 12u);                 // a bias along rows
  EXPECT_EQ(packs({6, 8}, {{8, 1}, {1, 0}}, aligned), 12u);                 // one a row
  EXPECT_EQ(packs({6, 8}, {{8, 1}, {12, 1}}, aligned), 12u);                // rows with gaps of whole packs
  EXPECT_EQ(packs({6, 8}, {{8, 1}, {10, 1}}, aligned), 0u);                 // rows that begin anywhere
  EXPECT_EQ(packs({6, 7}, {{7, 1}, {0, 1}}, aligned), 0u);                  // packs would run over a row's end
  EXPECT_EQ(packs({6, 8}, {{8, 1}, {1, 6}}, aligned), 0u);                  // turned
  EXPECT_EQ(packs({64}, {{1}, {0}}, {address(4096), address(8196)}), 16u);  // one number for all may lie anywhere
  EXPECT_EQ(packs({64}, {{1}, {1}}, {address(4096), nullptr}), 16u);        // absent
}

TEST(CudaLaunch, WhatIsTooLargeFor32BitsIsCut) {
  const int64_t n = (int64_t(5) << 30) + 12345;
  parts.clear();
  cuda::for_each_part(call({n}, {{1}, {1}}, {address(1 << 20), address(1 << 21)}, 1), 16, keep);
  int64_t next = 0;
  for (const Part& p : parts) {
    EXPECT_EQ(static_cast<char*>(p.data[0]) - address(1 << 20), next);
    EXPECT_EQ(static_cast<char*>(p.data[1]) - address(1 << 21), next);
    EXPECT_EQ(p.packs, p.count / 16);  // cuts keep 16 bytes together
    EXPECT_LE(p.count, 1u << 30);
    next += p.count;
  }
  EXPECT_EQ(next, n);
  // Few elements that lie far apart, and an axis that is longer than an index.
  parts.clear();
  const int64_t rows = 1000, far = int64_t(1) << 24;
  cuda::for_each_part(call({rows, 3}, {{3, 1}, {far, 1}}, {address(1 << 20), address(1 << 21)}, 1), 1, keep);
  int64_t seen = 0;
  for (const Part& p : parts) {
    int64_t row = (static_cast<char*>(p.data[1]) - address(1 << 21)) / far;
    EXPECT_EQ(static_cast<char*>(p.data[0]) - address(1 << 20), row * 3);
    EXPECT_EQ(offset_of(p.count - 1, p, 1), (int64_t(p.count) / 3 - 1) * far + 2);
    seen += p.count;
  }
  EXPECT_GT(parts.size(), 1u);
  EXPECT_EQ(seen, rows * 3);
  // A few long rows that lie far apart: between the rows is where to cut.
  parts.clear();
  cuda::for_each_part(call({4, 1 << 20}, {{1 << 20, 1}, {int64_t(1) << 29, 1}}, {address(1 << 20), address(1 << 21)}, 1), 1, keep);
  seen = 0;
  for (const Part& p : parts) seen += p.count;
  EXPECT_EQ(seen, int64_t(4) << 20);
  EXPECT_EQ(parts.size(), 2u);
}

TEST(CudaLaunch, SumsOfNothingArePlanned) {
  const int64_t from[] = {4, 0, 3}, steps[] = {0, 3, 1}, to[] = {4, 1, 1}, to_steps[] = {1, 1, 1};
  double result[4], none = 0;
  const Array x{&none, DType::float64, false, 3, 0, from, steps}, y{result, DType::float64, true, 3, 4, to, to_steps};
  const cuda::ReducePlan plan = cuda::plan_reduce("sum", y, x, Array{}, ReduceKind::sum, 0, 1, sizeof(double));
  EXPECT_EQ(plan.call.outputs, 4);
  EXPECT_EQ(plan.call.depth, 0);
  EXPECT_GE(plan.blocks * plan.blocks_y, 1u);
}
TEST(CudaLaunch, ErrorsNameTheOpAndWhatItWorkedOn) {
  const int64_t shape[] = {2, 3}, stride[] = {3, 1};
  const Array x{nullptr, DType::float32, true, 2, 6, shape, stride}, absent{};
  char memory = 0;
  Array there = x;
  there.data = &memory;
  EXPECT_EQ(cuda::described("softmax", {&there, &absent, &there}), "softmax of float32[2, 3] float32[2, 3]");
  EXPECT_EQ(cuda::described("sort", 1000), "sort of 1000 elements");
  std::vector<Update> list(2);
  for (Update& u : list) u.rule = UpdateRule::adam, u.dtype = DType::bfloat16, u.count = 500;
  EXPECT_EQ(cuda::described(list.data(), 2), "update: adam of 2 parameters of bfloat16, 1000 elements");
  EXPECT_EQ(cuda::described(list.data(), 0), "update of nothing");
  EXPECT_EQ(cuda::described(call({2, 3}, {{3, 1}, {1, 2}}, {&memory, &memory})), "test of float32, 6 elements");
}

// Not as the plan has them, which has merged, dropped and turned axes.
TEST(CudaLaunch, ErrorsTellAnElementwiseOpsOperands) {
  static const KernelTable real = kernels(DeviceType::cpu);
  static KernelTable refusing = real;
  AnyTensor a = ones({4, 1, 3}).to(DType::float32).requires_grad_(), b = ones({5, 1}).to(DType::float32), y = a * b;
  refusing.mul = refusing.mul_backward =
      refusing.where = [](const Elementwise& c) { throw Error(cuda::described(c) + ": refused"); };
  refusing.add = [](const Elementwise&) { throw OutOfMemory("add: no memory"); };
  register_backend(DeviceType::cpu, &refusing, nullptr);
  const std::string texts[] = {
      message_of<Error>([&] { a* b; }),
      message_of<Error>([&] { b.transpose(0, 1) * a.select(2, 0); }),
      message_of<Error>([&] {
        y.backward(ones({4, 5, 3}).to(DType::float32));
      }),
      message_of<Error>([&] {
        AnyTensor z = y.detach();
        z *= b;
      }),
      message_of<Error>([&] { where(a.detach() > 0, a, 0); }),
      message_of<OutOfMemory>([&] { a + b; }),
  };
  register_backend(DeviceType::cpu, &real, nullptr);
  EXPECT_EQ(texts[0], "mul of float32, 60 elements: refused; its operands are [4, 1, 3] [5, 1], its results [4, 5, 3]");
  EXPECT_EQ(texts[1], "mul of float32, 20 elements: refused; its operands are [1, 5] [4, 1], its results [4, 5]");
  EXPECT_EQ(texts[2], "mul of float32, 60 elements: refused; its operands are [4, 5, 3] [4, 1, 3] [5, 1], its results [4, 5, 3]");
  EXPECT_EQ(texts[3], "mul of float32, 60 elements: refused; its operands are [4, 5, 3] [5, 1], its results [4, 5, 3]");
  EXPECT_EQ(texts[4], "where of float32, 12 elements: refused; its operands are [4, 1, 3] [4, 1, 3] [], its results [4, 1, 3]");
  EXPECT_EQ(texts[5], "add: no memory");
}

#else
TEST(CudaLaunch, IsNotBuilt) { GTEST_SKIP() << "this build has no CUDA"; }
#endif
