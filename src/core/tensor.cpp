#include "gradus/core/tensor.h"

#include <cstring>

#include "src/core/message.h"

namespace gradus {
namespace detail {

AnyTensor from_values(const void* values, size_t count, const Shape& shape, DType dtype) {
  if (shape.numel() != int64_t(count)) fail<ShapeError>("tensor: ", count, " values do not fill shape ", shape);
  AnyTensor y = empty(shape, dtype, kCPU);
  if (count) std::memcpy(y.raw_data(), values, count * item_size(dtype));
  return y.to(gradus::default_device());
}
void fail_ragged() { throw ShapeError("tensor: the rows of the list have different lengths"); }
void fail_dtype(DType wanted, DType got) {
  fail<DTypeError>("tensor: asked for ", wanted, ", the tensor is ", got, "; convert with to()");
}

}  // namespace detail

template class Tensor<float>;
template class Tensor<double>;
template class Tensor<half>;
template class Tensor<bfloat16>;
template class Tensor<int8_t>;
template class Tensor<int16_t>;
template class Tensor<int32_t>;
template class Tensor<int64_t>;
template class Tensor<uint8_t>;
template class Tensor<bool>;

}  // namespace gradus
