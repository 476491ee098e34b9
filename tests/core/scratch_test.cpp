// Running out of memory inside a kernel's threads comes back as an error, and the process goes on.
#include "kernels/cpu/scratch.h"

#include <cstdint>

#include "kernels/cpu/parallel_throwing.h"
#include "kernels/cpu/scratch_limit.h"
#include "tests/check.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

struct Limit {
  explicit Limit(size_t bytes) { cpu::refuse_scratch_beyond(bytes); }
  ~Limit() { cpu::refuse_scratch_beyond(SIZE_MAX); }
};

/// f must fail under a limit that what it takes outside its threads does not reach, and give the same after as before.
void expect_recovery(const char* what, size_t limit, const std::function<AnyTensor()>& f) {
  AnyTensor before = f();
  {
    Limit tight(limit);
    std::string message = message_of<OutOfMemory>([&] { f(); });
    EXPECT_NE(message.find("bytes were refused"), std::string::npos) << what << ": " << message;
  }
  EXPECT_EQ(distance(f(), before), 0) << what;
}

}  // namespace

TEST(Scratch, APartThatThrowsEndsTheLoopWithItsError) {
  std::vector<int> ran(64);
  auto parts = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) ++ran[size_t(i)];
    cpu::Scratch scratch(end == 64 ? size_t(1) << 60 : 100);  // more than any system has
    *scratch.as<char>() = 1;
  };
  message_of<OutOfMemory>([&] { cpu::parallel_for_throwing(64, 1, parts); });
  EXPECT_EQ(ran.front(), 1);
  EXPECT_EQ(ran.back(), 1);
  int64_t sum = 0;
  cpu::parallel_for_throwing(1, 1, [&](int64_t begin, int64_t end) { sum += end - begin; });
  EXPECT_EQ(sum, 1);
}

TEST(Scratch, KernelsRunOutInsideTheirThreads) {
  AnyTensor a = draw({300, 200}), b = draw({200, 8}, -1, 1, 5);
  expect_recovery("a product whose rows are packed", 4 << 10, [&] { return matmul(a.t().contiguous().t(), b); });
  AnyTensor batch = draw({8, 40, 300}), others = draw({8, 300, 40}, -1, 1, 5);
  expect_recovery("a batch of products", 4 << 10, [&] { return matmul(batch, others); });
  AnyTensor image = draw({2, 8, 40, 40}), w = draw({1, 8, 3, 3}, -1, 1, 5);
  expect_recovery("windows of a convolution", 64 << 10, [&] { return conv2d(image, w); });
  AnyTensor x = image.clone().requires_grad_(), filters = w.clone().requires_grad_();
  AnyTensor y = conv2d(x, filters), g = ones_like(y.detach());
  for (const AnyTensor& leaf : {x, filters})
    expect_recovery("their gradients", 64 << 10, [&] { return grad({y}, {leaf}, {g}, {.retain_graph = true})[0]; });
  AnyTensor many = draw({2, 32, 64, 64}).to(DType::float32), three = draw({32, 32, 3, 3}, -1, 1, 5).to(DType::float32);
  expect_recovery("tiles of a convolution", 200 << 10, [&] { return conv2d(many, three, {}, {.padding = 1}); });
}
