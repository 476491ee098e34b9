#include "src/ops/in_place.h"

#include "gradus/ops/in_place.h"

namespace gradus::detail {

AnyTensor before_in_place(const char* op, const AnyTensor& x) {
  check_defined(op, x);
  check_in_place(op, x);
  check_no_overlap(op, x);
  if (!is_grad_enabled() || !is_float(x.dtype())) return x;
  AnyTensor old;
  {
    NoGrad no_grad;
    old = x.clone();
  }
  old.impl()->node = x.impl()->node, old.impl()->slot = x.impl()->slot;
  return old;
}

void after_in_place(const char* op, AnyTensor& x, const AnyTensor& result) { take_over(op, x, result); }

void check_view_in_place(const char* op, const AnyTensor& x) {
  check_defined(op, x);
  check_in_place(op, x);
}

}  // namespace gradus::detail
