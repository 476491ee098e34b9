#include "gradus/core/dlpack.h"

#include <cstddef>

#include "gradus/core/capture.h"
#include "gradus/ops/transfer.h"
#include "src/core/borrowed.h"
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

dlpack::Device device_of(const AnyTensor& x) {
  const Device device = x.device();
  switch (device.type) {
    case DeviceType::cpu: return {is_pinned(x) ? dlpack::kCudaHost : dlpack::kCpu, 0};
    case DeviceType::cuda: return {dlpack::kCuda, device.index};
    case DeviceType::other: break;
  }
  fail<DeviceError>("to_dlpack: the tensor is on ", device, ", which DLPack has no code for; move it with to(Device(\"cpu\"))");
}

Device device_of(const dlpack::Device& d) {
  switch (d.type) {
    case dlpack::kCpu:
    case dlpack::kCudaHost: return kCPU;
    case dlpack::kCuda:
    case dlpack::kCudaManaged:
      if (d.id >= 0 && d.id < device_count(DeviceType::cuda)) return {DeviceType::cuda, d.id};
      fail<DeviceError>("from_dlpack: the memory is on GPU ", d.id, " of ", device_count(DeviceType::cuda),
                        " that are available here; let its owner copy it to the CPU first");
    default: break;
  }
  fail<DeviceError>("from_dlpack: the memory is on a device of kind ", d.type,
                    ", not 1 (CPU), 2 (CUDA), 3 or 13; let its owner copy it to the CPU first");
}

void check_stream(const char* op, const char* what, Device device, const Stream& stream) {
  if (stream.device() != device) fail<DeviceError>(op, ": ", what, " is on ", device, ", the stream on ", stream.device());
}
/// `follower` goes on when all that `stream` was asked for is done.
void follow(const Stream& follower, const Stream& stream) {
  if (follower == stream) return;
  Event now;
  now.record(stream);
  now.hold(follower);
}

}  // namespace

dlpack::ManagedTensor* to_dlpack(const AnyTensor& x) {
  if (!x.defined()) fail<ValueError>("to_dlpack: got an undefined tensor");
  return to_dlpack(x, Stream::current(x.device()));
}
dlpack::ManagedTensor* to_dlpack(const AnyTensor& x, const Stream& consumer) {
  if (!x.defined()) fail<ValueError>("to_dlpack: got an undefined tensor");
  if (x.requires_grad())
    fail<GraphError>("to_dlpack: the tensor requires a gradient, which nobody outside could follow; detach() it");
  const dlpack::Device device = device_of(x);
  check_stream("to_dlpack", "the tensor", x.device(), consumer);
  if (x.device() != kCPU) {
    refuse_to_capture("to_dlpack", "lends memory that replays write again");
    follow(consumer, Stream::current(x.device()));
    record_use(x, consumer);
  }
  auto* lent = new Lent{{}, x, x.shape(), x.stride()};
  lent->managed.dl_tensor = {x.raw_data(), device, x.dim(), kTypes[int(x.dtype())], lent->shape.size, lent->stride.size, 0};
  lent->managed.manager_ctx = lent;
  lent->managed.deleter = [](dlpack::ManagedTensor* self) { delete static_cast<Lent*>(self->manager_ctx); };
  return &lent->managed;
}

namespace {

AnyTensor borrow(dlpack::ManagedTensor* managed, const Stream* producer) {
  if (!managed) fail<ValueError>("from_dlpack: got a null pointer");
  const dlpack::Tensor& t = managed->dl_tensor;
  const Device device = device_of(t.device);
  if (producer) check_stream("from_dlpack", "the memory", device, *producer);
  if (device != kCPU) refuse_to_capture("from_dlpack", "borrows memory that replays would not find again");
  if (t.ndim < 0 || t.ndim > Shape::kMaxRank)
    fail<ShapeError>("from_dlpack: ", t.ndim, " dimensions; at most ", Shape::kMaxRank, " are supported");
  if (t.ndim > 0 && !t.shape) fail<ValueError>("from_dlpack: ", t.ndim, " dimensions without a shape");
  DType dtype = type_of(t.dtype);
  Shape shape(t.shape, size_t(t.ndim)), stride = shape;
  int64_t count = check_sizes("from_dlpack", shape), step = 1;
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
  auto give_back = [managed, taken](void*) {
    if (*taken && managed->deleter) managed->deleter(managed);
  };
  if (producer && device != kCPU) follow(Stream::current(device), *producer);
  AnyTensor x = borrowed("from_dlpack", data, shape, stride, dtype, device, give_back, producer);
  *taken = true;
  return x;
}

}  // namespace

AnyTensor from_dlpack(dlpack::ManagedTensor* managed) { return borrow(managed, nullptr); }
AnyTensor from_dlpack(dlpack::ManagedTensor* managed, const Stream& producer) { return borrow(managed, &producer); }

}  // namespace gradus
