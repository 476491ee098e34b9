// Every row of ops.def on AnyTensor: check, plan, call the kernel, record. Rows differ only in the facts of `Row`.
#include "gradus/ops/elementwise.h"

#include <cmath>
#include <typeinfo>

#include "gradus/ops/create.h"
#include "kernels/functors.h"
#include "src/ops/in_place.h"
#include "src/ops/integers.h"
#include "src/ops/op.h"

namespace gradus {

namespace {

/// A row at run time.
struct Row {
  const char* name;
  int inputs;
  RowClass of;
  unsigned saves;  // which of a, b, y the gradient reads
  bool passes[2];  // the gradient of this input is g itself: no kernel, no copy
  ElementwiseKernel *KernelTable::*forward, *KernelTable::*backward;
  /// The gradient's text, on tensors; used when a graph of the gradient is wanted.
  void (*rule)(const Values<AnyTensor>& v, const Scalar* scalars, AnyTensor* grads);
};

// Handed on by pointer: copying freshly written scalars from the stack would stall on every small op.
const Scalar kNoScalars[2];

/// Plans the call; outputs and inputs are set. An absent operand borrows the layout of `result`.
void plan(Elementwise& call, const AnyTensor& result, const AnyTensor* const* operands) {
  const Impl& r = *result.impl();
  const Impl* impls[kMaxOperands];
  bool same = r.dense;
  for (int k = 0; k < call.operands; ++k) {
    const Impl* x = operands[k] ? operands[k]->impl() : nullptr;
    call.data[k] = x ? x->data : nullptr;
    if (!x) x = &r;
    impls[k] = x;
    call.item_size[k] = uint8_t(item_size(x->dtype));
    // One run if laid out as the result is: both row-major, or both dense with the same strides.
    if (x != &r) same = same && x->shape == r.shape && (x->contiguous ? r.contiguous : x->stride == r.stride);
  }
  if (same) return call.plan.set_contiguous(r.count, call.operands);
  View views[kMaxOperands];
  for (int k = 0; k < call.operands; ++k) views[k] = {impls[k]->shape.rank, impls[k]->shape.size, impls[k]->stride.size};
  call.plan.set(r.shape.rank, r.shape.size, views, call.operands);
}

/// A device's own error, which knows no more than the plan, with what was handed on.
[[noreturn, gnu::cold, gnu::noinline]] void fail_with_operands(const Error& e, const Elementwise& call,
                                                               const AnyTensor* const* operands) {
  std::string read, written;
  for (int k = 0; k < call.operands; ++k)
    if (operands[k] && operands[k]->defined()) (k < call.outputs ? written : read) += " " + to_string(operands[k]->shape());
  fail<Error>(e.what(), "; its operands are", read, ", its results", written);
}
void run(ElementwiseKernel* kernel, const Elementwise& call, const AnyTensor* const* operands) {
  try {
    kernel(call);
  } catch (const Error& e) {
    if (typeid(e) != typeid(Error)) throw;  // the others are about the call, and say what
    fail_with_operands(e, call, operands);
  }
}

struct ElementwiseNode final : Node {
  const Row& row;
  Scalar scalars[2];
  Saved saved[3];  // a, b, y

  ElementwiseNode(const Row& row, const Scalar* s) : row(row), scalars{s[0], s[1]} {}
  const char* name() const override { return row.name; }
  void forget() override {
    for (Saved& s : saved) s = {};
  }

