#include "gradus/core/dlpack.h"

#include <cstddef>

#include "gradus/ops/create.h"
#include "src/core/message.h"

namespace gradus {
namespace {

// What the specification says of a 64-bit machine.
static_assert(sizeof(dlpack::Tensor) == 48 && offsetof(dlpack::Tensor, shape) == 24 && offsetof(dlpack::Tensor, byte_offset) == 40);
static_assert(sizeof(dlpack::ManagedTensor) == 64 && offsetof(dlpack::ManagedTensor, deleter) == 56);

constexpr dlpack::DataType kTypes[kDTypes] = {
    {dlpack::kFloat, 32, 1}, {dlpack::kFloat, 64, 1}, {dlpack::kFloat, 16, 1}, {dlpack::kBfloat, 16, 1}, {dlpack::kInt, 8, 1},
    {dlpack::kInt, 16, 1},   {dlpack::kInt, 32, 1},   {dlpack::kInt, 64, 1},   {dlpack::kUInt, 8, 1},    {dlpack::kBool, 8, 1},
};

/// What is lent, and what keeps it alive.
struct Lent {
  dlpack::ManagedTensor managed;
  AnyTensor tensor;
  Shape shape, stride;
};

DType type_of(const dlpack::DataType& t) {
  for (int k = 0; k < kDTypes; ++k)
    if (kTypes[k].code == t.code && kTypes[k].bits == t.bits && t.lanes == 1) return DType(k);
  fail<DTypeError>("from_dlpack: type code ", int(t.code), " of ", int(t.bits), " bits and ", int(t.lanes),
                   " lanes is not supported");
}

}  // namespace

dlpack::ManagedTensor* to_dlpack(const AnyTensor& x) {
  if (!x.defined()) fail<ValueError>("to_dlpack: got an undefined tensor");
  if (x.requires_grad())
    fail<GraphError>("to_dlpack: the tensor requires a gradient, which nobody outside could follow; detach() it");
  if (x.device() != kCPU) fail<DeviceError>("to_dlpack: the tensor is on ", x.device(), "; move it with to(Device(\"cpu\"))");
  auto* lent = new Lent{{}, x, x.shape(), x.stride()};
  lent->managed.dl_tensor = {x.raw_data(),     {dlpack::kCpu, 0}, x.dim(), kTypes[int(x.dtype())],
                             lent->shape.size, lent->stride.size, 0};
  lent->managed.manager_ctx = lent;
  lent->managed.deleter = [](dlpack::ManagedTensor* self) { delete static_cast<Lent*>(self->manager_ctx); };
  return &lent->managed;
}

AnyTensor from_dlpack(dlpack::ManagedTensor* managed) {
  if (!managed) fail<ValueError>("from_dlpack: got a null pointer");
  const dlpack::Tensor& t = managed->dl_tensor;
  if (t.device.type != dlpack::kCpu)
    fail<DeviceError>("from_dlpack: the memory is on a device of kind ", t.device.type, "; copy it to the CPU first");
  if (t.ndim < 0 || t.ndim > Shape::kMaxRank)
    fail<ShapeError>("from_dlpack: ", t.ndim, " dimensions; at most ", Shape::kMaxRank, " are supported");
  if (t.ndim > 0 && !t.shape) fail<ValueError>("from_dlpack: ", t.ndim, " dimensions without a shape");
  DType dtype = type_of(t.dtype);
  Shape shape(t.shape, size_t(t.ndim)), stride = shape;
  int64_t count = shape.numel(), step = 1;
  for (int d = shape.rank - 1; d >= 0; --d) {
    stride[d] = t.strides ? t.strides[d] : step;
    if (shape[d] < 2 && stride[d] < 0) stride[d] = 0;  // of an axis that is never walked along
    step *= shape[d];
  }
  if (!t.data && count > 0) fail<ValueError>("from_dlpack: null memory for shape ", shape);
  char* data = t.data ? static_cast<char*>(t.data) + t.byte_offset : nullptr;
  if (reinterpret_cast<uintptr_t>(data) % item_size(dtype) != 0)
    fail<ValueError>("from_dlpack: the memory is not aligned for ", dtype);
  auto taken = std::make_shared<bool>(false);  // until the tensor is there, the caller's
  AnyTensor x = from_blob(data, shape, stride, dtype, [managed, taken](void*) {
    if (*taken && managed->deleter) managed->deleter(managed);
  });
  *taken = true;
  return x;
}

}  // namespace gradus
