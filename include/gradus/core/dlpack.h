// Tensors lent to other libraries and borrowed from them, without a copy: DLPack's public ABI, the part that every version has. The
// structs have the layout of dlpack.h's DLManagedTensor; pointers to one may be cast to the other.
#pragma once
#include "gradus/core/tensor.h"

namespace gradus {
namespace dlpack {

enum DeviceCode : int32_t { kCpu = 1, kCuda = 2 };
enum TypeCode : uint8_t { kInt = 0, kUInt = 1, kFloat = 2, kBfloat = 4, kBool = 6 };
struct Device {
  int32_t type, id;
};
struct DataType {
  uint8_t code, bits;
  uint16_t lanes;
};
struct Tensor {
  void* data;
  Device device;
  int32_t ndim;
  DataType dtype;
  int64_t* shape;
  int64_t* strides;  // in elements; null: row-major
  uint64_t byte_offset;
};
struct ManagedTensor {
  Tensor dl_tensor;
  void* manager_ctx;
  void (*deleter)(ManagedTensor* self);
};

}  // namespace dlpack

/// x for another library, which shares its memory and calls the deleter when it is done. Throws GraphError for a tensor in a graph.
dlpack::ManagedTensor* to_dlpack(const AnyTensor& x);
/// A tensor on memory that another library lends; its deleter is called when the last view goes. The memory must lie on the CPU.
/// Whoever calls keeps it where this throws: ValueError for what makes no sense, DTypeError, DeviceError, ShapeError.
AnyTensor from_dlpack(dlpack::ManagedTensor* managed);

}  // namespace gradus
