// Repeating, flipping, rolling, moving axes, windows.
#include <algorithm>

#include "gradus/ops/create.h"
#include "gradus/ops/index.h"
#include "gradus/ops/shape_ops.h"
#include "src/ops/indices.h"

namespace gradus {

AnyTensor repeat(const AnyTensor& x, const Shape& counts) {
  check_defined("repeat", x);
  int missing = counts.rank - x.dim();
  if (missing < 0)
    fail<ShapeError>("repeat: ", counts, " has fewer numbers than x of shape ", x.shape(), " has axes; tile() fills them up");
  Shape result;
  for (int d = 0; d < counts.rank; ++d) {
    if (counts[d] < 0) fail<ShapeError>("repeat: ", counts, " has a negative count");
    int64_t size = d < missing ? 1 : x.shape()[d - missing];
    if (__builtin_mul_overflow(size, counts[d], &size))
      fail<ShapeError>("repeat: ", counts, " times shape ", x.shape(), " has more elements than can be counted");
    result.push_back(size);
  }
  check_sizes("repeat", result);
  // Each repeated axis becomes (count, size), of which the first is expanded without a copy. As many axes at a time as fit.
  AnyTensor y = reshape(x, [&] {
    Shape own;
    for (int d = 0; d < counts.rank; ++d) own.push_back(d < missing ? 1 : x.shape()[d - missing]);
    return own;
  }());
  for (int d = counts.rank - 1; d >= 0;) {
    Shape apart, wide, merged;
    int first = d, room = Shape::kMaxRank - counts.rank;
    for (; first >= 0 && (counts[first] == 1 || room > 0); --first)
      if (counts[first] != 1) --room;
    if (first == d) {  // no room at all: what lies before and behind becomes one axis each
      int64_t before = 1, behind = 1;
      for (int k = 0; k < counts.rank; ++k) (k < d ? before : behind) *= y.shape()[k];
      merged = y.shape();
      merged[d] *= counts[d];
      y = reshape(expand(reshape(y, {before, 1, behind}), {before, counts[d], behind}), merged);
      --d;
      continue;
    }
    for (int k = 0; k < counts.rank; ++k) {
      int64_t n = y.shape()[k];
      bool now = k > first && k <= d && counts[k] != 1;
      if (now) apart.push_back(1), wide.push_back(counts[k]);
      apart.push_back(n), wide.push_back(n), merged.push_back(now ? n * counts[k] : n);
    }
    y = reshape(expand(reshape(y, apart), wide), merged);
    d = first;
  }
  return y.is_same(x) || y.impl()->storage.get() == x.impl()->storage.get() ? clone(y) : y;
}

AnyTensor tile(const AnyTensor& x, const Shape& counts) {
  check_defined("tile", x);
  Shape all = counts;
  while (all.rank < x.dim()) all.insert(0, 1);
  return repeat(x, all);
}

AnyTensor repeat_interleave(const AnyTensor& x, int64_t n, int64_t axis) {
  check_defined("repeat_interleave", x);
  if (n < 0) fail<ValueError>("repeat_interleave: ", n, " times");
  AnyTensor in = atleast_1d(x);
  int d = axis_of("repeat_interleave", axis, in.dim());
  int64_t before = 1, behind = 1;
  for (int k = 0; k < in.dim(); ++k) (k <= d ? before : behind) *= in.shape()[k];
  Shape result = in.shape();
  result[d] *= n;
  return reshape(expand(reshape(in, {before, 1, behind}), {before, n, behind}), result);
}
AnyTensor repeat_interleave(const AnyTensor& x, int64_t n) {
  check_defined("repeat_interleave", x);
  return repeat_interleave(reshape(x, {-1}), n, 0);
}
AnyTensor repeat_interleave(const AnyTensor& x, const AnyTensor& counts, int64_t axis) {
  check_defined("repeat_interleave", x);
  std::vector<int64_t> times = Tensor<int64_t>(as_index("repeat_interleave", counts, x)).vector(), picks;
  AnyTensor in = atleast_1d(x);
  int d = axis_of("repeat_interleave", axis, in.dim());
  if (times.size() == 1) times.resize(size_t(in.shape()[d]), times[0]);
  if (int64_t(times.size()) != in.shape()[d])
    fail<ShapeError>("repeat_interleave: counts of shape ", counts.shape(), " for axis ", axis, " of ", x.shape());
  for (size_t i = 0; i < times.size(); ++i) {
    if (times[i] < 0) fail<ValueError>("repeat_interleave: ", times[i], " times");
    picks.insert(picks.end(), size_t(times[i]), int64_t(i));
  }
  return index_select(in, d, Tensor<int64_t>(std::span<const int64_t>(picks)).to(x.device()));
}

AnyTensor flip(const AnyTensor& x, const Axes& over) {
  check_defined("flip", x);
  AxisSet axes = over.list.rank == 0 && !over.all ? AxisSet{} : axes_of("flip", over, x.dim());
  Shape stride = x.stride();
  int64_t last = 0;  // the place of the element that becomes the first
  for (int d = 0; d < x.dim(); ++d)
    if (axes.has[d]) last += std::max<int64_t>(x.shape()[d] - 1, 0) * stride[d], stride[d] = -stride[d];
  AnyTensor y = empty_like(x), reversed = as_view(x, x.shape(), stride, x.numel() ? last : 0);
  if (x.numel() > 0) kernel("flip", &KernelTable::copy, x)(array(y), array(reversed));
  if (is_float(x.dtype())) record("flip", y, {&x}, [over](const AnyTensor& g, AnyTensor* grads) { grads[0] = flip(g, over); });
  return y;
}
AnyTensor fliplr(const AnyTensor& x) {
  check_defined("fliplr", x);
  if (x.dim() < 2) fail<ShapeError>("fliplr: shape ", x.shape(), " has fewer than 2 dimensions");
  return flip(x, 1);
}
AnyTensor flipud(const AnyTensor& x) {
  check_defined("flipud", x);
  if (x.dim() < 1) fail<ShapeError>("flipud: a scalar has no rows");
  return flip(x, 0);
}

AnyTensor roll(const AnyTensor& x, int64_t shift, int64_t axis) {
  check_defined("roll", x);
  int d = axis_of("roll", axis, x.dim());
  int64_t n = x.dim() ? x.shape()[d] : 1;
  if (n < 2) return clone(x);
  int64_t by = (shift % n + n) % n;
  if (by == 0) return clone(x);
  return cat({narrow(x, d, n - by, by), narrow(x, d, 0, n - by)}, d);
}
AnyTensor roll(const AnyTensor& x, int64_t shift) {
  check_defined("roll", x);
  return reshape(roll(reshape(x, {-1}), shift, 0), x.shape());
}
AnyTensor roll(const AnyTensor& x, const Shape& shifts, const Shape& axes) {
  check_defined("roll", x);
  if (shifts.rank != axes.rank || shifts.rank == 0) fail<ShapeError>("roll: shifts ", shifts, " for axes ", axes);
  AnyTensor y = x;
  for (int k = 0; k < shifts.rank; ++k) y = roll(y, shifts[k], axes[k]);
  return y;
}

AnyTensor rot90(const AnyTensor& x, int64_t k, int64_t from, int64_t to) {
  check_defined("rot90", x);
  int a = axis_of("rot90", from, x.dim()), b = axis_of("rot90", to, x.dim());
  if (a == b || x.dim() < 2) fail<ShapeError>("rot90: from axis ", from, " to axis ", to, " of ", x.shape(), " there is no turn");
  switch ((k % 4 + 4) % 4) {
    case 1: return transpose(flip(x, b), a, b);
    case 2: return flip(x, {a, b});
    case 3: return flip(transpose(x, a, b), b);
    default: return clone(x);
  }
}

AnyTensor movedim(const AnyTensor& x, const Shape& from, const Shape& to) {
  check_defined("movedim", x);
  if (from.rank != to.rank) fail<ShapeError>("movedim: axes ", from, " to places ", to);
  Shape order = x.shape();
  for (int64_t& d : std::span(order.size, size_t(order.rank))) d = -1;
  bool moved[Shape::kMaxRank] = {};
  for (int k = 0; k < from.rank; ++k) {
    int a = axis_of("movedim", from[k], x.dim()), b = axis_of("movedim", to[k], x.dim());
    if (x.dim() == 0) return x;
    if (moved[a] || order[b] >= 0) fail<ShapeError>("movedim: an axis is named twice in ", from, " or ", to);
    moved[a] = true, order[b] = a;
  }
  int next = 0;
  for (int d = 0; d < x.dim(); ++d) {
    if (order[d] >= 0) continue;
    while (moved[next]) ++next;
    order[d] = next++;
  }
  return permute(x, order);
}
AnyTensor movedim(const AnyTensor& x, int64_t from, int64_t to) { return movedim(x, Shape{from}, Shape{to}); }

AnyTensor squeeze(const AnyTensor& x, const Axes& over) {
  check_defined("squeeze", x);
  if (over.all) return squeeze(x);
  if (over.list.rank == 0) return x;
  AxisSet axes = axes_of("squeeze", over, x.dim());
  Shape shape;
  for (int d = 0; d < x.dim(); ++d)
    if (!axes.has[d] || x.shape()[d] != 1) shape.push_back(x.shape()[d]);
  return view(x, shape);
}

AnyTensor atleast_1d(const AnyTensor& x) {
  check_defined("atleast_1d", x);
  return x.dim() == 0 ? reshape(x, {1}) : x;
}
AnyTensor atleast_2d(const AnyTensor& x) {
  check_defined("atleast_2d", x);
  return x.dim() == 0 ? reshape(x, {1, 1}) : x.dim() == 1 ? unsqueeze(x, 0) : x;
}
AnyTensor atleast_3d(const AnyTensor& x) {
  check_defined("atleast_3d", x);
  return x.dim() == 0 ? reshape(x, {1, 1, 1}) : x.dim() == 1 ? unsqueeze(unsqueeze(x, 0), 2) : x.dim() == 2 ? unsqueeze(x, 2) : x;
}

namespace {

/// The adjoint of unfold: windows added up where they overlap.
AnyTensor fold_windows(const AnyTensor& g, const Shape& shape, int d, int64_t step) {
  int64_t windows = g.shape()[d], size = g.shape()[-1];
  AnyTensor y;
  {
    NoGrad no_grad;
    DType wide = is_half(g.dtype()) ? DType::float32 : g.dtype();
    AnyTensor sums = zeros(shape, wide, g.device()), wide_g = to(g, wide);
    for (int64_t k = 0; k < size && windows > 0; ++k) {
      AnyTensor place = slice(sums, d, k, k + (windows - 1) * step + 1, step);
      place.add_(select(wide_g, -1, k));
    }
    y = to(sums, g.dtype());
  }
  record("unfold_backward", y, {&g},
         [d, size, step](const AnyTensor& gg, AnyTensor* grads) { grads[0] = unfold(gg, d, size, step); });
  return y;
}

}  // namespace

AnyTensor unfold(const AnyTensor& x, int64_t axis, int64_t size, int64_t step) {
  check_defined("unfold", x);
  int d = axis_of("unfold", axis, x.dim());
  int64_t n = x.dim() ? x.shape()[d] : 1;
  if (size < 0 || size > n) fail<ShapeError>("unfold: windows of ", size, " on axis ", axis, " of ", x.shape());
  if (step < 1) fail<ValueError>("unfold: windows ", step, " apart");
  Shape shape = x.shape(), stride = x.stride();
  if (x.dim() == 0) {
    shape = {size}, stride = {1};
  } else {
    shape[d] = (n - size) / step + 1;
    shape.push_back(size), stride.push_back(stride[d]);
    stride[d] *= step;
  }
  AnyTensor y = as_view(x, shape, stride, 0);
  record("unfold", y, {&x}, [from = x.shape(), d, step](const AnyTensor& g, AnyTensor* grads) {
    grads[0] = from.rank ? fold_windows(g, from, d, step) : sum_to(g, {});
  });
  return y;
}

}  // namespace gradus
