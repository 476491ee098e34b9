#include "gradus/ops/sort.h"

#include "gradus/ops/create.h"
#include "gradus/ops/gather.h"
#include "gradus/ops/index.h"
#include "gradus/ops/scan.h"
#include "gradus/ops/shape_ops.h"
#include "gradus/ops/view.h"
#include "src/ops/op.h"

namespace gradus {
namespace {

/// Results of the given shape (at first with the axis, of size k), whose gradient goes to where the indices say.
struct Selection {
  int axis;
  Shape shape;
  AnyTensor in;
  AnyValuesIndices out;

  Selection(const char* op, const AnyTensor& x, int64_t along, int64_t k = -1) {
    check_defined(op, x);
    axis = axis_of(op, along, x.dim());
    shape = x.shape();
    if (k >= 0 && shape.rank > 0) shape[axis] = k;
    in = dense(x);
    out = {empty(shape, x.dtype(), x.device()), empty(shape, DType::int64, x.device())};
  }
  int64_t length(const AnyTensor& x) const { return x.dim() ? x.shape()[axis] : 1; }
  AnyValuesIndices finish(const char* op, const AnyTensor& x, bool keepdim = true) {
    if (is_float(x.dtype()))
      record(op, out.values, {&x},
             [axis = axis, from = x.shape(), index = Saved(out.indices)](const AnyTensor& g, AnyTensor* grads) {
               grads[0] = scatter_add(zeros(from, g.dtype(), g.device()), axis, index(), g);
             });
    if (keepdim || x.dim() == 0) return out;
    return {squeeze(out.values, axis), squeeze(out.indices, axis)};
  }
};

AnyValuesIndices choose(const char* op, const AnyTensor& x, int64_t axis, bool keepdim, Nth which, int64_t k) {
  Selection s(op, x, axis, 1);
  if (s.length(x) == 0 && s.shape.numel() > 0)
    fail<ValueError>(op, ": x of shape ", x.shape(), " has no elements along axis ", axis, "; choose another axis");
  kernel(op, &KernelTable::nth, x)(array(s.out.values), array(s.out.indices), array(s.in), s.axis, which, k);
  return s.finish(op, x, keepdim);
}

AnyValuesIndices extreme_so_far(const char* op, const AnyTensor& x, int64_t axis, bool greatest) {
  Selection s(op, x, axis);
  kernel(op, &KernelTable::scan_extreme, x)(array(s.out.values), array(s.out.indices), array(s.in), s.axis, greatest);
  return s.finish(op, x);
}

AnyUnique different(const char* op, const AnyTensor& x, bool consecutive) {
  check_defined(op, x);
  AnyTensor in = dense(x), values = empty({x.numel()}, x.dtype(), x.device()),
            counts = empty({x.numel()}, DType::int64, x.device());
  AnyTensor inverse = empty(x.shape(), DType::int64, x.device());
  int64_t found = 0;
  kernel(op, &KernelTable::unique, x)(array(values), array(inverse), array(counts), array(in), consecutive, &found);
  NoGrad no_grad;
  return {clone(slice(values, 0, 0, found)), inverse, clone(slice(counts, 0, 0, found))};
}

/// The slices are told apart by a number each: with every element that is looked at, those that agreed so far get numbers by it.
AnyUnique different_slices(const char* op, const AnyTensor& x, int64_t axis, bool consecutive) {
  check_defined(op, x);
  if (x.dim() == 0) fail<ShapeError>(op, ": a scalar has no slices; leave out the axis");
  NoGrad no_grad;
  int d = axis_of(op, axis, x.dim());
  int64_t n = x.shape()[d];
  if (n == 0) return {clone(x), empty({0}, DType::int64, x.device()), empty({0}, DType::int64, x.device())};
  // As a matrix with a slice in each column, so that what is compared next lies in a row.
  AnyTensor rows = reshape(x.dim() == 1 ? x.detach() : movedim(x.detach(), d, -1), {x.numel() / n, n});
  AnyTensor number = zeros({n}, DType::int64, x.device());
  for (int64_t k = 0; k < rows.shape()[0]; ++k) {
    if (consecutive) {
      AnyTensor row = select(rows, 0, k);
      number = maximum(number, to(ne(slice(row, 0, 0, n), cat({slice(row, 0, 0, 1), slice(row, 0, 0, n - 1)})), DType::int64));
    } else {
      AnyUnique one = different(op, select(rows, 0, k), false);
      number = different(op, number * one.values.numel() + one.inverse, false).inverse;
    }
  }
  if (consecutive) number = cumsum(number, 0);
  AnyUnique groups = different(op, number, false);
  // The first of each group: one after as many as came in the groups before it, in the order of the groups.
  AnyTensor first = index_select(argsort(groups.inverse), 0, cumsum(groups.counts, 0) - groups.counts);
  return {index_select(x.detach(), d, first), groups.inverse, groups.counts};
}

AnyUnique without_gradient(const char* op, const AnyTensor& x, AnyUnique found) {
  if (is_float(x.dtype())) record_without_gradient(op, found.values, {&x});
  return found;
}

}  // namespace

AnyValuesIndices sort(const AnyTensor& x, int64_t axis, bool descending) {
  Selection s("sort", x, axis);
  kernel("sort", &KernelTable::sort, x)(array(s.out.values), array(s.out.indices), array(s.in), s.axis, descending);
  return s.finish("sort", x);
}

Tensor<int64_t> argsort(const AnyTensor& x, int64_t axis, bool descending) {
  check_defined("argsort", x);
  int d = axis_of("argsort", axis, x.dim());
  AnyTensor in = dense(x), index = empty(x.shape(), DType::int64, x.device());
  kernel("argsort", &KernelTable::sort, x)({}, array(index), array(in), d, descending);
  return Tensor<int64_t>(index);
}

AnyTensor msort(const AnyTensor& x) {
  check_defined("msort", x);
  return sort(x, 0).values;
}

AnyValuesIndices topk(const AnyTensor& x, int64_t k, int64_t axis, bool largest, bool sorted) {
  check_defined("topk", x);
  int64_t n = x.dim() ? x.shape()[axis_of("topk", axis, x.dim())] : 1;
  if (k < 0 || k > n)
    fail<ValueError>("topk: k is ", k, ", axis ", axis, " of ", x.shape(), " has ", n, " elements; k may be 0 to ", n);
  Selection s("topk", x, axis, k);
  kernel("topk", &KernelTable::top, x)(array(s.out.values), array(s.out.indices), array(s.in), s.axis, largest, sorted);
  return s.finish("topk", x);
}

AnyValuesIndices kthvalue(const AnyTensor& x, int64_t k, int64_t axis, bool keepdim) {
  check_defined("kthvalue", x);
  int64_t n = x.dim() ? x.shape()[axis_of("kthvalue", axis, x.dim())] : 1;
  if (k < 1 || k > n)
    fail<ValueError>("kthvalue: k is ", k, ", axis ", axis, " of ", x.shape(), " has ", n, " elements, counted from 1");
  return choose("kthvalue", x, axis, keepdim, Nth::kth, k - 1);
}

AnyValuesIndices median(const AnyTensor& x, int64_t axis, bool keepdim) {
  return choose("median", x, axis, keepdim, Nth::median, 0);
}
AnyValuesIndices nanmedian(const AnyTensor& x, int64_t axis, bool keepdim) {
  return choose("nanmedian", x, axis, keepdim, Nth::nanmedian, 0);
}
AnyTensor median(const AnyTensor& x) {
  check_defined("median", x);
  return median(reshape(x, {-1}), 0).values;
}
AnyTensor nanmedian(const AnyTensor& x) {
  check_defined("nanmedian", x);
  return nanmedian(reshape(x, {-1}), 0).values;
}

AnyValuesIndices cummax(const AnyTensor& x, int64_t axis) { return extreme_so_far("cummax", x, axis, true); }
AnyValuesIndices cummin(const AnyTensor& x, int64_t axis) { return extreme_so_far("cummin", x, axis, false); }

AnyUnique unique(const AnyTensor& x) { return without_gradient("unique", x, different("unique", x, false)); }
AnyUnique unique_consecutive(const AnyTensor& x) {
  return without_gradient("unique_consecutive", x, different("unique_consecutive", x, true));
}
AnyUnique unique(const AnyTensor& x, int64_t axis) {
  return without_gradient("unique", x, different_slices("unique", x, axis, false));
}
AnyUnique unique_consecutive(const AnyTensor& x, int64_t axis) {
  return without_gradient("unique_consecutive", x, different_slices("unique_consecutive", x, axis, true));
}

Tensor<int64_t> searchsorted(const AnyTensor& sequence, const AnyTensor& values, bool right) {
  check_same("searchsorted", sequence, values);
  bool fits = sequence.dim() == 1 || sequence.dim() == values.dim();
  for (int d = 0; fits && sequence.dim() > 1 && d < values.dim() - 1; ++d) fits = sequence.shape()[d] == values.shape()[d];
  if (!fits || sequence.dim() == 0)
    fail<ShapeError>("searchsorted: sequences of shape ", sequence.shape(), " for values of shape ", values.shape(),
                     "; the sequence must be a vector, or both must agree but for the last axis");
  AnyTensor in = dense(sequence), x = dense(values), y = empty(values.shape(), DType::int64, values.device());
  kernel("searchsorted", &KernelTable::search_sorted, x)(array(y), array(in), array(x), right);
  return Tensor<int64_t>(y);
}
Tensor<bool> isin(const AnyTensor& x, const AnyTensor& values) {
  check_same("isin", x, values);
  NoGrad no_grad;
  if (values.numel() == 0) return Tensor<bool>(zeros(x.shape(), DType::boolean, x.device()));
  AnyTensor sorted = sort(reshape(values, {-1})).values, flat = reshape(x, {-1});
  AnyTensor place = minimum(searchsorted(sorted, flat), sorted.numel() - 1);
  return Tensor<bool>(reshape(index_select(sorted, 0, place) == flat, x.shape()));
}
Tensor<int64_t> bucketize(const AnyTensor& values, const AnyTensor& boundaries, bool right) {
  check_defined("bucketize", boundaries);
  if (boundaries.dim() != 1) fail<ShapeError>("bucketize: boundaries have shape ", boundaries.shape(), "; a vector is needed");
  return searchsorted(boundaries, values, right);
}

}  // namespace gradus
