// Memory that another library lends. Its owner knows nothing of what this library's streams still have to do with it.
#include "src/core/borrowed.h"

#include <algorithm>
#include <mutex>
#include <vector>

#include "gradus/core/storage.h"
#include "gradus/core/stream.h"
#include "gradus/ops/view.h"
#include "kernels/accelerator.h"
#include "kernels/table.h"
#include "src/core/message.h"
#include "src/core/recording.h"

namespace gradus {
namespace {

struct Borrowed : Storage {
  std::function<void(void*)> give_back;
  std::mutex mutex;
  std::vector<Stream> users, owner;  // the owner: one or none
};

void use(Storage* storage, const Stream& stream) {
  auto* b = static_cast<Borrowed*>(storage);
  std::lock_guard lock(b->mutex);
  if (std::find(b->users.begin(), b->users.end(), stream) == b->users.end()) b->users.push_back(stream);
}

/// Tasks that use the memory are done before the owner hears that it is free. Not with Event: that would refuse while another device's
/// step is recorded.
void pass_on(const Borrowed& b) noexcept {
  for (const Stream& user : b.users) {
    if (!b.owner.empty() && user == b.owner[0]) continue;
    const int device = b.device.index;
    Accelerator& a = accelerator(b.device);
    void* event = nullptr;
    try {
      event = a.new_event(device);
      a.record(event, device, user.handle());
      b.owner.empty() ? a.synchronize_event(event) : a.hold(event, device, b.owner[0].handle());
    } catch (...) {  // a task has failed, and the next call of the device's says so
    }
    if (event) a.free_event(device, event);
  }
}

void release(Storage* storage) {
  auto* b = static_cast<Borrowed*>(storage);
  if (b->device != kCPU && forget_storage(*b)) return;
  pass_on(*b);
  if (b->give_back) b->give_back(b->data);
  delete b;
}

Ref<Storage> storage_of(void* data, size_t bytes, Device device, std::function<void(void*)> give_back, const Stream* owner) {
  auto* b = new Borrowed;
  Ref<Storage> storage(b);
  b->device = device, b->bytes = bytes, b->data = data;
  b->release = release;
  if (device != kCPU) {
    b->used_on = use;
    b->users.push_back(Stream::current(device));
    if (owner) b->owner.push_back(*owner);
  }
  b->give_back = std::move(give_back);
  return storage;
}

}  // namespace

AnyTensor borrowed(const char* op, void* data, const Shape& shape, const Shape& stride, DType dtype, Device device,
                   std::function<void(void*)> give_back, const Stream* owner) {
  int64_t count = check_sizes(op, shape), reach = count > 0 ? 1 : 0;
  if (!data && count > 0) fail<ValueError>(op, ": null memory for shape ", shape);
  if (stride.rank != shape.rank) fail<ShapeError>(op, ": strides ", stride, " for shape ", shape);
  for (int d = 0; d < shape.rank && count > 0; ++d) {
    if (stride.size[d] < 0) fail<ValueError>(op, ": strides ", stride, " are negative; flip() a view instead");
    int64_t span;
    if (__builtin_mul_overflow(stride.size[d], shape.size[d] - 1, &span) || __builtin_add_overflow(reach, span, &reach))
      fail<ShapeError>(op, ": strides ", stride, " of shape ", shape, " reach beyond what can be counted");
  }
  AnyTensor y = empty({0}, dtype, kCPU);
  y.impl()->storage = storage_of(data, size_t(reach) * item_size(dtype), device, std::move(give_back), owner);
  y.impl()->data = data;
  return as_view(y, shape, stride, 0);
}

}  // namespace gradus
