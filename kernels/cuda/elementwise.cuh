// The two kernels that every elementwise op is: a pack of 16 bytes an operand a thread, or one element a thread at any strides.
#pragma once
#include "kernels/cuda/launch.h"
#include "kernels/cuda/runtime.h"

namespace gradus::cuda {

inline unsigned blocks_of(uint32_t threads) { return (threads + kThreads - 1) / kThreads; }

// Half types meet float by the processor's own conversions; float to nearest even, as on the CPU.
template <class T> __device__ __forceinline__ accumulate_t<T> widen(T x) { return x; }
template <> __device__ __forceinline__ float widen(half x) {
  float f;
  asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(x.bits));
  return f;
}
template <> __device__ __forceinline__ float widen(bfloat16 x) { return __uint_as_float(uint32_t(x.bits) << 16); }
template <class T> __device__ __forceinline__ T narrow(accumulate_t<T> x) { return x; }
template <> __device__ __forceinline__ half narrow<half>(float f) {
  half x;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(x.bits) : "f"(f));
  return x;
}
template <> __device__ __forceinline__ bfloat16 narrow<bfloat16>(float f) {
  bfloat16 x;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(x.bits) : "f"(f));
  return x;
}

/// Of numbers that a narrow integer cannot hold the low bits are left, as on the CPU; a conversion to it would stop at its ends.
template <class To, class From> __device__ __forceinline__ To converted(From x) {
  if constexpr (std::is_integral_v<To> && sizeof(To) < sizeof(int32_t) && std::is_floating_point_v<From>)
    return To(int32_t(x));
  else
    return To(x);
}

__device__ __forceinline__ uint32_t divide(uint32_t n, const Divider& by) { return (__umulhi(n, by.factor) + n) >> by.shift; }

/// Where element `i` lies in each of kOperands operands.
template <int kOperands> __device__ __forceinline__ void locate_element(uint32_t i, const Layout& layout, int32_t* offset) {
#pragma unroll
  for (int k = 0; k < kOperands; ++k) offset[k] = 0;
  for (int d = 0; d + 1 < layout.rank; ++d) {
    uint32_t outer = divide(i, layout.size[d]), at = i - outer * layout.size[d].divisor;
#pragma unroll  // so that offsets are registers
    for (int k = 0; k < kOperands; ++k) offset[k] += int32_t(at) * layout.stride[d][k];
    i = outer;
  }
#pragma unroll
  for (int k = 0; k < kOperands; ++k) offset[k] += int32_t(i) * layout.stride[layout.rank - 1][k];
}

template <class T, int n> struct alignas(sizeof(T) * n) Pack { T item[n]; };

// An op has: Out, In and First, the types of its outputs, its inputs and the first of these; kOutputs and kInputs; kItems, how many
// elements a pack has (1: there is no kernel for packs); Scalars, what the call's two scalars become; reads(k), whether input k is looked at;
// writes(k), whether output k is ever written; and element(out, first, in, scalars) in registers, where in[0] stands for nothing if First is
// another type.
template <class Op> constexpr bool kFirstIsOther = !std::is_same_v<typename Op::First, typename Op::In>;

