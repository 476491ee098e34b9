#include "gradus/ops/view.h"

#include <algorithm>

#include "gradus/ops/create.h"
#include "gradus/ops/elementwise.h"
#include "src/ops/op.h"
#include "src/ops/select_rule.h"

namespace gradus {
namespace {

/// Fills in a -1 and checks the count.
Shape resolved(const char* op, const AnyTensor& x, Shape shape) {
  int64_t known = 1;
  int unknown = -1;
  for (int d = 0; d < shape.rank; ++d) {
    if (shape.size[d] == -1) {
      if (unknown >= 0) fail<ShapeError>(op, ": ", shape, " has more than one -1");
      unknown = d;
    } else if (shape.size[d] < 0) {
      fail<ShapeError>(op, ": ", shape, " has a negative size");
    } else if (__builtin_mul_overflow(known, shape.size[d], &known)) {
      fail<ShapeError>(op, ": ", shape, " has more elements than can be counted");
    }
  }
  if (unknown >= 0) {
    if (known == 0 || x.numel() % known != 0)
      fail<ShapeError>(op, ": ", x.shape(), " has ", x.numel(), " elements, which ", shape,
                       " cannot hold for any size in place of -1");
    shape.size[unknown] = x.numel() / known;
  } else if (known != x.numel()) {
    fail<ShapeError>(op, ": ", x.shape(), " has ", x.numel(), " elements, ", shape, " has ", known);
  }
  return shape;
}

/// Strides that lay `shape` over x without a copy; false where there are none.
bool view_strides(const AnyTensor& x, const Shape& shape, Shape& stride) {
  stride.rank = shape.rank;
  if (x.is_contiguous()) {
    int64_t step = 1;
    for (int d = shape.rank - 1; d >= 0; --d) stride.size[d] = step, step *= std::max<int64_t>(shape.size[d], 1);
    return true;
  }
  int to = shape.rank - 1;
  int64_t chunk = 1, base = x.dim() ? x.stride()[-1] : 1, filled = 1;
  for (int d = x.dim() - 1; d >= 0; --d) {
    chunk *= x.shape().size[d];
    bool ends = d == 0 || (x.shape().size[d - 1] != 1 && x.stride().size[d - 1] != chunk * base);
    if (!ends) continue;
    while (to >= 0 && (filled < chunk || shape.size[to] == 1)) {
      stride.size[to] = filled * base;
      filled *= shape.size[to--];
    }
    if (filled != chunk) return false;
    if (d > 0) base = x.stride().size[d - 1], chunk = 1, filled = 1;
  }
  return to < 0;
}

AnyTensor reshaped(const char* op, const AnyTensor& x, const Shape& shape, const Shape& stride) {
  AnyTensor y = as_view(x, shape, stride, 0);
  record(op, y, {&x}, [from = x.shape()](const AnyTensor& g, AnyTensor* grads) { grads[0] = reshape(g, from); });
  return y;
}

}  // namespace

AnyTensor reshape(const AnyTensor& x, const Shape& wanted_shape) {
  check_defined("reshape", x);
  Shape shape = resolved("reshape", x, wanted_shape), stride;
  if (view_strides(x, shape, stride)) return reshaped("reshape", x, shape, stride);
  AnyTensor packed = contiguous(x);
  view_strides(packed, shape, stride);
  return reshaped("reshape", packed, shape, stride);
}

AnyTensor view(const AnyTensor& x, const Shape& wanted_shape) {
  check_defined("view", x);
  Shape shape = resolved("view", x, wanted_shape), stride;
  if (!view_strides(x, shape, stride))
    fail<ShapeError>("view: shape ", x.shape(), " with strides ", x.stride(), " cannot be seen as ", shape,
                     " without a copy; use reshape()");
  return reshaped("view", x, shape, stride);
}

AnyTensor flatten(const AnyTensor& x, int64_t start, int64_t end) {
  check_defined("flatten", x);
  if (x.dim() == 0) return reshape(x, {1});
  int first = axis_of("flatten", start, x.dim()), last = axis_of("flatten", end, x.dim());
  if (first > last) fail<ShapeError>("flatten: axis ", start, " comes after ", end, " in ", x.shape());
  if (first == last) return x;
  Shape shape;
  int64_t merged = 1;
  for (int d = 0; d < x.dim(); ++d) {
    if (d < first || d > last)
      shape.push_back(x.shape()[d]);
    else
      merged *= x.shape()[d];
    if (d == last) shape.push_back(merged);
  }
  return reshape(x, shape);
}

AnyTensor unflatten(const AnyTensor& x, int64_t axis, const Shape& sizes) {
  check_defined("unflatten", x);
  int d = axis_of("unflatten", axis, x.dim());
  int64_t known = 1, unknown = 0;
  for (int64_t n : sizes) n == -1 ? ++unknown : known *= n;
  if (sizes.rank == 0 || unknown > 1 || (unknown ? known <= 0 || x.shape()[d] % known : known != x.shape()[d]))
    fail<ShapeError>("unflatten: axis ", axis, " of ", x.shape(), " cannot become ", sizes);
  Shape shape;
  for (int i = 0; i < x.dim(); ++i) {
    if (i != d)
      shape.push_back(x.shape()[i]);
    else
      for (int64_t n : sizes) shape.push_back(n == -1 ? x.shape()[d] / known : n);
  }
  return reshape(x, shape);
}

AnyTensor squeeze(const AnyTensor& x) {
  check_defined("squeeze", x);
  Shape shape, stride;
  for (int d = 0; d < x.dim(); ++d)
    if (x.shape()[d] != 1) shape.push_back(x.shape()[d]), stride.push_back(x.stride()[d]);
  return reshaped("squeeze", x, shape, stride);
}

AnyTensor squeeze(const AnyTensor& x, int64_t axis) {
  check_defined("squeeze", x);
  int d = axis_of("squeeze", axis, x.dim());
  Shape shape = x.shape(), stride = x.stride();
  if (x.dim() > 0 && shape[d] == 1) shape.erase(d), stride.erase(d);
  return reshaped("squeeze", x, shape, stride);
}

AnyTensor unsqueeze(const AnyTensor& x, int64_t axis) {
  check_defined("unsqueeze", x);
  int d = axis_of("unsqueeze", axis, x.dim() + 1);
  Shape shape = x.shape(), stride = x.stride();
  stride.insert(d, d < x.dim() ? shape[d] * stride[d] : 1);
  shape.insert(d, 1);
  return reshaped("unsqueeze", x, shape, stride);
}

AnyTensor transpose(const AnyTensor& x, int64_t a, int64_t b) {
  check_defined("transpose", x);
  int p = axis_of("transpose", a, x.dim()), q = axis_of("transpose", b, x.dim());
  Shape shape = x.shape(), stride = x.stride();
  if (x.dim() > 0) std::swap(shape[p], shape[q]), std::swap(stride[p], stride[q]);
  AnyTensor y = as_view(x, shape, stride, 0);
  record("transpose", y, {&x}, [p, q](const AnyTensor& g, AnyTensor* grads) { grads[0] = transpose(g, p, q); });
  return y;
}

AnyTensor permute(const AnyTensor& x, const Shape& axes) {
  check_defined("permute", x);
  if (axes.rank != x.dim())
    fail<ShapeError>("permute: ", axes, " names ", axes.rank, " axes, the tensor of shape ", x.shape(), " has ", x.dim());
  Shape shape = x.shape(), stride = x.stride(), back = axes;
  bool seen[Shape::kMaxRank] = {};
  for (int d = 0; d < axes.rank; ++d) {
    int from = axis_of("permute", axes.size[d], x.dim());
    if (seen[from]) fail<ShapeError>("permute: axis ", axes.size[d], " is named twice in ", axes);
    seen[from] = true;
    shape.size[d] = x.shape().size[from], stride.size[d] = x.stride().size[from], back.size[from] = d;
  }
  AnyTensor y = as_view(x, shape, stride, 0);
  record("permute", y, {&x}, [back](const AnyTensor& g, AnyTensor* grads) { grads[0] = permute(g, back); });
  return y;
}

namespace {
AnyTensor expand_named(const char* op, const AnyTensor& x, const Shape& wanted_shape) {
  check_defined(op, x);
  Shape shape = wanted_shape, stride;
  stride.rank = shape.rank;
  int missing = shape.rank - x.dim();
  if (missing < 0) fail<ShapeError>(op, ": ", x.shape(), " has more dimensions than ", shape);
  for (int d = shape.rank - 1; d >= 0; --d) {
    bool own = d >= missing;
    int64_t size = own ? x.shape().size[d - missing] : 1;
    if (shape.size[d] == -1 && own) shape.size[d] = size;
    if (shape.size[d] < 0 || (size != 1 && size != shape.size[d]))
      fail<ShapeError>(op, ": ", x.shape(), " does not broadcast to ", wanted_shape, "; only sizes of 1 are repeated");
    stride.size[d] = own && size == shape.size[d] ? x.stride().size[d - missing] : 0;
  }
  AnyTensor y = as_view(x, shape, stride, 0);
  record(op, y, {&x}, [from = x.shape()](const AnyTensor& g, AnyTensor* grads) { grads[0] = sum_to(g, from); });
  return y;
}
}  // namespace

AnyTensor expand(const AnyTensor& x, const Shape& shape) { return expand_named("expand", x, shape); }
AnyTensor broadcast_to(const AnyTensor& x, const Shape& shape) { return expand_named("broadcast_to", x, shape); }

AnyTensor slice_backward(const AnyTensor& g, const Shape& shape, int64_t axis, int64_t start, int64_t step) {
  AnyTensor y = zeros(shape, g.dtype(), g.device());
  Shape stride = y.stride();
  int64_t offset = start * stride[int(axis)], length = g.shape()[int(axis)];
  stride[int(axis)] *= step;
  AnyTensor place = as_view(y, g.shape(), stride, offset);
  if (g.numel() > 0) kernel("slice_backward", &KernelTable::copy, g)(array(place), array(g));
  record("slice_backward", y, {&g}, [axis, start, step, length](const AnyTensor& gg, AnyTensor* grads) {
    grads[0] = slice(gg, axis, start, length ? start + (length - 1) * step + 1 : start, step);
  });
  return y;
}

AnyTensor slice(const AnyTensor& x, int64_t axis, int64_t start, int64_t end, int64_t step) {
  check_defined("slice", x);
  if (x.dim() == 0) fail<ShapeError>("slice: a scalar has no axis to slice; unsqueeze(0) gives it one");
  int d = axis_of("slice", axis, x.dim());
  int64_t n = x.shape()[d];
  if (step < 1) fail<ValueError>("slice: step ", step, " is not positive; use flip() for a reversed order");
  start = std::clamp<int64_t>(start < 0 ? start + n : start, 0, n);
  end = std::clamp<int64_t>(end < 0 ? end + n : end, start, n);
  Shape shape = x.shape(), stride = x.stride();
  shape[d] = end > start ? (end - start - 1) / step + 1 : 0;
  int64_t offset = shape[d] ? start * stride[d] : 0;
  stride[d] *= shape[d] > 1 ? step : 1;
  AnyTensor y = as_view(x, shape, stride, offset);
  record("slice", y, {&x}, [from = x.shape(), d, start, step](const AnyTensor& g, AnyTensor* grads) {
    grads[0] = slice_backward(g, from, d, start, step);
  });
  return y;
}

AnyTensor narrow(const AnyTensor& x, int64_t axis, int64_t start, int64_t length) {
  check_defined("narrow", x);
  if (x.dim() == 0) fail<ShapeError>("narrow: a scalar has no axis to narrow; unsqueeze(0) gives it one");
  int d = axis_of("narrow", axis, x.dim());
  int64_t n = x.shape()[d], first = start < 0 ? start + n : start;
  if (length < 0 || first < 0 || first > n - length)
    fail<IndexError>("narrow: ", length, " from ", start, " is outside axis ", axis, " of ", x.shape(), "; start + length may be ",
                     n, " at most");
  return slice(x, d, first, first + length, 1);
}

AnyTensor select(const AnyTensor& x, int64_t axis, int64_t index) {
  check_defined("select", x);
  if (x.dim() == 0) fail<IndexError>("select: a scalar cannot be indexed; use item()");
  int d = axis_of("select", axis, x.dim());
  int64_t n = x.shape()[d], i = index < 0 ? index + n : index;
  if (i < 0 || i >= n)
    fail<IndexError>("select: index ", index, " is outside axis ", axis, " of ", x.shape(), "; valid are ", -n, " to ", n - 1);
  Shape shape = x.shape(), stride = x.stride();
  int64_t offset = i * stride[d];
  shape.erase(d), stride.erase(d);
  AnyTensor y = as_view(x, shape, stride, offset);
  record("select", y, {&x}, SelectRule{x.shape(), d, i});
  return y;
}
void SelectRule::operator()(const AnyTensor& g, AnyTensor* grads) const {
  grads[0] = slice_backward(unsqueeze(g, axis), from, axis, index, 1);
}

AnyTensor sum_to(const AnyTensor& g, const Shape& shape) {
  check_defined("sum_to", g);
  if (g.shape() == shape) return g;
  AnyTensor y = empty(shape, g.dtype(), g.device());
  kernel("sum_to", &KernelTable::sum, g)(array(y), array(g));
  record("sum_to", y, {&g}, [from = g.shape()](const AnyTensor& gg, AnyTensor* grads) { grads[0] = expand(gg, from); });
  return y;
}

AnyTensor clone(const AnyTensor& x) {
  check_defined("clone", x);
  AnyTensor y = empty_like(x);
  kernel("clone", &KernelTable::copy, x)(array(y), array(x));
  record("clone", y, {&x}, [](const AnyTensor& g, AnyTensor* grads) { grads[0] = g; });
  return y;
}

AnyTensor contiguous(const AnyTensor& x) {
  check_defined("contiguous", x);
  if (x.is_contiguous()) return x;
  AnyTensor y = empty(x.shape(), x.dtype(), x.device());
  kernel("contiguous", &KernelTable::copy, x)(array(y), array(x));
  record("contiguous", y, {&x}, [](const AnyTensor& g, AnyTensor* grads) { grads[0] = g; });
  return y;
}

AnyTensor& AnyTensor::copy_(const AnyTensor& source) {
  check_defined("copy_", *this), check_defined("copy_", source);
  check_in_place("copy_", *this);
  if (source.device() != device())
    fail<DeviceError>("copy_: from ", source.device(), " to ", device(), "; move the source with to()");
  AnyTensor from = expand_named("copy_", source, shape());  // throws where the shapes do not fit
  if (from.impl()->storage.get() == impl_->storage.get()) from = gradus::clone(from);
  if (numel() > 0) kernel("copy_", &KernelTable::copy, *this)(array(*this), array(from));
  written_in_place(*this, from.requires_grad());
  if (is_grad_enabled()) impl_->node.reset();  // nothing of what was here before is left
  record("copy_", *this, {&from}, [t = from.dtype()](const AnyTensor& g, AnyTensor* grads) { grads[0] = gradus::to(g, t); });
  return *this;
}

AnyTensor& AnyTensor::fill_(Scalar value) {
  check_defined("fill_", *this);
  check_in_place("fill_", *this);
  if (numel() > 0) kernel("fill_", &KernelTable::fill, *this)(array(*this), value);
  written_in_place(*this);
  if (is_grad_enabled()) impl_->node.reset();
  return *this;
}

}  // namespace gradus
