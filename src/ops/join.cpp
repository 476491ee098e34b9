#include <algorithm>

#include "gradus/ops/create.h"
#include "gradus/ops/index.h"
#include "gradus/ops/shape_ops.h"
#include "src/ops/axis_order.h"
#include "src/ops/op.h"

namespace gradus {
namespace {

void check_list(const char* op, const std::vector<AnyTensor>& tensors) {
  if (tensors.empty()) fail<ValueError>(op, ": got an empty list of tensors; at least one is needed");
  for (const AnyTensor& x : tensors) check_same(op, tensors[0], x);
}
std::vector<AnyTensor> with_each(const char* op, const std::vector<AnyTensor>& tensors, AnyTensor (*f)(const AnyTensor&)) {
  check_list(op, tensors);
  std::vector<AnyTensor> all;
  for (const AnyTensor& x : tensors) all.push_back(f(x));
  return all;
}
/// The shape that all broadcast to.
Shape common_shape(const char* op, const std::vector<AnyTensor>& tensors) {
  Shape shape;
  for (const AnyTensor& x : tensors) {
    Shape next;
    check_defined(op, x);
    next.rank = broadcast({shape.rank, shape.size, nullptr}, {x.dim(), x.shape().size, nullptr}, next.size);
    if (next.rank < 0) fail<ShapeError>(op, ": shapes ", shape, " and ", x.shape(), " do not broadcast");
    shape = next;
  }
  return shape;
}

/// cat, for functions whose errors have their own names.
AnyTensor join(const char* op, const std::vector<AnyTensor>& tensors, int64_t axis) {
  check_list(op, tensors);
  // An empty vector joins anything: what a loop starts from.
  auto is_nothing = [](const AnyTensor& x) { return x.dim() == 1 && x.numel() == 0; };
  const AnyTensor* first = &tensors[0];
  for (const AnyTensor& x : tensors)
    if (is_nothing(*first)) first = &x;
  if (first->dim() == 0) fail<ShapeError>(op, ": a scalar has no axis; use stack()");
  int d = axis_of(op, axis, first->dim());
  Shape shape = first->shape();
  shape[d] = 0;
  const AnyTensor* like = first;  // the first that is not row-major decides the layout
  for (const AnyTensor& x : tensors) {
    if (is_nothing(x)) continue;
    bool fits = x.dim() == shape.rank;
    for (int k = 0; fits && k < shape.rank; ++k) fits = k == d || x.shape()[k] == shape[k];
    if (!fits)
      fail<ShapeError>(op, ": shapes ", first->shape(), " and ", x.shape(), " differ in other axes than ", d,
                       ", along which they are joined");
    shape[d] += x.shape()[d];
    if (like->is_contiguous() && x.impl()->dense) like = &x;
  }
  AnyTensor y = empty_in_order_of(*like, shape);
  auto* copy = kernel(op, &KernelTable::copy, y);
  int64_t at = 0;
  std::vector<int64_t> begin;
  for (const AnyTensor& x : tensors) {
    begin.push_back(at);
    if (is_nothing(x)) continue;
    AnyTensor place = as_view(y, x.shape(), y.stride(), at * y.stride()[d]);
    if (x.numel() > 0) copy(array(place), array(x));
    at += x.shape()[d];
  }
  if (!is_float(y.dtype())) return y;
  begin.push_back(at);
  record(op, y, tensors, [d, begin = std::move(begin)](const AnyTensor& g, AnyTensor* grads) {
    for (size_t i = 0; i + 1 < begin.size(); ++i)
      if (wanted(uint32_t(i)) && begin[i + 1] > begin[i]) grads[i] = narrow(g, d, begin[i], begin[i + 1] - begin[i]);
  });
  return y;
}

}  // namespace

AnyTensor cat(const TensorList& tensors, int64_t axis) { return join("cat", tensors, axis); }

AnyTensor stack(const TensorList& tensors, int64_t axis) {
  check_list("stack", tensors);
  int d = axis_of("stack", axis, tensors[0].dim() + 1);
  std::vector<AnyTensor> all;
  for (const AnyTensor& x : tensors) {
    if (!(x.shape() == tensors[0].shape()))
      fail<ShapeError>("stack: shapes ", tensors[0].shape(), " and ", x.shape(),
                       " differ; cat() joins along an axis that is there");
    all.push_back(unsqueeze(x, d));
  }
  return join("stack", all, d);
}

AnyTensor pad_sequence(const TensorList& sequences, const PadSequenceOptions& o) {
  constexpr const char* op = "pad_sequence";
  check_list(op, sequences);
  const Shape& first = sequences[0].shape();
  int64_t longest = 0;
  for (const AnyTensor& x : sequences) {
    if (x.dim() == 0) fail<ShapeError>(op, ": a scalar is no sequence; use stack()");
    bool fits = x.dim() == first.rank;
    for (int d = 1; fits && d < first.rank; ++d) fits = x.shape()[d] == first[d];
    if (!fits) fail<ShapeError>(op, ": shapes ", first, " and ", x.shape(), " differ in other axes than 0, the length");
    longest = std::max(longest, x.shape()[0]);
  }
  const int d = o.batch_first ? 0 : 1;
  std::vector<AnyTensor> all;
  std::vector<int64_t> amounts(size_t(2 * first.rank));
  for (const AnyTensor& x : sequences) {
    amounts.back() = longest - x.shape()[0];
    all.push_back(unsqueeze(amounts.back() > 0 ? pad(x, amounts, PadMode::constant, o.value) : x, d));
  }
  return join(op, all, d);
}

AnyTensor vstack(const TensorList& tensors) { return join("vstack", with_each("vstack", tensors, atleast_2d), 0); }
AnyTensor dstack(const TensorList& tensors) { return join("dstack", with_each("dstack", tensors, atleast_3d), 2); }
AnyTensor hstack(const TensorList& tensors) {
  const std::vector<AnyTensor> all = with_each("hstack", tensors, atleast_1d);
  return join("hstack", all, all[0].dim() == 1 ? 0 : 1);
}
AnyTensor column_stack(const TensorList& tensors) {
  auto column = [](const AnyTensor& x) { return x.dim() < 2 ? reshape(x, {-1, 1}) : x; };
  return join("column_stack", with_each("column_stack", tensors, column), 1);
}

AnyTensor block_diag(const TensorList& matrices) {
  check_list("block_diag", matrices);
  std::vector<AnyTensor> rows;
  int64_t columns = 0, before = 0;
  for (const AnyTensor& x : matrices) {
    if (x.dim() > 2) fail<ShapeError>("block_diag: shape ", x.shape(), " is not a matrix; reshape it to one");
    columns += x.dim() ? x.shape()[-1] : 1;
  }
  for (const AnyTensor& x : matrices) {
    AnyTensor m = atleast_2d(x);
    rows.push_back(pad(m, {before, columns - before - m.shape()[1]}));
    before += m.shape()[1];
  }
  return join("block_diag", rows, 0);
}

AnyTensor cartesian_prod(const TensorList& vectors) {
  check_list("cartesian_prod", vectors);
  for (const AnyTensor& v : vectors) check_rank("cartesian_prod", "an argument", v, 1);
  if (vectors.size() == 1) return vectors[0];
  std::vector<AnyTensor> columns;
  for (const AnyTensor& grid : meshgrid(vectors)) columns.push_back(reshape(grid, {-1}));
  return stack(columns, 1);
}

AnyTensor combinations(const AnyTensor& x, int64_t r, bool with_replacement) {
  check_rank("combinations", "x", x, 1);
  if (r < 0) fail<ValueError>("combinations: of ", r, " elements; it cannot be negative");
  int64_t n = x.numel();
  if (r == 0) return empty({0}, x.dtype(), x.device());
  std::vector<int64_t> all, at;
  for (int64_t k = 0; k < r; ++k) at.push_back(with_replacement ? 0 : k);
  auto limit = [&](int64_t k) { return with_replacement ? n - 1 : n - r + k; };  // the last index in place k
  while (n > 0 && at[0] <= limit(0)) {
    all.insert(all.end(), at.begin(), at.end());
    int64_t k = r - 1;
    while (k > 0 && at[size_t(k)] == limit(k)) --k;
    ++at[size_t(k)];
    for (; ++k < r;) at[size_t(k)] = at[size_t(k) - 1] + !with_replacement;
  }
  int64_t count = int64_t(all.size()) / r;
  AnyTensor picks = Tensor<int64_t>(std::span<const int64_t>(all));
  return reshape(index_select(x, 0, picks), {count, r});
}

Shape broadcast_shapes(const std::vector<Shape>& shapes) {
  Shape common;
  for (const Shape& shape : shapes) {
    while (common.rank < shape.rank) common.insert(0, 1);
    for (int d = 1; d <= shape.rank; ++d) {
      int64_t &n = common[common.rank - d], m = shape[shape.rank - d];
      if (n == 1) n = m;
      if (m != 1 && m != n) fail<ShapeError>("broadcast_shapes: ", shape, " does not broadcast with ", common);
    }
  }
  return common;
}

std::vector<AnyTensor> broadcast_tensors(const std::vector<AnyTensor>& tensors) {
  Shape shape = common_shape("broadcast_tensors", tensors);
  std::vector<AnyTensor> all;
  for (const AnyTensor& x : tensors) all.push_back(expand(x, shape));
  return all;
}

std::vector<AnyTensor> meshgrid(const TensorList& vectors, MeshOrder order) {
  check_list("meshgrid", vectors);
  std::vector<AnyTensor> in = vectors;
  for (const AnyTensor& v : in)
    if (v.dim() > 1) fail<ShapeError>("meshgrid: shape ", v.shape(), " is not a vector; flatten() makes it one");
  bool swaps = order == MeshOrder::xy && in.size() > 1;
  if (swaps) std::swap(in[0], in[1]);
  Shape shape;
  for (const AnyTensor& v : in) shape.push_back(v.numel());
  std::vector<AnyTensor> grids;
  for (int k = 0; k < shape.rank; ++k) {
    Shape along = shape;
    for (int d = 0; d < shape.rank; ++d)
      if (d != k) along[d] = 1;
    grids.push_back(expand(reshape(in[size_t(k)], along), shape));
  }
  if (swaps) std::swap(grids[0], grids[1]);
  return grids;
}

}  // namespace gradus
