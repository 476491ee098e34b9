// Copies, casts, fills and `where`: kernels that move elements.
#include "kernels/array.h"
#include "kernels/cpu/isa/lines.h"
#include "kernels/cpu/run.h"
#include "kernels/dispatch.h"
#include "kernels/packet.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {
namespace {

/// Half types meet every other type in float; numbers that do not fit an integer are cut as the processor cuts them.
template <class To, class From> void convert(int64_t n, void* const* p, const Scalar*, Writes) {
  auto* y = static_cast<To*>(p[0]);
  auto* x = static_cast<const From*>(p[1]);
  if constexpr (std::is_same_v<accumulate_t<To>, float> && std::is_same_v<accumulate_t<From>, float>) {
    constexpr int kLanes = sizeof(PacketF) / sizeof(float);
    for (int64_t i = 0; i < n; i += kLanes) store(y + i, load(x + i));
  } else {
    for (int64_t i = 0; i < n; ++i) {
      if constexpr (std::is_same_v<To, bool>)
        y[i] = accumulate_t<From>(x[i]) != 0;
      else
        y[i] = To(accumulate_t<To>(accumulate_t<From>(x[i])));
    }
  }
}

template <class T> void copy_run(int64_t n, void* const* p, const Scalar*, Writes writes) {
  auto *y = static_cast<char*>(p[0]), *x = static_cast<char*>(p[1]);
  int64_t bytes = n * int64_t(sizeof(T));
  using V = PacketF::V;
  if (writes != Writes::cached)
    for (; bytes >= kRegister; bytes -= kRegister, y += kRegister, x += kRegister) {
      if (writes == Writes::stream) expect_ahead(x);
      store_stream(reinterpret_cast<float*>(y), PacketF(load_bits<V>(x)));
    }
  __builtin_memmove(y, x, size_t(bytes));
}

template <class T> void select(int64_t n, void* const* p, const Scalar*, Writes) {
  auto *y = static_cast<T*>(p[0]), *a = static_cast<T*>(p[2]), *b = static_cast<T*>(p[3]);
  auto* condition = static_cast<const int8_t*>(p[1]);
  using Lanes = Number<T, 16>;
  for (int64_t i = 0; i < n; i += 16) {
    typename Lanes::Mask mask{__builtin_convertvector(load_bits<Bools<16>>(condition + i) != 0, decltype(Lanes::Mask::v))};
    auto x = Lanes(load_bits<typename Lanes::V>(a + i)), z = Lanes(load_bits<typename Lanes::V>(b + i));
    store_bits(y + i, where(mask, x, z).v);
  }
}

void run_over(const char* op, std::initializer_list<const Array*> arrays, Run run, bool copies, Scalar value = {}) {
  const Scalar scalars[] = {value, {}};
  const Elementwise call = call_over(op, (*arrays.begin())->dtype, 1, arrays, scalars);
  if (copies && !call.plan.contiguous(call.operands) && streamed(call) && copy_lines(call)) return;
  for_each_run(call, run, copies);
}

}  // namespace

namespace rows {
void where(const Elementwise& c) {
  for_each_run(c, dispatch_size(c.dtype, []<class T>() -> Run { return select<T>; }));
}
}  // namespace rows

void copy(const Array& y, const Array& x) {
  auto conversion = [&]<class To>() -> Run {
    return dispatch_all("to", x.dtype, []<class From>() -> Run { return convert<To, From>; });
  };
  auto same = []<class T>() -> Run { return copy_run<T>; };
  if (y.dtype == x.dtype)
    run_over("to", {&y, &x}, dispatch_size(y.dtype, same), true);
  else
    run_over("to", {&y, &x}, dispatch_all("to", y.dtype, conversion), false);
}

void fill(const Array& y, Scalar value) {
  run_over("fill", {&y},
           dispatch_all("fill", y.dtype,
                        []<class T>() -> Run {
                          return [](int64_t n, void* const* p, const Scalar* s, Writes) {
                            T v = s[0].to<T>(), *to = static_cast<T*>(p[0]);
                            for (int64_t i = 0; i < n; ++i) to[i] = v;
                          };
                        }),
           false, value);
}

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