  void backward(AnyTensor& g, AnyTensor* grads, bool create_graph) override {
    AnyTensor a = row.saves & kUsesA ? saved[0]() : AnyTensor(), b = row.saves & kUsesB ? saved[1]() : AnyTensor();
    AnyTensor y = row.saves & kUsesY ? saved[2]() : AnyTensor();
    if (create_graph) return row.rule({g, a, b, y, {}, {}}, scalars, grads);
    AnyTensor out[2];
    bool reuse = g.impl()->dense && g.ref().unique() && g.impl()->storage.unique();
    bool needs_kernel = false;
    for (uint32_t i = 0; i < uint32_t(row.inputs); ++i)
      if (row.passes[i] && gradus::wanted(i)) grads[i] = g, reuse = false;
    for (uint32_t i = 0; i < uint32_t(row.inputs); ++i) {
      if (row.passes[i] || !gradus::wanted(i)) continue;
      needs_kernel = true;
      out[i] = reuse ? g : empty_like(g);  // the kernel reads an element before it writes it
      reuse = false;
    }
    if (!needs_kernel) return;
    Elementwise call;
    call.op = row.name, call.dtype = g.dtype(), call.outputs = 2, call.operands = 6;
    call.scalars = scalars;
    const AnyTensor* operands[] = {&out[0], &out[1], &g, &a, &b, &y};
    plan(call, out[0] ? out[0] : out[1], operands);
    run(kernel(row.name, row.backward, g), call, operands);
    for (int i = 0; i < 2; ++i)
      if (out[i]) grads[i] = std::move(out[i]);
  }
};

[[noreturn, gnu::cold]] void fail_class(const Row& row, DType t) {
  if (row.of == RowClass::floats) fail<DTypeError>(row.name, ": needs a floating point tensor, got ", t, "; cast with to<float>()");
  if (row.of == RowClass::bits) fail<DTypeError>(row.name, ": needs integers or bool, got ", t);
  fail<DTypeError>(row.name, ": has no meaning for ", t, "; cast with to<int64_t>() or use a logical op");
}
void check_class(const Row& row, DType t) {
  bool ok = row.of == RowClass::any || (row.of == RowClass::floats    ? is_float(t)
                                        : row.of == RowClass::numbers ? t != DType::boolean
                                                                      : !is_float(t));
  if (!ok) [[unlikely]]
    fail_class(row, t);
}
void check_scalar(const char* op, DType t, const Scalar& s) {
  if (is_float(t) || s.is_integral() || double(s) == std::trunc(double(s))) return;
  fail<DTypeError>(op, ": scalar ", double(s), " for a tensor of ", t, "; cast the tensor with to<float>()");
}
/// Integer division by zero has no answer.
void check_divisor(const char* op, const AnyTensor& b) {
  NoGrad no_grad;
  AnyTensor zeros = eq(b, 0).to(DType::int64).sum();
  if (zeros.item() != 0)
    fail<ValueError>(op, ": division of ", b.dtype(), " by zero in ", int64_t(zeros.item()),
                     " places; cast with to<float>(), or mask them with where()");
}
/// What only integers can get wrong.
[[gnu::noinline]] void check_integers(const Row& row, const AnyTensor& a, const AnyTensor* b, const Scalar* s) {
  check_scalar(row.name, a.dtype(), s[0]), check_scalar(row.name, a.dtype(), s[1]);
  const auto f = row.forward;
  if (f == &KernelTable::div_scalar && double(s[0]) == 0)
    fail<ValueError>("div: division of ", a.dtype(), " by zero; cast with to<float>()");
  if (f == &KernelTable::rdiv_scalar) check_divisor("div", a);
  if (f == &KernelTable::div || f == &KernelTable::fmod || f == &KernelTable::remainder || f == &KernelTable::floor_divide)
    check_divisor(row.name, *b);
}

/// The result's shape, for up to three operands.
Shape broadcast_shape(const char* op, const AnyTensor* const* in, int inputs) {
  Shape shape = in[0]->shape();
  for (int i = 1; i < inputs; ++i) {
    Shape next;
    const Shape& other = in[i]->shape();
    next.rank = broadcast({shape.rank, shape.size, nullptr}, {other.rank, other.size, nullptr}, next.size);
    if (next.rank < 0) fail<ShapeError>(op, ": shapes ", in[0]->shape(), " and ", other, " do not broadcast");
    shape = next;
  }
  return shape;
}

/// Plans and runs; the result has `dtype` and the layout of the first operand that has its shape and is dense. No graph.
AnyTensor compute(const char* op, ElementwiseKernel* kernel, const AnyTensor* const* in, int inputs, DType arithmetic, DType dtype,
                  const Scalar* s) {
  bool same = true;
  for (int i = 1; i < inputs; ++i) same = same && in[i]->shape() == in[0]->shape();
  AnyTensor y;
  if (same) {
    int like = 0;
    while (like + 1 < inputs && !in[like]->impl()->dense) ++like;
    y = empty_like(*in[like], dtype);
  } else {
    Shape shape = broadcast_shape(op, in, inputs);
    int like = 0;
    while (like < inputs && !(in[like]->shape() == shape && in[like]->impl()->dense)) ++like;
    y = like < inputs ? empty_like(*in[like], dtype) : empty(shape, dtype, in[0]->device());
  }
  if (y.numel() == 0) return y;
  Elementwise call;
  call.op = op, call.dtype = arithmetic, call.outputs = 1, call.operands = inputs + 1;
  call.scalars = s;
  const AnyTensor* operands[] = {&y, in[0], inputs > 1 ? in[1] : nullptr, inputs > 2 ? in[2] : nullptr};
  plan(call, y, operands);
  run(kernel, call, operands);
  return y;
}

void check_inputs(const Row& row, const AnyTensor& a, const AnyTensor* b, const Scalar* s) {
  check_defined(row.name, a);
  if (b) check_same(row.name, a, *b);
  check_class(row, a.dtype());
  if (!is_float(a.dtype())) [[unlikely]]
    check_integers(row, a, b, s);
}

/// What a row for floats means for integers; undefined where it means nothing. Such a result has no gradient.
[[gnu::noinline]] AnyTensor of_integers(const Row& row, const AnyTensor& a, const AnyTensor* b, const Scalar* s) {
  if (!a.defined() || !is_integer(a.dtype())) return {};
  const auto f = row.forward;
  NoGrad no_grad;
  if (f == &KernelTable::floor || f == &KernelTable::ceil || f == &KernelTable::trunc || f == &KernelTable::round) return a.clone();
  if (f == &KernelTable::pow) {
    check_same(row.name, a, *b);
    const AnyTensor* in[] = {&a, b};
    broadcast_shape(row.name, in, 2);
    return integer_power(a, *b);
  }
  if (f != &KernelTable::pow_scalar && f != &KernelTable::rpow_scalar) return {};
  check_scalar("pow", a.dtype(), s[0]);
  if (f == &KernelTable::rpow_scalar) return integer_power(full({}, s[0], a.dtype(), a.device()), a);
  return integer_power(a, s[0].to<int64_t>());
}
bool means_more(const Row& row, const AnyTensor& a) { return row.of == RowClass::floats && a.defined() && !is_float(a.dtype()); }

AnyTensor apply(const Row& row, const AnyTensor& a, const AnyTensor* b, const Scalar* scalars = kNoScalars) {
  const AnyTensor* in[] = {&a, b};
  if (means_more(row, a)) [[unlikely]]
    if (AnyTensor y = of_integers(row, a, b, scalars)) return y;
  check_inputs(row, a, b, scalars);
  AnyTensor y = compute(row.name, kernel(row.name, row.forward, a), in, row.inputs, a.dtype(), a.dtype(), scalars);
  if (is_grad_enabled() && bool(records(a)) | (b && records(*b))) {
    auto* node = new ElementwiseNode(row, scalars);
    Ref<Node> owner(node);
    node->edge_count = uint32_t(row.inputs);
    node->set_edge(0, a);
    if (b) node->set_edge(1, *b);
    if (row.saves & kUsesA) node->saved[0] = Saved(a);
    if (row.saves & kUsesB) node->saved[1] = Saved(*b);
    if (row.saves & kUsesY) node->saved[2] = Saved::output(y);
    attach(y, std::move(owner));
  }
  return y;
}

/// The row with x as its output. What the gradient reads of the old x is copied first.
AnyTensor& apply_in_place(const Row& row, AnyTensor& x, const AnyTensor* other, const Scalar* scalars = kNoScalars) {
  if (means_more(row, x)) [[unlikely]]
    if (AnyTensor y = of_integers(row, x, other, scalars)) return take_over(row.name, x, y);
  check_inputs(row, x, other, scalars);
  check_in_place(row.name, x);
  bool recorded = is_grad_enabled() && bool(records(x)) | (other && records(*other));
  AnyTensor old;  // x as it was, with its place in the graph
  if (recorded && (row.saves & kUsesA || (other && other->is_same(x)))) {
    NoGrad no_grad;
    old = x.clone();
    old.impl()->node = x.impl()->node, old.impl()->slot = x.impl()->slot;
  }
  AnyTensor b = other ? *other : AnyTensor();
  if (other) {
    const AnyTensor* in[] = {&x, other};
    if (!(broadcast_shape(row.name, in, 2) == x.shape()))
      fail<ShapeError>(row.name, "_: shape ", other->shape(), " does not broadcast to ", x.shape(), ", which is written in place");
    // Reading what is being written is safe only at the same place.
    bool shares = b.impl()->storage.get() == x.impl()->storage.get();
    if (shares && !(b.raw_data() == x.raw_data() && b.stride() == x.stride() && b.shape() == x.shape())) b = b.clone();
  }
  if (!x.impl()->dense && x.numel() > 0) {
    for (int d = 0; d < x.dim(); ++d)
      if (x.stride()[d] == 0 && x.shape()[d] > 1)
        fail<ValueError>(row.name, "_: x of shape ", x.shape(), " is expanded, so elements share memory; clone() it first");
  }
  if (x.numel() > 0) {
    Elementwise call;
    call.op = row.name, call.dtype = x.dtype(), call.outputs = 1, call.operands = row.inputs + 1;
    call.scalars = scalars;
    const AnyTensor* operands[] = {&x, &x, other ? &b : nullptr};
    plan(call, x, operands);
    run(kernel(row.name, row.forward, x), call, operands);
  }
  written_in_place(x, recorded);  // before the output is saved: its version is the new one
  if (recorded) {
    auto* node = new ElementwiseNode(row, scalars);
    Ref<Node> owner(node);
    node->edge_count = uint32_t(row.inputs);
    node->set_edge(0, x);
    if (other) node->set_edge(1, *other);
    if (row.saves & kUsesA) node->saved[0] = Saved(old);
    if (row.saves & kUsesB) node->saved[1] = Saved(other->is_same(x) ? old : b);
    if (row.saves & kUsesY) node->saved[2] = Saved::output(x);
    attach(x, std::move(owner));
  }
  return x;
}

// The slopes of functors.h on a tensor and a number.
AnyTensor pow_slope(const AnyTensor& x, double p) { return p == 0 ? zeros_like(x) : p * pow(x, p - 1); }
AnyTensor rpow_slope(const AnyTensor& y, double s) {
  if (s != 0) return y * std::log(s);
  NoGrad no_grad;  // it is the same all around, but for the step
  return where(y <= 1, 0, y * -HUGE_VAL);
}
// Its formulas, so that their own gradients are numbers too: a slope that is infinite gets no part of a product whose other side is 0.
AnyTensor base_share(const AnyTensor& g, const AnyTensor& a, const AnyTensor& b) {
  AnyTensor none;  // where pow(a, -1) would be infinite
  {
    NoGrad no_grad;
    none = logical_and(b == 0, logical_not(isfinite(reciprocal(a))));
  }
  return where(none, 0, g * (b * pow(where(none, 1, a), b - 1)));
}
AnyTensor exponent_share(const AnyTensor& g, const AnyTensor& a, const AnyTensor& b, const AnyTensor& y) {
  AnyTensor none = logical_and(a == 0, b >= 0);
  return where(none, 0, g * (y * log(where(none, 1, a))));
}
AnyTensor floor_divide_of(const AnyTensor& a, const AnyTensor& b) { return floor_divide(a, b); }

#define GRADUS_UNARY2(name, of, s_name, s_test, t_name, t_test, forward, gradient, lo, hi)         \
  const Row name##_facts{#name,                                                                    \
                         1,                                                                        \
                         RowClass::of,                                                             \
                         Gradients<name##_row>::kSeen,                                             \
                         {Gradients<name##_row>::kA.is_g, true},                                   \
                         &KernelTable::name,                                                       \
                         &KernelTable::name##_backward,                                            \
                         [](const Values<AnyTensor>& v, const Scalar* scalars, AnyTensor* grads) { \
                           [[maybe_unused]] const AnyTensor &g = v.g, &x = v.a, &y = v.y;          \
                           [[maybe_unused]] const double s_name = scalars[0], t_name = scalars[1]; \
                           grads[0] = gradient;                                                    \
                         }};
#define GRADUS_UNARY1(name, of, s_name, s_test, ...) GRADUS_UNARY2(name, of, s_name, s_test, unused, 0, __VA_ARGS__)
#define GRADUS_UNARY(name, of, ...) GRADUS_UNARY2(name, of, unused1, 0, unused2, 0, __VA_ARGS__)
#define GRADUS_BINARY(name, of, forward, gradient_a, gradient_b, lo, hi)                            \
  const Row name##_facts{#name,                                                                     \
                         2,                                                                         \
                         RowClass::of,                                                              \
                         Gradients<name##_row>::kSeen,                                              \
                         {Gradients<name##_row>::kA.is_g, Gradients<name##_row>::kB.is_g},          \
                         &KernelTable::name,                                                        \
                         &KernelTable::name##_backward,                                             \
                         [](const Values<AnyTensor>& v, const Scalar*, AnyTensor* grads) {          \
                           [[maybe_unused]] const AnyTensor &g = v.g, &a = v.a, &b = v.b, &y = v.y; \
                           if (wanted(0)) grads[0] = gradient_a;                                    \
                           if (wanted(1)) grads[1] = gradient_b;                                    \
                         }};
#define GRADUS_COMPARE(name, of, forward) \
  const Row name##_facts{#name, 2, RowClass::of, 0, {}, &KernelTable::name, nullptr, nullptr};
#define GRADUS_PREDICATE(name, of, forward) \
  const Row name##_facts{#name, 1, RowClass::of, 0, {}, &KernelTable::name, nullptr, nullptr};
#define GRADUS_BITWISE(name, forward) const Row name##_facts{#name, 2, RowClass::bits, 0, {}, &KernelTable::name, nullptr, nullptr};
#include "gradus/ops/ops.def"

AnyTensor test(const Row& row, const AnyTensor& a, const AnyTensor* b) {
  const AnyTensor* in[] = {&a, b};
  check_defined(row.name, a);
  if (b) check_same(row.name, a, *b);
  if (means_more(row, a)) return full(a.shape(), row.forward == &KernelTable::isfinite, DType::boolean, a.device());
  return compute(row.name, kernel(row.name, row.forward, a), in, row.inputs, a.dtype(), DType::boolean, kNoScalars);
}
AnyTensor bits(const Row& row, const AnyTensor& a, const AnyTensor& b) {
  const AnyTensor* in[] = {&a, &b};
  check_same(row.name, a, b);
  check_class(row, a.dtype());
  if (a.dtype() == DType::boolean &&
      (row.forward == &KernelTable::bitwise_left_shift || row.forward == &KernelTable::bitwise_right_shift))
    fail_class(bitwise_and_facts, a.dtype());
  return compute(row.name, kernel(row.name, row.forward, a), in, 2, a.dtype(), a.dtype(), kNoScalars);
}
/// A scalar as a tensor that broadcasts against x.
AnyTensor scalar_like(const char* op, const AnyTensor& x, Scalar s) {
  check_defined(op, x);
  check_scalar(op, x.dtype(), s);
  return full({}, s, x.dtype(), x.device());
}

}  // namespace

#define GRADUS_UNARY(name, ...)                                                  \
  AnyTensor name(const AnyTensor& x) { return apply(name##_facts, x, nullptr); } \
  AnyTensor& name##_(AnyTensor& x) { return apply_in_place(name##_facts, x, nullptr); }
#define GRADUS_UNARY1(name, ...)                              \
  AnyTensor name(const AnyTensor& x, Scalar s) {              \
    const Scalar scalars[] = {s, {}};                         \
    return apply(name##_facts, x, nullptr, scalars);          \
  }                                                           \
  AnyTensor& name##_(AnyTensor& x, Scalar s) {                \
    const Scalar scalars[] = {s, {}};                         \
    return apply_in_place(name##_facts, x, nullptr, scalars); \
  }
#define GRADUS_UNARY2(name, ...)                              \
  AnyTensor name(const AnyTensor& x, Scalar s, Scalar t) {    \
    const Scalar scalars[] = {s, t};                          \
    return apply(name##_facts, x, nullptr, scalars);          \
  }                                                           \
  AnyTensor& name##_(AnyTensor& x, Scalar s, Scalar t) {      \
    const Scalar scalars[] = {s, t};                          \
    return apply_in_place(name##_facts, x, nullptr, scalars); \
  }
#define GRADUS_BINARY(name, ...)                                                                \
  AnyTensor name(const AnyTensor& a, const AnyTensor& b) { return apply(name##_facts, a, &b); } \
  AnyTensor& name##_(AnyTensor& a, const AnyTensor& b) { return apply_in_place(name##_facts, a, &b); }
#define GRADUS_COMPARE(name, ...)                                                              \
  AnyTensor name(const AnyTensor& a, const AnyTensor& b) { return test(name##_facts, a, &b); } \
  AnyTensor name(const AnyTensor& a, Scalar b) { return name(a, scalar_like(#name, a, b)); }
#define GRADUS_PREDICATE(name, ...) \
  AnyTensor name(const AnyTensor& x) { return test(name##_facts, x, nullptr); }
#define GRADUS_BITWISE(name, ...)                                                             \
  AnyTensor name(const AnyTensor& a, const AnyTensor& b) { return bits(name##_facts, a, b); } \
  AnyTensor name(const AnyTensor& a, Scalar b) { return name(a, scalar_like(#name, a, b)); }
#include "gradus/ops/ops.def"

AnyTensor where(const AnyTensor& c, const AnyTensor& a, const AnyTensor& b) {
  check_same("where", a, b);
  check_dtype("where", "the condition", c, DType::boolean);
  if (c.device() != a.device()) fail<DeviceError>("where: the condition is on ", c.device(), ", the values on ", a.device());
  const AnyTensor* in[] = {&c, &a, &b};
  // A broadcast condition may not decide the layout: its dtype is another, its shape need not be.
  AnyTensor y = compute("where", kernel("where", &KernelTable::where, a), in, 3, a.dtype(), a.dtype(), kNoScalars);
  record("where", y, {&a, &b}, [c = Saved(c)](const AnyTensor& g, AnyTensor* grads) {
    AnyTensor condition = c();
    if (wanted(0)) grads[0] = where(condition, g, 0);
    if (wanted(1)) grads[1] = where(condition, 0, g);
  });
  return y;
}
AnyTensor where(const AnyTensor& c, Scalar a, const AnyTensor& b) { return where(c, scalar_like("where", b, a), b); }
AnyTensor where(const AnyTensor& c, const AnyTensor& a, Scalar b) { return where(c, a, scalar_like("where", a, b)); }

AnyTensor add(const AnyTensor& x, Scalar s) { return add_scalar(x, s); }
AnyTensor sub(const AnyTensor& x, Scalar s) {
  return add_scalar(x, s.is_integral() ? Scalar(-s.to<int64_t>()) : Scalar(-double(s)));
}
AnyTensor mul(const AnyTensor& x, Scalar s) { return mul_scalar(x, s); }
AnyTensor div(const AnyTensor& x, Scalar s) { return div_scalar(x, s); }
AnyTensor pow(const AnyTensor& x, Scalar exponent) {
  if (double(exponent) == 2) return square(x);
  if (double(exponent) == 1) return add_scalar(x, 0);
  return pow_scalar(x, exponent);
}
AnyTensor pow(Scalar base, const AnyTensor& exponent) { return rpow_scalar(exponent, base); }
AnyTensor maximum(const AnyTensor& x, Scalar s) { return clamp_min(x, s); }
AnyTensor minimum(const AnyTensor& x, Scalar s) { return clamp_max(x, s); }
AnyTensor fmod(const AnyTensor& x, Scalar s) { return fmod(x, scalar_like("fmod", x, s)); }
AnyTensor remainder(const AnyTensor& x, Scalar s) { return remainder(x, scalar_like("remainder", x, s)); }
AnyTensor floor_divide(const AnyTensor& x, Scalar s) { return floor_divide(x, scalar_like("floor_divide", x, s)); }
AnyTensor bitwise_not(const AnyTensor& x) {
  check_defined("bitwise_not", x);
  if (x.dtype() == DType::boolean) return logical_not(x);
  return bitwise_xor(x, x.dtype() == DType::uint8 ? Scalar(255) : Scalar(-1));
}
AnyTensor zero(const AnyTensor& x) { return zeros_like(x); }

AnyTensor to(const AnyTensor& x, DType dtype) {
  check_defined("to", x);
  if (x.dtype() == dtype) return x;
  AnyTensor y = empty_like(x, dtype);
  kernel("to", &KernelTable::copy, x)(array(y), array(x));
  if (is_float(dtype) && is_float(x.dtype()))
    record("to", y, {&x}, [from = x.dtype()](const AnyTensor& g, AnyTensor* grads) { grads[0] = to(g, from); });
  return y;
}

}  // namespace gradus
