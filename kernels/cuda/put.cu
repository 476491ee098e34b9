#include <algorithm>
#include <cstdint>
#include <cstring>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/put.h"
#include "kernels/cuda/runtime.h"

namespace gradus::cuda {
namespace {

// Arguments have 4 KiB, and 32,764 bytes where compiler and driver know of more. Those of a launch are copied whole, so few words take the
// small kernel.
constexpr int kFew = 480, kMany = 4000;
#if CUDART_VERSION >= 12010
constexpr bool kCompilerTakesMany = true;
#else
constexpr bool kCompilerTakesMany = false;
#endif

template <int most> struct Words { uint64_t word[most]; };
template <int most> __global__ void put(uint64_t* to, int count, const __grid_constant__ Words<most> words) {
  const int i = int(blockIdx.x * kThreads + threadIdx.x);
  if (i < count) to[i] = words.word[i];
}

template <int most> void launch_put(uint64_t* to, const void* from, int count) {
  Words<most> words;
  std::memcpy(words.word, from, size_t(count) * sizeof(uint64_t));
  put<most><<<(unsigned(count) + kThreads - 1) / kThreads, kThreads, 0, stream()>>>(to, count, words);
}

bool takes_many() {
  static const bool yes = [] {
    int driver = 0;
    if (cudaDriverGetVersion(&driver) != cudaSuccess) cudaGetLastError();
    return kCompilerTakesMany && driver >= 12010;
  }();
  return yes;
}

}  // namespace

void put_words(void* to, const void* from, size_t bytes) {
  auto* at = static_cast<uint64_t*>(to);
  auto* next = static_cast<const char*>(from);
  for (size_t left = bytes / sizeof(uint64_t); left > 0;) {
    size_t count = std::min(left, size_t(kFew));
    if constexpr (kCompilerTakesMany)
      if (left > kFew && takes_many()) count = std::min(left, size_t(kMany));
    if (count <= kFew)
      launch_put<kFew>(at, next, int(count));
    else if constexpr (kCompilerTakesMany)
      launch_put<kMany>(at, next, int(count));
    at += count, next += count * sizeof(uint64_t), left -= count;
  }
  check_launch("capture: numbers for a replay", int64_t(bytes / sizeof(uint64_t)));
}

}  // namespace gradus::cuda
