// Tensors lent to other libraries and borrowed from them, without a copy: DLPack's public ABI, the part that every version has. The
// structs have the layout of dlpack.h's DLManagedTensor; pointers to one may be cast to the other.
#pragma once
#include "gradus/core/stream.h"
#include "gradus/core/tensor.h"

namespace gradus {
namespace dlpack {

enum DeviceCode : int32_t { kCpu = 1, kCuda = 2, kCudaHost = 3, kCudaManaged = 13 };
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

// Memory of a GPU is written and read in the order of streams, which the structs do not name. Both sides agree on one:
// - Lent: the consumer's stream is `consumer`, which waits for what this thread's current stream was asked for until then, and the memory is handed on
//   behind what it was asked for until the deleter is called. Without one the consumer uses the current stream.
// - Borrowed: the memory is ready in the order of `producer`, which the current stream waits for and which the deleter's call follows: by then it
//   waits for the streams here that used the tensor (record_use). Without one the memory is ready in the order of the current stream, and where the last
//   view goes the program waits until the deleter may be called.
// In Python's protocol the consumer says its stream: `__dlpack__(stream=s)` is to_dlpack(x, Stream::from_handle(x.device(), s)); and what was asked for with
// the current stream's handle (1 for a null one) goes to from_dlpack(managed).

/// x for another library, which shares its memory and calls the deleter when it is done, from any thread. Pinned memory is lent as kCudaHost, which
/// a consumer that does not know it may take as kCpu. Throws GraphError for a tensor in a graph, DeviceError for a device that DLPack has no code for
/// or another one than the stream's.
dlpack::ManagedTensor* to_dlpack(const AnyTensor& x);
dlpack::ManagedTensor* to_dlpack(const AnyTensor& x, const Stream& consumer);
/// A tensor on memory that another library lends; its deleter is called when the last view goes. The memory lies on the CPU or on a GPU that is
/// available here. Whoever calls keeps it where this throws: ValueError for what makes no sense, DTypeError, DeviceError, ShapeError.
AnyTensor from_dlpack(dlpack::ManagedTensor* managed);
AnyTensor from_dlpack(dlpack::ManagedTensor* managed, const Stream& producer);

}  // namespace gradus
