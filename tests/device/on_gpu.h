// What tests need that hold a GPU against the CPU: samples of every dtype in every layout, moved as they lie.
#pragma once
#include "tests/check.h"

namespace gradus::testing {

inline const Device kGpu("cuda");
#define GPU_TEST(suite, name)                                                  \
  static void suite##_##name();                                                \
  TEST(suite, name) {                                                          \
    if (device_count(DeviceType::cuda) == 0) GTEST_SKIP() << "no CUDA device"; \
    suite##_##name();                                                          \
  }                                                                            \
  static void suite##_##name()

inline constexpr DType kAll[] = {DType::float32, DType::float64, DType::float16, DType::bfloat16, DType::int8,
                                 DType::int16,   DType::int32,   DType::int64,   DType::uint8,    DType::boolean};
inline constexpr DType kFloats[] = {DType::float32, DType::float64, DType::float16, DType::bfloat16};
/// A unit or two of a type's last place, for sums whose order differs.
inline double tolerance(DType t) {
  return t == DType::float64 ? 1e-13 : t == DType::float32 ? 1e-5 : t == DType::float16 ? 2e-3 : t == DType::bfloat16 ? 1.6e-2 : 0;
}
inline AnyTensor sample(const Shape& shape, DType t, uint64_t seed = 1) {
  return t == DType::boolean ? draw(shape, -1, 1, seed) > 0 : draw(shape, t == DType::uint8 ? 0 : -9, 9, seed).to(t);
}
/// Views of every kind that kernels meet: row-major, turned, every second column, broadcast, offset by one element, channels last.
inline std::vector<AnyTensor> layouts(DType t) {
  AnyTensor x = sample({6, 5, 16}, t), odd = sample({7, 3, 5}, t, 2);
  return {x,
          odd,
          x.permute({2, 0, 1}),
          odd.transpose(0, 2),
          x.slice(2, 0, 16, 2),
          x.slice(1, 1, 4),
          x.narrow(2, 1, 15),
          sample({1, 5, 1}, t, 3).expand({6, 5, 16}),
          sample({16}, t, 4).expand({6, 5, 16}),
          sample({}, t, 5),
          sample({0, 4}, t, 6),
          sample({100003}, t, 7),
          sample({2, 4, 4, 8}, t, 8).permute({0, 3, 1, 2})};
}
/// The view of x's storage, moved: strides and gaps come along.
inline AnyTensor on_gpu(const AnyTensor& x) {
  int64_t reach = 1;
  for (int d = 0; d < x.dim(); ++d) reach += x.numel() ? (x.shape()[d] - 1) * x.stride()[d] : 0;
  AnyTensor flat = as_view(x, {x.numel() ? reach : 0}, {1}, 0);
  return as_view(flat.to(kGpu), x.shape(), x.stride(), 0);
}

}  // namespace gradus::testing
