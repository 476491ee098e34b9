// AnyTensor: one pointer to shape, strides and storage, with the dtype known at run time. Every op is compiled once, on it.
#pragma once
#include <array>

#include "gradus/core/default_device.h"
#include "gradus/core/dtype.h"
#include "gradus/core/error.h"
#include "gradus/core/scalar.h"
#include "gradus/core/shape.h"
#include "gradus/core/storage.h"

namespace gradus {

struct Node;
template <Element T> class Tensor;
struct Index;
template <class Base> class Indexed;
/// What may stand in x(...): numbers, ranges, masks, index tensors. See gradus/core/index.h.
template <class I> concept IndexLike = std::is_constructible_v<Index, const I&>;

/// What a tensor is: a window on a storage. Library authors reach it through AnyTensor::impl().
struct Impl : pool::Pooled {
  std::atomic<uint32_t> refs{1};
  DType dtype;
  bool contiguous = true;    // row-major without gaps
  bool dense = true;         // without gaps or overlaps in some order of the axes (channels last is dense)
  bool inference = false;    // made under InferenceMode: may not enter a graph
  uint32_t slot = 0;         // which output of its node this is
  uint32_t writes_seen = 0;  // the storage's graph_writes when this tensor was last in step with it
  int64_t count;
  Shape shape, stride;  // strides in elements
  void* data;
  Ref<Storage> storage;
  Ref<Node> node;  // what made this tensor, or for a leaf that needs a gradient, where its gradient is gathered

  void layout_changed();  // sets count, contiguous and dense from shape and stride
  static void destroy(Impl*);
};

struct BackwardOptions {
  bool retain_graph = false;
  bool create_graph = false;  // the gradients get a graph of their own; implies retain_graph
};

class AnyTensor {
 public:
  AnyTensor() = default;
  explicit AnyTensor(Ref<Impl> impl) : impl_(std::move(impl)) {}
  AnyTensor(const AnyTensor&) = default;
  AnyTensor(AnyTensor&&) = default;
  // To variables only: `f(x) = y` would change nothing.
  AnyTensor& operator=(const AnyTensor&) & = default;
  AnyTensor& operator=(AnyTensor&&) & = default;

  bool defined() const { return bool(impl_); }
  explicit operator bool() const { return bool(impl_); }
  const Shape& shape() const { return impl_->shape; }
  const Shape& stride() const { return impl_->stride; }
  int dim() const { return impl_->shape.rank; }
  /// The size of one axis; negative axes count from the end. Throws ShapeError.
  int64_t size(int64_t axis) const;
  int64_t numel() const { return impl_->count; }
  DType dtype() const { return impl_->dtype; }
  Device device() const { return impl_->storage->device; }
  bool is_contiguous() const { return impl_->contiguous; }
  bool is_same(const AnyTensor& o) const { return impl_.get() == o.impl_.get(); }
  void* raw_data() const { return impl_->data; }
  uint32_t version() const { return impl_->storage->version.load(std::memory_order_relaxed); }
  /// The only element, as a double. Throws ShapeError unless there is exactly one.
  double item() const;

  // As in NumPy, for reading and, unless this is const, for writing: x[0], x(0, _, slice(1, 3)) = 1. See gradus/core/index.h.
  template <class I> Indexed<AnyTensor> operator[](const I& i);
  template <class I> const AnyTensor operator[](const I& i) const;
  template <IndexLike... I> Indexed<AnyTensor> operator()(const I&... i);
  template <IndexLike... I> const AnyTensor operator()(const I&... i) const;

  // Autograd. See gradus/autograd/.
  bool requires_grad() const { return bool(impl_->node); }
  bool is_leaf() const;
  /// Makes this a leaf whose gradient is wanted (or, with false, no longer). Throws DTypeError unless floating point, GraphError
  /// for a tensor that an op made.
  AnyTensor& requires_grad_(bool wanted = true);
  /// The gradient gathered so far: of a leaf, or of a tensor after retain_grad(). Empty before the first backward.
  AnyTensor grad() const;
  void set_grad(AnyTensor gradient) const;
  void retain_grad() const;
  /// The same values without the graph; shares the storage.
  AnyTensor detach() const;
  /// Gathers d this / d leaf in every leaf's grad(). Without a cotangent, this must have one element.
  void backward(const BackwardOptions& options = {}) const;
  void backward(const AnyTensor& cotangent, const BackwardOptions& options = {}) const;

  // The commonest ops as methods; the rest are functions (gradus/ops/).
  AnyTensor to(DType dtype) const;
  AnyTensor to(Device device) const;
  AnyTensor clone() const;
  AnyTensor contiguous() const;
  AnyTensor reshape(const Shape& shape) const;
  AnyTensor view(const Shape& shape) const;
  AnyTensor flatten(int64_t start = 0, int64_t end = -1) const;
  AnyTensor squeeze() const;
  AnyTensor squeeze(int64_t axis) const;
  AnyTensor unsqueeze(int64_t axis) const;
  AnyTensor transpose(int64_t a, int64_t b) const;
  AnyTensor t() const;
  AnyTensor permute(const Shape& axes) const;
  AnyTensor expand(const Shape& shape) const;
  AnyTensor narrow(int64_t axis, int64_t start, int64_t length) const;
  AnyTensor select(int64_t axis, int64_t index) const;
  AnyTensor slice(int64_t axis, int64_t start, int64_t end, int64_t step = 1) const;
  AnyTensor sum(const Axes& axes = {}, bool keepdim = false) const;
  AnyTensor mean(const Axes& axes = {}, bool keepdim = false) const;
  /// In place. Recorded where gradients are on; a leaf that requires a gradient may only be written under NoGrad.
  AnyTensor& copy_(const AnyTensor& source);
  AnyTensor& fill_(Scalar value);
  AnyTensor& zero_() { return fill_(0); }
  AnyTensor& add_(const AnyTensor& other, Scalar alpha = 1);
  AnyTensor& mul_(const AnyTensor& other);
  AnyTensor& mul_(Scalar other);

  Impl* impl() const { return impl_.get(); }
  const Ref<Impl>& ref() const { return impl_; }

 private:
  Ref<Impl> impl_;
};

namespace detail {
void check_axes(const AnyTensor& x, int wanted);
}
/// All sizes, of a tensor that has n axes: `auto [rows, columns] = sizes<2>(x);`. Throws ShapeError where it has not.
template <int n> std::array<int64_t, n> sizes(const AnyTensor& x) {
  detail::check_axes(x, n);
  std::array<int64_t, n> all;
  for (int d = 0; d < n; ++d) all[d] = x.shape().size[d];
  return all;
}

/// Uninitialised. Throws ShapeError for negative or overflowing sizes, OutOfMemory.
AnyTensor empty(const Shape& shape, DType dtype, Device device = default_device());
/// Uninitialised, with the shape, dtype and device of x, and its order of axes where x is dense (channels last stays so).
AnyTensor empty_like(const AnyTensor& x);
AnyTensor empty_like(const AnyTensor& x, DType dtype);
/// Uninitialised with given strides (in elements), which must be dense.
AnyTensor empty_strided(const Shape& shape, const Shape& stride, DType dtype, Device device = default_device());
/// A second tensor on the storage of x: `offset` elements from its first. No graph; the caller records.
AnyTensor as_view(const AnyTensor& x, const Shape& shape, const Shape& stride, int64_t offset);
/// (N, C, H, W) with strides of (N, H, W, C): how convolutions like it.
AnyTensor empty_channels_last(const Shape& shape, DType dtype, Device device = default_device());

}  // namespace gradus
