// What nvcc gives to a kernel's source, for a compiler that knows no GPU: included before everything else. Kernels are translated
// (translate.py) and run on the CPU, so that what they compute is tested where there is no GPU.
//
// The threads of a block take turns: each runs to its next barrier, in order or, with GRADUS_EMULATOR_ORDER=reversed, the last one
// first, and a value that is read before its barrier is another one in one of the two orders. A barrier that not all threads meet, a warp's
// exchange that some of its lanes left out, and a grid that no GPU has end the program with the kernel's name.
#pragma once
#include <cuda_runtime_api.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>

#undef __global__
#undef __device__
#undef __host__
#undef __shared__
#undef __constant__
#undef __forceinline__
#undef __noinline__
#undef __launch_bounds__
#undef __grid_constant__
#define __global__
#define __device__
#define __host__
#define __shared__ static  // one block runs at a time
#define __constant__
#define __forceinline__ inline
#define __noinline__
#define __launch_bounds__(...)
#define __grid_constant__

namespace emulator {

// Those of the thread that runs.
extern uint3 thread, block;
extern dim3 threads_of_block, blocks_of_grid;
inline unsigned lane() { return thread.x % 32; }

/// Waits for all threads of the block that have not ended.
void meet_block();
/// Waits for all lanes of the warp.
void meet_warp(unsigned mask);
/// Where this warp's lanes leave a value each, to be read after they have met.
struct Slot {
  unsigned char bytes[16];
};
Slot* slots_of_warp();

template <class T> T exchange(unsigned mask, T value, unsigned from) {
  static_assert(sizeof(T) <= sizeof(Slot));
  Slot* slots = slots_of_warp();
  std::memcpy(slots[lane()].bytes, &value, sizeof value);
  meet_warp(mask);
  std::memcpy(&value, slots[from].bytes, sizeof value);
  return value;
}

struct Grid {
  dim3 blocks, threads;
  cudaStream_t stream;
  Grid(dim3 blocks, dim3 threads, size_t = 0, cudaStream_t stream = nullptr) : blocks(blocks), threads(threads), stream(stream) {}
};
void launch_kernel(const char* name, const Grid& grid, std::function<void()> thread);
template <class Kernel, class... Arguments> void launch(const char* name, const Grid& grid, Kernel kernel, Arguments... arguments) {
  static_assert((sizeof(Arguments) + ... + 0) <= 32764, "a kernel's arguments have 32 KiB less four bytes");
  launch_kernel(name, grid, [=] { kernel(arguments...); });
}
/// Runs `task` in its turn of the stream, with the device's memory open.
void enqueue(cudaStream_t stream, std::function<void()> task);

inline void instruction_cvt_f32_f16(float& f, uint16_t bits) {
  _Float16 h;
  std::memcpy(&h, &bits, sizeof h);
  f = float(h);
}
inline void instruction_cvt_rn_f16_f32(uint16_t& bits, float f) {
  const _Float16 h = _Float16(f);
  std::memcpy(&bits, &h, sizeof bits);
}
inline void instruction_cvt_rn_bf16_f32(uint16_t& bits, float f) {
  const uint32_t u = std::bit_cast<uint32_t>(f);
  bits = f != f ? uint16_t(0x7fff) : uint16_t((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
// What these promise is a bound; here they are exact but for rounding. Where there is ftz, subnormal floats are zeros, as there.
inline float flushed(float x) { return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x; }
inline void instruction_ex2_approx_ftz_f32(float& y, float x) { y = flushed(std::exp2(flushed(x))); }
inline void instruction_lg2_approx_ftz_f32(float& y, float x) { y = std::log2(flushed(x)); }
inline void instruction_rcp_approx_ftz_f32(float& y, float x) { y = flushed(1 / flushed(x)); }
inline void instruction_rcp_approx_f32(float& y, float x) { y = 1 / x; }

}  // namespace emulator

#define threadIdx (::emulator::thread)
#define blockIdx (::emulator::block)
#define blockDim (::emulator::threads_of_block)
#define gridDim (::emulator::blocks_of_grid)

inline void __syncthreads() { ::emulator::meet_block(); }
inline void __syncwarp(unsigned mask = 0xffffffffu) { ::emulator::meet_warp(mask); }
template <class T> T __shfl_xor_sync(unsigned mask, T value, int distance) {
  return ::emulator::exchange(mask, value, ::emulator::lane() ^ unsigned(distance));
}
template <class T> T __shfl_down_sync(unsigned mask, T value, unsigned distance) {
  const unsigned from = ::emulator::lane() + distance;
  return ::emulator::exchange(mask, value, from < 32 ? from : ::emulator::lane());
}
template <class T> T __shfl_up_sync(unsigned mask, T value, unsigned distance) {
  const unsigned lane = ::emulator::lane();
  return ::emulator::exchange(mask, value, lane < distance ? lane : lane - distance);
}
inline unsigned __ballot_sync(unsigned mask, bool yes) {
  ::emulator::Slot* slots = ::emulator::slots_of_warp();
  slots[::emulator::lane()].bytes[0] = yes;
  ::emulator::meet_warp(mask);
  unsigned all = 0;
  for (unsigned i = 0; i < 32; ++i) all |= unsigned(slots[i].bytes[0]) << i;
  return all;
}
template <class T> T atomicAdd(T* at, T value) {
  const T before = *at;
  *at = before + value;
  return before;
}
template <class T> T atomicMax(T* at, T value) {
  const T before = *at;
  *at = before < value ? value : before;
  return before;
}
inline int __popc(unsigned x) { return std::popcount(x); }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned(uint64_t(a) * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64);
}
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dsub_rn(double a, double b) { return a - b; }
inline double __dmul_rn(double a, double b) { return a * b; }
