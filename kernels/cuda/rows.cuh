// The kernels of one family of rows, forward and fused backward. A family's source defines GRADUS_FAMILY and includes this.
#pragma once
#include "kernels/cuda/coarse.cuh"
#include "kernels/cuda/elementwise.cuh"
#include "kernels/dispatch.h"
#include "kernels/functors.h"

namespace gradus::cuda {
namespace {

/// Activations of half types are computed as exactly as those show; all others as in float, double and integers.
template <class T> constexpr bool kCoarse = GRADUS_FAMILY == GRADUS_FAMILY_ACTIVATION&& is_half(dtype_of<T>);
template <class T> using Value = std::conditional_t<kCoarse<T>, Coarse, Number<accumulate_t<T>, 1>>;
/// Packs are for what networks are made of, and where moving takes the time; functions of other types are left to the plain kernel, which
/// halves what has to be compiled.
#ifdef GRADUS_FAMILY_MOVES
template <class T> constexpr int kItemsOf = int(16 / sizeof(T));
#else
template <class T> constexpr int kItemsOf = std::is_same_v<accumulate_t<T>, float> ? int(16 / sizeof(T)) : 1;
#endif

template <class T> struct Parameters {
  accumulate_t<T> s, t;
  explicit Parameters(const Scalar* scalars) : s(scalars[0].to<accumulate_t<T>>()), t(scalars[1].to<accumulate_t<T>>()) {}
  __device__ __forceinline__ Values<Value<T>> values() const {
    Values<Value<T>> v;
    v.s.v = s, v.t.v = t;
    return v;
  }
};

template <class T, class Row> struct Forward {
  using Out = T;
  using In = T;
  using First = T;
  using Scalars = Parameters<T>;
  static constexpr int kOutputs = 1, kInputs = Row::kInputs, kItems = kItemsOf<T>;
  __device__ static constexpr bool reads(int) { return true; }
  __device__ static constexpr bool writes(int) { return true; }
  __device__ __forceinline__ static void element(T* y, T, const T* x, const Scalars& scalars) {
    Values<Value<T>> v = scalars.values();
    v.a.v = widen(x[0]);
    if constexpr (Row::kInputs == 2) v.b.v = widen(x[1]);
    y[0] = narrow<T>(Row::forward(v).v);
  }
};

/// One pass over memory for all gradients of an op: inputs are g, a, b, y. What the row's text does not read is not loaded.
template <class T, class Row> struct Backward {
  using Out = T;
  using In = T;
  using First = T;
  using Scalars = Parameters<T>;
  using Needs = Gradients<Row>;
  static constexpr int kOutputs = 2, kInputs = 4, kItems = kItemsOf<T>;
  static constexpr unsigned kSeen = Needs::kSeen;
  static constexpr bool kWritesA = !Needs::kA.is_g, kWritesB = Row::kInputs == 2 && !Needs::kB.is_g;
  __device__ static constexpr bool reads(int k) { return k == 0 || (kSeen >> (k - 1) & 1); }
  __device__ static constexpr bool writes(int k) { return k == 0 ? kWritesA : kWritesB; }
  __device__ __forceinline__ static void element(T* d, T, const T* x, const Scalars& scalars) {
    Values<Value<T>> v = scalars.values();
    v.g.v = widen(x[0]);
    if constexpr (kSeen & kUsesA) v.a.v = widen(x[1]);
    if constexpr (kSeen & kUsesB) v.b.v = widen(x[2]);
    if constexpr (kSeen & kUsesY) v.y.v = widen(x[3]);
    if constexpr (kWritesA) d[0] = narrow<T>(Row::gradient_a(v).v);
    if constexpr (kWritesB) d[1] = narrow<T>(Row::gradient_b(v).v);
  }
};

struct NoScalars {
  explicit NoScalars(const Scalar*) {}
};

/// Comparisons and predicates: bools out.
template <class T, class Row> struct Test {
  using Out = uint8_t;
  using In = T;
  using First = T;
  using Scalars = NoScalars;
  static constexpr int kOutputs = 1, kInputs = Row::kInputs, kItems = kItemsOf<T>;
  __device__ static constexpr bool reads(int) { return true; }
  __device__ static constexpr bool writes(int) { return true; }
  __device__ __forceinline__ static void element(uint8_t* y, T, const T* x, const Scalars&) {
    Values<Value<T>> v;
    v.a.v = widen(x[0]);
    if constexpr (Row::kInputs == 2) v.b.v = widen(x[1]);
    y[0] = Row::forward(v).v ? 1 : 0;
  }
};

// Bool tensors take part in comparisons and bitwise rows as bytes.
DType as_bytes(DType t) { return t == DType::boolean ? DType::uint8 : t; }
template <class Row> Launch forward_of(const Elementwise& c) {
  auto pick = [&]<class T>() { return launch_of<Forward<T, Row>>(); };
  if constexpr (Row::kClass == RowClass::floats)
    return dispatch_float(c.op, c.dtype, pick);
  else if constexpr (Row::kClass == RowClass::bits)
    return dispatch_integer(c.op, as_bytes(c.dtype), pick);
  else
    return dispatch_number(c.op, c.dtype, pick);
}
template <class Row> Launch backward_of(const Elementwise& c) {
  return dispatch_float(c.op, c.dtype, [&]<class T>() { return launch_of<Backward<T, Row>>(); });
}
template <class Row> Launch test_of(const Elementwise& c) {
  auto pick = [&]<class T>() { return launch_of<Test<T, Row>>(); };
  if constexpr (Row::kClass == RowClass::floats)
    return dispatch_float(c.op, c.dtype, pick);
  else
    return dispatch_number(c.op, as_bytes(c.dtype), pick);
}

}  // namespace

namespace rows {
#define GRADUS_ROWS GRADUS_FAMILY
#define GRADUS_UNARY(name, ...)                                          \
  void name(const Elementwise& c) { run(c, forward_of<name##_row>(c)); } \
  void name##_backward(const Elementwise& c) { run(c, backward_of<name##_row>(c)); }
#define GRADUS_UNARY1(name, ...) GRADUS_UNARY(name)
#define GRADUS_UNARY2(name, ...) GRADUS_UNARY(name)
#define GRADUS_BINARY(name, ...) GRADUS_UNARY(name)
#define GRADUS_COMPARE(name, ...) \
  void name(const Elementwise& c) { run(c, test_of<name##_row>(c)); }
#define GRADUS_PREDICATE(name, ...) GRADUS_COMPARE(name)
#define GRADUS_BITWISE(name, ...) \
  void name(const Elementwise& c) { run(c, forward_of<name##_row>(c)); }
#include "gradus/ops/ops.def"
}  // namespace rows

}  // namespace gradus::cuda
