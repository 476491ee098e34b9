#include "gradus/ops/gather.h"

#include <algorithm>
#include <cmath>

#include "gradus/ops/create.h"
#include "gradus/ops/view.h"
#include "src/ops/in_place.h"
#include "src/ops/indices.h"

namespace gradus {
namespace {

/// x, index and axis, checked; scalars count as vectors of one element.
struct Call {
  const char* op;
  AnyTensor x, index;
  int axis;
  Shape shape;  // of x as it came

  Call(const char* op, const AnyTensor& tensor, int64_t along, const AnyTensor& places) : op(op) {
    check_defined(op, tensor);
    shape = tensor.shape();
    index = as_index(op, places, tensor);
    axis = axis_of(op, along, tensor.dim());
    x = tensor.dim() == 0 ? reshape(tensor, {1}) : tensor;
    if (index.dim() == 0) index = reshape(index, {1});
    if (index.dim() != x.dim())
      fail<ShapeError>(op, ": index of shape ", places.shape(), " for x of shape ", shape, "; they need as many dimensions");
    for (int d = 0; d < x.dim(); ++d)
      if (d != axis && index.shape()[d] > x.shape()[d])
        fail<ShapeError>(op, ": index of shape ", index.shape(), " is larger than x of shape ", x.shape(), " along axis ", d);
    check_indices(op, index, axis, x.shape()[axis]);
  }

  /// The part of source that the index asks for.
  AnyTensor part(const AnyTensor& source) const {
    check_same(op, x, source);
    AnyTensor s = source.dim() == 0 ? reshape(source, {1}) : source;
    bool fits = s.dim() == index.dim();
    for (int d = 0; fits && d < s.dim(); ++d) fits = s.shape()[d] >= index.shape()[d];
    if (!fits) fail<ShapeError>(op, ": source has shape ", source.shape(), ", the index of shape ", index.shape(), " needs more");
    for (int d = 0; d < s.dim(); ++d)
      if (s.shape()[d] > index.shape()[d]) s = narrow(s, d, 0, index.shape()[d]);
    return s;
  }

