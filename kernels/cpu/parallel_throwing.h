// parallel_for for parts that may throw, as those do that take scratch memory: an exception that left a parallel region would end the
// process.
#pragma once
#include <cstdint>
#include <type_traits>

namespace gradus::cpu {

void parallel_for_throwing(int64_t n, int64_t grain, void (*part)(void*, int64_t, int64_t), void* context);

/// As parallel_for, but f may throw: when all threads are through, the first exception is thrown again. Parts that follow one that threw
/// may or may not have run.
template <class F> void parallel_for_throwing(int64_t n, int64_t grain, F&& f) {
  using Part = std::remove_reference_t<F>;
  auto part = [](void* f, int64_t begin, int64_t end) { (*static_cast<Part*>(f))(begin, end); };
  parallel_for_throwing(n, grain, part, const_cast<std::remove_const_t<Part>*>(&f));
}

}  // namespace gradus::cpu
