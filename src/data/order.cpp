#include "gradus/data/order.h"

#include "gradus/ops/random.h"

namespace gradus::data {
namespace {

// The finaliser of splitmix64: every bit of the result depends on every bit of x, and no two x give the same.
uint64_t scramble(uint64_t x) {
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
  x = (x ^ x >> 27) * 0x94D049BB133111EBu;
  return x ^ x >> 31;
}

}  // namespace

std::vector<int64_t> shuffled(int64_t n, Generator& g) { return randperm(n, g, kCPU).vector(); }

uint64_t mix_seed(uint64_t seed, uint64_t epoch, uint64_t index) {
  constexpr uint64_t kStep = 0x9E3779B97F4A7C15u;
  return scramble(scramble(scramble(seed + kStep) + epoch + kStep) + index + kStep);
}

}  // namespace gradus::data
