#include "gradus/ops/transfer.h"

#include "gradus/core/capture.h"
#include "gradus/ops/view.h"
#include "kernels/accelerator.h"
#include "src/ops/op.h"
#include "src/ops/transfer.h"

namespace gradus {
namespace {

int number_of(Device d) { return d.type == DeviceType::cpu ? -1 : d.index; }

}  // namespace

AnyTensor empty_pinned(const Shape& shape, const Shape& stride, DType dtype, DeviceType type) {
  Ref<Storage> storage = Storage::make_pinned(size_t(shape.numel()) * item_size(dtype), type);
  AnyTensor y = empty({0}, dtype, kCPU);
  y.impl()->data = storage->data, y.impl()->storage = std::move(storage);
  return as_view(y, shape, stride, 0);
}

void copy_bytes(const AnyTensor& y, const AnyTensor& x, bool wait) {
  Device to = y.device(), from = x.device(), at = to.type == DeviceType::cpu ? from : to;
  if (Recording* r = Recording::current()) r->op = "to";
  Accelerator& a = accelerator(at);
  a.copy(y.raw_data(), number_of(to), x.raw_data(), number_of(from), size_t(x.numel()) * item_size(x.dtype()), wait);
  if (wait) return;
  for (const AnyTensor* host : {&y, &x})  // its memory is not handed on while the copy runs
    if (host->impl()->storage->is_pinned()) a.pinned_used_on(host->impl()->storage->context, at.index, a.current_stream(at.index));
}

namespace {

AnyTensor transfer(const AnyTensor& x, Device device, bool wait) {
  check_defined("to", x);
  Device from = x.device();
  if (from == device) return x;
  if (device.type == DeviceType::cpu && device.index > 0)
    fail<DeviceError>("to: there is one CPU, number 0, not ", int(device.index));
  AnyTensor y;
  {
    NoGrad no_grad;
    AnyTensor here = x.impl()->dense ? x.detach() : contiguous(x.detach());
    bool two_kinds = device.type != DeviceType::cpu && from.type != DeviceType::cpu && device.type != from.type;
    if (two_kinds) return transfer(transfer(here, kCPU, true), device, wait);
    if (device == kCPU && !wait)  // a copy into ordinary memory would hold up the program
      y = empty_pinned(here.shape(), here.stride(), here.dtype(), from.type);
    else
      y = empty_strided(here.shape(), here.stride(), here.dtype(), device);
    if (x.numel() > 0) copy_bytes(y, here, wait);
  }
  return y;
}

AnyTensor moved(const AnyTensor& x, Device device, bool wait) {
  AnyTensor y = transfer(x, device, wait);
  if (!y.is_same(x)) record("to", y, {&x}, [from = x.device()](const AnyTensor& g, AnyTensor* grads) { grads[0] = to(g, from); });
  return y;
}

}  // namespace

AnyTensor to(const AnyTensor& x, Device device) { return moved(x, device, true); }
AnyTensor to_async(const AnyTensor& x, Device device) { return moved(x, device, false); }

AnyTensor pin_memory(const AnyTensor& x, Device device) {
  check_defined("pin_memory", x);
  if (x.device() != kCPU) fail<DeviceError>("pin_memory: the tensor is on ", x.device(), "; only the host's memory can be pinned");
  if (is_pinned(x) || device.type == DeviceType::cpu) return x;
  NoGrad no_grad;
  AnyTensor from = contiguous(x.detach()), y = empty_pinned(from.shape(), from.stride(), x.dtype(), device.type);
  y.copy_(from);
  return y;
}
bool is_pinned(const AnyTensor& x) {
  check_defined("is_pinned", x);
  return x.impl()->storage->is_pinned();
}

void record_use(const AnyTensor& x, const Stream& stream) {
  check_defined("record_use", x);
  if (x.device() != stream.device())
    fail<DeviceError>("record_use: the tensor is on ", x.device(), ", the stream on ", stream.device());
  Storage& storage = *x.impl()->storage;
  if (x.device().type == DeviceType::cpu || !storage.used_on) return;
  refuse_to_capture("record_use", "speaks of another stream, which replays do not know");
  storage.used_on(&storage, stream);
}

}  // namespace gradus
