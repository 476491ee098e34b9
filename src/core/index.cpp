// x(...) read and written. Numbers, ranges and new axes make views, step by step with public ops; what they do to a tensor of x's
// shape can be done again to its gradient.
#include "gradus/core/index.h"

#include <algorithm>
#include <cmath>

#include "gradus/ops/create.h"
#include "gradus/ops/shape_ops.h"
#include "gradus/ops/view.h"
#include "src/ops/in_place.h"
#include "src/ops/indices.h"
#include "src/ops/region.h"

namespace gradus {

namespace detail {

struct Place {
  AnyTensor root;                         // what is written
  std::vector<std::vector<Index>> steps;  // of views, from the root on
  std::vector<int64_t> reversed;          // axes of the last view that are read from the end
  bool advanced = false;
  std::vector<AnyTensor> indices;  // then, if advanced, picked from it
  bool in_copy = false;            // of a copy that nobody holds

  AnyTensor view(const AnyTensor& x) const;
};

}  // namespace detail

namespace {

using detail::Place;
using Kind = Index::Kind;
constexpr const char* kOp = "index";

/// The indices without an ellipsis: one for each axis of x, and new axes between them.
std::vector<Index> spelled_out(const AnyTensor& x, const Index* list, size_t count) {
  int64_t axes = 0;
  const Index* dots = nullptr;
  for (const Index* i = list; i != list + count; ++i) {
    if (i->kind == Kind::ellipsis) {
      if (dots) fail<IndexError>("index: more than one ellipsis");
      dots = i;
    } else if (i->kind == Kind::tensor) {
      check_defined(kOp, i->tensor);
      axes += i->tensor.dtype() == DType::boolean ? i->tensor.dim() : 1;
    } else {
      axes += i->kind != Kind::newaxis;
    }
  }
  if (axes > x.dim()) fail<IndexError>("index: ", axes, " indices for x of shape ", x.shape());
  std::vector<Index> all;
  auto fill = [&] { all.insert(all.end(), size_t(x.dim() - axes), Index(_)); };
  for (const Index* i = list; i != list + count; ++i)
    if (i == dots)
      fill();
    else
      all.push_back(*i);
  if (!dots) fill();
  return all;
}

/// A range as slice() takes it: forwards. The elements of one that runs backwards are those of `forward`, read from the end.
struct Range {
  int64_t start, end, step;
  bool backwards;
};
Range resolved(const Slice& s, int64_t n) {
  if (s.step == 0 || s.step == INT64_MIN) fail<ValueError>("index: a slice with step ", s.step);
  auto clamped = [&](Bound b, int64_t open, int64_t low, int64_t high) {
    return !b.given ? open : std::clamp<int64_t>(b.at < 0 ? b.at + n : b.at, low, high);
  };
  if (s.step > 0) {
    int64_t start = clamped(s.start, 0, 0, n);
    return {start, std::max(start, clamped(s.end, n, 0, n)), s.step, false};
  }
  int64_t start = clamped(s.start, n - 1, -1, n - 1), end = clamped(s.end, -1, -1, n - 1), step = -s.step;
  if (start <= end) return {0, 0, step, true};
  int64_t last = start - (start - end - 1) / step * step;
  return {last, start + 1, step, true};
}

/// Applies indices that make a view; `reversed` gets the axes of the result that are still to be read from the end.
AnyTensor viewed(const AnyTensor& x, const std::vector<Index>& list, std::vector<int64_t>* reversed) {
  AnyTensor y = x;
  int64_t axis = 0;
  for (const Index& i : list) {
    if (i.kind == Kind::number) {
      int64_t n = y.shape()[int(axis)];
      if (i.number < -n || i.number >= n)
        fail<IndexError>("index: ", i.number, " is outside an axis of size ", n, " of x of shape ", x.shape());
      y = select(y, axis, i.number);
      continue;
    }
    if (i.kind == Kind::newaxis) {
      y = unsqueeze(y, axis++);
      continue;
    }
    Range r = resolved(i.range, y.shape()[int(axis)]);
    if (r.start != 0 || r.end != y.shape()[int(axis)] || r.step != 1) y = slice(y, axis, r.start, r.end, r.step);
    if (r.backwards && reversed) reversed->push_back(axis);
    ++axis;
  }
  return y.is_same(x) ? view(x, x.shape()) : y;
}
AnyTensor flipped(const AnyTensor& x, const std::vector<int64_t>& axes) { return axes.empty() ? x : flip(x, axes); }

/// Splits indices with tensors among them into those that make a view and those that pick from it. As in NumPy, beside tensors a
/// number is a tensor too.
void separate(std::vector<Index>& list, std::vector<AnyTensor>& indices, Device device) {
  std::vector<Index> basic;
  for (Index& i : list) {
    if (i.kind == Kind::number) {
      indices.push_back(full({}, i.number, DType::int64, device));
      basic.push_back(_);
    } else if (i.kind == Kind::tensor && i.tensor.dtype() == DType::boolean && i.tensor.dim() == 0) {
      indices.push_back(reshape(i.tensor, {1}));
      basic.push_back(newaxis);
    } else if (i.kind == Kind::tensor) {
      indices.push_back(i.tensor);
      int64_t axes = i.tensor.dtype() == DType::boolean ? i.tensor.dim() : 1;
      basic.insert(basic.end(), size_t(axes), Index(_));
    } else {
      indices.push_back({});
      basic.push_back(i);
    }
  }
  list = std::move(basic);
}

/// x, and the place of the result in it, which `place` follows where it is not null.
AnyTensor taken(const AnyTensor& x, const Index* list, size_t count, Place* place) {
  check_defined(kOp, x);
  std::vector<Index> all = spelled_out(x, list, count);
  bool advanced = std::any_of(all.begin(), all.end(), [](const Index& i) { return i.kind == Kind::tensor; });
  std::vector<AnyTensor> indices;
  if (advanced) separate(all, indices, x.device());
  std::vector<int64_t> reversed;
  AnyTensor y = flipped(viewed(x, all, &reversed), reversed);
  if (place) {
    place->steps.push_back(std::move(all));
    place->reversed = std::move(reversed);
    place->advanced = advanced, place->indices = indices;
  }
  return advanced ? picked(kOp, y, Picks::of(kOp, y, indices)) : y;
}

}  // namespace

AnyTensor detail::Place::view(const AnyTensor& x) const {
  AnyTensor y = x;
  for (const std::vector<Index>& step : steps) y = viewed(y, step, nullptr);
  return y;
}

namespace detail {

AnyTensor read_index(const AnyTensor& x, const Index* list, size_t count) { return taken(x, list, count, nullptr); }

Taken take_index(const AnyTensor& x, const std::shared_ptr<const Place>& outer, const Index* list, size_t count) {
  auto place = std::make_shared<Place>();
  place->root = x;
  if (outer) {
    place->root = outer->root, place->steps = outer->steps;
    place->in_copy = outer->in_copy || outer->advanced || !outer->reversed.empty();
  }
  AnyTensor value = taken(x, list, count, place.get());
  return {std::move(value), std::move(place)};
}

void assign_index(const Place& place, const AnyTensor& value) {
  AnyTensor root = place.root;
  check_same("index assignment", root, value);
  if (place.in_copy)
    fail<ValueError>("index assignment: what was indexed first is a copy, which nobody would see changed; index once, x(a, b) = y");
  check_in_place("index assignment", root);
  check_no_overlap("index assignment", root);
  bool recorded = is_grad_enabled() && (root.requires_grad() || value.requires_grad());
  AnyTensor target = place.view(root.detach());
  if (place.advanced && !recorded && place.reversed.empty()) {
    put_in_place("index assignment", target, Picks::of(kOp, target, place.indices), value, false);
    return;
  }
  AnyTensor source = value;  // as the view wants it
  if (place.advanced) {
    AnyTensor part = flipped(place.view(root), place.reversed);
    source = flipped(with_put("index assignment", part, Picks::of(kOp, part, place.indices), value, false), place.reversed);
  } else {
    Shape together;
    together.rank =
        broadcast({target.dim(), target.shape().size, nullptr}, {value.dim(), value.shape().size, nullptr}, together.size);
    if (together.rank < 0 || !(together == target.shape()))
      fail<ShapeError>("index assignment: a value of shape ", value.shape(), " does not broadcast to ", target.shape());
    source = flipped(expand(value, target.shape()), place.reversed);
    if (value.impl()->storage.get() == root.impl()->storage.get()) source = clone(source);
  }
  if (target.numel() > 0) kernel("index assignment", &KernelTable::copy, target)(array(target), array(source));
  written_in_place(root, recorded);
  if (!recorded) return;
  record("index assignment", root, {&root, &source}, [place = [p = place] {
           Place without_root = p;
           without_root.root = {}, without_root.indices.clear();  // a node does not own its output
           return without_root;
         }()](const AnyTensor& g, AnyTensor* grads) {
    auto part = [place](const AnyTensor& x) { return place.view(x); };
    if (wanted(0)) grads[0] = with_part("index assignment", g, zeros({}, g.dtype(), g.device()), part);
    if (wanted(1)) grads[1] = part(g);
  });
}

void assign_index(const Place& place, Scalar value) {
  const AnyTensor& root = place.root;
  if (!is_float(root.dtype()) && !value.is_integral() && double(value) != std::trunc(double(value)))
    fail<DTypeError>("index assignment: ", double(value), " in a tensor of ", root.dtype(), "; cast it with to<float>()");
  assign_index(place, full({}, value, root.dtype(), root.device()));
}

}  // namespace detail
}  // namespace gradus
