// A graph of a million nodes: made, walked and freed, and freed without being walked. Recursion would end in a stack overflow.
#include "tests/check.h"

using namespace gradus;

TEST(Chain, AMillionOpsForwardBackwardAndFreed) {
  constexpr int kLength = 1000000;
  AnyTensor x = full({1}, 1, DType::float64).requires_grad_(), one = full({1}, 1, DType::float64);
  {
    AnyTensor y = x;
    for (int i = 0; i < kLength; ++i) y = i % 2 ? y * one : y - one;
    y.backward();
  }
  EXPECT_EQ(x.grad().item(), 1);
  AnyTensor y = x;
  for (int i = 0; i < kLength; ++i) y = sin(y);
}

TEST(Chain, ALadderIsWalkedOnceThoughItHas2To40Paths) {
  AnyTensor x = full({1}, 1, DType::float64).requires_grad_(), y = x;
  for (int i = 0; i < 40; ++i) y = y + y;
  EXPECT_EQ(grad({y}, {x})[0].item(), std::ldexp(1, 40));
}
