#include <thread>

#include "tests/check.h"

namespace gradus {
namespace {

using namespace gradus::testing;

TEST(Float32Precision, IsHighestUntilAskedOtherwiseInAllThreads) {
  EXPECT_EQ(float32_matmul_precision(), Float32Precision::highest);
  set_float32_matmul_precision(Float32Precision::high);
  Float32Precision seen = Float32Precision::highest;
  std::thread([&] { seen = float32_matmul_precision(); }).join();
  EXPECT_EQ(seen, Float32Precision::high);
  set_float32_matmul_precision(Float32Precision::highest);
  EXPECT_EQ(float32_matmul_precision(), Float32Precision::highest);
}

TEST(Float32Precision, ChangesNoBitOnTheCpu) {
  AnyTensor a = draw({37, 53}, -1, 1, 1, DType::float32), b = draw({53, 41}, -1, 1, 2, DType::float32);
  AnyTensor highest = matmul(a, b);
  set_float32_matmul_precision(Float32Precision::high);
  AnyTensor high = matmul(a, b);
  set_float32_matmul_precision(Float32Precision::highest);
  EXPECT_EQ(values(high), values(highest));
}

}  // namespace
}  // namespace gradus
