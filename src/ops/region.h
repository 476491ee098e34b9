// A part of a tensor that a view names, replaced. `Part` is a function from a tensor to a view of it, made of public ops, that depends on
// the shape alone: so it serves the values, the gradient, and the gradient's gradient.
#pragma once
#include "gradus/ops/create.h"
#include "src/ops/op.h"

namespace gradus {

/// x with source, which broadcasts, where part(x) is.
template <class Part> AnyTensor with_part(const char* op, const AnyTensor& x, const AnyTensor& source, const Part& part) {
  check_same(op, x, source);
  AnyTensor y;
  {
    NoGrad no_grad;
    y = x.clone();
    AnyTensor place = part(y);
    AnyTensor from = source.expand(place.shape());
    if (place.numel() > 0) kernel(op, &KernelTable::copy, y)(array(place), array(from));
  }
  if (!is_float(x.dtype())) return y;
  record(op, y, {&x, &source}, [op, part](const AnyTensor& g, AnyTensor* grads) {
    if (wanted(0)) grads[0] = with_part(op, g, zeros({}, g.dtype(), g.device()), part);
    if (wanted(1)) grads[1] = part(g);
  });
  return y;
}

/// Zeros of `shape` with g where the part is: the adjoint of taking it.
template <class Part> AnyTensor part_in_zeros(const char* op, const AnyTensor& g, const Shape& shape, const Part& part) {
  AnyTensor y = zeros(shape, g.dtype(), g.device());
  {
    NoGrad no_grad;
    AnyTensor place = part(y);
    if (place.numel() > 0) kernel(op, &KernelTable::copy, y)(array(place), array(g));
  }
  record(op, y, {&g}, [part](const AnyTensor& gg, AnyTensor* grads) { grads[0] = part(gg); });
  return y;
}

}  // namespace gradus
