#include "gradus/ops/rearrange.h"

#include "gradus/ops/create.h"
#include "gradus/ops/gather.h"
#include "gradus/ops/index.h"
#include "gradus/ops/shape_ops.h"
#include "gradus/ops/view.h"
#include "src/ops/op.h"

namespace gradus {
namespace {

/// The shape with its last axes in place of `dropped` others.
Shape ending(const Shape& shape, int dropped, std::initializer_list<int64_t> last) {
  Shape result;
  for (int d = 0; d < shape.rank - dropped; ++d) result.push_back(shape[d]);
  for (int64_t n : last) result.push_back(n);
  return result;
}
/// The last five axes in another order, those before as they are.
AnyTensor reordered(const AnyTensor& x, std::initializer_list<int64_t> order) {
  Shape axes;
  const int64_t before = x.dim() - int64_t(order.size());
  for (int64_t d = 0; d < before; ++d) axes.push_back(d);
  for (int64_t d : order) axes.push_back(before + d);
  return permute(x, axes);
}

}  // namespace

AnyTensor pixel_shuffle(const AnyTensor& x, int64_t r) {
  check_defined("pixel_shuffle", x);
  if (r < 1) fail<ValueError>("pixel_shuffle: r is ", r, "; it must be at least 1");
  if (x.dim() < 3 || x.size(-3) % (r * r) != 0)
    fail<ShapeError>("pixel_shuffle: x has shape ", x.shape(), "; (..., C, H, W) with ", r * r, " dividing C is needed");
  const int64_t c = x.size(-3) / (r * r), h = x.size(-2), w = x.size(-1);
  AnyTensor parts = reshape(x, ending(x.shape(), 3, {c, r, r, h, w}));
  return reshape(reordered(parts, {0, 3, 1, 4, 2}), ending(x.shape(), 3, {c, h * r, w * r}));
}

AnyTensor pixel_unshuffle(const AnyTensor& x, int64_t r) {
  check_defined("pixel_unshuffle", x);
  if (r < 1) fail<ValueError>("pixel_unshuffle: r is ", r, "; it must be at least 1");
  if (x.dim() < 3 || x.size(-2) % r != 0 || x.size(-1) % r != 0)
    fail<ShapeError>("pixel_unshuffle: x has shape ", x.shape(), "; (..., C, H, W) with ", r, " dividing H and W is needed");
  const int64_t c = x.size(-3), h = x.size(-2) / r, w = x.size(-1) / r;
  AnyTensor parts = reshape(x, ending(x.shape(), 3, {c, h, r, w, r}));
  return reshape(reordered(parts, {0, 2, 4, 1, 3}), ending(x.shape(), 3, {c * r * r, h, w}));
}

AnyTensor channel_shuffle(const AnyTensor& x, int64_t groups) {
  check_defined("channel_shuffle", x);
  if (x.dim() < 2 || groups < 1 || x.size(1) % groups != 0)
    fail<ShapeError>("channel_shuffle: ", groups, " groups do not divide the channels of ", x.shape(), "; (N, C, ...) is needed");
  return reshape(transpose(unflatten(x, 1, {groups, -1}), 1, 2), x.shape());
}

namespace {

/// For each element of the columns of one image, in order, its place in the padded image.
struct Windows {
  int64_t height, width;  // of the padded image
  int64_t rows, columns;  // how many windows
  AnyTensor places;       // (kernel * windows)

