// Tensors from one device to another.
#pragma once
#include "gradus/core/stream.h"
#include "gradus/core/tensor.h"

namespace gradus {

/// x on `device`: itself if it is there. Returns when x may be written again. Differentiable: the gradient goes back.
AnyTensor to(const AnyTensor& x, Device device);
/// The same without waiting: the copy is a task of the device's current stream, overlapping with the program where x is pinned. Until it is
/// done, x must not be written, and a result on the CPU not read: an Event, or synchronize(), tells when.
AnyTensor to_async(const AnyTensor& x, Device device);
/// A copy of x, which must be on the CPU, in memory that `device` reaches while the program goes on; x itself if it is there already or
/// `device` is the CPU. Takes no part in a graph.
AnyTensor pin_memory(const AnyTensor& x, Device device = best_device());
bool is_pinned(const AnyTensor& x);
/// Says that work in `stream` reads or writes x, whose memory was taken for another stream: it is not handed on before that is done.
/// Ops do not say it by themselves.
void record_use(const AnyTensor& x, const Stream& stream);

template <class T> Tensor<T> to(const Tensor<T>& x, Device device) {
  return Tensor<T>(to(static_cast<const AnyTensor&>(x), device));
}
template <class T> Tensor<T> to_async(const Tensor<T>& x, Device device) {
  return Tensor<T>(to_async(static_cast<const AnyTensor&>(x), device));
}
template <class T> Tensor<T> pin_memory(const Tensor<T>& x, Device device = best_device()) {
  return Tensor<T>(pin_memory(static_cast<const AnyTensor&>(x), device));
}

}  // namespace gradus
