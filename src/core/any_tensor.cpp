#include "gradus/core/any_tensor.h"

#include "gradus/autograd/node.h"
#include "gradus/ops/elementwise.h"
#include "gradus/ops/reduce.h"
#include "gradus/ops/transfer.h"
#include "gradus/ops/view.h"
#include "src/core/message.h"
#include "src/ops/op.h"

namespace gradus {

void Impl::destroy(Impl* impl) { delete impl; }

void Impl::layout_changed() {
  int64_t expected = 1, elements = 1;
  contiguous = true;
  for (int d = shape.rank - 1; d >= 0; --d) {
    if (shape.size[d] != 1 && stride.size[d] != expected) contiguous = false;
    expected *= shape.size[d], elements *= shape.size[d];
  }
  count = elements;
  if (count == 0) contiguous = true;
  dense = contiguous;
  if (contiguous) return;
  // Dense in some order: taking the axes by stride, each stride is the product of the sizes within.
  bool used[Shape::kMaxRank] = {};
  int64_t within = 1;
  for (int left = shape.rank; left > 0; --left) {
    int best = -1;
    for (int d = 0; d < shape.rank; ++d)
      if (!used[d] && shape.size[d] != 1 && (best < 0 || stride.size[d] < stride.size[best])) best = d;
    if (best < 0) break;
    if (stride.size[best] != within) return;
    used[best] = true, within *= shape.size[best];
  }
  dense = true;
}

namespace {

/// The sizes are right already: counted, and their bytes fit.
AnyTensor make(const Shape& shape, const Shape& stride, int64_t count, DType dtype, Device device) {
  auto* impl = new Impl;
  Ref<Impl> owner(impl);
  impl->dtype = dtype;
  impl->inference = detail::mode.inference;
  impl->shape = shape, impl->stride = stride;
  impl->count = count;
  impl->storage = Storage::make(size_t(count) * item_size(dtype), device);
  impl->data = impl->storage->data;
  return AnyTensor(std::move(owner));
}

int64_t counted(const char* op, const Shape& shape, DType dtype) {
  int64_t count = check_sizes(op, shape), bytes;
  if (__builtin_mul_overflow(count, int64_t(item_size(dtype)), &bytes))
    fail<OutOfMemory>("out of memory: shape ", shape, " of ", dtype, " has more bytes than can be counted");
  return count;
}

}  // namespace

AnyTensor empty(const Shape& shape, DType dtype, Device device) {
  Shape stride;
  stride.rank = shape.rank;
  int64_t count = counted("empty", shape, dtype), step = 1;
  for (int d = shape.rank - 1; d >= 0; --d) stride.size[d] = step, step *= shape.size[d];
  return make(shape, stride, count, dtype, device);
}

AnyTensor empty_like(const AnyTensor& x) { return empty_like(x, x.dtype()); }

AnyTensor empty_like(const AnyTensor& x, DType dtype) {
  const Impl& from = *x.impl();
  if (!from.dense || item_size(dtype) > item_size(from.dtype)) {
    if (from.contiguous || !from.dense) return empty(from.shape, dtype, x.device());
    counted("empty_like", from.shape, dtype);
  }
  AnyTensor y = make(from.shape, from.stride, from.count, dtype, x.device());
  y.impl()->contiguous = from.contiguous;
  return y;
}

AnyTensor empty_strided(const Shape& shape, const Shape& stride, DType dtype, Device device) {
  AnyTensor y = make(shape, stride, counted("empty_strided", shape, dtype), dtype, device);
  y.impl()->layout_changed();
  if (!y.impl()->dense) fail<ShapeError>("empty_strided: strides ", stride, " of shape ", shape, " leave gaps or overlap");
  return y;
}

AnyTensor empty_channels_last(const Shape& s, DType dtype, Device device) {
  if (s.rank != 4) fail<ShapeError>("empty_channels_last: shape ", s, " is not (N, C, H, W)");
  return empty_strided(s, {s[1] * s[2] * s[3], 1, s[1] * s[3], s[1]}, dtype, device);
}

AnyTensor as_view(const AnyTensor& x, const Shape& shape, const Shape& stride, int64_t offset) {
  const Impl& from = *x.impl();
  auto* impl = new Impl;
  impl->dtype = from.dtype;
  impl->inference = from.inference;
  impl->shape = shape;
  impl->stride = stride;
  impl->data = static_cast<char*>(from.data) + offset * int64_t(item_size(from.dtype));
  impl->storage = from.storage;
  impl->writes_seen = from.writes_seen;
  impl->layout_changed();
  return AnyTensor(Ref<Impl>(impl));
}

AnyTensor AnyTensor::detach() const {
  const Impl& from = *impl_.get();
  auto* impl = new Impl;
  impl->dtype = from.dtype, impl->contiguous = from.contiguous, impl->dense = from.dense, impl->inference = from.inference;
  impl->writes_seen = from.storage->graph_writes.load(std::memory_order_relaxed);  // without a graph, nothing can be out of step
  impl->count = from.count, impl->shape = from.shape, impl->stride = from.stride;
  impl->data = from.data, impl->storage = from.storage;
  return AnyTensor(Ref<Impl>(impl));
}

int64_t AnyTensor::size(int64_t axis) const {
  if (dim() == 0) fail<ShapeError>("size: a scalar has no axis ", axis);
  return impl_->shape.size[axis_of("size", axis, dim())];
}

void detail::check_axes(const AnyTensor& x, int wanted) {
  check_defined("sizes", x);
  if (x.dim() != wanted)
    fail<ShapeError>("sizes: the tensor has shape ", x.shape(), ", ", x.dim(), x.dim() == 1 ? " axis" : " axes", ", not ", wanted,
                     "; reshape() it, or ask for as many");
}

double AnyTensor::item() const {
  check_defined("item", *this);
  if (numel() != 1) fail<ShapeError>("item: the tensor has shape ", shape(), ", not one element; index it first");
  NoGrad no_grad;
  AnyTensor x = gradus::to(device() == kCPU ? detach() : to(kCPU), DType::float64);
  return *static_cast<double*>(x.raw_data());
}

AnyTensor AnyTensor::to(DType dtype) const { return gradus::to(*this, dtype); }
AnyTensor AnyTensor::to(Device device) const { return gradus::to(*this, device); }
AnyTensor AnyTensor::clone() const { return gradus::clone(*this); }
AnyTensor AnyTensor::contiguous() const { return gradus::contiguous(*this); }
AnyTensor AnyTensor::reshape(const Shape& shape) const { return gradus::reshape(*this, shape); }
AnyTensor AnyTensor::view(const Shape& shape) const { return gradus::view(*this, shape); }
AnyTensor AnyTensor::flatten(int64_t start, int64_t end) const { return gradus::flatten(*this, start, end); }
AnyTensor AnyTensor::squeeze() const { return gradus::squeeze(*this); }
AnyTensor AnyTensor::squeeze(int64_t axis) const { return gradus::squeeze(*this, axis); }
AnyTensor AnyTensor::unsqueeze(int64_t axis) const { return gradus::unsqueeze(*this, axis); }
AnyTensor AnyTensor::transpose(int64_t a, int64_t b) const { return gradus::transpose(*this, a, b); }
AnyTensor AnyTensor::t() const {
  if (dim() > 2) fail<ShapeError>("t: shape ", shape(), " has more than 2 dimensions; use transpose(-2, -1)");
  return dim() < 2 ? *this : gradus::transpose(*this, 0, 1);
}
AnyTensor AnyTensor::permute(const Shape& axes) const { return gradus::permute(*this, axes); }
AnyTensor AnyTensor::expand(const Shape& shape) const { return gradus::expand(*this, shape); }
AnyTensor AnyTensor::narrow(int64_t axis, int64_t start, int64_t length) const {
  return gradus::narrow(*this, axis, start, length);
}
AnyTensor AnyTensor::select(int64_t axis, int64_t index) const { return gradus::select(*this, axis, index); }
AnyTensor AnyTensor::slice(int64_t axis, int64_t start, int64_t end, int64_t step) const {
  return gradus::slice(*this, axis, start, end, step);
}
AnyTensor AnyTensor::sum(const Axes& axes, bool keepdim) const { return gradus::sum(*this, axes, keepdim); }
AnyTensor AnyTensor::mean(const Axes& axes, bool keepdim) const { return gradus::mean(*this, axes, keepdim); }
AnyTensor& AnyTensor::add_(const AnyTensor& other, Scalar alpha) {
  return double(alpha) == 1 ? gradus::add_(*this, other) : gradus::add_(*this, mul_scalar(other, alpha));
}
AnyTensor& AnyTensor::mul_(const AnyTensor& other) { return gradus::mul_(*this, other); }
AnyTensor& AnyTensor::mul_(Scalar other) { return gradus::mul_scalar_(*this, other); }

}  // namespace gradus
