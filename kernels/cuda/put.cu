#include <algorithm>
#include <cstdint>
#include <cstring>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/put.h"
#include "kernels/cuda/runtime.h"

namespace gradus::cuda {
namespace {

constexpr int kMost = 480;  // arguments have 4 KiB

struct Words {
  uint64_t word[kMost];
};
__global__ void put(uint64_t* to, int count, const __grid_constant__ Words words) {
  const int i = int(threadIdx.x);
  if (i < count) to[i] = words.word[i];
}

}  // namespace

void put_words(void* to, const void* from, size_t bytes) {
  auto* at = static_cast<uint64_t*>(to);
  auto* next = static_cast<const char*>(from);
  for (size_t left = bytes / sizeof(uint64_t); left > 0;) {
    const size_t count = std::min(left, size_t(kMost));
    Words words;
    std::memcpy(words.word, next, count * sizeof(uint64_t));
    put<<<1, kMost, 0, stream()>>>(at, int(count), words);
    at += count, next += count * sizeof(uint64_t), left -= count;
  }
  check_launch("capture", {});
}

}  // namespace gradus::cuda
