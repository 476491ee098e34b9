#include "src/core/recording.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "gradus/autograd/mode.h"
#include "gradus/core/capture.h"
#include "gradus/ops/create.h"
#include "gradus/ops/transfer.h"
#include "kernels/accelerator.h"
#include "kernels/table.h"
#include "src/core/message.h"

namespace gradus {
namespace {

constexpr size_t kWords = 4000;  // that are put on the device at once, on CUDA with one launch
constexpr size_t kFaults = 256;

struct Aside : NoGrad {  // what outlives the step is made outside of its modes
  bool before = detail::mode.inference;
  Aside() { detail::mode.inference = false; }
  ~Aside() { detail::mode.inference = before; }
};

}  // namespace

StepRecording::StepRecording(Device device)
    : device_(device), number_([] {
        static std::atomic<uint64_t> last = 0;
        return ++last;
      }()) {
  Aside aside;
  fault_words_ = zeros({int64_t(kFaults)}, DType::int64, device);
  faults_here_ = empty({0}, DType::int64, kCPU);
  Ref<Storage> pinned = Storage::make_pinned(kFaults * sizeof(uint64_t), device.type);
  faults_here_.impl()->data = pinned->data, faults_here_.impl()->storage = std::move(pinned);
  std::memset(faults_here_.raw_data(), 0, kFaults * sizeof(uint64_t));
}

StepRecording::~StepRecording() {
  if (recording_) abandon();
  if (recorded_) accelerator(device_).free_recording(device_.index, recorded_);
  give_back_kept();
}
void StepRecording::give_back_kept() noexcept {
  for (Storage* s : std::exchange(kept_, {})) s->release(s);
}

void StepRecording::begin() {
  if (Recording::current()) throw Error("capture: a step is recorded within another");
  accelerator(device_).begin_recording(device_.index);
  current_ = this, recording_ = true, op = "capture";
}

void StepRecording::end() {
  current_ = nullptr;
  try {
    if (!faults_.empty())  // the last thing that a replay does
      accelerator(device_).copy(faults_here_.raw_data(), -1, fault_words_.raw_data(), device_.index,
                                faults_.size() * sizeof(uint64_t), false);
    recorded_ = accelerator(device_).end_recording(device_.index);
  } catch (...) {
    abandon();
    throw;
  }
  recording_ = false;
  for (Storage* s : written_now_) written_.push_back(Ref<Storage>::share(s));
  written_now_.clear();
  for (Ref<Storage>& s : gradients_.end()) written_.push_back(std::move(s));
  put_back();
}

void StepRecording::abandon() noexcept {
  current_ = nullptr, recording_ = false;
  accelerator(device_).abandon_recording(device_.index);
  put_back();
  give_back_kept();
}

void StepRecording::put_back() noexcept {
  for (Stream& s : streams_) s.generator.set_state(s.begin);
  for (auto it = put_back_.rbegin(); it != put_back_.rend(); ++it) (*it)();
  put_back_.clear();
  gradients_.put_back();
  made_now_.clear(), dropped_.clear();
}

void StepRecording::replay() {
  look_for_faults();
  gradients_.before_replay();
  for (auto& f : before_replay_) f();
  for (Stream& s : streams_) {
    GeneratorState at = s.generator.take(s.blocks);
    values_[s.index] = at.seed, values_[s.index + 1] = at.offset;
  }
  Accelerator& a = accelerator(device_);
  for (size_t i = 0; i < words_.size(); ++i) {
    const size_t count = std::min(kWords, values_.size() - i * kWords);
    a.put(device_.index, words_[i].raw_data(), &values_[i * kWords], count * sizeof(uint64_t));
  }
  a.replay(device_.index, recorded_);
  for (const Ref<Storage>& s : written_) s->version.fetch_add(1, std::memory_order_relaxed);
  gradients_.after_replay();
}

void StepRecording::look_for_faults() {
  auto* found = static_cast<volatile uint64_t*>(faults_here_.raw_data());
  for (size_t i = 0; i < faults_.size(); ++i) {
    if (found[i] == 0) continue;
    const int64_t place = faults_[i].count - int64_t(found[i]);
    Aside aside;
    fault_words_.fill_(0);
    accelerator(device_).synchronize(device_.index);  // replays on their way write there too
    std::memset(faults_here_.raw_data(), 0, kFaults * sizeof(uint64_t));
    fail<IndexError>(faults_[i].op, ": in an earlier replay of a captured step, the index at place ", place,
                     " was outside its range; call the step itself to learn more");
  }
}

size_t StepRecording::reserve(size_t count) {
  size_t index = values_.size();
  if (index % kWords + count > kWords) index += kWords - index % kWords;  // together in one piece
  values_.resize(index + count);
  if (index / kWords == words_.size()) {
    // They are written before each replay, whose tasks may use what is free in the recording's memory now.
    struct StepAside {
      Device device;
      explicit StepAside(Device d) : device(d) { accelerator(device).step_aside(device.index); }
      ~StepAside() { accelerator(device).step_aside(device.index); }
    } beside(device_);
    words_.push_back(empty({int64_t(kWords)}, DType::int64, device_));
  }
  return index;
}
uint64_t* StepRecording::on_device(size_t index) const {
  return static_cast<uint64_t*>(words_[index / kWords].raw_data()) + index % kWords;
}

Draw StepRecording::draw(Generator& g, uint64_t blocks) {
  GeneratorState at = g.take(blocks);
  auto known = std::find_if(streams_.begin(), streams_.end(), [&](const Stream& s) { return s.generator.is_same(g); });
  if (known == streams_.end()) known = streams_.insert(known, {g, at, reserve(2)});
  if (at.seed != known->begin.seed || at.offset < known->begin.offset)
    op = "capture", refuse("draws from a generator that was seeded meanwhile");
  const uint64_t first = at.offset - known->begin.offset;  // the device adds where the replay's stretch begins
  known->blocks = std::max(known->blocks, first + blocks);
  return {0, first, on_device(known->index)};
}

const double* StepRecording::rates(const double* values, size_t count, size_t& index) {
  index = reserve(count);
  set(index, values, count);
  return reinterpret_cast<const double*>(on_device(index));
}
void StepRecording::set(size_t index, const double* values, size_t count) {
  std::memcpy(&values_[index], values, count * sizeof(double));
}

void StepRecording::on_replay(std::function<void()> before_replay, std::function<void()> put_back) {
  before_replay_.push_back(std::move(before_replay)), put_back_.push_back(std::move(put_back));
}

void StepRecording::written(Storage& storage) { written_now_.insert(&storage); }
bool StepRecording::gone(Storage& storage) noexcept {
  written_now_.erase(&storage);
  if (storage.device != device_ || made_now_.erase(&storage) > 0) return false;
  kept_.push_back(&storage);
  return true;
}

uint64_t* StepRecording::fault(int64_t count) {
  if (faults_.size() == kFaults) refuse("checks more indices than a recording holds");
  faults_.push_back({op, count});
  return static_cast<uint64_t*>(fault_words_.raw_data()) + (faults_.size() - 1);
}

void StepRecording::refuse(const char* why) const {
  fail<Error>(op, ": ", why, ", which a step that is captured for ", device_,
              " cannot do; take it out of the step, or call the step without capture()");
}

Draw draw_blocks(Generator& g, uint64_t blocks) {
  if (StepRecording* r = StepRecording::current()) return r->draw(g, blocks);
  GeneratorState at = g.take(blocks);
  return {at.seed, at.offset};
}

uint64_t recording_number() {
  StepRecording* r = StepRecording::current();
  return r ? r->number() : 0;
}

void note_op(const char* op, Device device) {
  StepRecording& r = *StepRecording::current();
  r.op = op;
  if (device != r.device())
    fail<Error>(op, ": runs on ", device, ", and what a captured step does there is not recorded; do it before the step, or on ",
                r.device());
}

void note_storage(Storage& storage) {
  if (StepRecording* r = StepRecording::current()) r->made(storage);
}
bool forget_storage(Storage& storage) noexcept {
  StepRecording* r = StepRecording::current();
  return r && r->gone(storage);
}

void drop_after_recording(AnyTensor x) {
  if (StepRecording* r = StepRecording::current()) r->drop_later(std::move(x));
}
bool is_recording() { return Recording::current(); }
void refuse_to_capture(const char* op, const char* why) {
  if (StepRecording* r = StepRecording::current()) r->op = op, r->refuse(why);
}
void on_replay(std::function<void()> before_replay, std::function<void()> put_back) {
  if (StepRecording* r = StepRecording::current()) r->on_replay(std::move(before_replay), std::move(put_back));
}

}  // namespace gradus
