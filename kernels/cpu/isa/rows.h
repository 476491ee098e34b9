// The kernels of one family of rows, forward and fused backward, for the instruction set this file is compiled for.
// A family's source defines GRADUS_FAMILY and includes this; every family is compiled three times.
#pragma once
#include "kernels/cpu/isa/stream.h"
#include "kernels/cpu/run.h"
#include "kernels/dispatch.h"
#include "kernels/functors.h"
#include "kernels/packet.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {
namespace {

template <class P, class T> Values<P> parameters(const Scalar* scalars) {
  Values<P> v;
  v.s = P(scalars[0].to<accumulate_t<T>>()), v.t = P(scalars[1].to<accumulate_t<T>>());
  return v;
}

template <class T, class Row> void forward(int64_t n, void* const* p, const Scalar* scalars, Writes writes) {
  using P = Packet<T>;
  constexpr int kLanes = sizeof(P) / sizeof(accumulate_t<T>);
  auto *y = static_cast<T*>(p[0]), *a = static_cast<T*>(p[1]), *b = static_cast<T*>(p[2]);
  Values<P> v = parameters<P, T>(scalars);
  for (int64_t i = 0; i < n; i += kLanes) {
    if (writes == Writes::stream) {
      expect_ahead(a + i);
      if constexpr (Row::kInputs == 2) expect_ahead(b + i);
    }
    v.a = load(a + i);
    if constexpr (Row::kInputs == 2) v.b = load(b + i);
    store_past(y + i, Row::forward(v), writes != Writes::cached);
  }
}

/// One pass over memory for all gradients of an op. What the row's text does not read is not loaded, and was not even saved.
template <class T, class Row> void backward(int64_t n, void* const* p, const Scalar* scalars, Writes writes) {
  using P = Packet<T>;
  constexpr int kLanes = sizeof(P) / sizeof(accumulate_t<T>);
  using Needs = Gradients<Row>;
  auto *da = static_cast<T*>(p[0]), *db = static_cast<T*>(p[1]), *g = static_cast<T*>(p[2]);
  auto *a = static_cast<T*>(p[3]), *b = static_cast<T*>(p[4]), *y = static_cast<T*>(p[5]);
  Values<P> v = parameters<P, T>(scalars);
  for (int64_t i = 0; i < n; i += kLanes) {
    if (writes == Writes::stream) {
      expect_ahead(g + i);
      if constexpr (Needs::kSeen & kUsesA) expect_ahead(a + i);
      if constexpr (Needs::kSeen & kUsesB) expect_ahead(b + i);
      if constexpr (Needs::kSeen & kUsesY) expect_ahead(y + i);
    }
    v.g = load(g + i);
    if constexpr (Needs::kSeen & kUsesA) v.a = load(a + i);
    if constexpr (Needs::kSeen & kUsesB) v.b = load(b + i);
    if constexpr (Needs::kSeen & kUsesY) v.y = load(y + i);
    if constexpr (!Needs::kA.is_g) {
      if (da) store_past(da + i, Row::gradient_a(v), writes != Writes::cached);
    }
    if constexpr (Row::kInputs == 2 && !Needs::kB.is_g) {
      if (db) store_past(db + i, Row::gradient_b(v), writes != Writes::cached);
    }
  }
}

/// Comparisons and predicates: bools out.
template <class T, class Row> void test(int64_t n, void* const* p, const Scalar*, Writes) {
  using P = Packet<T>;
  constexpr int kLanes = sizeof(P) / sizeof(accumulate_t<T>);
  auto* y = static_cast<int8_t*>(p[0]);
  auto *a = static_cast<T*>(p[1]), *b = static_cast<T*>(p[2]);
  for (int64_t i = 0; i < n; i += kLanes) {
    Values<P> v;
    v.a = load(a + i);
    if constexpr (Row::kInputs == 2) v.b = load(b + i);
    // A mask's lane is -1, a bool is 1.
    store_bits<Bools<kLanes>>(y + i, -__builtin_convertvector(Row::forward(v).v, Bools<kLanes>));
  }
}

// Bool tensors take part in comparisons and bitwise rows as bytes.
template <class Row> Run forward_of(const Elementwise& c) {
  if constexpr (Row::kClass == RowClass::floats)
    return dispatch_float(c.op, c.dtype, []<class T>() -> Run { return forward<T, Row>; });
  else if constexpr (Row::kClass == RowClass::bits)
    return dispatch_integer(c.op, c.dtype == DType::boolean ? DType::uint8 : c.dtype,
                            []<class T>() -> Run { return forward<T, Row>; });
  else
    return dispatch_number(c.op, c.dtype, []<class T>() -> Run { return forward<T, Row>; });
}
template <class Row> Run backward_of(const Elementwise& c) {
  return dispatch_float(c.op, c.dtype, []<class T>() -> Run { return backward<T, Row>; });
}
template <class Row> Run test_of(const Elementwise& c) {
  if constexpr (Row::kClass == RowClass::floats)
    return dispatch_float(c.op, c.dtype, []<class T>() -> Run { return test<T, Row>; });
  else
    return dispatch_number(c.op, c.dtype == DType::boolean ? DType::uint8 : c.dtype, []<class T>() -> Run { return test<T, Row>; });
}

}  // namespace

namespace rows {
#define GRADUS_ROWS GRADUS_FAMILY
#define GRADUS_UNARY(name, ...)                                                   \
  void name(const Elementwise& c) { for_each_run(c, forward_of<name##_row>(c)); } \
  void name##_backward(const Elementwise& c) { for_each_run(c, backward_of<name##_row>(c)); }
#define GRADUS_UNARY1(name, ...) GRADUS_UNARY(name)
#define GRADUS_UNARY2(name, ...) GRADUS_UNARY(name)
#define GRADUS_BINARY(name, ...) GRADUS_UNARY(name)
#define GRADUS_COMPARE(name, ...) \
  void name(const Elementwise& c) { for_each_run(c, test_of<name##_row>(c)); }
#define GRADUS_PREDICATE(name, ...) GRADUS_COMPARE(name)
#define GRADUS_BITWISE(name, ...) \
  void name(const Elementwise& c) { for_each_run(c, forward_of<name##_row>(c)); }
#include "gradus/ops/ops.def"
}  // namespace rows

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
