#include "gradus/core/capture.h"

#include "gradus/autograd/mode.h"
#include "gradus/ops/transfer.h"
#include "gradus/ops/view.h"
#include "kernels/accelerator.h"
#include "kernels/table.h"
#include "src/core/recording.h"
#include "src/ops/op.h"

namespace gradus::detail {

struct CapturedStep::State {
  Device device;
  Tensors inputs, results;  // where the recorded step reads and writes
  std::unique_ptr<StepRecording> recording;
  bool ran = false;

  void check(const Tensors& given) const;
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
  if (never || !s.ran) return s.run_once(given, body, !never);
  s.check(given);
  for (size_t i = 0; i < given.size(); ++i) {
    NoGrad no_grad;
    AnyTensor x = given[i].detach();
    // From memory of the host that is not pinned, the program waits.
    s.inputs[i].copy_(x.device() == s.device ? x : is_pinned(x) ? to_async(x, s.device) : to(x, s.device));
  }
  if (!s.recording) s.record(body);
  s.recording->replay();
  NoGrad no_grad;
  Tensors results = s.results;
  for (AnyTensor& r : results)
    if (r.defined()) r = clone(r);
  return results;
}

}  // namespace gradus::detail
