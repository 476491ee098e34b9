#include "gradus/ops/create.h"

#include <algorithm>
#include <cmath>

#include "gradus/ops/elementwise.h"
#include "src/core/borrowed.h"
#include "src/ops/op.h"

namespace gradus {

AnyTensor full(const Shape& shape, Scalar value, DType dtype, Device device) {
  check_sizes("full", shape);
  AnyTensor y = empty(shape, dtype, device);
  kernel("full", &KernelTable::fill, y)(array(y), value);
  return y;
}
AnyTensor zeros(const Shape& shape, DType dtype, Device device) {
  check_sizes("zeros", shape);
  return full(shape, 0, dtype, device);
}
AnyTensor ones(const Shape& shape, DType dtype, Device device) {
  check_sizes("ones", shape);
  return full(shape, 1, dtype, device);
}

AnyTensor full_like(const AnyTensor& x, Scalar value) {
  check_defined("full_like", x);
  AnyTensor y = empty_like(x);
  kernel("full_like", &KernelTable::fill, y)(array(y), value);
  return y;
}
AnyTensor zeros_like(const AnyTensor& x) { return full_like(x, 0); }
AnyTensor ones_like(const AnyTensor& x) { return full_like(x, 1); }

AnyTensor arange(Scalar start, Scalar end, Scalar step, DType dtype, Device device) {
  double from = start, to = end, by = step;
  if (!is_float(dtype))
    for (double v : {from, to, by})
      if (v != std::trunc(v)) fail<DTypeError>("arange: ", v, " in ", dtype, "; ask for fractions with arange<float>(...)");
  if (!(std::abs(from) < HUGE_VAL && std::abs(to) < HUGE_VAL && std::abs(by) < HUGE_VAL))
    fail<ValueError>("arange: from ", from, " to ", to, " by ", by, " is not finite");
  if (by == 0) fail<ValueError>("arange: the step is 0");
  if ((to - from) * by < 0) fail<ValueError>("arange: steps of ", by, " lead from ", from, " away from ", to);
  double count = std::ceil((to - from) / by);
  if (!is_float(dtype)) {  // exactly: a double has 53 bits only
    auto whole = [](Scalar s) { return (__int128)(s.is_integral() ? s.to<int64_t>() : int64_t(double(s))); };
    __int128 distance = whole(end) - whole(start), stride = whole(step);
    count = double((distance + stride - (stride > 0 ? 1 : -1)) / stride);
  }
  if (count > 0x1p62) fail<ShapeError>("arange: ", count, " elements are more than can be counted");
  AnyTensor y = empty({int64_t(count)}, dtype, device);
  if (y.numel() > 0) kernel("arange", &KernelTable::arange, y)(array(y), start, step);
  return y;
}
AnyTensor arange(Scalar end, DType dtype, Device device) { return arange(0, end, 1, dtype, device); }

AnyTensor linspace(double start, double end, int64_t n, DType dtype, Device device) {
  if (n < 0) fail<ValueError>("linspace: ", n, " numbers are asked for");
  AnyTensor y = empty({n}, dtype, device);
  if (n > 0) kernel("linspace", &KernelTable::linspace, y)(array(y), start, end);
  return y;
}

AnyTensor logspace(double start, double end, int64_t n, double base, DType dtype, Device device) {
  if (n < 0) fail<ValueError>("logspace: ", n, " numbers are asked for");
  return to(pow(base, linspace(start, end, n, DType::float64, device)), dtype);
}

AnyTensor eye(int64_t n, int64_t m, DType dtype, Device device) {
  if (m == -1) m = n;
  check_sizes("eye", {n, m});
  AnyTensor y = zeros({n, m}, dtype, device);
  int64_t length = std::min(n, m);
  if (length == 0) return y;
  AnyTensor diagonal = as_view(y, {length}, {m + 1}, 0);
  kernel("eye", &KernelTable::fill, y)(array(diagonal), 1);
  return y;
}

namespace {

/// Rows and columns of the places of a triangle: from_row(r) to to_row(r), cut to the matrix, in each row.
template <class From, class To> Tensor<int64_t> triangle(const char* op, int64_t rows, int64_t columns, From from, To to) {
  if (rows < 0 || columns < 0) fail<ShapeError>(op, ": a matrix of (", rows, ", ", columns, ")");
  std::vector<int64_t> r, c;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = std::max<int64_t>(from(i), 0), end = std::min(to(i), columns); j < end; ++j) r.push_back(i), c.push_back(j);
  int64_t count = int64_t(r.size());
  r.insert(r.end(), c.begin(), c.end());
  return Tensor<int64_t>(std::span<const int64_t>(r), {2, count});
}

}  // namespace

Tensor<int64_t> tril_indices(int64_t rows, int64_t columns, int64_t diagonal) {
  return triangle(
      "tril_indices", rows, columns, [](int64_t) { return 0; }, [=](int64_t i) { return i + diagonal + 1; });
}
Tensor<int64_t> triu_indices(int64_t rows, int64_t columns, int64_t diagonal) {
  return triangle(
      "triu_indices", rows, columns, [=](int64_t i) { return i + diagonal; }, [=](int64_t) { return columns; });
}

AnyTensor from_blob(void* data, const Shape& shape, const Shape& stride, DType dtype, std::function<void(void*)> release) {
  return borrowed("from_blob", data, shape, stride, dtype, kCPU, std::move(release));
}
AnyTensor from_blob(void* data, const Shape& shape, DType dtype, std::function<void(void*)> release) {
  Shape stride;
  stride.rank = shape.rank;
  int64_t step = 1;
  check_sizes("from_blob", shape);
  for (int d = shape.rank - 1; d >= 0; --d) stride.size[d] = step, step *= shape.size[d];
  return from_blob(data, shape, stride, dtype, std::move(release));
}

}  // namespace gradus
