// Between a plan and a launch: cuts a call into parts whose elements and offsets are counted in 32 bits, and finds out whether threads may
// move 16 bytes at a time. No templates, and nothing of CUDA: it is tested on the CPU.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <string>

#include "kernels/elementwise.h"
#include "kernels/update.h"

namespace gradus::cuda {

inline constexpr uint32_t kThreads = 256;  // in a block

/// n / divisor for n below 2^31 by a multiplication: a GPU has no instruction that divides.
struct Divider {
  uint32_t divisor = 1, factor = 1, shift = 0;
  Divider() = default;
  explicit Divider(uint32_t d) : divisor(d) {
    while (shift < 32 && (uint64_t(1) << shift) < d) ++shift;
    factor = uint32_t(((uint64_t(1) << 32) * ((uint64_t(1) << shift) - d)) / d + 1);
  }
};

struct Layout {
  int rank;
  Divider size[kMaxRank];                  // innermost first
  int32_t stride[kMaxRank][kMaxOperands];  // in elements
};

/// What one launch does.
struct Part {
  uint32_t count;   // elements
  uint32_t packs;   // of `items` each, which come first; the rest one by one
  uint32_t single;  // where that rest begins
  Layout layout;
  void* data[kMaxOperands];  // null: not wanted, or not read
};

/// `items`: how many elements a thread may take at once where all operands lie so that it can; 1: never.
using LaunchPart = void (*)(const Part&, const Elementwise&);
void for_each_part(const Elementwise& call, uint32_t items, LaunchPart launch);

/// What an error says of a call: "softmax of float32[2, 3] float32[2, 3]". Absent arrays are left out.
std::string described(const Elementwise& call);
std::string described(const char* op, std::initializer_list<const Array*> arrays);
std::string described(const char* op, int64_t elements);
std::string described(const Update* list, int64_t count);

/// After a launch. Throws Error with that where the launch was refused.
void check_launch(const Elementwise& call);
void check_launch(const char* op, std::initializer_list<const Array*> arrays);
void check_launch(const char* op, int64_t elements);
void check_launch(const Update* list, int64_t count);

}  // namespace gradus::cuda
