// Tensors on memory that somebody else owns.
#pragma once
#include <functional>

#include "gradus/core/any_tensor.h"
#include "gradus/core/stream.h"

namespace gradus {

/// A view of memory on `device`, where it is ready for the current stream. What throws has not taken it, and gives nothing back.
AnyTensor borrowed(const char* op, void* data, const Shape& shape, const Shape& stride, DType dtype, Device device,
                   std::function<void(void*)> give_back, const Stream* owner = nullptr);

}  // namespace gradus
