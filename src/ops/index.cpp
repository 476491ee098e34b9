#include "gradus/ops/index.h"

#include <algorithm>
#include <cmath>

#include "gradus/ops/create.h"
#include "gradus/ops/gather.h"
#include "gradus/ops/reduce.h"
#include "gradus/ops/view.h"
#include "src/ops/in_place.h"
#include "src/ops/indices.h"

namespace gradus {

AnyTensor index(const AnyTensor& x, const std::vector<AnyTensor>& indices) {
  return picked("index", x, Picks::of("index", x, indices));
}
AnyTensor index_put(const AnyTensor& x, const std::vector<AnyTensor>& indices, const AnyTensor& values, bool accumulate) {
  return with_put("index_put", x, Picks::of("index_put", x, indices), values, accumulate);
}
AnyTensor& index_put_(AnyTensor& x, const std::vector<AnyTensor>& indices, const AnyTensor& values, bool accumulate) {
  return put_in_place("index_put", x, Picks::of("index_put", x, indices), values, accumulate);
}

namespace {

/// A scalar counts as a vector of one element.
struct Along {
  AnyTensor x;
  Picks picks;
  Along(const char* op, const AnyTensor& tensor, int64_t axis, const AnyTensor& index) {
    check_defined(op, tensor);
    x = tensor.dim() == 0 ? reshape(tensor, {1}) : tensor;
    picks = Picks::of_axis(op, x, axis_of(op, axis, tensor.dim()), index);
  }
};

void check_slices(const char* op, const Picks& picks, const AnyTensor& source) {
  check_defined(op, source);
  bool one = picks.result.rank == 1 && source.dim() == 0 && picks.result[0] == 1;  // a scalar for a vector of one
  if (!one && !(source.shape() == picks.result))
    fail<ShapeError>(op, ": source has shape ", source.shape(), "; the index asks for ", picks.result);
}
AnyTensor one_element(const char* op, const AnyTensor& value) {
  check_defined(op, value);
  if (value.numel() != 1) fail<ShapeError>(op, ": the value has shape ", value.shape(), ", not one element");
  return reshape(value, {});
}
AnyTensor scalar_of(const AnyTensor& x, Scalar value) {
  check_defined("scalar", x);
  return full({}, value, x.dtype(), x.device());
}

}  // namespace

AnyTensor index_select(const AnyTensor& x, int64_t axis, const AnyTensor& index) {
  Along a("index_select", x, axis, index);
  AnyTensor y = picked("index_select", a.x, a.picks);
  return x.dim() == 0 ? reshape(y, {}) : y;
}
AnyTensor index_add(const AnyTensor& x, int64_t axis, const AnyTensor& index, const AnyTensor& source, Scalar alpha) {
  Along a("index_add", x, axis, index);
  check_slices("index_add", a.picks, source);
  AnyTensor scaled = double(alpha) == 1 ? source : mul_scalar(source, alpha);
  return reshape(with_put("index_add", a.x, a.picks, scaled, true), x.shape());
}
AnyTensor& index_add_(AnyTensor& x, int64_t axis, const AnyTensor& index, const AnyTensor& source, Scalar alpha) {
  Picks picks = Along("index_add", x, axis, index).picks;
  check_slices("index_add", picks, source);
  if (x.dim() == 0) return check_in_place("index_add", x), take_over("index_add", x, index_add(x, axis, index, source, alpha));
  return put_in_place("index_add", x, picks, double(alpha) == 1 ? source : mul_scalar(source, alpha), true);
}
AnyTensor index_copy(const AnyTensor& x, int64_t axis, const AnyTensor& index, const AnyTensor& source) {
  Along a("index_copy", x, axis, index);
  check_slices("index_copy", a.picks, source);
  return reshape(with_put("index_copy", a.x, a.picks, source, false), x.shape());
}
AnyTensor& index_copy_(AnyTensor& x, int64_t axis, const AnyTensor& index, const AnyTensor& source) {
  check_in_place("index_copy", x);
  if (x.dim() == 0) return take_over("index_copy", x, index_copy(x, axis, index, source));
  Picks picks = Along("index_copy", x, axis, index).picks;
  check_slices("index_copy", picks, source);
  return put_in_place("index_copy", x, picks, source, false);
}
AnyTensor index_fill(const AnyTensor& x, int64_t axis, const AnyTensor& index, const AnyTensor& value) {
  Along a("index_fill", x, axis, index);
  return reshape(with_put("index_fill", a.x, a.picks, one_element("index_fill", value), false), x.shape());
}
AnyTensor index_fill(const AnyTensor& x, int64_t axis, const AnyTensor& index, Scalar value) {
  return index_fill(x, axis, index, scalar_of(x, value));
}
AnyTensor& index_fill_(AnyTensor& x, int64_t axis, const AnyTensor& index, Scalar value) {
  check_in_place("index_fill", x);
  if (x.dim() == 0) return take_over("index_fill", x, index_fill(x, axis, index, value));
  return put_in_place("index_fill", x, Along("index_fill", x, axis, index).picks, scalar_of(x, value), false);
}

AnyTensor take(const AnyTensor& x, const AnyTensor& index) {
  check_defined("take", x);
  AnyTensor flat = reshape(x, {-1});
  return picked("take", flat, Picks::of("take", flat, {as_index("take", index, x)}));
}
AnyTensor put(const AnyTensor& x, const AnyTensor& index, const AnyTensor& source, bool accumulate) {
  check_same("put", x, source);
  AnyTensor i = as_index("put", index, x);
  if (source.numel() != i.numel())
    fail<ShapeError>("put: source of shape ", source.shape(), " has not as many elements as the index of shape ", i.shape());
  AnyTensor flat = reshape(x, {-1});
  return reshape(with_put("put", flat, Picks::of("put", flat, {i}), reshape(source, i.shape()), accumulate), x.shape());
}

namespace {

void check_mask(const char* op, const AnyTensor& x, const AnyTensor& mask) {
  check_defined(op, x);
  check_dtype(op, "the mask", mask, DType::boolean);
  if (mask.device() != x.device()) fail<DeviceError>(op, ": the mask is on ", mask.device(), ", x on ", x.device());
}
/// The numbers of the places where mask is true, in row-major order.
AnyTensor places_of(const AnyTensor& mask) { return select(nonzero(reshape(mask, {-1})), 1, 0); }

}  // namespace

AnyTensor masked_fill(const AnyTensor& x, const AnyTensor& mask, Scalar value) {
  check_mask("masked_fill", x, mask);
  return where(mask, value, x);
}
AnyTensor masked_fill(const AnyTensor& x, const AnyTensor& mask, const AnyTensor& value) {
  check_mask("masked_fill", x, mask);
  return where(mask, one_element("masked_fill", value), x);
}
AnyTensor& masked_fill_(AnyTensor& x, const AnyTensor& mask, Scalar value) {
  check_mask("masked_fill", x, mask);
  check_in_place("masked_fill", x);
  return take_over("masked_fill", x, where(mask, value, x));
}

AnyTensor masked_select(const AnyTensor& x, const AnyTensor& mask) {
  check_mask("masked_select", x, mask);
  Shape shape;
  shape.rank = broadcast({x.dim(), x.shape().size, nullptr}, {mask.dim(), mask.shape().size, nullptr}, shape.size);
  if (shape.rank < 0) fail<ShapeError>("masked_select: shapes ", x.shape(), " and ", mask.shape(), " do not broadcast");
  AnyTensor flat = reshape(expand(x, shape), {-1});
  return picked("masked_select", flat, Picks::of("masked_select", flat, {places_of(expand(mask, shape))}));
}
AnyTensor masked_scatter(const AnyTensor& x, const AnyTensor& mask, const AnyTensor& source) {
  check_mask("masked_scatter", x, mask);
  check_same("masked_scatter", x, source);
  AnyTensor flat = reshape(x, {-1}), places = places_of(expand(mask, x.shape()));
  if (places.numel() > source.numel())
    fail<ShapeError>("masked_scatter: the mask is true in ", places.numel(), " places, source has ", source.numel(), " elements");
  AnyTensor values = slice(reshape(source, {-1}), 0, 0, places.numel());
  return reshape(with_put("masked_scatter", flat, Picks::of("masked_scatter", flat, {places}), values, false), x.shape());
}

Tensor<int64_t> nonzero(const AnyTensor& x) {
  check_defined("nonzero", x);
  AnyTensor in = dense(x.detach());
  int64_t count = 0;
  kernel("nonzero", &KernelTable::nonzero_count, in)(&count, array(in));
  AnyTensor y = empty({count, x.dim()}, DType::int64, x.device());
  if (y.numel() > 0) kernel("nonzero", &KernelTable::nonzero_places, in)(array(y), array(in));
  return Tensor<int64_t>(y);
}
std::vector<Tensor<int64_t>> where(const AnyTensor& condition) {
  Tensor<int64_t> places = nonzero(condition);
  std::vector<Tensor<int64_t>> all;
  for (int d = 0; d < condition.dim(); ++d) all.push_back(places.select(1, d));
  return all;
}

namespace {

/// The largest of some integers, none of which may be negative; -1 of nothing.
int64_t largest(const char* op, const AnyTensor& index) {
  int64_t most = -1;
  for (int64_t i : Tensor<int64_t>(index).vector()) {
    if (i < 0) fail<IndexError>(op, ": ", i, " is negative");
    most = std::max(most, i);
  }
  return most;
}

}  // namespace

Tensor<int64_t> one_hot(const AnyTensor& index, int64_t classes) {
  check_defined("one_hot", index);
  AnyTensor i = as_index("one_hot", index, index);
  if (classes == -1) {
    if (i.numel() == 0) fail<ValueError>("one_hot: the number of classes cannot be told from an empty index; pass it");
    classes = largest("one_hot", i) + 1;
  }
  if (classes < 1 && i.numel() > 0) fail<ValueError>("one_hot: ", classes, " classes");
  Shape shape = i.shape();
  shape.push_back(classes);
  check_indices("one_hot", i, i.dim(), classes);
  AnyTensor y = zeros(shape, DType::int64, i.device()), one = ones({}, DType::int64, i.device());
  AnyTensor column = unsqueeze(i, -1);
  if (y.numel() > 0)
    kernel("one_hot", &KernelTable::scatter, y)(array(y), array(column), array(expand(one, column.shape())), y.dim() - 1,
                                                ScatterMode::assign);
  return Tensor<int64_t>(y);
}

namespace {

AnyTensor counted(const AnyTensor& x, const AnyTensor& weights, int64_t at_least) {
  AnyTensor i = as_index("bincount", x, x);
  check_rank("bincount", "x", i, 1);
  if (at_least < 0) fail<ValueError>("bincount: a length of at least ", at_least);
  if (!(weights.shape() == i.shape()))
    fail<ShapeError>("bincount: weights of shape ", weights.shape(), " for numbers of shape ", i.shape());
  AnyTensor none = zeros({std::max(largest("bincount", i) + 1, at_least)}, weights.dtype(), x.device());
  return index_put(none, {i}, weights, true);
}

}  // namespace

Tensor<int64_t> bincount(const AnyTensor& x, int64_t at_least) {
  check_defined("bincount", x);
  return Tensor<int64_t>(counted(x, expand(ones({}, DType::int64, x.device()), x.shape()), at_least));
}
AnyTensor bincount(const AnyTensor& x, const AnyTensor& weights, int64_t at_least) {
  check_defined("bincount", x), check_defined("bincount", weights);
  return counted(x, weights, at_least);
}

AnyTensor histc(const AnyTensor& x, int64_t bins, double low, double high) {
  check_float("histc", x);
  if (bins < 1) fail<ValueError>("histc: ", bins, " bins");
  AnyTensor counts;
  {
    NoGrad no_grad;
    AnyTensor v = reshape(to(x.detach(), DType::float64), {-1});
    if (low == high && v.numel() > 0) {
      std::vector<double> all = Tensor<double>(v).vector();
      low = *std::min_element(all.begin(), all.end()), high = *std::max_element(all.begin(), all.end());
      if (low == high) low -= 1, high += 1;
    }
    if (!(low <= high && high - low < HUGE_VAL)) fail<ValueError>("histc: from ", low, " to ", high);
    v = masked_select(v, logical_and(v >= low, v <= high));
    AnyTensor bin = clamp(to(floor((v - low) * (double(bins) / (high - low))), DType::int64), 0, bins - 1);
    counts = to(bincount(bin, bins), x.dtype());
  }
  record_without_gradient("histc", counts, {&x});
  return counts;
}

std::vector<AnyTensor> unravel_index(const AnyTensor& index, const Shape& shape) {
  check_defined("unravel_index", index);
  if (is_float(index.dtype()) || index.dtype() == DType::boolean)
    fail<DTypeError>("unravel_index: the index is ", index.dtype(), "; integers are needed");
  const int64_t count = shape.numel();
  NoGrad no_grad;
  if (index.numel() && (any(index < 0).item() != 0 || any(index >= count).item() != 0))
    fail<IndexError>("unravel_index: an index is outside [0, ", count, "), the elements of ", shape);
  std::vector<AnyTensor> places(size_t(shape.rank));
  AnyTensor rest = index;
  for (int d = shape.rank - 1; d >= 0; --d) {
    places[size_t(d)] = remainder(rest, shape[d]);
    rest = floor_divide(rest, shape[d]);
  }
  return places;
}

}  // namespace gradus
