// What a GPU scans, sorts, selects and finds, against the CPU, at the sizes where kernels change.
#include "tests/device/on_gpu.h"

using namespace gradus;
using namespace gradus::testing;

// Lines of a thread, of one tile of 2048 elements, of several, and in chunks of 8192; columns in chunks of 128 or more.
GPU_TEST(Gpu, ScansOfEveryLength) {
  for (DType t : {DType::float32, DType::float64, DType::bfloat16, DType::int32, DType::int8})
    for (const Shape& shape : {Shape{3, 33}, Shape{2, 2047}, Shape{2, 2048}, Shape{1, 2049}, Shape{3, 8192}, Shape{2, 8193},
                               Shape{30000}, Shape{600, 40}, Shape{300, 5}, Shape{257, 3}, Shape{2, 1000, 3}, Shape{0, 3}}) {
      AnyTensor x = is_float(t) ? draw(shape, 0.2, 1, 3, t) : sample(shape, t), y = x.to(kGpu);
      for (int d = 0; d < x.dim(); ++d) {
        EXPECT_LE(distance(cumsum(y, d), cumsum(x, d)), tolerance(t)) << name(t) << to_string(shape) << " along " << d;
        auto here = cummax(x, d), there = cummax(y, d);
        EXPECT_EQ(distance(there.values, here.values), 0) << name(t) << to_string(shape) << " along " << d;
        EXPECT_EQ(distance(there.indices, here.indices), 0) << name(t) << to_string(shape) << " along " << d;
        if (!is_float(t)) {
          EXPECT_EQ(distance(cumprod(y, d), cumprod(x, d)), 0) << name(t) << to_string(shape) << " along " << d;
          continue;
        }
        EXPECT_LE(distance(logcumsumexp(y, d), logcumsumexp(x, d)), 2 * tolerance(t)) << name(t) << to_string(shape);
        EXPECT_EQ(distance(cumsum(y, d), cumsum(y, d)), 0);
      }
    }
  AnyTensor x = sample({40000}, DType::float32), y;  // few values: the last of equal ones counts
  x.narrow(0, 20000, 1).fill_(NAN), y = x.to(kGpu);
  EXPECT_EQ(distance(cummax(y, 0).indices, cummax(x, 0).indices), 0);
  EXPECT_EQ(distance(cummin(y, 0).indices, cummin(x, 0).indices), 0);
}

// Backwards scans serve gradients.
GPU_TEST(Gpu, GradientsOfLongScans) {
  for (const Shape& shape : {Shape{20000}, Shape{700, 3}}) {
    AnyTensor a = draw(shape).requires_grad_(), b = a.detach().to(kGpu).requires_grad_(), g = draw(shape, -1, 1, 2);
    cumsum(a, 0).backward(g), cumsum(b, 0).backward(g.to(kGpu));
    EXPECT_LT(distance(b.grad(), a.grad()), 1e-12);
  }
}

// Chunks of 4096, a warp's share of 512, 16 elements a thread.
GPU_TEST(Gpu, PlacesOfNonzeros) {
  for (DType t : kAll)
    for (const Shape& shape : {Shape{}, Shape{5}, Shape{511}, Shape{513}, Shape{4096}, Shape{3, 7, 590}, Shape{0, 3}}) {
      AnyTensor x = sample(shape, t), y = x.to(kGpu);
      EXPECT_EQ(distance(nonzero(y), nonzero(x)), 0) << name(t) << to_string(shape);
      EXPECT_EQ(distance(nonzero(zeros_like(y)), nonzero(zeros_like(x))), 0) << name(t) << to_string(shape);
    }
  for (DType t : kFloats) {
    AnyTensor x = full({9000}, -0.0, t);
    x.narrow(0, 4095, 2).fill_(NAN), x.narrow(0, 8999, 1).fill_(-1);
    EXPECT_EQ(values(nonzero(x.to(kGpu))), (std::vector<double>{4095, 4096, 8999})) << name(t);
  }
}

// One line and many, of keys that fit 32 bits together with the number of a line and that do not.
GPU_TEST(Gpu, SortsOfEveryTypeAndShape) {
  for (DType t : kAll)
    for (const Shape& shape :
         {Shape{}, Shape{1}, Shape{3000}, Shape{1, 300}, Shape{70, 9}, Shape{300, 5}, Shape{4, 30, 5}, Shape{0, 4}}) {
      AnyTensor x = sample(shape, t), y = x.to(kGpu);  // with ties
      if (is_float(t) && x.numel() > 20) {
        AnyTensor flat = x.view({-1});
        flat.narrow(0, 3, 2).fill_(NAN), flat.narrow(0, 7, 1).fill_(-0.0), flat.narrow(0, 9, 1).fill_(0.0);
        flat.narrow(0, 11, 1).fill_(HUGE_VAL), flat.narrow(0, 13, 1).fill_(-HUGE_VAL), y = x.to(kGpu);
      }
      for (int d = 0; d < std::max(1, x.dim()); ++d)
        for (bool descending : {false, true}) {
          auto here = sort(x, d, descending), there = sort(y, d, descending);
          const std::string what = std::string(name(t)) + to_string(shape) + " along " + std::to_string(d);
          EXPECT_EQ(distance(there.values, here.values), 0) << what;
          EXPECT_EQ(distance(there.indices, here.indices), 0) << what;
          if (x.numel() == 0 || t == DType::boolean) continue;
          const int64_t k = x.dim() ? (x.size(d) + 1) / 2 : 1;
          auto few = topk(x, k, d, descending), same = topk(y, k, d, descending);
          EXPECT_EQ(distance(same.values, few.values), 0) << what;
          EXPECT_EQ(distance(same.indices, few.indices), 0) << what;
          EXPECT_EQ(distance(median(y, d).values, median(x, d).values), 0) << what;
          EXPECT_EQ(distance(kthvalue(y, k, d).values, kthvalue(x, k, d).values), 0) << what;
        }
    }
}

// Rows that a thread adds, rows of less than one stage of 2048 and of several; the CPU's to the bit.
GPU_TEST(Gpu, ChoicesAreTheCpus) {
  for (const Shape& shape : {Shape{5}, Shape{3, 64}, Shape{4, 65}, Shape{2, 2048}, Shape{3, 2049}, Shape{1, 9000}}) {
    AnyTensor weights = relu(draw(shape, -0.3, 1, 3));
    for (bool replacement : {true, false}) {
      Generator a(5), b(5);
      AnyTensor here = multinomial(weights, 5 < shape[shape.rank - 1] ? 5 : 2, replacement, a);
      EXPECT_EQ(distance(multinomial(weights.to(kGpu), here.size(-1), replacement, b), here), 0) << to_string(shape);
    }
    Generator a(6), b(6);
    EXPECT_EQ(distance(multinomial(weights.to(kGpu), 1000, true, b), multinomial(weights, 1000, true, a)), 0) << to_string(shape);
  }
}
