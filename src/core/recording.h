// A step while it is recorded, and what each replay of it has to bring up to date.
#pragma once
#include <functional>
#include <unordered_set>
#include <vector>

#include "gradus/core/any_tensor.h"
#include "gradus/core/random.h"
#include "kernels/params.h"
#include "kernels/recording.h"
#include "src/autograd/recorded_gradients.h"

namespace gradus {

/// Numbers that differ from replay to replay: the host writes them, kernels read them on the device. One per captured step; it is the
/// thread's Recording between begin() and end().
class StepRecording final : public Recording {
 public:
  explicit StepRecording(Device device);
  ~StepRecording();
  StepRecording(const StepRecording&) = delete;

  /// That of this thread, or null.
  static StepRecording* current() { return static_cast<StepRecording*>(Recording::current()); }
  Device device() const { return device_; }
  /// From 1 on; no two have the same.
  uint64_t number() const { return number_; }

  void begin();
  /// What was recorded has not been done: generators, optimizers and gradients stand where they stood before. Throws what the backend says.
  void end();
  /// Forgets what was recorded.
  void abandon() noexcept;
  /// One step. Throws IndexError where an earlier replay met an index outside its range.
  void replay();

  // For ops and optimizers, while recording.
  /// A stretch of the generator's stream, of which each replay takes another.
  Draw draw(Generator& generator, uint64_t blocks);
  /// Where a kernel finds these numbers; `index` is their place for set().
  const double* rates(const double* values, size_t count, size_t& index);
  void set(size_t index, const double* values, size_t count);
  /// before_replay() is called before each replay, put_back() once, at the end of the recording.
  void on_replay(std::function<void()> before_replay, std::function<void()> put_back);
  /// Each replay writes it: its version moves on.
  void written(Storage& storage);
  /// Memory of the device is taken, within the step or beside it.
  void made(Storage& storage) { made_now_.insert(&storage); }
  /// Storage goes. True where it was there before the step, so recorded tasks may read it: it is released with the recording.
  bool gone(Storage& storage) noexcept;
  /// A tensor that the step has not used and drops: its memory is given back when the recording is done.
  void drop_later(AnyTensor x) { dropped_.push_back(std::move(x)); }
  RecordedGradients& gradients() { return gradients_; }

  uint64_t* fault(int64_t count) override;
  [[noreturn]] void refuse(const char* why) const override;

 private:
  struct Stream {  // of random numbers
    Generator generator;
    GeneratorState begin;
    size_t index;
    uint64_t blocks = 0;  // a replay takes
  };
  struct Fault {
    const char* op;
    int64_t count;
  };
  size_t reserve(size_t count);
  uint64_t* on_device(size_t index) const;
  void put_back() noexcept;
  void give_back_kept() noexcept;
  void look_for_faults();

  Device device_;
  const uint64_t number_;
  void* recorded_ = nullptr;  // the backend's own
  bool recording_ = false;
  std::vector<AnyTensor> words_;  // on the device, in pieces
  std::vector<uint64_t> values_;  // of the words, the pieces one after the other
  AnyTensor fault_words_;         // on the device
  AnyTensor faults_here_;         // pinned; written by replays
  std::vector<Stream> streams_;
  std::vector<Fault> faults_;
  std::vector<std::function<void()>> before_replay_, put_back_;
  RecordedGradients gradients_;
  std::unordered_set<Storage*> written_now_;  // not owned: while recording, what goes makes room
  std::vector<Ref<Storage>> written_;
  std::unordered_set<Storage*> made_now_;  // not owned, while recording
  std::vector<Storage*> kept_;             // of the device, that the step gave up, until the recording goes
  std::vector<AnyTensor> dropped_;
};

/// A stretch of the generator's stream, for a kernel.
Draw draw_blocks(Generator& generator, uint64_t blocks);

/// Before a kernel is called: the recording learns what runs, and refuses what runs on another device.
[[gnu::cold, gnu::noinline]] void note_op(const char* op, Device device);

/// When a device's memory is taken, and before it is given back: true where a recording keeps it and will release it.
void note_storage(Storage& storage);
bool forget_storage(Storage& storage) noexcept;

}  // namespace gradus
