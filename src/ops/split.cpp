#include <algorithm>

#include "gradus/ops/create.h"
#include "gradus/ops/shape_ops.h"
#include "src/ops/op.h"

namespace gradus {
namespace {

int axis_to_split(const char* op, const AnyTensor& x, int64_t axis) {
  check_defined(op, x);
  if (x.dim() == 0) fail<ShapeError>(op, ": a scalar has no axis to split; unsqueeze(0) gives it one");
  return axis_of(op, axis, x.dim());
}

/// Views that begin at begin[k] and have size[k]. They share a node, whose gradient is one join and not a sum of padded parts.
std::vector<AnyTensor> parts(const char* op, const AnyTensor& x, int d, const std::vector<int64_t>& sizes) {
  std::vector<AnyTensor> views;
  std::vector<Shape> shapes;
  int64_t begin = 0;
  for (int64_t n : sizes) {
    Shape shape = x.shape();
    shape[d] = n;
    views.push_back(as_view(x, shape, x.stride(), n > 0 ? begin * x.stride()[d] : 0));
    shapes.push_back(shape);
    begin += n;
  }
  if (views.empty()) return views;
  record_many(op, views, {&x}, [d, shapes = std::move(shapes)](AnyTensor* gs, AnyTensor* grads) {
    std::vector<AnyTensor> all(gs, gs + shapes.size());
    const AnyTensor* there = std::find_if(gs, gs + shapes.size(), [](const AnyTensor& g) { return g.defined(); });
    for (size_t k = 0; k < all.size(); ++k)
      if (!all[k]) all[k] = zeros(shapes[k], there->dtype(), there->device());
    grads[0] = cat(all, d);
  });
  return views;
}

}  // namespace

std::vector<AnyTensor> split(const AnyTensor& x, int64_t size, int64_t axis) {
  int d = axis_to_split("split", x, axis);
  int64_t n = x.shape()[d];
  if (size < 0 || (size == 0 && n > 0)) fail<ValueError>("split: parts of ", size, " elements; at least 1 is needed");
  std::vector<int64_t> sizes;
  for (int64_t at = 0; at < n; at += size) sizes.push_back(std::min(size, n - at));
  if (sizes.empty()) sizes.push_back(0);
  return parts("split", x, d, sizes);
}

std::vector<AnyTensor> split(const AnyTensor& x, const std::vector<int64_t>& sizes, int64_t axis) {
  int d = axis_to_split("split", x, axis);
  int64_t total = 0;
  for (int64_t n : sizes) {
    if (n < 0) fail<ValueError>("split: a part of ", n, " elements; a size cannot be negative");
    if (__builtin_add_overflow(total, n, &total)) total = -1;
  }
  if (total != x.shape()[d])
    fail<ShapeError>("split: parts of ", total, " elements in all do not make up axis ", axis, " of ", x.shape());
  return parts("split", x, d, sizes);
}

std::vector<AnyTensor> tensor_split(const AnyTensor& x, int64_t n, int64_t axis) {
  int d = axis_to_split("tensor_split", x, axis);
  if (n < 1) fail<ValueError>("tensor_split: ", n, " parts; at least 1 is needed");
  int64_t size = x.shape()[d];
  std::vector<int64_t> sizes;
  for (int64_t k = 0; k < n; ++k) sizes.push_back(size / n + (k < size % n));
  return parts("tensor_split", x, d, sizes);
}

std::vector<AnyTensor> tensor_split(const AnyTensor& x, const std::vector<int64_t>& indices, int64_t axis) {
  int d = axis_to_split("tensor_split", x, axis);
  std::vector<AnyTensor> all;
  int64_t begin = 0;
  for (size_t k = 0; k <= indices.size(); ++k) {
    int64_t end = k < indices.size() ? indices[k] : x.shape()[d];
    all.push_back(slice(x, d, begin, end));
    begin = end;
  }
  return all;
}

std::vector<AnyTensor> chunk(const AnyTensor& x, int64_t n, int64_t axis) {
  int d = axis_to_split("chunk", x, axis);
  if (n < 1) fail<ValueError>("chunk: ", n, " parts; at least 1 is needed");
  int64_t size = x.shape()[d];
  if (size == 0) return parts("chunk", x, d, std::vector<int64_t>(size_t(n), 0));
  return split(x, (size + n - 1) / n, d);
}

std::vector<AnyTensor> unbind(const AnyTensor& x, int64_t axis) {
  int d = axis_to_split("unbind", x, axis);
  Shape shape = x.shape(), stride = x.stride();
  int64_t n = shape[d], step = stride[d];
  shape.erase(d), stride.erase(d);
  std::vector<AnyTensor> views;
  for (int64_t i = 0; i < n; ++i) views.push_back(as_view(x, shape, stride, i * step));
  if (n == 0) return views;
  record_many("unbind", views, {&x}, [d, n, shape](AnyTensor* gs, AnyTensor* grads) {
    std::vector<AnyTensor> all(gs, gs + n);
    const AnyTensor* there = std::find_if(gs, gs + n, [](const AnyTensor& g) { return g.defined(); });
    for (AnyTensor& g : all)
      if (!g) g = zeros(shape, there->dtype(), there->device());
    grads[0] = stack(all, d);
  });
  return views;
}

}  // namespace gradus
