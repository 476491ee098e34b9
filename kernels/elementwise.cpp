#include "kernels/elementwise.h"

namespace gradus {

Elementwise call_over(const char* op, DType dtype, int outputs, std::initializer_list<const Array*> arrays, const Scalar* scalars) {
  Elementwise c{op, dtype, outputs, int(arrays.size()), {}, {}, scalars, {}};
  const Array& y = **arrays.begin();
  View views[kMaxOperands];
  bool contiguous = true;
  int k = 0;
  for (const Array* x : arrays) {
    c.data[k] = x->data, c.item_size[k] = uint8_t(item_size(x->dtype));
    views[k++] = {x->rank, x->shape, x->stride};
    contiguous = contiguous && x->contiguous && x->count == y.count;
  }
  if (contiguous)
    c.plan.set_contiguous(y.count, c.operands);
  else
    c.plan.set(y.rank, y.shape, views, c.operands);
  return c;
}

}  // namespace gradus
