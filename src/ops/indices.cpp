#include "src/ops/indices.h"

#include "gradus/core/capture.h"
#include "gradus/ops/create.h"
#include "gradus/ops/elementwise.h"
#include "gradus/ops/index.h"
#include "gradus/ops/view.h"
#include "src/ops/in_place.h"

namespace gradus {

AnyTensor as_index(const char* op, const AnyTensor& index, const AnyTensor& x) {
  check_defined(op, index);
  if (!is_integer(index.dtype()))
    fail<DTypeError>(op, ": the index is ", index.dtype(), ", not integer; cast it with to<int64_t>()");
  if (index.device() != x.device())
    fail<DeviceError>(op, ": the index is on ", index.device(), ", x on ", x.device(), "; move one with to()");
  return to(index, DType::int64);
}

int64_t element_at(const AnyTensor& index, int64_t place) {
  int64_t offset = 0;
  for (int d = index.dim() - 1; d >= 0; --d) offset += place % index.shape()[d] * index.stride()[d], place /= index.shape()[d];
  return Tensor<int64_t>(as_view(index, {}, {}, offset)).item();
}

namespace {

[[noreturn, gnu::cold]] void fail_index(const char* op, const AnyTensor& index, int64_t bad, int axis, int64_t size) {
  Shape place = index.shape();
  int64_t rest = bad;
  for (int d = place.rank - 1; d >= 0; --d) place[d] = rest % index.shape()[d], rest /= index.shape()[d];
  fail<IndexError>(op, ": index ", element_at(index, bad), " at ", place, " is outside axis ", axis, " of size ", size);
}

}  // namespace

void check_indices(const char* op, AnyTensor& index, int axis, int64_t size, IndexRange range) {
  int64_t bad = -1;
  if (index.numel() > 0) kernel(op, &KernelTable::locate, index)(Array{}, array(index), size, 0, range, true, &bad);
  if (bad >= 0) fail_index(op, index, bad, axis, size);
  if (!StepRecording::current()) return;
  if (size == 0 && index.numel() > 0) refuse_to_capture(op, "reads from an axis of size 0");
  index = clamp(index, range == IndexRange::both_ways ? -size : 0, size - 1);
}

Picks Picks::of(const char* op, const AnyTensor& x, const std::vector<AnyTensor>& indices) {
  check_defined(op, x);
  Picks p;
  p.shape = x.shape(), p.device = x.device();
  for (const AnyTensor& index : indices) {
    size_t axis = p.index.size();
    if (!index.defined() || index.dtype() != DType::boolean) {
      p.index.push_back(index.defined() ? as_index(op, index, x) : index);
    } else {
      if (index.device() != x.device()) fail<DeviceError>(op, ": the mask is on ", index.device(), ", x on ", x.device());
      if (index.dim() == 0) fail<IndexError>(op, ": a mask without axes; unsqueeze x and the mask");
      for (int d = 0; d < index.dim(); ++d)
        if (axis + size_t(d) >= size_t(x.dim()) || index.shape()[d] != x.shape()[int(axis) + d])
          fail<IndexError>(op, ": the mask has shape ", index.shape(), ", which does not fit ", x.shape(), " from axis ", axis);
      AnyTensor places = nonzero(index);
      for (int d = 0; d < index.dim(); ++d) p.index.push_back(select(places, 1, d));
    }
    if (p.index.size() > size_t(x.dim())) fail<IndexError>(op, ": ", p.index.size(), " indices for x of shape ", x.shape());
  }
  p.index.resize(size_t(x.dim()));
  p.arrange(op);
  return p;
}

Picks Picks::of_axis(const char* op, const AnyTensor& x, int axis, const AnyTensor& index) {
  Picks p;
  p.shape = x.shape(), p.device = x.device(), p.range = IndexRange::forward;
  p.index.resize(size_t(x.dim()));
  AnyTensor i = as_index(op, index, x);
  if (i.dim() > 1) fail<ShapeError>(op, ": the index has shape ", i.shape(), "; one dimension is needed");
  p.index[size_t(axis)] = i.dim() == 0 ? reshape(i, {1}) : i;
  p.arrange(op);
  return p;
}

void Picks::arrange(const char* op) {
  int first = -1, last = -1, count = 0;
  for (int d = 0; d < shape.rank; ++d) {
    const AnyTensor& i = index[size_t(d)];
    if (!i.defined()) continue;
    if (first < 0) first = d;
    last = d, ++count;
    Shape next;
    next.rank = broadcast({together.rank, together.size, nullptr}, {i.dim(), i.shape().size, nullptr}, next.size);
    if (next.rank < 0) fail<IndexError>(op, ": index tensors of shapes ", together, " and ", i.shape(), " do not broadcast");
    together = next;
  }
  // Where something stands between the indexed axes, nobody could say where theirs belong: they come first.
  at = count > 0 && last - first + 1 == count ? first : 0;
  int seen = 0;
  auto insert_together = [&] {
    for (int64_t n : together) result.push_back(n);
  };
  for (int d = 0; d < shape.rank; ++d) {
    if (index[size_t(d)].defined()) continue;
    if (seen++ == at) insert_together();
    result.push_back(shape[d]);
  }
  if (seen <= at) insert_together();
}

AnyTensor Picks::offsets(const char* op, const Shape& stride) const {
  AnyTensor to;
  for (int d = 0; d < shape.rank; ++d) {
    const AnyTensor& i = index[size_t(d)];
    if (!i.defined()) continue;
    bool begins = !to.defined();
    if (begins) to = empty(together, DType::int64, i.device());
    int64_t bad = -1;
    if (to.numel() > 0) kernel(op, &KernelTable::locate, i)(array(to), array(i), shape[d], stride[d], range, begins, &bad);
    if (bad >= 0) {
      NoGrad no_grad;
      fail_index(op, expand(i, together), bad, d, shape[d]);
    }
  }
  if (!to.defined()) to = zeros({}, DType::int64, device);  // nothing is indexed: one block, the whole
  return to;
}

AnyTensor Picks::block(const AnyTensor& x) const {
  Shape size, stride;
  for (int d = 0; d < shape.rank; ++d)
    if (!index[size_t(d)].defined()) size.push_back(shape[d]), stride.push_back(x.stride()[d]);
  return as_view(x, size, stride, 0);
}

AnyTensor Picks::blocks(const AnyTensor& y) const {
  Shape size{together.numel()}, stride{together.rank ? y.stride()[at + together.rank - 1] : 0};
  for (int d = 0; d < y.dim(); ++d)
    if (d < at || d >= at + together.rank) size.push_back(y.shape()[d]), stride.push_back(y.stride()[d]);
  int64_t expected = stride[0];
  for (int d = at + together.rank - 1; d >= at; --d) {
    if (y.shape()[d] != 1 && y.stride()[d] != expected) return blocks(dense(y));
    expected *= y.shape()[d];
  }
  return as_view(y, size, stride, 0);
}

AnyTensor Picks::last_writers(const char* op) const {
  NoGrad no_grad;
  Shape stride = shape, padded;
  int64_t places = 1;
  for (int d = shape.rank - 1; d >= 0; --d)
    if (index[size_t(d)].defined()) stride[d] = places, places *= shape[d];
  AnyTensor where_to = offsets(op, stride), n = arange(where_to.numel(), DType::int64, where_to.device());
  AnyTensor writer = empty({places}, DType::int64, where_to.device()), cell = as_view(writer, {}, {}, 0);
  AnyTensor last = empty(n.shape(), DType::int64, where_to.device());
  kernel(op, &KernelTable::put_blocks, writer)(array(cell), array(where_to), array(n), false);
  kernel(op, &KernelTable::take_blocks, writer)(array(last), array(cell), array(where_to));
  for (int64_t size : together) padded.push_back(size);
  for (int d = at + together.rank; d < result.rank; ++d) padded.push_back(1);
  return reshape(last == n, padded);
}

AnyTensor pick(const char* op, const AnyTensor& x, const Picks& picks) {
  AnyTensor offsets = picks.offsets(op, x.stride()), y = empty(picks.result, x.dtype(), x.device());
  AnyTensor blocks = picks.blocks(y), block = picks.block(x);
  if (y.numel() > 0) kernel(op, &KernelTable::take_blocks, x)(array(blocks), array(block), array(offsets));
  return y;
}

void put(const char* op, const AnyTensor& y, const Picks& picks, const AnyTensor& values, bool accumulate) {
  AnyTensor offsets = picks.offsets(op, y.stride()), block = picks.block(y), blocks = picks.blocks(values);
  if (blocks.numel() > 0) kernel(op, &KernelTable::put_blocks, y)(array(block), array(offsets), array(blocks), accumulate);
}

namespace {

/// What a rule keeps of the indices: they are refused if somebody writes to them.
struct SavedPicks {
  Picks picks;
  std::vector<Saved> index;
  explicit SavedPicks(const Picks& p) : picks(p) {
    for (AnyTensor& i : picks.index) index.push_back(Saved(std::exchange(i, AnyTensor())));
  }
  Picks operator()() const {
    Picks p = picks;
    for (size_t d = 0; d < index.size(); ++d) p.index[d] = index[d]();
    return p;
  }
};

/// Half types are added up in float.
AnyTensor put_into_zeros(const char* op, const AnyTensor& g, const Picks& picks) {
  NoGrad no_grad;
  DType wide = is_half(g.dtype()) ? DType::float32 : g.dtype();
  AnyTensor y = zeros(picks.shape, wide, g.device());
  put(op, y, picks, to(g, wide), true);
  return to(y, g.dtype());
}

/// The adjoint of picking: zeros with g added at its places.
AnyTensor placed(const char* op, const AnyTensor& g, const Picks& picks) {
  AnyTensor y = put_into_zeros(op, g, picks);
  record(op, y, {&g},
         [op, saved = SavedPicks(picks)](const AnyTensor& gg, AnyTensor* grads) { grads[0] = picked(op, gg, saved()); });
  return y;
}

void write(const char* op, const AnyTensor& y, const Picks& picks, const AnyTensor& values, bool accumulate) {
  NoGrad no_grad;
  AnyTensor v = expand(values, picks.result);
  if (!accumulate || !is_half(y.dtype())) return put(op, y, picks, v, accumulate);
  AnyTensor sums = to(y, DType::float32);
  put(op, sums, picks, to(v, DType::float32), true);
  kernel(op, &KernelTable::copy, y)(array(y), array(sums));
}

void check_values(const char* op, const AnyTensor& x, const Picks& picks, const AnyTensor& values) {
  check_same(op, x, values);
  Shape together;
  together.rank =
      broadcast({picks.result.rank, picks.result.size, nullptr}, {values.dim(), values.shape().size, nullptr}, together.size);
  if (together.rank < 0 || !(together == picks.result))
    fail<ShapeError>(op, ": values of shape ", values.shape(), " do not broadcast to ", picks.result, ", which the indices pick");
}

}  // namespace

AnyTensor picked(const char* op, const AnyTensor& x, const Picks& picks) {
  AnyTensor y = pick(op, x, picks);
  if (!is_float(x.dtype())) return y;
  record(op, y, {&x}, [op, saved = SavedPicks(picks)](const AnyTensor& g, AnyTensor* grads) { grads[0] = placed(op, g, saved()); });
  return y;
}

AnyTensor with_put(const char* op, const AnyTensor& x, const Picks& picks, const AnyTensor& values, bool accumulate) {
  check_values(op, x, picks, values);
  AnyTensor y;
  {
    NoGrad no_grad;
    y = clone(x);
  }
  write(op, y, picks, values, accumulate);
  if (!is_float(x.dtype())) return y;
  record(op, y, {&x, &values}, [op, saved = SavedPicks(picks), accumulate](const AnyTensor& g, AnyTensor* grads) {
    Picks p = saved();
    if (wanted(0)) grads[0] = accumulate ? g : with_put(op, g, p, zeros({}, g.dtype(), g.device()), false);
    if (!wanted(1)) return;
    grads[1] = picked(op, g, p);
    if (!accumulate) grads[1] = where(p.last_writers(op), grads[1], 0);  // what was written over has no part in the result
  });
  return y;
}

AnyTensor& put_in_place(const char* op, AnyTensor& x, const Picks& picks, const AnyTensor& values, bool accumulate) {
  check_in_place(op, x);
  check_values(op, x, picks, values);
  check_no_overlap(op, x);
  if (is_grad_enabled() && (x.requires_grad() || values.requires_grad()))
    return take_over(op, x, with_put(op, x, picks, values, accumulate));
  bool shares = values.impl()->storage.get() == x.impl()->storage.get();
  write(op, x, picks, shares ? clone(values) : values, accumulate);
  written_in_place(x);
  return x;
}

}  // namespace gradus
