// Copies, casts, fills and `where`: kernels that move elements.
#include <bit>

#include "kernels/cuda/elementwise.cuh"
#include "kernels/cuda/turn.h"
#include "kernels/dispatch.h"

namespace gradus::cuda {
namespace {

struct Nothing {
  Nothing() = default;
  explicit Nothing(const Scalar*) {}
};

/// Half types meet every other type in float. Copies within a type move its bytes, whatever they mean.
template <class To, class From> struct Convert {
  using Out = To;
  using In = From;
  using First = From;
  using Scalars = Nothing;
  static constexpr int kOutputs = 1, kInputs = 1;
  static constexpr int kItems = int(16 / (sizeof(To) > sizeof(From) ? sizeof(To) : sizeof(From)));
  __device__ static constexpr bool reads(int) { return true; }
  __device__ static constexpr bool writes(int) { return true; }
  __device__ __forceinline__ static void element(To* y, From, const From* x, const Scalars&) {
    if constexpr (std::is_same_v<To, From>)
      y[0] = x[0];
    else if constexpr (std::is_same_v<To, bool>)
      y[0] = widen(x[0]) != 0;
    else
      y[0] = narrow<To>(converted<accumulate_t<To>>(widen(x[0])));
  }
};

template <class T> struct Select {
  using Out = T;
  using In = T;
  using First = bool;
  using Scalars = Nothing;
  static constexpr int kOutputs = 1, kInputs = 3, kItems = int(16 / sizeof(T));
  __device__ static constexpr bool reads(int) { return true; }
  __device__ static constexpr bool writes(int) { return true; }
  __device__ __forceinline__ static void element(T* y, bool condition, const T* x, const Scalars&) {
    y[0] = condition ? x[1] : x[2];
  }
};

/// `Bits` is an unsigned integer of the element's size: what a value means does not matter here.
template <class Bits> __global__ void __launch_bounds__(kThreads) fill_packed(Part part, Bits value) {
  constexpr int n = 16 / sizeof(Bits);
  uint32_t i = blockIdx.x * kThreads + threadIdx.x;
  if (i >= part.packs) return;
  int32_t offset[1];
  locate_element<1>(i * n, part.layout, offset);
  Pack<Bits, n> pack;
#pragma unroll
  for (int j = 0; j < n; ++j) pack.item[j] = value;
  *reinterpret_cast<Pack<Bits, n>*>(static_cast<Bits*>(part.data[0]) + offset[0]) = pack;
}
template <class Bits> __global__ void __launch_bounds__(kThreads) fill_singly(Part part, Bits value) {
  uint32_t i = part.single + blockIdx.x * kThreads + threadIdx.x;
  if (i >= part.count) return;
  int32_t offset[1];
  locate_element<1>(i, part.layout, offset);
  static_cast<Bits*>(part.data[0])[offset[0]] = value;
}
template <class T> void fill_part(const Part& part, const Elementwise& c) {
  using Bits =
      std::conditional_t<sizeof(T) == 1, uint8_t,
                         std::conditional_t<sizeof(T) == 2, uint16_t, std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>>>;
  Bits value = std::bit_cast<Bits>(c.scalars[0].to<T>());
  if (part.packs) fill_packed<<<blocks_of(part.packs), kThreads, 0, stream()>>>(part, value);
  if (part.single < part.count) fill_singly<<<blocks_of(part.count - part.single), kThreads, 0, stream()>>>(part, value);
}
/// Copies tell their arrays, which they know, where an op would tell its operands.
template <class Op> Launch copy_of() { return {launch_part_unchecked<Op>, uint32_t(Op::kItems)}; }

}  // namespace

namespace rows {
void where(const Elementwise& c) {
  run(c, dispatch_size(c.dtype, [&]<class T>() { return launch_of<Select<T>>(); }));
}
}  // namespace rows

void copy(const Array& y, const Array& x) {
  Elementwise c = call_over("to", y.dtype, 1, {&y, &x}, nullptr);
  if (y.dtype == x.dtype && copy_turned(c)) return check_launch("to", {&x, &y});
  auto same = [&]<class T>() { return copy_of<Convert<T, T>>(); };
  auto other = [&]<class To>() {
    return dispatch_all("to", x.dtype, [&]<class From>() {
      if constexpr (std::is_same_v<To, From>)
        return Launch{};  // taken care of above
      else
        return copy_of<Convert<To, From>>();
    });
  };
  run(c, y.dtype == x.dtype ? dispatch_size(y.dtype, same) : dispatch_all("to", y.dtype, other));
  check_launch("to", {&x, &y});
}

void fill(const Array& y, Scalar value) {
  const Scalar scalars[] = {value, {}};
  Elementwise c = call_over("fill", y.dtype, 1, {&y}, scalars);
  for_each_part(c, uint32_t(16 / item_size(y.dtype)),
                dispatch_all("fill", y.dtype, [&]<class T>() -> LaunchPart { return fill_part<T>; }));
  check_launch("fill", {&y});
}

}  // namespace gradus::cuda