template <class Op> __global__ void __launch_bounds__(kThreads) packed(Part part, typename Op::Scalars scalars) {
  constexpr int n = Op::kItems, kIn = Op::kOutputs;
  using Out = typename Op::Out;
  using In = typename Op::In;
  using First = typename Op::First;
  uint32_t i = blockIdx.x * kThreads + threadIdx.x;
  if (i >= part.packs) return;
  int32_t offset[Op::kOutputs + Op::kInputs];
  locate_element<Op::kOutputs + Op::kInputs>(i * n, part.layout, offset);
  Pack<First, n> first;
  Pack<In, n> in[Op::kInputs];
  Pack<Out, n> out[Op::kOutputs];
  if constexpr (kFirstIsOther<Op>) {
    auto* p = static_cast<const First*>(part.data[kIn]) + offset[kIn];
    if (part.layout.stride[0][kIn]) {
      first = *reinterpret_cast<const Pack<First, n>*>(p);
    } else {
#pragma unroll
      for (int j = 0; j < n; ++j) first.item[j] = *p;
    }
  }
#pragma unroll
  for (int k = kFirstIsOther<Op> ? 1 : 0; k < Op::kInputs; ++k) {
    if (!Op::reads(k)) continue;
    auto* p = static_cast<const In*>(part.data[kIn + k]) + offset[kIn + k];
    if (part.layout.stride[0][kIn + k]) {  // alike in all threads
      in[k] = *reinterpret_cast<const Pack<In, n>*>(p);
    } else {
#pragma unroll
      for (int j = 0; j < n; ++j) in[k].item[j] = *p;
    }
  }
#pragma unroll
  for (int j = 0; j < n; ++j) {
    In x[Op::kInputs];
    Out y[Op::kOutputs];
#pragma unroll
    for (int k = kFirstIsOther<Op> ? 1 : 0; k < Op::kInputs; ++k)
      if (Op::reads(k)) x[k] = in[k].item[j];
    Op::element(y, first.item[j], x, scalars);
#pragma unroll
    for (int k = 0; k < Op::kOutputs; ++k)
      if (Op::writes(k)) out[k].item[j] = y[k];
  }
#pragma unroll
  for (int k = 0; k < Op::kOutputs; ++k)
    if (Op::writes(k) && part.data[k]) *reinterpret_cast<Pack<Out, n>*>(static_cast<Out*>(part.data[k]) + offset[k]) = out[k];
}

template <class Op> __global__ void __launch_bounds__(kThreads) singly(Part part, typename Op::Scalars scalars) {
  constexpr int kIn = Op::kOutputs;
  using Out = typename Op::Out;
  using In = typename Op::In;
  using First = typename Op::First;
  uint32_t i = part.single + blockIdx.x * kThreads + threadIdx.x;
  if (i >= part.count) return;
  int32_t offset[Op::kOutputs + Op::kInputs];
  locate_element<Op::kOutputs + Op::kInputs>(i, part.layout, offset);
  First first{};
  In x[Op::kInputs];
  Out y[Op::kOutputs];
  if constexpr (kFirstIsOther<Op>) first = static_cast<const First*>(part.data[kIn])[offset[kIn]];
#pragma unroll
  for (int k = kFirstIsOther<Op> ? 1 : 0; k < Op::kInputs; ++k)
    if (Op::reads(k)) x[k] = static_cast<const In*>(part.data[kIn + k])[offset[kIn + k]];
  Op::element(y, first, x, scalars);
#pragma unroll
  for (int k = 0; k < Op::kOutputs; ++k)
    if (Op::writes(k) && part.data[k]) static_cast<Out*>(part.data[k])[offset[k]] = y[k];
}

/// For callers that look for errors themselves, when all parts are on their way.
template <class Op> void launch_part_unchecked(const Part& part, const Elementwise& call) {
  typename Op::Scalars scalars(call.scalars);
  if constexpr (Op::kItems > 1) {
    if (part.packs) packed<Op><<<blocks_of(part.packs), kThreads, 0, stream()>>>(part, scalars);
  }
  if (part.single < part.count) singly<Op><<<blocks_of(part.count - part.single), kThreads, 0, stream()>>>(part, scalars);
}
template <class Op> void launch_part(const Part& part, const Elementwise& call) {
  launch_part_unchecked<Op>(part, call);
  check_launch(call);
}

/// How an entry picks an op by dtype before it knows what to launch.
struct Launch {
  LaunchPart part;
  uint32_t items;
};
template <class Op> Launch launch_of() { return {launch_part<Op>, uint32_t(Op::kItems)}; }
inline void run(const Elementwise& call, Launch launch) { for_each_part(call, launch.items, launch.part); }

}  // namespace gradus::cuda
