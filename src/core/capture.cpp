#include "gradus/core/capture.h"

#include <optional>
#include <utility>

#include "gradus/autograd/mode.h"
#include "gradus/core/stream.h"
#include "gradus/ops/transfer.h"
#include "gradus/ops/view.h"
#include "kernels/accelerator.h"
#include "kernels/table.h"
#include "src/core/recording.h"
#include "src/ops/op.h"
#include "src/ops/transfer.h"

namespace gradus::detail {

struct CapturedStep::State {
  Device device;
  Tensors inputs, results;  // where the recorded step reads and writes
  std::unique_ptr<StepRecording> recording;
  bool ran = false;
  std::optional<Stream> last;  // where the last call went
  // Inputs from ordinary memory of the host go through pinned memory, so that the program need not wait for the replay before. It is written
  // again when the copy before the last is done: the program is two calls ahead at most.
  struct Staged {
    Tensors pinned;
    Event copied;
  } staged[2];
  int next_staged = 0;

  void check(const Tensors& given) const;
  void follow();
  void bring(const Tensors& given);
  void record(const Body& body);
  Tensors run_once(const Tensors& given, const Body& body, bool keep_inputs);
};

namespace {
CapturedStep::Tensors detached(CapturedStep::Tensors list) {
  for (AnyTensor& x : list)
    if (x.defined()) x = x.detach();
  return list;
}
}  // namespace

CapturedStep::CapturedStep(Device device) : state_(std::make_unique<State>()) {
  if (device.type != DeviceType::cpu) accelerator(device);  // throws where there is none
  state_->device = device;
}
CapturedStep::~CapturedStep() = default;
CapturedStep::CapturedStep(CapturedStep&&) noexcept = default;
CapturedStep& CapturedStep::operator=(CapturedStep&&) noexcept = default;
bool CapturedStep::is_recorded() const { return state_->recording != nullptr; }

void CapturedStep::State::check(const Tensors& given) const {
  if (given.size() != inputs.size())
    fail<ValueError>("capture: ", given.size(), " inputs, the step was recorded with ", inputs.size());
  for (size_t i = 0; i < given.size(); ++i) {
    check_defined("capture", given[i]);
    if (given[i].dtype() != inputs[i].dtype())
      fail<DTypeError>("capture: input ", i, " is ", given[i].dtype(), ", the step was recorded with ", inputs[i].dtype());
    if (!(given[i].shape() == inputs[i].shape()))
      fail<ShapeError>("capture: input ", i, " has shape ", given[i].shape(), ", the step was recorded with ", inputs[i].shape(),
                       "; leave out the batch (drop_last), or call the step without capture()");
  }
}

void CapturedStep::State::record(const Body& body) {
  auto step = std::make_unique<StepRecording>(device);
  step->begin();
  Tensors written;
  try {
    written = detached(body(inputs));
  } catch (...) {
    step->abandon();
    throw;
  }
  step->end();
  results = std::move(written), recording = std::move(step);
}

/// Calls share the places of inputs and results, so in another stream than the one before a call waits for that.
void CapturedStep::State::follow() {
  const Stream here = Stream::current(device);
  if (last && !(*last == here)) {
    Event before;
    before.record(*last);
    before.hold(here);
    for (const Tensors* list : {&inputs, &results})
      for (const AnyTensor& x : *list)
        if (x.defined()) record_use(x, here);
  }
  last = here;
}

void CapturedStep::State::bring(const Tensors& given) {
  NoGrad no_grad;
  Staged& stage = staged[next_staged];
  bool used = false;
  for (size_t i = 0; i < given.size(); ++i) {
    AnyTensor x = given[i].detach(), &place = inputs[i];
    if (x.device() == device) {
      place.copy_(x);
    } else if (x.device() != kCPU || is_pinned(x)) {
      place.copy_(to_async(x, device));
    } else {
      if (!std::exchange(used, true)) stage.copied.synchronize();
      stage.pinned.resize(given.size());
      AnyTensor& pinned = stage.pinned[i];
      if (!pinned.defined()) pinned = empty_pinned(place.shape(), place.stride(), place.dtype(), device.type);
      pinned.copy_(x);
      copy_bytes(place, pinned, false);
    }
  }
  if (!used) return;
  stage.copied.record(*last);
  next_staged ^= 1;
}

/// The first call, or any where nothing is recorded.
CapturedStep::Tensors CapturedStep::State::run_once(const Tensors& given, const Body& body, bool keep_inputs) {
  Tensors here, kept;
  for (const AnyTensor& x : given) {
    check_defined("capture", x);
    const bool is_here = x.device() == device;
    here.push_back(is_here ? x.detach() : to(x.detach(), device));
    if (keep_inputs) kept.push_back(is_here ? clone(here.back()) : here.back());
  }
  Tensors made = detached(body(here));
  inputs = std::move(kept), ran = true;
  return made;
}

CapturedStep::Tensors CapturedStep::run(const Tensors& given, const Body& body) {
  State& s = *state_;
  const bool never = s.device.type == DeviceType::cpu || !accelerator(s.device).records() || Recording::current();
  if (!never) s.follow();
  if (never || !s.ran) return s.run_once(given, body, !never);
  s.check(given);
  s.bring(given);
  if (!s.recording) s.record(body);
  s.recording->replay();
  NoGrad no_grad;
  Tensors results = s.results;
  for (AnyTensor& r : results)
    if (r.defined()) r = clone(r);
  return results;
}

}  // namespace gradus::detail
