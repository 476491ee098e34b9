#include "gradus/ops/pool.h"

#include "gradus/ops/view.h"
#include "src/ops/layout.h"

namespace gradus {

namespace {

/// One pool, whatever it was called as: the name for messages, what the kernel is told, the size of the result.
struct Pool {
  const char* op;
  PoolParams p;
  int64_t height, width;
  Shape result(const Shape& x) const { return {x[0], x[1], height, width}; }
};

// Taking the chosen pixels and putting gradients back to where they were chosen are each other's gradients; so are averaging and its
// adjoint.

AnyTensor take(const Pool& pool, const AnyTensor& x, const AnyTensor& indices);

AnyTensor put_back(const Pool& pool, const AnyTensor& g, const AnyTensor& indices, const Shape& shape) {
  AnyTensor dx = image_like(indices, shape, g.dtype());
  kernel(pool.op, &KernelTable::max_pool2d_backward, g)(array(dx), array(g), array(indices), pool.p);
  record(pool.op, dx, {&g},
         [pool, indices = Saved(indices)](const AnyTensor& v, AnyTensor* grads) { grads[0] = take(pool, v, indices()); });
  return dx;
}

AnyTensor take(const Pool& pool, const AnyTensor& x, const AnyTensor& indices) {
  AnyTensor y = image_like(indices, indices.shape(), x.dtype());
  kernel(pool.op, &KernelTable::take_pixels, x)(array(y), array(x), array(indices));
  record(pool.op, y, {&x}, [pool, indices = Saved(indices), shape = x.shape()](const AnyTensor& g, AnyTensor* grads) {
    grads[0] = put_back(pool, g, indices(), shape);
  });
  return y;
}

struct Largest {
  AnyTensor values, indices;
};  // int32

Largest max_pool(const Pool& pool, const AnyTensor& x, bool want_indices) {
  bool keep = want_indices || (is_grad_enabled() && x.requires_grad());
  if (keep && x.size(2) * x.size(3) > INT32_MAX)
    fail<ShapeError>(pool.op, ": planes of ", x.shape(), " are too large to be numbered");
  Shape shape = pool.result(x.shape());
  AnyTensor y = image_like(x, shape, x.dtype()), indices;
  if (keep) indices = image_like(x, shape, DType::int32);
  kernel(pool.op, &KernelTable::max_pool2d, x)(array(y), array(indices), array(x), pool.p);
  if (keep)
    record(pool.op, y, {&x}, [pool, indices = Saved(indices), from = x.shape()](const AnyTensor& g, AnyTensor* grads) {
      grads[0] = put_back(pool, g, indices(), from);
    });
  return {y, indices};
}

AnyTensor avg_pool(const Pool& pool, const AnyTensor& x);

AnyTensor spread(const Pool& pool, const AnyTensor& g, const Shape& shape) {
  AnyTensor dx = image_like(g, shape, g.dtype());
  kernel(pool.op, &KernelTable::avg_pool2d_backward, g)(array(dx), array(g), pool.p);
  record(pool.op, dx, {&g}, [pool](const AnyTensor& v, AnyTensor* grads) { grads[0] = avg_pool(pool, v); });
  return dx;
}

AnyTensor avg_pool(const Pool& pool, const AnyTensor& x) {
  AnyTensor y = image_like(x, pool.result(x.shape()), x.dtype());
  kernel(pool.op, &KernelTable::avg_pool2d, x)(array(y), array(x), pool.p);
  record(pool.op, y, {&x}, [pool, shape = x.shape()](const AnyTensor& g, AnyTensor* grads) { grads[0] = spread(pool, g, shape); });
  return y;
}

// ---- sizes --------------------------------------------------------------------------------------------------------------------------

int64_t pooled_size(const char* op, int64_t size, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation, bool ceil) {
  if (kernel < 1) fail<ValueError>(op, ": kernel ", kernel, " is less than 1");
  if (stride < 1) fail<ValueError>(op, ": stride ", stride, " is less than 1");
  if (dilation < 1) fail<ValueError>(op, ": dilation ", dilation, " is less than 1");
  int64_t reach = dilation * (kernel - 1) + 1;
  if (padding < 0 || padding > reach / 2)
    fail<ValueError>(op, ": padding ", padding, " is not within 0 and half of the window's ", reach,
                     ": a window would see no element");
  int64_t room = size + 2 * padding - reach;
  if (room < 0) fail<ShapeError>(op, ": a window of ", reach, " does not fit an image of ", size, " with padding ", padding);
  int64_t out = (room + (ceil ? stride - 1 : 0)) / stride + 1;
  if (ceil && (out - 1) * stride >= size + padding) --out;  // the last window would begin in the padding behind
  return out;
}

/// The pool that windows of these options make on images of this shape.
Pool sliding(const char* op, const Shape& x, Pair kernel, Pair stride, Pair padding, Pair dilation, bool ceil) {
  if (stride.height == 0) stride.height = kernel.height;
  if (stride.width == 0) stride.width = kernel.width;
  PoolParams p{{kernel.height, kernel.width},
               {stride.height, stride.width},
               {padding.height, padding.width},
               {dilation.height, dilation.width}};
  return {op, p, pooled_size(op, x[2], kernel.height, stride.height, padding.height, dilation.height, ceil),
          pooled_size(op, x[3], kernel.width, stride.width, padding.width, dilation.width, ceil)};
}
Pool adaptive(const char* op, const Shape& x, Pair out) {
  if (out.height < 1 || out.width < 1)
    fail<ValueError>(op, ": a result of ", out.height, " x ", out.width, "; sizes must be positive");
  if (x[2] < 1 || x[3] < 1) fail<ShapeError>(op, ": input ", x, " has no pixels");
  Pool pool{op, {}, out.height, out.width};
  pool.p.adaptive = true;
  return pool;
}

// Images and rows, of a batch or alone, all become (N, C, H, W).

struct Images {
  AnyTensor x;
  bool row, lone;
  Images(const char* op, const AnyTensor& given, bool row) : x(given), row(row) {
    check_float(op, x);
    int rank = row ? 3 : 4;
    lone = x.dim() == rank - 1;
    if (!lone && x.dim() != rank)
      fail<ShapeError>(op, ": input ", x.shape(), ": ", row ? "(N, C, L) or (C, L)" : "(N, C, H, W) or (C, H, W)", " is needed");
    if (lone) x = x.unsqueeze(0);
    if (row) x = x.unsqueeze(2);
  }
  AnyTensor back(AnyTensor y) const {
    if (row) y = y.squeeze(2);
    return lone ? y.squeeze(0) : y;
  }
};

std::pair<AnyTensor, AnyTensor> with_indices(const Images& in, const Pool& pool) {
  Largest found = max_pool(pool, in.x, true);
  return {in.back(found.values), in.back(found.indices.to(DType::int64))};
}

Pool window(const char* op, const Images& in, const MaxPool2dOptions& o) {
  return sliding(op, in.x.shape(), o.kernel, o.stride, o.padding, o.dilation, o.ceil_mode);
}
Pool window(const char* op, const Images& in, const MaxPool1dOptions& o) {
  return sliding(op, in.x.shape(), {1, o.kernel}, {1, o.stride}, {0, o.padding}, {1, o.dilation}, o.ceil_mode);
}

}  // namespace

AnyTensor max_pool2d(const AnyTensor& x, const MaxPool2dOptions& o) {
  Images in("max_pool2d", x, false);
  return in.back(max_pool(window("max_pool2d", in, o), in.x, false).values);
}
AnyTensor max_pool1d(const AnyTensor& x, const MaxPool1dOptions& o) {
  Images in("max_pool1d", x, true);
  return in.back(max_pool(window("max_pool1d", in, o), in.x, false).values);
}
std::pair<AnyTensor, AnyTensor> max_pool2d_with_indices(const AnyTensor& x, const MaxPool2dOptions& o) {
  Images in("max_pool2d", x, false);
  return with_indices(in, window("max_pool2d", in, o));
}
std::pair<AnyTensor, AnyTensor> max_pool1d_with_indices(const AnyTensor& x, const MaxPool1dOptions& o) {
  Images in("max_pool1d", x, true);
  return with_indices(in, window("max_pool1d", in, o));
}

AnyTensor avg_pool2d(const AnyTensor& x, const AvgPool2dOptions& o) {
  Images in("avg_pool2d", x, false);
  Pool pool = sliding("avg_pool2d", in.x.shape(), o.kernel, o.stride, o.padding, 1, o.ceil_mode);
  pool.p.count_include_pad = o.count_include_pad, pool.p.divisor = o.divisor_override;
  return in.back(avg_pool(pool, in.x));
}
AnyTensor avg_pool1d(const AnyTensor& x, const AvgPool1dOptions& o) {
  Images in("avg_pool1d", x, true);
  Pool pool = sliding("avg_pool1d", in.x.shape(), {1, o.kernel}, {1, o.stride}, {0, o.padding}, 1, o.ceil_mode);
  pool.p.count_include_pad = o.count_include_pad;
  return in.back(avg_pool(pool, in.x));
}

AnyTensor adaptive_avg_pool2d(const AnyTensor& x, Pair out) {
  Images in("adaptive_avg_pool2d", x, false);
  return in.back(avg_pool(adaptive("adaptive_avg_pool2d", in.x.shape(), out), in.x));
}
AnyTensor adaptive_avg_pool1d(const AnyTensor& x, int64_t out) {
  Images in("adaptive_avg_pool1d", x, true);
  return in.back(avg_pool(adaptive("adaptive_avg_pool1d", in.x.shape(), {1, out}), in.x));
}
AnyTensor adaptive_max_pool2d(const AnyTensor& x, Pair out) {
  Images in("adaptive_max_pool2d", x, false);
  return in.back(max_pool(adaptive("adaptive_max_pool2d", in.x.shape(), out), in.x, false).values);
}
AnyTensor adaptive_max_pool1d(const AnyTensor& x, int64_t out) {
  Images in("adaptive_max_pool1d", x, true);
  return in.back(max_pool(adaptive("adaptive_max_pool1d", in.x.shape(), {1, out}), in.x, false).values);
}
std::pair<AnyTensor, AnyTensor> adaptive_max_pool2d_with_indices(const AnyTensor& x, Pair out) {
  Images in("adaptive_max_pool2d", x, false);
  return with_indices(in, adaptive("adaptive_max_pool2d", in.x.shape(), out));
}
std::pair<AnyTensor, AnyTensor> adaptive_max_pool1d_with_indices(const AnyTensor& x, int64_t out) {
  Images in("adaptive_max_pool1d", x, true);
  return with_indices(in, adaptive("adaptive_max_pool1d", in.x.shape(), {1, out}));
}

}  // namespace gradus
