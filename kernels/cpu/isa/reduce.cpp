// Sums, products and counts; how elements are gathered; the reductions' entries in the table.
#include "kernels/cpu/isa/fold.h"
#include "kernels/dispatch.h"

namespace gradus::cpu {
inline namespace GRADUS_ISA {
namespace {

struct AddNumbers : Add {  // NaN counts as nothing
  template <class P> GRADUS_FN static P take(P x, P, P) { return where(x == x, x, P(0)); }
};
struct Multiply : Add {
  template <class A> static constexpr A kFirst = 1;
  template <class P> GRADUS_FN static P join(P a, P b) { return a * b; }
};

using Gather = void (*)(void* to, const char* from, int64_t step, int64_t n);

/// Every second of 2n elements, some more than a packet at a time. Returns how many came.
template <class T> GRADUS_FN int64_t every_second(T* y, const T* x, int64_t n) {
  constexpr int kLanes = kRegister / sizeof(T);
  using V = typename Number<T, kLanes>::V;
  int64_t i = 0;
  for (; i + kLanes < n; i += kLanes) {  // the element after the last one may not be there
    const T* from = x + 2 * i;
    for (int k = 0; k < 2; ++k) __builtin_prefetch(reinterpret_cast<const char*>(from) + 4096 + k * 64, 0, 2);
    V a = load_bits<V>(from), b = load_bits<V>(from + kLanes);
    [&]<int... I>(std::integer_sequence<int, I...>) { store_bits(y + i, __builtin_shufflevector(a, b, 2 * I...)); }
    (std::make_integer_sequence<int, kLanes>());
  }
  return i;
}

template <class To, class From, bool kNonzero> void gather(void* to, const char* from, int64_t step, int64_t n) {
  To* y = static_cast<To*>(to);
  int64_t i = 0;
  auto one = [](const From& x) {
    if constexpr (kNonzero)
      return To(accumulate_t<From>(x) != 0);
    else
      return To(x);
  };
  if (step == sizeof(From)) {
    auto* x = reinterpret_cast<const From*>(from);
    if constexpr (std::is_same_v<To, float> && !std::is_same_v<From, float>)
      for (; i + kLanesF <= n; i += kLanesF) store(y + i, load(x + i));
    for (; i < n; ++i) y[i] = one(x[i]);
  } else if (step == 2 * sizeof(From)) {  // a constant that the compiler knows what to do with
    auto* x = reinterpret_cast<const From*>(from);
    if constexpr (std::is_same_v<To, From> && sizeof(From) >= 4 && !kNonzero) i = every_second(y, x, n);
    for (; i < n; ++i) y[i] = one(x[2 * i]);
  } else {
    for (; i < n; ++i, from += step) y[i] = one(*reinterpret_cast<const From*>(from));
  }
}

const Fold& sum_fold(ReduceKind kind, DType x) {
  switch (kind) {
    case ReduceKind::nansum: return GRADUS_FLOAT_FOLD(AddNumbers, x);
    case ReduceKind::prod: return GRADUS_NUMBER_FOLD(Multiply, x);
    case ReduceKind::count_nonzero:
    case ReduceKind::all:
    case ReduceKind::any: return Folding<Add, int64_t>::kFold;
    default: break;
  }
  if (x == DType::float16) return Folding<Add, half>::kFold;
  if (x == DType::bfloat16) return Folding<Add, bfloat16>::kFold;
  return GRADUS_NUMBER_FOLD(Add, x);
}

}  // namespace

void set_gather(Reduce& r, DType x, DType reads, bool nonzero) {
  const int64_t step = r.by_rows ? r.gone_x[r.gone_rank - 1] : r.kept_x[r.kept_rank - 1];
  if (x == reads && step == r.x_item && !nonzero) return;
  if (x == DType::boolean) x = DType::uint8;
  if (nonzero)
    r.gather = dispatch_number("count_nonzero", x, []<class T>() -> Gather { return gather<int64_t, T, true>; });
  else if (reads == DType::int64)
    r.gather = dispatch_integer("sum", x, []<class T>() -> Gather { return gather<int64_t, T, false>; });
  else if (x == reads)
    r.gather = dispatch_size(x, []<class T>() -> Gather { return gather<T, T, false>; });
  else
    r.gather = x == DType::float16 ? Gather(gather<float, half, false>) : gather<float, bfloat16, false>;
}

void reduce(const Array& y, const Array& x, const Array& center, ReduceKind kind, double p) {
  Reduce r;
  lay_out(r, y, x);
  const bool counts = kind == ReduceKind::count_nonzero || kind == ReduceKind::all || kind == ReduceKind::any;
  const bool extreme =
      kind == ReduceKind::max || kind == ReduceKind::min || kind == ReduceKind::max_abs || kind == ReduceKind::min_abs;
  const bool norm = kind == ReduceKind::norm || kind == ReduceKind::var || kind == ReduceKind::std || kind == ReduceKind::logsumexp;
  const Fold& fold = norm ? norm_fold(kind, x.dtype, p) : extreme ? extreme_fold(kind, x.dtype) : sum_fold(kind, x.dtype);
  r.kind = kind, r.p = p, r.center = center.as<char>(), r.sum_item = fold.sum_item;
  set_gather(r, x.dtype, fold.reads, counts);
  reduce(r, fold);
}

void sum(const Array& y, const Array& x) {
  Reduce r;
  lay_out(r, y, x);
  const Fold& fold = sum_fold(ReduceKind::sum, x.dtype);
  r.kind = ReduceKind::sum, r.p = 0, r.sum_item = fold.sum_item;
  set_gather(r, x.dtype, fold.reads);
  reduce(r, fold);
}

}  // namespace GRADUS_ISA
}  // namespace gradus::cpu