  Windows(const char* op, Pair size, const UnfoldOptions& o, Device device) {
    for (int64_t n : {o.kernel.height, o.kernel.width, o.dilation.height, o.dilation.width, o.stride.height, o.stride.width})
      if (n < 1) fail<ValueError>(op, ": kernel, dilation and stride must be at least 1, not ", n);
    if (o.padding.height < 0 || o.padding.width < 0) fail<ValueError>(op, ": the padding is negative");
    height = size.height + 2 * o.padding.height, width = size.width + 2 * o.padding.width;
    auto count = [](int64_t n, int64_t kernel, int64_t dilation, int64_t stride) {
      int64_t room = n - dilation * (kernel - 1) - 1;
      return room < 0 ? 0 : room / stride + 1;
    };
    rows = count(height, o.kernel.height, o.dilation.height, o.stride.height);
    columns = count(width, o.kernel.width, o.dilation.width, o.stride.width);
    if (rows < 1 || columns < 1)
      fail<ShapeError>(op, ": no window fits an image of (", size.height, ", ", size.width, "), padded to (", height, ", ", width,
                       ")");
    // row = tap * dilation + window * stride, for each (tap, window); the same for columns.
    auto line = [&](int64_t kernel, int64_t dilation, int64_t windows, int64_t stride) {
      auto upto = [&](int64_t n, int64_t step) { return arange(0, n, 1, DType::int64, device) * step; };
      return unsqueeze(upto(kernel, dilation), 1) + upto(windows, stride);
    };
    AnyTensor down = line(o.kernel.height, o.dilation.height, rows, o.stride.height) * width,
              across = line(o.kernel.width, o.dilation.width, columns, o.stride.width);
    places = reshape(reshape(down, {o.kernel.height, 1, rows, 1}) + reshape(across, {1, o.kernel.width, 1, columns}), {-1});
  }
};

}  // namespace

AnyTensor unfold(const AnyTensor& x, const UnfoldOptions& o) {
  check_defined("unfold", x);
  if (x.dim() != 3 && x.dim() != 4) fail<ShapeError>("unfold: x has shape ", x.shape(), "; (N, C, H, W) or (C, H, W) is needed");
  if (x.dim() == 3) return squeeze(unfold(unsqueeze(x, 0), o), 0);
  const int64_t n = x.size(0), c = x.size(1);
  Windows windows("unfold", {x.size(2), x.size(3)}, o, x.device());
  AnyTensor padded = pad(x, {o.padding.width, o.padding.width, o.padding.height, o.padding.height});
  AnyTensor columns = index_select(reshape(padded, {n, c, windows.height * windows.width}), 2, windows.places);
  return reshape(columns, {n, c * o.kernel.height * o.kernel.width, windows.rows * windows.columns});
}

AnyTensor fold(const AnyTensor& x, Pair size, const UnfoldOptions& o) {
  check_defined("fold", x);
  if (x.dim() != 2 && x.dim() != 3) fail<ShapeError>("fold: x has shape ", x.shape(), "; (N, C kernel, windows) is needed");
  if (x.dim() == 2) return squeeze(fold(unsqueeze(x, 0), size, o), 0);
  Windows windows("fold", size, o, x.device());
  const int64_t taps = o.kernel.height * o.kernel.width, n = x.size(0), count = windows.rows * windows.columns;
  if (x.size(1) % taps != 0 || x.size(2) != count)
    fail<ShapeError>("fold: x has shape ", x.shape(), "; (N, C ", taps, ", ", count, ") is needed for an image of (", size.height,
                     ", ", size.width, ")");
  const int64_t c = x.size(1) / taps;
  AnyTensor padded = zeros({n, c, windows.height * windows.width}, x.dtype(), x.device());
  padded = reshape(index_add(padded, 2, windows.places, reshape(x, {n, c, taps * count})), {n, c, windows.height, windows.width});
  return narrow(narrow(padded, 2, o.padding.height, size.height), 3, o.padding.width, size.width);
}

namespace {

AnyTensor unpooled(const char* op, const AnyTensor& x, const AnyTensor& indices, int axes, const Shape& size) {
  check_defined(op, x), check_dtype(op, "indices", indices, DType::int64);
  if (!(x.shape() == indices.shape()) || x.dim() < axes + 1 || x.dim() > axes + 2)
    fail<ShapeError>(op, ": x has shape ", x.shape(), " and indices ", indices.shape(), "; both must be those of a max_pool");
  Shape shape;
  for (int d = 0; d < x.dim() - axes; ++d) shape.push_back(x.shape()[d]);
  Shape flat = shape, full_shape = shape;
  flat.push_back(size.numel());
  for (int64_t n : size) full_shape.push_back(n);
  AnyTensor y, places = flatten(indices, x.dim() - axes, -1);
  {
    NoGrad no_grad;
    y = reshape(scatter(zeros(flat, x.dtype(), x.device()), -1, places, flatten(x, x.dim() - axes, -1)), full_shape);
  }
  // Windows that name one place have one element there: each gets the gradient.
  record(op, y, {&x}, [flat, places = Saved(places), from = x.shape()](const AnyTensor& g, AnyTensor* grads) {
    grads[0] = reshape(gather(reshape(g, flat), -1, places()), from);
  });
  return y;
}

}  // namespace

AnyTensor max_unpool1d(const AnyTensor& x, const AnyTensor& indices, int64_t size) {
  return unpooled("max_unpool1d", x, indices, 1, {size});
}
AnyTensor max_unpool2d(const AnyTensor& x, const AnyTensor& indices, Pair size) {
  return unpooled("max_unpool2d", x, indices, 2, {size.height, size.width});
}

}  // namespace gradus
