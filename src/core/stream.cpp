#include "gradus/core/stream.h"

#include <chrono>

#include "gradus/core/capture.h"
#include "kernels/accelerator.h"
#include "kernels/table.h"
#include "src/core/message.h"

namespace gradus {
namespace {
bool on_cpu(Device d) { return d.type == DeviceType::cpu; }

// A step that is recorded has one stream. What went to another would be done once, now, and be missing from every replay.
constexpr const char* kElsewhere = "sends tasks to another stream, whose work replays would not do";
constexpr const char* kWaits = "waits for the GPU";
}  // namespace

Stream::Stream(Device device) : device_(device), handle_(on_cpu(device) ? nullptr : accelerator(device).new_stream(device.index)) {}
Stream Stream::current(Device device) {
  return {device, on_cpu(device) ? nullptr : accelerator(device).current_stream(device.index)};
}
Stream Stream::from_handle(Device device, void* handle) {
  if (on_cpu(device)) return {device, nullptr};
  accelerator(device);  // throws where there is none
  return {device, handle};
}
bool Stream::is_idle() const {
  if (on_cpu(device_)) return true;
  refuse_to_capture("Stream::is_idle", "asks how far a stream is");
  return accelerator(device_).is_idle(device_.index, handle_);
}
void Stream::synchronize() const {
  if (on_cpu(device_)) return;
  refuse_to_capture("Stream::synchronize", kWaits);
  accelerator(device_).synchronize_stream(device_.index, handle_);
}

Event::Event(Event&& o) noexcept { *this = std::move(o); }
Event& Event::operator=(Event&& o) noexcept {
  if (this == &o) return *this;
  free();
  device_ = o.device_, recorded_ = o.recorded_, handle_ = o.handle_, nanoseconds_ = o.nanoseconds_;
  o.handle_ = nullptr, o.recorded_ = false;
  return *this;
}
Event::~Event() { free(); }
void Event::free() noexcept {
  if (handle_) accelerator(device_).free_event(device_.index, handle_);
  handle_ = nullptr;
}

void Event::record(const Stream& stream) {
  if (!on_cpu(stream.device())) refuse_to_capture("Event::record", kElsewhere);
  if (handle_ && device_ != stream.device()) free();
  device_ = stream.device();
  if (on_cpu(device_)) {
    nanoseconds_ = std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
  } else {
    Accelerator& a = accelerator(device_);
    if (!handle_) handle_ = a.new_event(device_.index);
    a.record(handle_, device_.index, stream.handle());
  }
  recorded_ = true;
}
void Event::hold(const Stream& stream) const {
  if (!handle_ || !recorded_) return;
  refuse_to_capture("Event::hold", kElsewhere);
  if (stream.device() == device_)
    accelerator(device_).hold(handle_, device_.index, stream.handle());
  else
    synchronize();  // between devices the program itself waits
}
bool Event::is_done() const { return !handle_ || !recorded_ || accelerator(device_).is_done(handle_); }
void Event::synchronize() const {
  if (!handle_ || !recorded_) return;
  refuse_to_capture("Event::synchronize", kWaits);
  accelerator(device_).synchronize_event(handle_);
}
double Event::milliseconds_since(const Event& earlier) const {
  if (!recorded_ || !earlier.recorded_) fail<ValueError>("milliseconds_since: an event was not recorded; record() both first");
  if (device_ != earlier.device_)
    fail<ValueError>("milliseconds_since: events on ", device_, " and ", earlier.device_, "; one device has one clock");
  if (on_cpu(device_)) return double(nanoseconds_ - earlier.nanoseconds_) * 1e-6;
  synchronize();
  earlier.synchronize();
  return accelerator(device_).milliseconds(earlier.handle_, handle_);
}

StreamGuard::StreamGuard(const Stream& stream) : before_(Stream::current(stream.device())) {
  if (!(stream == before_)) refuse_to_capture("StreamGuard", kElsewhere);
  if (!on_cpu(stream.device())) accelerator(stream.device()).set_current_stream(stream.device().index, stream.handle());
}
StreamGuard::~StreamGuard() {
  if (!on_cpu(before_.device())) accelerator(before_.device()).set_current_stream(before_.device().index, before_.handle());
}

void synchronize(Device device) {
  if (!on_cpu(device)) accelerator(device).synchronize(device.index);
}

}  // namespace gradus
