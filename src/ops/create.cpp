#include "gradus/ops/create.h"

#include "src/ops/op.h"

namespace gradus {

AnyTensor full(const Shape& shape, Scalar value, DType dtype, Device device) {
  AnyTensor y = empty(shape, dtype, device);
  kernel("full", &KernelTable::fill, y)(array(y), value);
  return y;
}
AnyTensor zeros(const Shape& shape, DType dtype, Device device) { return full(shape, 0, dtype, device); }
AnyTensor ones(const Shape& shape, DType dtype, Device device) { return full(shape, 1, dtype, device); }

AnyTensor full_like(const AnyTensor& x, Scalar value) {
  check_defined("full_like", x);
  AnyTensor y = empty_like(x);
  kernel("full_like", &KernelTable::fill, y)(array(y), value);
  return y;
}
AnyTensor zeros_like(const AnyTensor& x) { return full_like(x, 0); }
AnyTensor ones_like(const AnyTensor& x) { return full_like(x, 1); }

AnyTensor from_blob(void* data, const Shape& shape, DType dtype, void (*release)(void*), void* context) {
  struct Borrowed : Storage {
    void (*user_release)(void*);
    void* user_context;
  };
  int64_t count = shape.numel();
  if (!data && count > 0) fail<ValueError>("from_blob: null memory for shape ", shape);
  auto* s = new Borrowed;
  s->bytes = size_t(count) * item_size(dtype);
  s->data = data;
  s->user_release = release, s->user_context = context;
  s->release = [](Storage* storage) {
    auto* b = static_cast<Borrowed*>(storage);
    if (b->user_release) b->user_release(b->user_context);
    delete b;
  };
  AnyTensor y = empty({0}, dtype);
  y.impl()->storage = Ref<Storage>(s);
  Shape stride;
  stride.rank = shape.rank;
  int64_t step = 1;
  for (int d = shape.rank - 1; d >= 0; --d) stride.size[d] = step, step *= shape.size[d];
  y.impl()->data = data;
  return as_view(y, shape, stride, 0);
}

}  // namespace gradus
