// Copies of large views that go from memory to memory, whole cache lines at a time, without the buffer that other views are brought into:
// what waits for memory to be read and what waits for it to be written must stand in one loop.
#pragma once
#include <utility>

#include "kernels/cpu/isa/stream.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/strided.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {
namespace lines {

constexpr int64_t kPage = 4096;
constexpr int kFloats = kRegister / sizeof(float);
using V = PacketF::V;

/// Where a row's successor begins, and how much of a row is left: what is asked for a page ahead is not always the same row's.
struct Ahead {
  int64_t left, beyond;  // bytes of this row from here on; from a place in a row's last page to the one that is read a page later
  GRADUS_FN int64_t at(int64_t i) const { return i + kPage < left ? kPage : beyond; }
};

GRADUS_FN void write(char* to, V v) { store_stream(reinterpret_cast<float*>(to), PacketF(v)); }

/// `bytes` side by side.
inline void side_by_side(char* to, const char* from, int64_t bytes, const Ahead& ahead) {
  for (int64_t i = 0; i < bytes; i += kRegister) {
    expect(from + i + ahead.at(i));
    write(to + i, load_bits<V>(from + i));
  }
}
/// Every second float: n of them, whole packets but for the last.
inline void every_second(char* to, const char* from, int64_t n, const Ahead& ahead) {
  const int64_t whole = n / kFloats * kFloats;
  int64_t i = 0;
  for (; i < whole; i += kFloats) {
    const char* x = from + 8 * i;
    if (i + kFloats >= n) break;  // the float after the last one may not be there
    const int64_t page = ahead.at(8 * i);
    expect(x + page), expect(x + page + kRegister);
    V a = load_bits<V>(x), b = load_bits<V>(x + kRegister);
    [&]<int... I>(std::integer_sequence<int, I...>) { write(to + 4 * i, __builtin_shufflevector(a, b, 2 * I...)); }
    (std::make_integer_sequence<int, kFloats>());
  }
  for (; i < n; ++i) __builtin_memcpy(to + 4 * i, from + 8 * i, 4);
}

/// The packet number k of kPlanes planes' packets, when their lanes take turns. Lane l of it is number k * lanes + l of all.
template <int kPlanes, int kPacket> GRADUS_FN V in_turn(const V (&plane)[kPlanes]) {
  V all = plane[0];
  auto join = [&]<int kPlane, int... L>(std::integer_sequence<int, kPlane>, std::integer_sequence<int, L...>) {
    constexpr auto number = [](int l) { return kPacket * kFloats + l; };
    // The first plane's lanes are put in their places with the second's; a lane whose plane has come stays.
    all = __builtin_shufflevector(all, plane[kPlane],
                                  (number(L) % kPlanes == kPlane             ? kFloats + number(L) / kPlanes
                                   : kPlane == 1 && number(L) % kPlanes == 0 ? number(L) / kPlanes
                                                                             : L)...);
  };
  constexpr auto lanes = std::make_integer_sequence<int, kFloats>();
  join(std::integer_sequence<int, 1>(), lanes);
  if constexpr (kPlanes > 2) join(std::integer_sequence<int, 2>(), lanes);
  if constexpr (kPlanes > 3) join(std::integer_sequence<int, 3>(), lanes);
  return all;
}
template <int kPlanes> void take_turns(char* to, const char* from, int64_t apart, int64_t n) {
  for (int64_t i = 0; i < n; i += kFloats, to += kPlanes * kRegister) {
    V plane[kPlanes];
    for (int k = 0; k < kPlanes; ++k) {
      const char* x = from + 4 * i + k * apart;
      expect(x + kPage);
      plane[k] = load_bits<V>(x);
    }
    [&]<int... K>(std::integer_sequence<int, K...>) { (write(to + K * kRegister, in_turn<kPlanes, K>(plane)), ...); }
    (std::make_integer_sequence<int, kPlanes>());
  }
}

}  // namespace lines

/// The plan with its rows in the order in which operand 1 has them: memory is read as a stream, and rows of whole lines may be written
/// wherever they belong.
inline Plan in_order_of_reading(Plan plan) {
  const int64_t* step = plan.stride[1];
  for (int d = 1; d < plan.rank - 1; ++d)
    for (int e = d; e > 0 && step[e - 1] < step[e]; --e) {
      std::swap(plan.size[e - 1], plan.size[e]);
      for (int k = 0; k < 2; ++k) std::swap(plan.stride[k][e - 1], plan.stride[k][e]);
    }
  return plan;
}

/// Copies operand 1 to operand 0, which is dense and large enough to be written past the caches. False: it does not lie so.
inline bool copy_lines(const Elementwise& c) {
  const int last = c.plan.rank - 1;
  const int64_t item = c.item_size[0], inner = c.plan.size[last], step = c.plan.stride[1][last];
  const bool whole = inner * item % 64 == 0;
  char* to = static_cast<char*>(c.data[0]);
  const char* from = static_cast<const char*>(c.data[1]);

  if ((step == 1 && whole && last > 0) || (step == 2 && item == 4 && (whole || last == 0))) {
    const Plan plan = in_order_of_reading(c.plan);
    const int64_t row = inner * step * item;
    const int64_t down = last > 0 ? plan.stride[1][last - 1] * item : 0, to_down = last > 0 ? plan.stride[0][last - 1] * item : 0;
    const int64_t beyond = row < lines::kPage ? lines::kPage / row * down : down - row + lines::kPage;
    constexpr int64_t kShare = 1024;  // elements: whole lines of any item
    parallel_for(plan.count, kShare, [&](int64_t begin, int64_t end) {
      Cursor cursor;
      while (begin < end) {
        cursor.seek(plan, 2, begin);
        const int64_t rest = inner - cursor.at[last];
        const char* x = from + cursor.offset[1] * item;
        char* y = to + cursor.offset[0] * item;
        int64_t rows = 1, n = rest < end - begin ? rest : end - begin;
        if (n == inner && last > 0) {  // rows that follow each other evenly
          rows = plan.size[last - 1] - cursor.at[last - 1];
          if (rows > (end - begin) / inner) rows = (end - begin) / inner;
        }
        const lines::Ahead ahead{rest * step * item, beyond};
        for (int64_t r = 0; r < rows; ++r, x += down, y += to_down)
          step == 1 ? lines::side_by_side(y, x, n * item, ahead) : lines::every_second(y, x, n, ahead);
        begin += rows * n;
      }
      _mm_sfence();
    });
    return true;
  }

  // A few planes whose elements take turns, as colours do in channels-last images.
  const Plan& plan = c.plan;
  if (last == 0 || item != 4 || inner < 2 || inner > 4 || plan.stride[1][last - 1] != 1) return false;
  const int64_t width = plan.size[last - 1];
  if (width % 16 != 0) return false;
  parallel_for(plan.count / inner, 1024, [&](int64_t begin, int64_t end) {
    Cursor cursor;
    cursor.seek(plan, 2, begin * inner);
    for (int64_t n; begin < end; begin += n) {
      n = width - cursor.at[last - 1] < end - begin ? width - cursor.at[last - 1] : end - begin;
      auto* run = inner == 2 ? lines::take_turns<2> : inner == 3 ? lines::take_turns<3> : lines::take_turns<4>;
      run(to + begin * inner * item, from + cursor.offset[1] * item, step * item, n);
      if (begin + n < end) cursor.seek(plan, 2, (begin + n) * inner);
    }
    _mm_sfence();
  });
  return true;
}

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
