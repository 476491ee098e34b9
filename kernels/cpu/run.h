// Between a plan and the kernels: cuts a call into runs of whole packets, so that a kernel is one loop without strides, without a
// tail and without threads. Operands that are not one run (transposed, sliced, broadcast) pass through small buffers in L1.
#pragma once
#include "kernels/elementwise.h"

namespace gradus::cpu {

inline constexpr int64_t kQuantum = 16;  // a run's length is a multiple of this: the most lanes that any packet has
/// From so many bytes on, an output would push everything else out of the last-level cache and be gone from it before it is read:
/// it is written past the caches, which also spares reading it first.
inline constexpr int64_t kStreamed = int64_t(1) << 25;

/// How outputs are written. Those past the caches begin at a cache line; `stream` says too that inputs go on beyond the run, so that it pays to ask a
/// page ahead for what the hardware would bring too late.
enum class Writes : uint8_t { cached, past, stream };

/// n elements, contiguous. The last elements of a tensor are padded, never computed by other code: an element's value
/// does not depend on where it stands, nor on the number of threads.
using Run = void (*)(int64_t n, void* const* operands, const Scalar* scalars, Writes writes);

/// Whether the outputs are too large for the caches, and are not read by the call, since then they have been fetched already.
bool streamed(const Elementwise& call);

/// copies: the run only copies operand 1 to operand 0, so that it may be left out.
void for_each_run(const Elementwise& call, Run run, bool copies = false);

}  // namespace gradus::cpu