  void run(const AnyTensor& y, const AnyTensor& source, ScatterMode mode) const {
    if (index.numel() > 0) kernel(op, &KernelTable::scatter, y)(array(y), array(index), array(source), axis, mode);
  }
};

/// A new tensor; half types are added and multiplied in float.
AnyTensor scattered(const Call& c, const AnyTensor& source, ScatterMode mode) {
  NoGrad no_grad;
  bool widens = is_half(c.x.dtype()) && (mode == ScatterMode::add || mode == ScatterMode::multiply);
  if (!widens) {
    AnyTensor y = clone(c.x);
    c.run(y, source, mode);
    return y;
  }
  AnyTensor y = to(c.x, DType::float32);
  c.run(y, to(source, DType::float32), mode);
  return to(y, c.x.dtype());
}

/// Which elements of the index are the last to write their place.
AnyTensor last_writers(const AnyTensor& x, int axis, const AnyTensor& index) {
  NoGrad no_grad;
  AnyTensor number = reshape(arange(index.numel(), DType::int64, index.device()), index.shape());
  return gather(scatter(zeros(x.shape(), DType::int64, x.device()), axis, index, number), axis, index) == number;
}

AnyTensor scatter_of(const Call& c, const AnyTensor& source) {
  AnyTensor y = scattered(c, source, ScatterMode::assign);
  record("scatter", y, {&c.x, &source}, [axis = c.axis, i = Saved(c.index)](const AnyTensor& g, AnyTensor* grads) {
    AnyTensor index = i();
    if (wanted(0)) grads[0] = scatter(g, axis, index, 0);
    if (wanted(1)) grads[1] = where(last_writers(g, axis, index), gather(g, axis, index), 0);
  });
  return reshape(y, c.shape);
}
AnyTensor scalar_source(const Call& c, Scalar value) {
  if (!is_float(c.x.dtype()) && !value.is_integral() && double(value) != std::trunc(double(value)))
    fail<DTypeError>(c.op, ": value ", double(value), " for a tensor of ", c.x.dtype());
  return expand(full({}, value, c.x.dtype(), c.x.device()), c.index.shape());
}

}  // namespace

AnyTensor gather(const AnyTensor& x, int64_t axis, const AnyTensor& index) {
  check_defined("gather", x);
  AnyTensor places = as_index("gather", index, x);
  if (places.numel() == 0 && places.dim() != x.dim())  // nothing from anywhere
    return reshape(narrow(flatten(x), 0, 0, 0), places.shape());
  Call c("gather", x, axis, index);
  AnyTensor y = empty(c.index.shape(), x.dtype(), x.device());
  if (y.numel() > 0) kernel("gather", &KernelTable::gather, x)(array(y), array(c.x), array(c.index), c.axis);
  if (is_float(x.dtype()))
    record("gather", y, {&c.x}, [from = c.x.shape(), d = c.axis, i = Saved(c.index)](const AnyTensor& g, AnyTensor* grads) {
      grads[0] = scatter_add(zeros(from, g.dtype(), g.device()), d, i(), g);
    });
  return index.dim() == 0 ? reshape(y, {}) : y;
}

AnyTensor scatter(const AnyTensor& x, int64_t axis, const AnyTensor& index, const AnyTensor& source) {
  Call c("scatter", x, axis, index);
  return scatter_of(c, c.part(source));
}
AnyTensor scatter(const AnyTensor& x, int64_t axis, const AnyTensor& index, Scalar value) {
  Call c("scatter", x, axis, index);
  return scatter_of(c, scalar_source(c, value));
}

AnyTensor scatter_add(const AnyTensor& x, int64_t axis, const AnyTensor& index, const AnyTensor& source) {
  Call c("scatter_add", x, axis, index);
  AnyTensor s = c.part(source), y = scattered(c, s, ScatterMode::add);
  record("scatter_add", y, {&c.x, &s}, [d = c.axis, i = Saved(c.index)](const AnyTensor& g, AnyTensor* grads) {
    grads[0] = g;
    if (wanted(1)) grads[1] = gather(g, d, i());
  });
  return reshape(y, c.shape);
}

namespace {

/// In place: through the op that returns a new tensor where a graph or a scalar is concerned.
template <class F> AnyTensor& scatter_into(const char* op, AnyTensor& x, int64_t axis, const AnyTensor& index,
                                           const AnyTensor& source, ScatterMode mode, F&& recorded) {
  check_defined(op, x), check_defined(op, source);
  check_in_place(op, x);
  check_no_overlap(op, x);
  bool direct = x.dim() > 0 && !(is_half(x.dtype()) && mode == ScatterMode::add);
  if (!direct || (is_grad_enabled() && (x.requires_grad() || source.requires_grad()))) return take_over(op, x, recorded());
  Call c(op, x, axis, index);
  AnyTensor s = c.part(source);
  NoGrad no_grad;
  c.run(x, s.impl()->storage.get() == x.impl()->storage.get() ? clone(s) : s, mode);
  written_in_place(x);
  return x;
}

}  // namespace

AnyTensor& scatter_(AnyTensor& x, int64_t axis, const AnyTensor& index, const AnyTensor& source) {
  return scatter_into("scatter", x, axis, index, source, ScatterMode::assign, [&] { return scatter(x, axis, index, source); });
}
AnyTensor& scatter_(AnyTensor& x, int64_t axis, const AnyTensor& index, Scalar value) {
  AnyTensor source = scalar_source(Call("scatter", x, axis, index), value);
  return scatter_into("scatter", x, axis, index, source, ScatterMode::assign, [&] { return scatter(x, axis, index, value); });
}
AnyTensor& scatter_add_(AnyTensor& x, int64_t axis, const AnyTensor& index, const AnyTensor& source) {
  return scatter_into("scatter_add", x, axis, index, source, ScatterMode::add, [&] { return scatter_add(x, axis, index, source); });
}

namespace {

/// Every place shares its gradient equally among those that have its value.
AnyTensor scatter_extreme(const Call& c, const AnyTensor& source, ScatterMode mode, bool include_self) {
  AnyTensor y;
  {
    NoGrad no_grad;
    y = include_self ? clone(c.x) : scatter(c.x, c.axis, c.index, source);
    c.run(y, source, mode);
  }
  record(c.op, y, {&c.x, &source},
         [d = c.axis, include_self, i = Saved(c.index), x = Saved(c.x), s = Saved(source), out = Saved::output(y)](
             const AnyTensor& g, AnyTensor* grads) {
           AnyTensor index = i(), mine, theirs, share;
           {
             NoGrad no_grad;
             AnyTensor value = out();
             mine = to(x() == value, g.dtype()), theirs = to(s() == gather(value, d, index), g.dtype());
             if (!include_self) mine = scatter(mine, d, index, 0);
             share = scatter_add(mine, d, index, theirs);
           }
           if (wanted(0)) grads[0] = g * (mine / share);
           if (wanted(1)) grads[1] = gather(g / share, d, index) * theirs;
         });
  return reshape(y, c.shape);
}

/// The gradient of a factor is the product of the others: what is not zero divided by the factor, unless a zero is among the others.
/// (The gradient of that, at places where a factor is zero, takes the zeros as constants.)
AnyTensor scatter_product(const Call& c, const AnyTensor& source) {
  AnyTensor y = scattered(c, source, ScatterMode::multiply);
  record(c.op, y, {&c.x, &source},
         [d = c.axis, i = Saved(c.index), sx = Saved(c.x), ss = Saved(source)](const AnyTensor& g, AnyTensor* grads) {
           AnyTensor index = i(), x = sx(), s = ss(), x_zero = x == 0, s_zero = s == 0;
           AnyTensor zeros_met = scatter_add(to(x_zero, DType::int64), d, index, to(s_zero, DType::int64));
           AnyTensor x_safe = where(x_zero, 1, x), s_safe = where(s_zero, 1, s);
           AnyTensor product = scatter_product(Call("scatter_reduce", x_safe, d, index), s_safe);
           auto others = [](const AnyTensor& p, const AnyTensor& met, const AnyTensor& is_zero, const AnyTensor& factor) {
             return where(is_zero, where(met == 1, p, 0), where(met == 0, p / factor, 0));
           };
           if (wanted(0)) grads[0] = g * others(product, zeros_met, x_zero, x_safe);
           if (wanted(1))
             grads[1] = gather(g, d, index) * others(gather(product, d, index), gather(zeros_met, d, index), s_zero, s_safe);
         });
  return reshape(y, c.shape);
}

}  // namespace

AnyTensor scatter_reduce(const AnyTensor& x, int64_t axis, const AnyTensor& index, const AnyTensor& source,
                         ScatterReduction reduction, bool include_self) {
  Call c("scatter_reduce", x, axis, index);
  if (x.dtype() == DType::boolean) fail<DTypeError>("scatter_reduce: has no meaning for bool; cast with to<int64_t>()");
  AnyTensor s = c.part(source);
  auto without_self = [&](Scalar neutral) { return include_self ? c.x : scatter(c.x, c.axis, c.index, neutral); };
  switch (reduction) {
    case ScatterReduction::sum: return reshape(scatter_add(without_self(0), c.axis, c.index, s), x.shape());
    case ScatterReduction::prod: return reshape(scatter_product(Call(c.op, without_self(1), c.axis, c.index), s), x.shape());
    case ScatterReduction::amax: return scatter_extreme(c, s, ScatterMode::maximum, include_self);
    case ScatterReduction::amin: return scatter_extreme(c, s, ScatterMode::minimum, include_self);
    case ScatterReduction::mean: break;
  }
  AnyTensor total = scatter_add(without_self(0), c.axis, c.index, s), count = ones(c.x.shape(), x.dtype(), x.device());
  if (!include_self) count = scatter(count, c.axis, c.index, 0);
  count = maximum(scatter_add(count, c.axis, c.index, ones(s.shape(), x.dtype(), x.device())), 1);
  return reshape(is_float(x.dtype()) ? total / count : floor_divide(total, count), x.shape());
}

AnyTensor index_reduce(const AnyTensor& x, int64_t axis, const AnyTensor& index, const AnyTensor& source,
                       ScatterReduction reduction, bool include_self) {
  check_same("index_reduce", x, source);
  AnyTensor i = as_index("index_reduce", index, x);
  if (i.dim() > 1) fail<ShapeError>("index_reduce: the index has shape ", i.shape(), "; one dimension is needed");
  int d = axis_of("index_reduce", axis, x.dim());
  if (source.dim() != x.dim() || (x.dim() > 0 && source.shape()[d] != i.numel()))
    fail<ShapeError>("index_reduce: source has shape ", source.shape(), ", x ", x.shape(), ", the index ", i.shape());
  Shape shape = source.shape();
  for (int k = 0; k < shape.rank; ++k)
    if (k != d) shape[k] = 1;
  return scatter_reduce(x, d, expand(reshape(i, shape), source.shape()), source, reduction, include_self);
}

AnyTensor take_along_dim(const AnyTensor& x, const AnyTensor& index, int64_t axis) {
  check_defined("take_along_dim", x);
  AnyTensor i = as_index("take_along_dim", index, x);
  if (i.dim() != x.dim())
    fail<ShapeError>("take_along_dim: index of shape ", i.shape(), " for x of shape ", x.shape(), "; they need as many dimensions");
  int d = axis_of("take_along_dim", axis, x.dim());
  Shape to_x = x.shape(), to_index = i.shape();
  for (int k = 0; k < x.dim(); ++k) {
    if (k == d) continue;
    int64_t n = x.shape()[k], m = i.shape()[k];
    if (n != m && n != 1 && m != 1) fail<ShapeError>("take_along_dim: shapes ", x.shape(), " and ", i.shape(), " do not broadcast");
    to_x[k] = to_index[k] = n == 1 ? m : n;
  }
  int64_t size = x.dim() ? x.shape()[d] : 1;
  check_indices("take_along_dim", i, d, size, IndexRange::both_ways);
  return gather(expand(x, to_x), d, expand(where(i < 0, i + size, i), to_index));
}

}  // namespace gradus
